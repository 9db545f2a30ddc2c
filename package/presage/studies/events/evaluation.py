"""How a trained model is judged: what is drawn from it, and what is simulated next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from presage.analysis.metrics import own_metrics
from presage.studies.events.refine.folds import SCHEMES
from presage.studies.events.study import STUDY
from presage.studies.settings import StudySettings, setting


@dataclass(frozen=True)
class Evaluation(StudySettings):
    """What is drawn from a model, and how it is compared with the truth.

    Parameters
    ----------
    n_generated
        Events drawn at each held-out label.
    sampling_seed
        Of these draws.
    new_labels
        Labels of which there are no events at all; without any, two that suit the grid.
    histogram_bins
        Bins of a variable, between the 0.5 and 99.5 % quantiles of the truth.
    metrics
        Figures of merit of your own, ["my_package.merit:tail_share"].
    """

    n_generated: int = setting(100_000, least=1)
    sampling_seed: int = 0
    new_labels: tuple[tuple[float, ...], ...] = ()
    histogram_bins: int = setting(40, least=1)
    metrics: tuple[str, ...] = ()

    def check(self, run: Mapping[str, Any]) -> None:
        """Refuse figures of merit that there are not, before anything is trained."""
        own_metrics(self.metrics)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = STUDY.presets


@dataclass(frozen=True)
class Refinement(StudySettings):
    """Where a model fails, and which labels are simulated next.

    Parameters
    ----------
    refine
        Labels to simulate; where it is given, the steps that refine run as well.
    folds
        Parts in which all labels are held out, each judged by a model of its own.
    scheme
        Which labels are held out together; "checkerboard" has 2 folds.
    n_random
        Times that as much is simulated at random labels.
    """

    refine: int = setting(10, least=1)
    folds: int = setting(5, least=2)
    scheme: str = setting(SCHEMES[0], choices=SCHEMES)
    n_random: int = setting(1, least=0)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = STUDY.presets
