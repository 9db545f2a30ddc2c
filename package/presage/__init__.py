"""presage: simulators, emulators and residuals on labelled grids.

Every expensive thing is computed once, from a recipe, into a labelled xarray dataset whose
address is the recipe's hash. The public names stand in ``__init__.pyi`` and are loaded at their
first use, so that ``import presage`` stays fast and a program that only browses a store never
loads torch.

Examples
--------
>>> import presage as ps
>>> narrow, wide = ps.Recipe("toy", 1, {"width": 1.0}), ps.Recipe("toy", 1, {"width": 2.0})
>>> narrow.key == wide.key
False
"""

from presage._version import __version__ as __version__
from presage.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, ["__version__"])
