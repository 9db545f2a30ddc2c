"""How an array of a file becomes a cube: axes by name, units, frequencies, and what is missing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from presage.labels import Array, Floats, LabelError
from presage.labels.errors import few
from presage.studies.sky.cube_files import Axis, FileCube

#: Dims of a cube, and with it of a file.
DIMS = ("frequency", "y", "x")
KNOWN = ("sample", *DIMS)
TEMPERATURE = {
    "K": 1e3, "kelvin": 1e3, "mK": 1.0, "millikelvin": 1.0, "uK": 1e-3, "µK": 1e-3, "μK": 1e-3,
    "microkelvin": 1e-3,
}  # fmt: skip
FREQUENCY = {"Hz": 1e-6, "kHz": 1e-3, "MHz": 1.0, "GHz": 1e3}
_ANGLE = {
    "deg": 1.0, "degree": 1.0, "degrees": 1.0, "arcmin": 1 / 60, "arcsec": 1 / 3600,
    "rad": 180 / math.pi, "radian": 180 / math.pi,
}  # fmt: skip
_FLUX = (
    "; flux densities become temperatures with the beam, T = S c^2/(2 k nu^2 Omega): "
    "astropy.units.brightness_temperature"
)


def factor(of_file: str, said: str, known: Mapping[str, float], setting: str, where: str) -> float:
    """Return what a unit is worth: the file's, else what was said of it with a setting."""
    unit = of_file or said
    if not unit:
        raise LabelError(f"{where} does not say its unit; {setting}= is one of {', '.join(known)}")
    if unit not in known:
        flux = _FLUX if unit.lower().startswith("jy") else ""
        raise LabelError(f"{where}: {unit!r} is not read, only {', '.join(known)}{flux}")
    if said and known.get(said) != known[unit]:
        raise LabelError(f"{where} is in {of_file}, and {setting}= says {said}; leave it out")
    return known[unit]


def ascending(values: Floats, where: str) -> tuple[Array, list[str]]:
    """Return what sorts frequencies in MHz, and what is to be said of them."""
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise LabelError(f"{where}: frequencies should be positive numbers")
    order = np.argsort(values)
    steps = np.diff(values[order])
    if (steps == 0).any():
        twice = values[order][1:][steps == 0]
        raise LabelError(f"{where}: channels of one frequency: {few([f'{v:g}' for v in twice])}")
    notes = [] if (np.diff(order) > 0).all() else ["frequencies are not ascending and are sorted"]
    usual = float(np.median(steps)) if len(steps) else 0.0
    odd = ~np.isclose(steps, usual, rtol=1e-3)
    if odd.any():
        notes.append(
            f"frequencies are irregular: {odd.sum()} of {len(steps)} steps are not {usual:g} MHz"
        )
    return order, [f"{where}: {note}" for note in notes]


@dataclass(frozen=True, eq=False)
class Layout:
    """How the array of one file becomes a cube."""

    axes: tuple[int, ...]  # those of the file that are `KNOWN`, in that order
    samples: int
    lengths: tuple[int, ...]  # of `DIMS`
    frequency: Floats  # MHz, ascending
    order: Array  # of the file's channels
    pixel: tuple[float, ...]  # of y and x, degrees
    scale: float  # to mK
    notes: tuple[str, ...]

    def unlike(self, other: Layout) -> str:
        """Return in which way another one is of no cube of the same kind."""
        if self.lengths != other.lengths:
            return f"shape {other.lengths} and not {self.lengths}"
        width = float(np.abs(np.diff(self.frequency)).min(initial=np.inf))
        if np.abs(self.frequency - other.frequency).max() > 1e-3 * min(width, self.frequency[0]):
            return f"the band {_band(other.frequency)} and not {_band(self.frequency)}"
        if not np.allclose(self.pixel, other.pixel, rtol=1e-3, atol=0):
            return f"pixels of {other.pixel[0]:g} and not {self.pixel[0]:g} deg"
        return ""


def _band(frequency: Floats) -> str:
    return f"{frequency[0]:g} to {frequency[-1]:g} MHz"


def names(cube: FileCube, dims: tuple[str, ...], where: str) -> list[str]:
    """Return what each axis is, as the file or `dims` say; every one of `DIMS` is among them."""
    own = [axis.name.lower() for axis in cube.axes]
    own = ["frequency" if name == "freq" else name for name in own]
    lengths = [axis.length for axis in cube.axes]
    found = list(dims) if dims else own
    shown = f"{where}: its axes, of lengths {tuple(lengths)}, "
    if len(found) != len(own):
        raise LabelError(f"{shown}are {len(own)}, and dims= names {len(found)}")
    for mine, said in zip(own, found, strict=True):
        if mine in KNOWN and said != mine:
            raise LabelError(f"{shown}are {tuple(own)}, and dims= says {tuple(found)}; which?")
    long = [n for n, length in zip(found, lengths, strict=True) if length > 1 or n in KNOWN]
    if sorted(set(long) - {"sample"}) != sorted(DIMS) or len(set(long)) != len(long):
        called = f"are called {tuple(found)}" if any(found) else "have no names"
        raise LabelError(
            f"{shown}{called}; say in the order of the file what they are, of "
            "sample, frequency, y and x (an axis of length 1 may be called anything), as "
            "dims=('frequency', 'y', 'x')"
        )
    return found


def pixel_size(axis: Axis, said: float, where: str) -> float:
    """Return the distance of the pixels along y or x in degrees.

    Coordinates called otherwise are not looked at: a step in right ascension is no angle.
    """
    unit = axis.unit or axis.usual
    if axis.values is None or axis.name not in ("y", "x") or len(axis.values) < 2 or not unit:
        if said <= 0:
            raise LabelError(f"{where} does not say how large its pixels are; give pixel=, degrees")
        return said
    steps = np.diff(axis.values) * factor(unit, "", _ANGLE, "pixel", f"{where}, {axis.name}")
    size = float(np.abs(steps.mean()))
    if not (size > 0 and np.allclose(steps, steps.mean(), rtol=1e-3, atol=0)):
        raise LabelError(f"{where}: pixels along {axis.name} are not evenly spaced; regrid them")
    if said and not math.isclose(size, said, rel_tol=1e-3):
        raise LabelError(f"{where} has pixels of {size:g} deg, and pixel= says {said:g}")
    return size


@dataclass
class Tally:
    """Values that are not there, counted while cubes are read."""

    dead: Array = np.True_  # type: ignore[assignment]  # channels without any value
    zero: Array = np.True_  # type: ignore[assignment]  # channels that are nothing but 0
    gaps: int = 0
    total: int = 0

    def add(self, cubes: Array) -> None:
        """Count what is in cubes ``[sample, frequency, ...]``."""
        across = (0, *range(2, cubes.ndim))
        missing = np.isnan(cubes)
        self.dead = self.dead & missing.all(axis=across)
        self.zero = self.zero & (cubes == 0).all(axis=across)
        self.gaps += int(np.count_nonzero(missing))
        self.total += cubes.size

    def said(self, frequency: Floats) -> list[str]:
        """Return what was found, a sentence for each."""
        told = [f"{self.gaps} of {self.total} values are NaN and are kept as gaps"] * (
            self.gaps > 0
        )
        for which, what in ((self.dead, "have no value"), (self.zero, "are 0 throughout")):
            if np.any(which):
                shown = few([f"{nu:g}" for nu in frequency[which]], 5, ", ")
                told.append(f"{which.sum()} of {len(frequency)} channels {what}: {shown} MHz")
        return told
