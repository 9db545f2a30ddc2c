# The public names of this study: imported at their first use, see presage/lazy.py.
from .cosmology import Cosmology as Cosmology
from .geometry import Patch as Patch
from .signal import Signal as Signal
