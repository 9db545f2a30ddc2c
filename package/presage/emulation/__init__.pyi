# The public names: imported at their first use, see presage/lazy.py.
from .counted import counted_templates as counted_templates
from .grid import LabelledSimulator as LabelledSimulator
from .interpolated import templates as templates
from .measure import residuals as residuals
from .sampling import FlowSampler as FlowSampler
from .sampling import sample as sample
from .split import at_labels as at_labels
from .split import choose_held_out as choose_held_out
from .split import hold_out as hold_out
from .split import unique_labels as unique_labels
from .template_product import Templates as Templates
from .transport import HeldOut as HeldOut
