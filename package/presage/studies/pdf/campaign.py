"""What the four notebooks of the study share: which problem, its sets of events, what is held out.

Each notebook builds the same :class:`Campaign` from its parameters, and thereby the same
recipes. The first one makes the sets of events, the others ask for them and say how to make
them when they are not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import xarray as xr

import presage.plugins as plugins
from presage.generate import simulate
from presage.labels import LabelError
from presage.store import Store
from presage.studies import made_by
from presage.studies.pdf.inference import Inference
from presage.studies.pdf.problem import Problem
from presage.studies.pdf.problems import PROBLEMS
from presage.studies.pdf.problems import problem as build
from presage.studies.pdf.study import STUDY
from presage.studies.pdf.training import Training
from presage.studies.settings import StudySettings, setting

#: What is held out has seeds of its own, this far from that of the training sets.
_OBSERVATIONS, _CALIBRATION = 1, 2


@dataclass(frozen=True)
class Campaign(StudySettings):
    """Sets of events of one problem: to train on, to be observed, to calibrate with.

    Parameters
    ----------
    store
        Where datasets live.
    problem
        What simulates the sets; "my_package.toys:MyProblem" is one of your own.
    n_samples
        Parameters (theta) that training sets are simulated for.
    n_events
        Events in a set.
    n_repeat
        Training sets for each theta; more theta teach more than more sets of them.
    towards_edges
        Share of the training theta that is drawn towards the edges of the prior; 0 for problems
        that draw theta in their own way. What is observed or calibrated with is from the prior.
    n_observations
        Sets that play the part of a measurement, never trained on.
    n_calibration
        Further sets that calibration is checked with.
    seed
        Seed of the training sets; observations and calibration use the next two.
    device
        Where they are simulated.
    settings
        Further settings of the problem, name to value.
    """

    store: Store
    problem: str = setting("gaussian", choices=tuple(PROBLEMS), group=plugins.SIMULATORS)
    n_samples: int = setting(100_000, least=1)
    n_events: int = 1000
    n_repeat: int = 1
    towards_edges: float = 0.5
    n_observations: int = setting(10, least=1)
    n_calibration: int = setting(1000, least=1)
    seed: int = 0
    device: str = "cpu"
    settings: Mapping[str, Any] = field(default_factory=dict)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = STUDY.presets

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.single.ragged:
            raise LabelError(
                f"{self.problem} has sets of random size, which the notebooks do not cut to "
                "sizes; train on them with presage.fit and presage.models.SetEncoder"
            )

    def check(self, run: Mapping[str, Any]) -> None:
        """Refuse an observation that there is not."""
        which, number = run.get("observation", 0), self.n_observations
        if not 0 <= which < number:
            raise LabelError(
                f"observation is the number of one of the {number} observations, 0 to "
                f"{number - 1}; got {which}"
            )

    def inputs(self) -> dict[str, str]:
        """Return the recipe key of the training sets, which holds the problem and its settings."""
        return {"train": self.simulator.recipe(self.seed).key}

    @cached_property
    def simulator(self) -> Problem:
        """The problem, with the training sets' repetitions."""
        plain = self.single
        share = self.towards_edges if plain.is_flat() else 0.0
        return replace(plain, n_repeat=self.n_repeat, towards_edges=share)

    @cached_property
    def single(self) -> Problem:
        """The problem with one set for each theta, as a measurement has it."""
        return build(self.problem, n_events=self.n_events, device=self.device, **self.settings)

    def inference(self, training: Training, progress: bool = True) -> Inference:
        """Return what was trained on the training sets; what is missing is trained."""
        trained = training.fit(self.train, self.store, progress=progress)
        return Inference(self.single, trained.encoder, trained.posterior)

    def make(self) -> xr.Dataset:
        """Make what is missing of all three and return the training sets."""
        for source, n, seed in self._parts().values():
            simulate(source, n, seed=seed, store=self.store)
        return self.train

    def _parts(self) -> dict[str, tuple[Problem, int, int]]:
        """Return name → problem, number of samples, seed."""
        return {
            "train": (self.simulator, self.n_samples, self.seed),
            "observations": (self.single, self.n_observations, self.seed + _OBSERVATIONS),
            "calibration": (self.single, self.n_calibration, self.seed + _CALIBRATION),
        }

    @cached_property
    def train(self) -> xr.Dataset:
        """Training sets."""
        return self._open("train")

    @cached_property
    def observations(self) -> xr.Dataset:
        """Sets that are observed, with the truth, which only figures look at."""
        return self._open("observations")

    @cached_property
    def calibration(self) -> xr.Dataset:
        """Sets for the checks of calibration."""
        return self._open("calibration")

    def _open(self, part: str) -> xr.Dataset:
        source, n, seed = self._parts()[part]
        with made_by("1_generate", "these sets", "pdf"):
            return self.store.open(source.recipe(seed), 0, n)
