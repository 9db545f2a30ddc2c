# The public names: imported at their first use, see presage/lazy.py. A function that is called
# as its module is reached through the module: presage.analysis.tarp.tarp.
from . import c2st as c2st
from . import calibration as calibration
from . import compare as compare
from . import distances as distances
from . import figures as figures
from . import histogram_morphing as histogram_morphing
from . import importance as importance
from . import residuals as residuals
from . import tarp as tarp
from . import uniformity as uniformity
from .canvas import Page as Page
from .corner import contours as contours
from .histograms import adaptive_edges as adaptive_edges
from .histograms import histogram as histogram
from .labelled import group as group
from .labelled import label_table as label_table
from .metrics import METRICS as METRICS
from .metrics import Metric as Metric
from .morphing import moment_morphing as moment_morphing
from .morphing import nearest_label as nearest_label
from .pareto import pareto_k as pareto_k
from .ranking import ranks as ranks
from .residuals import Residuals as Residuals
from .two_sample import Classifier as Classifier
from .two_sample import classifier_auc as classifier_auc
