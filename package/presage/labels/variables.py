"""Declarations: what one array of a dataset holds for one sample."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from presage.labels.errors import LabelError

Declared = TypeVar("Declared", bound="Variable")

#: Share by which two values of a label may differ, by default: single precision's rounding.
TOLERANCE = 1e-6
#: A field with this metadata stands in a recipe only where it is not at its default.
OPTIONAL = {"optional_in_recipe": True}


@dataclass(frozen=True)
class Variable:
    """A named quantity of one sample.

    Parameters
    ----------
    name
        A Python identifier, spelled out (``phi_mass``, not ``m``).
    dims
        Dimensions of one sample's value, the sample dimension left out.
    dtype
        NumPy's name of the stored type: an integer or a float. Complex values are stored
        with a last dimension ``component`` of (real, imag), see :func:`to_complex`, and
        booleans as ``int8``.
    unit
        Unit as text, ``"1"`` for a pure number.
    long_name
        A few words for axes and tables; the name itself when empty.
    lower, upper
        Physical bounds. A value may equal its bound, to which rounding to the stored type
        can take it, and none lies beyond; transforms respect them.
    follows
        Name of a parameter that this variable scales with (a reconstructed mass and
        the true one), a hint to label-relative coordinates.
    gaps
        Whether NaN may stand where there is no value (a dead channel); infinities never.
    period
        Of an angle or a phase: values this far apart mean the same. A variable's values lie
        within one period from `lower`, by default from -period/2, its end left out; models
        see a parameter as a point on a circle.
    missing
        The number that stands where there is no value, such as -999; NaN means `gaps`. Such
        events are left out and counted, by readers, models and metrics alike.
    """

    name: str
    dims: tuple[str, ...] = ()
    dtype: str = "float32"
    unit: str = "1"
    long_name: str = ""
    lower: float | None = None
    upper: float | None = None
    follows: str | None = None
    gaps: bool = False
    period: float | None = field(default=None, kw_only=True, metadata=OPTIONAL)
    missing: float | None = field(default=None, kw_only=True, metadata=OPTIONAL)

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise LabelError(
                f"a variable's name is an identifier such as 'phi_mass', not {self.name!r}"
            )
        if self.missing is not None and math.isnan(self.missing):
            object.__setattr__(self, "missing", None)
            object.__setattr__(self, "gaps", True)
        _check_type(self.name, np.dtype(self.dtype), self.gaps)
        if self.missing is not None and not math.isfinite(self.missing):
            raise LabelError(f"{self.name}: missing= is a finite number or NaN, not {self.missing}")
        if self.lower is not None and self.upper is not None and not self.lower < self.upper:
            raise LabelError(f"{self.name}: lower {self.lower} is not below upper {self.upper}")
        if self.period is not None:
            self._check_period(self.period)

    def _check_period(self, period: float) -> None:
        if not 0 < period < math.inf:
            raise LabelError(f"{self.name}: a period should be positive, got {period}")
        if self.upper is not None and (self.lower is None or self.upper < self.lower + period):
            raise LabelError(
                f"{self.name}: with a period the range begins at lower= and is one period long; "
                f"give lower={self.upper - period} instead of upper={self.upper}"
            )
        if np.dtype(self.dtype).kind != "f":
            raise LabelError(f"{self.name}: a variable with a period is a float, not {self.dtype}")

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """Lowest and highest value; none where there is a period, for no angle is too large."""
        return (None, None) if self.period is not None else (self.lower, self.upper)

    @property
    def title(self) -> str:
        """Axis label: long name and, where there is one, the unit in brackets."""
        name = self.long_name or self.name
        return name if self.unit == "1" else f"{name} [{self.unit}]"

    def attributes(self) -> dict[str, Any]:
        """Return the netCDF attributes that carry this declaration with the data."""
        attributes: dict[str, Any] = {"long_name": self.long_name or self.name, "units": self.unit}
        for name, value in (("valid_lower", self.lower), ("valid_upper", self.upper)):
            if value is not None:
                attributes[name] = float(value)
        if self.follows is not None:
            attributes["follows"] = self.follows
        if self.gaps:
            attributes["gaps"] = "NaN where there is no value"
        for name in ("period", "missing"):
            if getattr(self, name) is not None:
                attributes[name] = float(getattr(self, name))
        return attributes

    @classmethod
    def of(cls, array: xr.DataArray, sample: str | None = None) -> Variable:
        """Read a declaration back from a labelled array's attributes.

        An array whose attribute ``role`` is ``parameter`` gives a :class:`Parameter`, one whose
        ``role`` is ``weight`` a :class:`Weight`.

        Parameters
        ----------
        array
            An array of a dataset that presage made.
        sample
            Sample dimension, left out of `dims`.
        """
        attributes = array.attrs
        declared: dict[str, Any] = {
            "name": str(array.name),
            "dims": tuple(str(dim) for dim in array.dims if dim != sample),
            "dtype": str(array.dtype),
            "unit": str(attributes.get("units", "1")),
            "long_name": str(attributes.get("long_name", "")),
            "lower": _optional_float(attributes.get("valid_lower")),
            "upper": _optional_float(attributes.get("valid_upper")),
            "follows": attributes.get("follows"),
            "gaps": "gaps" in attributes,
            "period": _optional_float(attributes.get("period")),
            "missing": _optional_float(attributes.get("missing")),
        }
        role = attributes.get("role", "")
        if role not in ("", "parameter", "weight"):
            raise LabelError(
                f"{array.name}: the attribute role is 'parameter' or 'weight', not {role!r}"
            )
        if role == "weight":
            return Weight(**declared)
        if not role:
            return cls(**declared)
        low, high = attributes.get("prior_range", (None, None))
        return Parameter(
            **declared,
            low=_optional_float(low),
            high=_optional_float(high),
            tolerance=float(attributes.get("tolerance", TOLERANCE)),
        )


@dataclass(frozen=True)
class Parameter(Variable):
    """A variable that steers a simulator, with the range of its prior.

    Its range is one interval. Parameters with ranges of their own are declared one by one,
    each a column; ``dataset[names].to_array("parameter")`` makes one matrix of them.

    Parameters
    ----------
    low, high
        The prior's range, for every value of a parameter that has dims; ``None`` where the
        parameter only takes listed labels.
    tolerance
        Two values are the same label where they differ by at most this share of the larger
        one (of the period, where there is one), as rounding to float32 makes them differ;
        see :mod:`presage.labels.equality`. 0 takes every value as it is.
    """

    low: float | None = None
    high: float | None = None
    period: float | None = field(default=None, kw_only=True)  # part of older recipes
    tolerance: float = field(default=TOLERANCE, kw_only=True, metadata=OPTIONAL)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.tolerance < 0.5:
            raise LabelError(
                f"{self.name}: tolerance is a share of a value, at least 0 and below 0.5, "
                f"got {self.tolerance}"
            )

    def _check_period(self, period: float) -> None:
        if not 0 < period < math.inf:
            raise LabelError(f"{self.name}: a period should be positive, got {period}")

    def attributes(self) -> dict[str, Any]:
        """Return the netCDF attributes, with ``role`` and the prior's range."""
        attributes = {**super().attributes(), "role": "parameter"}
        if self.low is not None and self.high is not None:
            attributes["prior_range"] = [float(self.low), float(self.high)]
        if self.tolerance != TOLERANCE:
            attributes["tolerance"] = float(self.tolerance)
        return attributes


@dataclass(frozen=True)
class Weight(Variable):
    """What an event counts for: a generator's weight, times corrections, of either sign.

    A dataset has one at most. It is no observable: models do not learn it, figures do not draw
    it, and what they learn and draw counts each event by it. Events that are drawn from a model
    all count 1.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dims:
            raise LabelError(
                f"{self.name}: a weight is one number for each event, without dims; got {self.dims}"
            )

    def attributes(self) -> dict[str, Any]:
        """Return the netCDF attributes, with ``role``."""
        return {**super().attributes(), "role": "weight"}


def real(parameter: Declared) -> Declared:
    """Return the declaration of a label as models and grids have it: whole numbers as float64.

    Whole numbers are never rounded, so that 1000022 and 1000023 are two labels.
    """
    if np.dtype(parameter.dtype).kind not in "iu":
        return parameter
    if isinstance(parameter, Parameter) and parameter.tolerance == TOLERANCE:
        return replace(parameter, dtype="float64", tolerance=0.0)
    return replace(parameter, dtype="float64")


@dataclass(frozen=True)
class Coordinate:
    """Fixed values along a dimension: frequencies in MHz, names of parameters, pixels.

    Parameters
    ----------
    name
        The dimension it labels, or with `dim` any other name.
    values
        One value per position: floats, integers or strings.
    unit, long_name
        As in :class:`Variable`.
    dim
        The dimension, where it is not called so itself: the unit of each feature, the range
        of each parameter.
    """

    name: str
    values: tuple[float, ...] | tuple[int, ...] | tuple[str, ...]
    unit: str = "1"
    long_name: str = ""
    dim: str = ""

    @property
    def along(self) -> str:
        """The dimension that it labels."""
        return self.dim or self.name

    def variable(self) -> xr.Variable:
        """Return the coordinate as an xarray variable."""
        values = np.asarray(self.values)
        if values.dtype.kind == "U":
            values = values.astype(object)
        attributes = {"long_name": self.long_name or self.name, "units": self.unit}
        return xr.Variable((self.along,), values, attributes)


def unitless(long_name: str) -> dict[str, str]:
    """Return the attributes of a number without unit."""
    return {"long_name": long_name, "units": "1"}


def squared(unit: str) -> str:
    """Return the unit of squares: ``mK2``, ``(mK sr)2``."""
    if unit in ("", "1"):
        return "1"
    return f"({unit})2" if set(unit) & set(" */^0123456789") else f"{unit}2"


COMPONENT = Coordinate("component", ("real", "imag"), long_name="part of a complex number")


def _check_type(name: str, dtype: np.dtype[Any], gaps: bool) -> None:
    """Refuse types that a shard cannot hold, each with what to do instead."""
    if dtype.kind == "c":
        raise LabelError(
            f"{name}: {dtype} is stored as its parts; declare dims (..., 'component'), a float "
            "type and the coordinate presage.labels.COMPONENT; from_complex splits values"
        )
    if dtype.kind == "b":
        raise LabelError(f"{name}: netCDF has no booleans; declare 'int8' for 0 and 1")
    if dtype.kind not in "iuf":
        raise LabelError(
            f"{name}: a variable holds integers or floats, not {dtype}; "
            "number the cases, and name them in a coordinate"
        )
    if gaps and dtype.kind != "f":
        raise LabelError(f"{name}: only floats have gaps, {dtype} knows no NaN")


def _optional_float(value: Any) -> float | None:
    return None if value is None else float(value)
