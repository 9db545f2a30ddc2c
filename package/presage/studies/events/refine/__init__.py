"""Where interpolation fails, which labels to simulate next, and what that gains.

:func:`kfold` holds every label out once, :func:`rank` orders the labels between them by the
error to expect there per unit of cost, :func:`refine` simulates the first of these, trains
anew and compares with as much simulation at random labels.
"""

from presage.studies.events.refine.folds import SCHEMES as SCHEMES
from presage.studies.events.refine.folds import folds_of as folds_of
from presage.studies.events.refine.gain import refine as refine
from presage.studies.events.refine.joined import JoinedEvents as JoinedEvents
from presage.studies.events.refine.kfolds import KFold as KFold
from presage.studies.events.refine.kfolds import kfold as kfold
from presage.studies.events.refine.outcome import Gain as Gain
from presage.studies.events.refine.outcome import Request as Request
from presage.studies.events.refine.outcome import gain_figure as gain_figure
from presage.studies.events.refine.outcome import ranking_figure as ranking_figure
from presage.studies.events.refine.ranking import cost_by_counts as cost_by_counts
from presage.studies.events.refine.ranking import label_errors as label_errors
from presage.studies.events.refine.ranking import rank as rank
from presage.studies.events.refine.ranking import table as table
