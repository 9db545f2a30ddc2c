"""Transforms: fitted, invertible maths by variable and dimension name, NumPy float64."""

from presage.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
