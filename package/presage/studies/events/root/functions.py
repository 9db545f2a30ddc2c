"""Functions that expressions may use, and how their numbers are computed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from presage.labels import Array


def double(ufunc: Callable[..., Array]) -> Callable[..., Array]:
    """Return a function that computes in double precision, whatever comes."""

    def function(*arrays: Array) -> Array:
        return ufunc(*(np.asarray(a, np.float64) for a in arrays))

    return function


def exact(ufunc: Callable[..., Array]) -> Callable[..., Array]:
    """Return a function that keeps whole numbers whole, and is double precision otherwise."""

    def function(*arrays: Array) -> Array:
        whole = all(a.dtype.kind in "bi" for a in arrays)
        return ufunc(*(np.asarray(a, np.int64 if whole else np.float64) for a in arrays))

    return function


def _round(x: Array, digits: Array) -> Array:
    return np.round(np.asarray(x, np.float64), int(digits))


#: Functions of one value or several, applied value by value: name → (arguments, function).
FUNCTIONS: dict[str, tuple[int, Callable[..., Array]]] = {
    **{
        name: (1, double(getattr(np, name)))
        for name in (
            "sqrt", "exp", "log", "log10", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh",
            "arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh", "floor", "ceil",
        )
    },
    "isfinite": (1, np.isfinite),
    "abs": (1, np.abs),
    "hypot": (2, double(np.hypot)),
    "arctan2": (2, double(np.arctan2)),
    "minimum": (2, exact(np.minimum)),
    "maximum": (2, exact(np.maximum)),
    "round": (2, _round),
}  # fmt: skip
