"""Batches of tones: sines and the band-limited answers, rebuilt from stored harmonics.

A stored tone is about 1 kB. Its waveform, as long as a training wants it, is one inverse FFT away:
an epoch costs the same whichever teacher it was that answered, and the teacher is not asked again.
Waves that are no tones may stand beside them; these are stored as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from presage.batches import BatchError, BatchSource, open_source
from presage.batches.source import Origins
from presage.batches.tables import Buffers
from presage.labels import Array, Coordinate, Schema, Variable
from presage.lineage import recipe_of, sample_dim
from presage.positions import Positions
from presage.recipe import Parent
from presage.studies.amp.amplifier import Amplifier
from presage.studies.amp.tones import ToneGrid

#: Relative drift of tones that are learned from, -50 dB.
_SETTLED = 1e-5


@dataclass(frozen=True, eq=False)
class ToneBatches(BatchSource):
    """Sines ``input`` and band-limited answers ``target``, ``[tone, time]`` in float32.

    Tones that had not settled are left out.

    Parameters
    ----------
    tones
        Stored samples of :class:`~presage.studies.amp.TeacherTones`.
    teacher
        Whose answers they are, and what a student starts from.
    warm_up, length
        Samples of each wave: those in which a student settles, and those that are looked at.
    waves
        Stored samples of :class:`~presage.studies.amp.TeacherWaves`, which come after the tones.

    Raises
    ------
    BatchError
        Lengths that are not positive, another teacher's tones or waves, none that settled, or
        waves that are too short or none.
    """

    tones: xr.Dataset
    teacher: Amplifier
    warm_up: int = 8820
    length: int = 44_100
    waves: xr.Dataset | None = None

    name: ClassVar[str] = "amp_batches"
    fresh = False

    def __post_init__(self) -> None:
        if self.warm_up < 0 or self.length < 1:
            raise BatchError(
                f"warm_up is at least 0 and length at least 1 sample, got {self.warm_up} and "
                f"{self.length}"
            )
        if self.waves is not None and not {"input", "target", "time"} <= set(self.waves.variables):
            raise BatchError(
                "waves are stored samples of TeacherWaves, with input, target and time"
            )
        for what, stored in (("tones", self.tones), ("waves", self.waves)):
            if stored is not None and recipe_of(stored).fields["teacher"] != self.teacher.sha256:
                raise BatchError(f"these are another teacher's {what}; generate those of this one")
        if self.waves is not None and self.waves.sizes["time"] < self.warm_up + self.length:
            raise BatchError(
                f"waves have {self.waves.sizes['time']} samples each, warm_up and length need "
                f"{self.warm_up + self.length}: generate longer ones, or lower these"
            )
        if not len(self._settled):
            raise BatchError("no tone has settled: there is nothing to learn from")

    @property
    def samples(self) -> int:  # type: ignore[override]  # of the class elsewhere, here of the tones
        """How many tones have settled, and how many waves there are."""
        return len(self._settled) + (self._waves.samples if self._waves else 0)

    @property
    def schema(self) -> Schema:  # type: ignore[override]
        """Input and target over time."""
        seconds = np.arange(self.warm_up + self.length) / self._grid.sample_rate
        time = Coordinate("time", tuple(seconds.tolist()), "s", "time")
        waves = (
            Variable("input", ("time",), "float32", "1", "sine"),
            Variable("target", ("time",), "float32", "1", "band-limited answer of the teacher"),
        )
        return Schema(sample_dim(self.tones), waves, (time,))

    @cached_property
    def dataset(self) -> xr.Dataset:
        """The tones of epoch 0, the teacher's weights beside them."""
        teacher = self.teacher.dataset()
        found: xr.Dataset = super().dataset
        about = {**teacher.attrs, **found.attrs, "warm_up": self.warm_up}
        return found.assign(teacher.data_vars).assign_attrs(about)

    def identity(self, origins: Origins, epochs: int) -> tuple[dict[str, Any], list[Parent]]:
        """Return what stands in a recipe: the tones know whose answers they are."""
        stored = [self.tones] if self.waves is None else [self.tones, self.waves]
        parents = list(dict.fromkeys(p for one in stored for p in origins(one).values()))
        settings = {"warm_up": self.warm_up, "length": self.length}
        return {"source": {"name": self.name, "version": self.version, **settings}}, parents

    @property
    def chosen(self) -> xr.Dataset:
        """The stored tones that are learned from, in order, without their harmonics."""
        names = [n for n, a in self.tones.data_vars.items() if a.dims == self.tones["bin"].dims]
        return self.tones[names].isel({sample_dim(self.tones): self._settled})

    def gather(self, numbers: Positions, epoch: int, buffers: Buffers) -> dict[str, Array]:
        """Return some tones and waves."""
        shape = (len(numbers), self.warm_up + self.length)
        made = {n: buffers.get(n, shape, np.dtype("float32")) for n in ("input", "target")}
        is_tone = numbers < len(self._settled)
        for name, array in self._tones(self._settled[numbers[is_tone]]).items():
            for start in range(0, shape[1], array.shape[1]):
                stop = min(start + array.shape[1], shape[1])
                made[name][is_tone, start:stop] = array[:, : stop - start]
        if self._waves and not is_tone.all():
            which = numbers[~is_tone] - len(self._settled)
            waves = self._waves.gather(which, epoch, buffers.within("waves"))
            for name, array in made.items():
                array[~is_tone] = waves[name][:, : shape[1]]
        return made

    def _tones(self, at: Positions) -> dict[str, Any]:
        """Return a period of some tones and of what answers them, or as much as is needed."""
        bins = self._columns["bin"][at]
        level, phase, mean = (self._columns[name][at] for name in ("level", "phase", "mean"))
        counts = self._counts[at]
        length = min(self._grid.period, self.warm_up + self.length)
        answer = self._grid.band_limited(bins, mean, self._rows(at, counts), counts)
        return {
            "input": self._grid.sines(bins, level, phase, length),
            "target": self._grid.waves(answer),
        }

    def _rows(self, at: Positions, counts: Positions) -> Any:
        """Return the harmonics of some tones, one tone's after the other's."""
        ends = np.cumsum(counts)
        within = np.arange(counts.sum()) - np.repeat(ends - counts, counts)
        return self._lines[np.repeat(self._starts[at], counts) + within]

    @cached_property
    def _waves(self) -> BatchSource | None:
        return None if self.waves is None else open_source(self.waves[["input", "target"]])

    @cached_property
    def _settled(self) -> Positions:
        return np.flatnonzero(self.tones["drift"].values <= _SETTLED)

    @cached_property
    def _columns(self) -> Mapping[str, Array]:
        return {name: self.tones[name].values for name in ("bin", "level", "phase", "mean")}

    @cached_property
    def _counts(self) -> Positions:
        return self.tones["harmonic_count"].values.astype(np.int64)

    @cached_property
    def _starts(self) -> Positions:
        return np.cumsum(self._counts) - self._counts

    @cached_property
    def _lines(self) -> Any:
        return (self.tones["real"].values + 1j * self.tones["imaginary"].values).astype("complex64")

    @cached_property
    def _grid(self) -> ToneGrid:
        return ToneGrid(self.teacher.sample_rate, int(recipe_of(self.tones).fields["period"]))
