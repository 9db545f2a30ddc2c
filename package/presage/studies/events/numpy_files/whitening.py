"""The scaling of FEDHEX's files, undone: u = (x - min)/(max - min), z = (u - mean)/std.

Files of before November 2023 hold the logit of u instead of u, with min and max moved apart
by epsilon, and do not say so. It shows: over the events that the constants were taken from,
u reaches exactly 0 and 1, and its logit exactly that of epsilon/(max - min).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from presage.exchange.numpy_archive import NumpyFileError
from presage.labels import Array, nearest
from presage.studies.events.numpy_files.content import DATA, LABELS, Content, as_table

KINDS = ("auto", "linear", "logit", "none")
_KEYS = ("min", "max", "mean", "std")
#: What rounding may do to u, in units of its range.
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Whitening:
    """Constants of one array, ``[column]`` each."""

    low: NDArray[np.float64]  # range that became the unit interval
    high: NDArray[np.float64]
    mean: NDArray[np.float64]  # of the numbers on it, or of their logit
    std: NDArray[np.float64]
    epsilon: float = 1e-5  # what `low` and `high` were moved by, where there is a logit

    @classmethod
    def of(cls, constants: Any, columns: int, where: str) -> Whitening:
        """Read the constants of an array with so many columns."""
        if not isinstance(constants, Mapping):
            raise NumpyFileError(f"{where} should be a dictionary of {', '.join(_KEYS)}")
        for key in _KEYS:
            if key not in constants:
                raise NumpyFileError(f"{where} has no {key!r}{nearest(key, constants)}")
        low, high = (_numbers(constants[k], columns, f"{where}[{k!r}]") for k in ("min", "max"))
        varied = high > low  # where all events agree, the others are 0/0
        mean, std = (
            _numbers(constants[k], columns, f"{where}[{k!r}]", varied) for k in ("mean", "std")
        )
        if (high < low).any() or (std < 0).any():
            raise NumpyFileError(f"{where}: max is below min, or std below 0")
        epsilon = _numbers(constants.get("epsilon", 1e-5), 1, f"{where}['epsilon']")
        return cls(low, high, mean, std, float(epsilon[0]))

    def units(self, z: Array) -> NDArray[np.float64]:
        """Return the numbers before they were standardised, ``[n, column]``."""
        return np.asarray(z, np.float64) * self.std + self.mean

    def undo(self, z: Array, logit: bool) -> NDArray[np.float64]:
        """Return the numbers as they were, ``[n, column]``."""
        unit = self.units(z)
        values = (expit(unit) if logit else unit) * (self.high - self.low) + self.low
        # Where all events agreed, 0/0 was stored.
        return np.where(self.high > self.low, values, self.low)

    def votes(self, z_min: Array, z_max: Array) -> set[str]:
        """Return the kinds of whitening that the extremes ``[column]`` are evidence of."""
        low, high = self.units(z_min), self.units(z_max)
        varied = self.high > self.low
        with np.errstate(divide="ignore", invalid="ignore"):
            end = np.log((self.high - self.low) / self.epsilon - 1.0)
        linear = (np.abs(low) < _TOLERANCE) & (np.abs(high - 1.0) < _TOLERANCE)
        logit = (np.abs(low / end + 1.0) < _TOLERANCE) & (np.abs(high / end - 1.0) < _TOLERANCE)
        # Numbers between 0 and 1 have such a mean, and deviate from it by at most 1/2.
        logit |= (self.mean < 0) | (self.mean > 1) | (self.std > 0.5 + _TOLERANCE)
        found = {"linear": linear & ~logit, "logit": logit & ~linear}
        return {kind for kind, columns in found.items() if (columns & varied).any()}


def _numbers(
    given: Any, columns: int, where: str, needed: NDArray[np.bool_] | bool = True
) -> NDArray[np.float64]:
    """Return one number a column; those that are not needed may be anything."""
    # Nested lists can be 2^60 numbers in a few hundred bytes, where one follows them all.
    flat = not isinstance(given, (list, tuple)) or all(map(np.isscalar, given))
    values = np.asarray(given if flat else "lists of lists")
    if values.dtype.kind not in "iuf" or values.shape not in ((), (1,), (columns,)):
        raise NumpyFileError(
            f"{where} should be {columns} numbers, got {values.dtype} of shape {values.shape}"
        )
    if not (np.isfinite(values) | ~np.asarray(needed)).all():
        raise NumpyFileError(f"{where} holds numbers that are not finite")
    return np.broadcast_to(np.asarray(values, np.float64), (columns,))


@dataclass(frozen=True)
class Undo:
    """Undoes the whitening of a file's arrays, a chunk at a time."""

    whitenings: Mapping[str, Whitening]  # array → its constants; none where numbers are as they are
    logit: bool = False  # whether there is a logit

    @classmethod
    def of(cls, content: Content, kind: str, memory: int, where: str) -> Undo:
        """Return what undoes a file's whitening of this kind, one of :data:`KINDS`."""
        given = {name: content.constants.get(f"whiten_{name}") for name in (DATA, LABELS)}
        constants = {name: value for name, value in given.items() if value is not None}
        if kind == "none" or (kind == "auto" and not constants):
            return cls({})
        for name in given:
            if name not in constants:
                key = f"whiten_{name}"
                raise NumpyFileError(f"{where} has no {key!r}{nearest(key, content.names)}")
        whitenings = {
            name: Whitening.of(
                value, (*content.arrays[name].shape, 1)[1], f"{where}, whiten_{name}"
            )
            for name, value in constants.items()
        }
        if kind == "auto":
            kind = _seen(content, whitenings, memory, where)
        return cls(whitenings, kind == "logit")

    def apply(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Return arrays as they were before."""
        found = dict(arrays)
        for name, whitening in self.whitenings.items():
            if name in found:
                found[name] = whitening.undo(as_table(found[name]), self.logit)
        if LABELS in self.whitenings and LABELS in found:
            stored, ends = arrays[LABELS].dtype, self.whitenings[LABELS]
            size = np.maximum(np.abs(ends.low), np.abs(ends.high))
            rounding = 16 * np.finfo(stored if stored.kind == "f" else np.float64).eps
            columns = zip(found[LABELS].T, rounding * size, strict=True)
            found[LABELS] = np.stack([shortest(c, error) for c, error in columns], axis=1)
        return found


def _seen(content: Content, whitenings: Mapping[str, Whitening], memory: int, where: str) -> str:
    """Return the kind of whitening that all evidence is of: ``"linear"`` or ``"logit"``."""
    found: set[str] = set()
    for name, whitening in whitenings.items():
        low: Any = np.inf
        high: Any = -np.inf
        for chunk in content.chunks([name], memory):
            table = as_table(chunk[name])
            # One column at a time, which is several times faster than along axis 0.
            low = np.fmin(low, [np.fmin.reduce(column) for column in table.T])
            high = np.fmax(high, [np.fmax.reduce(column) for column in table.T])
        found |= whitening.votes(low, high)
    if len(found) == 1:
        return found.pop()
    raise NumpyFileError(
        f"{where}: whether its numbers were whitened with a logit does not show, as the events are "
        "not those that the constants were taken from; give whitening='linear' (FEDHEX since "
        "November 2023) or 'logit' (before), or 'none' if they are not whitened"
    )


def shortest(values: NDArray[np.float64], error: float) -> NDArray[np.float64]:
    """Return each number ``[n]`` as the shortest decimal within the error: 9.025, not 9.02499….

    The error is what rounding in scaling and back can have added; most numbers are alike.
    """
    codes, different = pd.factorize(values, use_na_sentinel=False)
    found, left = different.copy(), np.isfinite(different)
    for decimals in range(-3, 16):
        rounded = np.round(different, decimals)
        good = left & (np.abs(rounded - different) <= error)
        found[good], left = rounded[good], left & ~good
    return np.asarray(found[codes])
