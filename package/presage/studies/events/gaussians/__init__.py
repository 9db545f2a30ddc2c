"""Gaussian clouds whose centre follows the label: densities known exactly.

A *layout* says where the labels are and where the centre of a label's cloud is; a
*covariance* says what the cloud looks like, a *variation* how that changes with the label, and
a *skew* makes it a skew-normal one. All four are small frozen objects, so that a new one is one
class. With an exact log p, a trained flow is judged by the mean of log p_flow - log p_true on
the same events, without any sampling noise.
"""

from presage.studies.events.gaussians.clouds import Covariance as Covariance
from presage.studies.events.gaussians.clouds import Diag as Diag
from presage.studies.events.gaussians.clouds import DiagMod as DiagMod
from presage.studies.events.gaussians.clouds import Full as Full
from presage.studies.events.gaussians.clouds import RadialMod as RadialMod
from presage.studies.events.gaussians.clouds import Repeat as Repeat
from presage.studies.events.gaussians.clouds import Sampled as Sampled
from presage.studies.events.gaussians.clouds import Variation as Variation
from presage.studies.events.gaussians.layouts import LAYOUTS as LAYOUTS
from presage.studies.events.gaussians.layouts import Axis as Axis
from presage.studies.events.gaussians.layouts import Circle as Circle
from presage.studies.events.gaussians.layouts import Grid as Grid
from presage.studies.events.gaussians.layouts import Layout as Layout
from presage.studies.events.gaussians.layouts import Line as Line
from presage.studies.events.gaussians.layouts import UnitCube as UnitCube
from presage.studies.events.gaussians.simulator import Gaussians as Gaussians
