"""What the four notebooks share: which sky, its pools, what is held out, the linear fits.

Three pools of cubes are simulated apart and added: foregrounds, signals, noises. Those of the
training are fitted and trained on; skies for validation choose settings; held-out skies are looked
at once, at the end. A second set of foregrounds, of another sky model, is held out as well.

Foregrounds may be cubes of one's own. Their covariances are then measured, on all of them, and the
filter that knows these stands where the limit stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import xarray as xr

from presage.batches import Paired
from presage.fitting import fit
from presage.generate import simulate
from presage.generate.reading import read_back
from presage.labels import LabelError
from presage.lineage import parent_of
from presage.recipe import Recipe
from presage.store import Store
from presage.studies import made_by
from presage.studies.settings import StudySettings, setting
from presage.studies.sky.covariance import covariances, exact_filter
from presage.studies.sky.cubes import SkyCubes, patch_of
from presage.studies.sky.measure import VERSION, scan_modes
from presage.studies.sky.rivals import POOLS
from presage.studies.sky.scales import Scales
from presage.studies.sky.skies import SKIES, Sky
from presage.studies.sky.study import STUDY
from presage.transforms import PCA, LearnedWiener, PCABasis, Wiener

#: What is held out has seeds of its own, this far from that of the training.
PARTS = {"train": 0, "validation": 1, "held_out": 2}


@dataclass(frozen=True)
class Campaign(StudySettings):
    """Skies of one kind: to train on, to choose settings with, to be held out.

    Parameters
    ----------
    store
        Where datasets live.
    sky
        What is simulated: foregrounds alone ("easy"), through a beam, with polarised leakage,
        both and a ripple of the beam ("hard"), or what an interferometer sees ("visibilities":
        at full size the exact covariances take 6 GB of memory, and their filter half of that).
    channels, pixels
        Of the cubes; 0 takes the sky's own.
    noise
        Variance of the receivers' noise over that of the signal, which says how long is observed;
        0 takes the sky's own 4000 hours.
    lognormal
        Whether the signal is a lognormal field instead of a Gaussian one.
    sources
        Whether the real radio sources shine.
    foreground_files
        Foregrounds of one's own: a file of cubes, a folder or a pattern. The last ones are held
        out, those before them are for validation. Signal and noise are simulated on their
        channels and pixels, the signal under the beam of the `sky`, which the cubes should have
        as well; empty simulates foregrounds.
    file_settings
        What these files do not say, name to value: settings of
        :class:`~presage.studies.sky.SkyCubes`.
    n_skies
        Members of each training pool.
    n_held_out
        Skies for validation, and as many that are held out.
    seed
        Seed of the training's pools; validation and held-out skies use the next two.
    """

    store: Store
    sky: str = setting("leakage", choices=tuple(SKIES))
    channels: int = setting(0, least=0)
    pixels: int = setting(0, least=0)
    noise: float = 0.0025
    lognormal: bool = False
    sources: bool = False
    foreground_files: str | Path = ""
    file_settings: Mapping[str, Any] = field(default_factory=dict)
    n_skies: int = setting(1000, least=10)
    n_held_out: int = setting(200, least=2)
    seed: int = 0

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = STUDY.presets

    def inputs(self) -> dict[str, str]:
        """Return recipe keys of the training pools: of the sky's settings, of files' content."""
        made = {name: s.recipe(self.seed).key for name, s in self.model.simulators().items()}
        return made | ({"foreground": self.reader.recipe().key} if self.reader else {})

    @cached_property
    def reader(self) -> SkyCubes | None:
        """What reads foregrounds of one's own; None if they are simulated.

        Raises
        ------
        LabelError
            There are no such files, or the sky is one of visibilities.
        """
        if not str(self.foreground_files):
            return None
        if self.sky == "visibilities":
            raise LabelError("foreground_files are cubes of maps; take another sky than that")
        settings = {"role": "foreground", **self.file_settings}
        return SkyCubes(str(self.foreground_files), **settings)

    @cached_property
    def model(self) -> Sky:
        """The sky as it is simulated."""
        found = SKIES[self.sky]
        sizes = {n: value for n in ("channels", "pixels") if (value := getattr(self, n))}
        patch = patch_of(self.reader) if self.reader else replace(found.patch, **sizes)
        made = replace(
            found,
            patch=patch,
            signal=replace(found.signal, lognormal=self.lognormal),
            foregrounds=replace(found.foregrounds, sources=self.sources),
        )
        return made.with_noise(self.noise) if self.noise else made

    @property
    def across(self) -> tuple[str, ...]:
        """Dims across which the sky is alike everywhere."""
        return tuple(d for d in ("y", "x", "right_ascension") if d in self.model.beam.dims)

    @property
    def apart(self) -> tuple[str, ...]:
        """Dims whose places are unlike one another."""
        return tuple(d for d in ("baseline",) if d in self.model.beam.dims)

    @property
    def other(self) -> Sky:
        """The held-out sky model: other foregrounds before the same signal."""
        return self.model.held_out()

    def make(self) -> dict[str, xr.Dataset]:
        """Make what is missing of all pools and return those of the training."""
        if self.reader:
            simulate(self.reader, store=self.store)
        for part in PARTS:
            for name, simulator in self.model.simulators().items():
                if not (self.reader and name == "foreground"):
                    simulate(simulator, self._count(part), seed=self._seed(part), store=self.store)
        foregrounds = self.other.simulators()["foreground"]
        simulate(foregrounds, self.n_held_out, seed=self._seed("held_out"), store=self.store)
        return self.pools("train")

    def pools(self, part: str = "train", sky: Sky | None = None) -> dict[str, xr.Dataset]:
        """Return pool → its stored cubes, of the "train", "validation" or "held_out" part.

        Raises
        ------
        StoreError
            They were not simulated yet; the message says what makes them.
        """
        found, n = {}, self._count(part)
        for name, simulator in (sky or self.model).simulators().items():
            with made_by("1_simulate", "these skies", "sky"):
                if name == "foreground" and self.measured(sky or self.model):
                    found[name] = self._read(part)
                else:
                    recipe = simulator.recipe(self._seed(part))
                    found[name] = self.store.open(recipe, 0, n)
        return found

    def _read(self, part: str = "") -> xr.Dataset:
        """Return the cubes of a part, of all parts by default, labelled as simulated ones are."""
        assert self.reader is not None
        whole, _ = read_back(self.reader, None, self.store)
        total, apart = whole.sizes["sample"], self.n_held_out
        if total < 2 * apart + 2:
            raise LabelError(
                f"{total} cubes of foregrounds are too few for n_held_out={apart}, for validation "
                f"and once more held out; take n_held_out={max(2, total // 4)}, or more cubes"
            )
        ends = {"train": (0, total - 2 * apart), "validation": (total - 2 * apart, total - apart),
                "held_out": (total - apart, total)}  # fmt: skip
        cubes = self.store.open(self.reader.recipe(), *ends.get(part, (0, total)))
        # The same numbers as those of simulated cubes, to the last bit.
        return cubes.assign_coords({c.name: c.variable() for c in self.model.patch.coordinates})

    def skies(self, part: str = "train", sky: Sky | None = None) -> Paired:
        """Return what a telescope sees of a part, ``sky``, beside its ``signal``."""
        columns = {"sky": [f"{name}.{name}" for name in POOLS], "signal": "signal.signal"}
        return Paired(self.pools(part, sky), columns, seed=self.seed)

    # -- what is fitted to the training skies ------------------------------------------------

    @cached_property
    def basis(self) -> xr.Dataset:
        """Principal components over frequency, fitted once."""
        return fit(PCABasis("sky"), self.skies(), store=self.store)

    @cached_property
    def wiener(self) -> xr.Dataset:
        """The learned Wiener filter, fitted once."""
        learned = LearnedWiener(across=self.across, apart=self.apart)
        return fit(learned, self._unmixed(self.pools()), store=self.store)

    def measured(self, sky: Sky) -> bool:
        """Return whether a sky's foregrounds come from files, so that nobody knows covariances."""
        return self.reader is not None and sky == self.model

    def limit(self, sky: Sky | None = None) -> Wiener:
        """Return the Wiener filter that knows a sky's covariances, by default the campaign's.

        Of foregrounds from files the covariances are those of all cubes, of which held-out ones
        are a part; those of the signal are exact.
        """
        sky = sky or self.model
        if not self.measured(sky):
            return exact_filter(sky)
        known, grid = covariances(sky)["signal_covariance"], self.measurement.coords.to_dataset()
        rest = self.measurement["contaminant_covariance"]
        return Wiener.from_covariances(known, rest, grid, across=self.across)

    @cached_property
    def measurement(self) -> xr.Dataset:
        """Covariances of all foregrounds from files and of noise, as a filter's dataset."""
        source = self._unmixed({**self.pools(), "foreground": self._read()})
        return fit(LearnedWiener(across=self.across), source, validation=0.0, store=self.store)

    def _unmixed(self, pools: Mapping[str, xr.Dataset]) -> Paired:
        """Return signals beside all that they are under."""
        contaminant = ["foreground.foreground", "noise.noise"]
        columns = {"signal": "signal.signal", "contaminant": contaminant}
        return Paired(pools, columns, seed=self.seed)

    @cached_property
    def scan(self) -> xr.Dataset:
        """What is left of validation skies by the number of removed components, computed once.

        See :func:`presage.studies.sky.measure.scan_modes`.
        """
        pools = self.pools("validation")
        parents = tuple(map(parent_of, (self.basis, *pools.values())))
        recipe = Recipe("sky_scan", VERSION, {"sky": self.model}, parents=parents)
        scales = Scales(self.model)
        return self.store.compute(recipe, lambda: scan_modes(scales, PCA(self.basis), pools))

    def _count(self, part: str) -> int:
        return self.n_skies if part == "train" else self.n_held_out

    def _seed(self, part: str) -> int:
        return self.seed + PARTS[part]
