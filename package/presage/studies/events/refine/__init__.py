"""Where interpolation fails, which labels to simulate next, and what that gains.

:func:`kfold` holds every label out once, :func:`rank` orders the labels between them by the
error to expect there per unit of cost, :func:`refine` simulates the first of these, trains
anew and compares with as much simulation at random labels.
"""

from presage.studies.events.refine.figures import gain_figure, ranking_figure
from presage.studies.events.refine.folds import SCHEMES, folds_of
from presage.studies.events.refine.gain import refine
from presage.studies.events.refine.joined import JoinedEvents
from presage.studies.events.refine.kfolds import KFold, kfold
from presage.studies.events.refine.outcome import Gain, Request
from presage.studies.events.refine.ranking import cost_by_counts, label_errors, rank, table

__all__ = [
    "SCHEMES",
    "Gain",
    "JoinedEvents",
    "KFold",
    "Request",
    "cost_by_counts",
    "folds_of",
    "gain_figure",
    "kfold",
    "label_errors",
    "rank",
    "ranking_figure",
    "refine",
    "table",
]
