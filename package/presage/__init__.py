"""presage: simulators, emulators and residuals on labelled grids.

Every expensive thing is computed once, from a recipe, into a labelled xarray dataset whose
address is the recipe's hash. The names below are loaded at their first use, so that
``import presage`` stays fast and a program that only browses a store never loads torch.

Examples
--------
>>> import presage as ps
>>> narrow, wide = ps.Recipe("toy", 1, {"width": 1.0}), ps.Recipe("toy", 1, {"width": 2.0})
>>> narrow.key == wide.key
False
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from presage._version import __version__ as __version__

if TYPE_CHECKING:
    from presage import models as models
    from presage.analysis.residuals import Residuals as Residuals
    from presage.batches import Batches as Batches
    from presage.fit import fit as fit
    from presage.fit import load as load
    from presage.generate import on_the_fly as on_the_fly
    from presage.generate import simulate as simulate
    from presage.generate import simulate_shard as simulate_shard
    from presage.generate import verify as verify
    from presage.labels import Parameter as Parameter
    from presage.labels import Variable as Variable
    from presage.lineage import take as take
    from presage.recipe import Recipe as Recipe
    from presage.store import Store as Store
    from presage.store import parent_of as parent_of
    from presage.studies.events.measure import residuals as residuals
    from presage.studies.events.sampling import sample as sample
    from presage.studies.events.split import hold_out as hold_out

#: Public name → the module that holds it.
_HOMES = {
    "Batches": "presage.batches",
    "Parameter": "presage.labels",
    "Recipe": "presage.recipe",
    "Residuals": "presage.analysis.residuals",
    "Store": "presage.store",
    "Variable": "presage.labels",
    "fit": "presage.fit",
    "hold_out": "presage.studies.events.split",
    "load": "presage.fit",
    "on_the_fly": "presage.generate",
    "parent_of": "presage.store",
    "residuals": "presage.studies.events.measure",
    "sample": "presage.studies.events.sampling",
    "simulate": "presage.generate",
    "simulate_shard": "presage.generate",
    "take": "presage.lineage",
    "verify": "presage.generate",
}
#: Public modules, reached as attributes.
_MODULES = ("models",)

__all__ = [*_HOMES, *_MODULES, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"presage.{name}")
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    if name.startswith("__"):  # asked for by the interpreter and by tools, not by a user
        raise AttributeError(f"module 'presage' has no attribute {name!r}")
    import difflib

    close = difflib.get_close_matches(name, [*_HOMES, *_MODULES], n=1, cutoff=0.5)
    hint = f"; did you mean '{close[0]}'?" if close else f"; there is {', '.join(__all__)}"
    raise AttributeError(f"presage has no {name!r}{hint}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """The package, in which a verb wins over the module of the same name.

    Importing ``presage.fit`` makes Python set the attribute ``fit`` of the package to that
    module; ``presage.fit(...)`` would then stop working, depending on what was imported
    before. ``from presage.fit import Fitted`` is not affected.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _HOMES and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
