"""Transforms: fitted, invertible maths by variable and dimension name, NumPy float64."""

from __future__ import annotations
