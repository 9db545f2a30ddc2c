"""What the notebooks share: which teacher, its tones, what is held out.

Training tones are drawn at random, without those of two fixed sets: one is for choosing settings,
the other is held out and looked at once, at the end. Waves that are no tones may be trained on too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import xarray as xr

from presage.generate import simulate
from presage.store import Store
from presage.studies import made_by
from presage.studies.amp.amplifier import Amplifier
from presage.studies.amp.circuit import CircuitWaves, taught
from presage.studies.amp.study import STUDY
from presage.studies.amp.teacher import TeacherTones
from presage.studies.amp.waves import TeacherWaves
from presage.studies.settings import StudySettings, setting

#: The teacher that the study trains itself.
CIRCUIT = "circuit"


@dataclass(frozen=True)
class Campaign(StudySettings):
    """Tones of one teacher: to train on, to choose settings with, to be held out.

    Parameters
    ----------
    store
        Where datasets live.
    teacher
        A weight file (SimpleRNN, .nam, RTNeural), or one that comes along: "ts9", "wavenet",
        "wavenet_tiny", "lstm_tiny"; empty takes "ts9". "circuit" is a 40-unit LSTM that first
        learns a diode clipper, which takes some minutes.
    config
        Number of a published configuration, 0 to 7, whose file `teacher` then has to be; -1 for
        none.
    n_tones
        Tones to train on.
    n_waves
        Strings, sweeps and noise to train on as well, through the teacher at eight times its
        sample rate.
    wave_seconds
        Length of these.
    seed
        Of tones and waves.
    seconds
        Length of the signals, other than tones, that are played at the end.
    """

    store: Store
    teacher: str | Path = ""
    config: int = setting(-1, least=-1)
    n_tones: int = setting(10_000, least=64)
    n_waves: int = setting(0, least=0)
    wave_seconds: float = 0.75
    seed: int = 0
    seconds: float = setting(3.0, least=1)

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = STUDY.presets

    def inputs(self) -> dict[str, str]:
        """Return the recipe key of the training tones, which knows the teacher by content."""
        if self._is_circuit:  # known before it is trained
            return {"waves": CircuitWaves().recipe().key}
        return {"tones": self.simulators["train"].recipe(self.seed).key}

    @property
    def _is_circuit(self) -> bool:
        path = Path(self.teacher)
        return path.name == CIRCUIT and not path.exists()

    @property
    def amplifier(self) -> Amplifier:
        """The teacher."""
        return self.simulators["train"].amplifier

    @cached_property
    def simulators(self) -> dict[str, TeacherTones]:
        """What makes the tones of each part: "train", "validation", "held_out"."""
        drawn = TeacherTones(self._file, self.config)
        held_out = tuple(drawn.grid.held_out().tolist())
        # Of the few that are looked at closely, the arithmetic should not be seen.
        fixed = replace(drawn, precision="float64")
        return {
            "train": drawn,
            "validation": replace(fixed, validation=True),
            "held_out": replace(fixed, bins=held_out),
        }

    @cached_property
    def _file(self) -> str | Path:
        return taught(self.store) if self._is_circuit else self.teacher

    @property
    def _waves(self) -> TeacherWaves:
        return TeacherWaves(self._file, self.config, self.wave_seconds)

    def make(self) -> xr.Dataset:
        """Make what is missing of all parts and return the training tones."""
        for part, simulator in self.simulators.items():
            simulate(simulator, self._count(part), seed=self._seed(part), store=self.store)
        if self.n_waves:
            simulate(self._waves, self.n_waves, seed=self.seed, store=self.store)
        return self.tones()

    def tones(self, part: str = "train") -> xr.Dataset:
        """Return the stored tones of a part.

        Raises
        ------
        StoreError
            They were not made yet; the message says what makes them.
        """
        recipe = self.simulators[part].recipe(self._seed(part))
        with made_by("1_teacher", "these tones", "amp"):
            return self.store.open(recipe, 0, self._count(part))

    def waves(self) -> xr.Dataset | None:
        """Return the stored waves that are trained on; None where there are none.

        Raises
        ------
        StoreError
            They were not made yet.
        """
        if not self.n_waves:
            return None
        with made_by("1_teacher", "these waves", "amp"):
            return self.store.open(self._waves.recipe(self.seed), 0, self.n_waves)

    def _count(self, part: str) -> int:
        return self.n_tones if part == "train" else self.simulators[part].length or 0

    def _seed(self, part: str) -> int:
        return self.seed if part == "train" else 0
