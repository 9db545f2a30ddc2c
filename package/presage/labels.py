"""Names, units and bounds: what every array of presage is labelled with.

A :class:`Variable` says what one array holds for one sample; a :class:`Parameter` is a
variable that a simulator is steered by; a :class:`Schema` is the list of both, with the
name of the sample dimension, and is what a dataset is checked against.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[Any]
#: One block of samples: variable name to array, the sample dimension first.
Arrays = Mapping[str, Array]


class LabelError(ValueError):
    """A dataset, a name or a unit is not what was declared."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known name, else all of them.

    Parameters
    ----------
    name
        What was asked for.
    known
        The names there are.
    """
    names = sorted(map(str, known))
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; there is {', '.join(names)}" if names else "; there is none"


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

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise LabelError(
                f"a variable's name is an identifier such as 'phi_mass', not {self.name!r}"
            )
        _check_type(self.name, np.dtype(self.dtype), self.gaps)
        if self.lower is not None and self.upper is not None and not self.lower < self.upper:
            raise LabelError(f"{self.name}: lower {self.lower} is not below upper {self.upper}")

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
        return attributes

    @classmethod
    def of(cls, array: xr.DataArray, sample: str | None = None) -> Variable:
        """Read a declaration back from a labelled array's attributes.

        An array whose attribute ``role`` is ``parameter`` gives a :class:`Parameter`.

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
        }
        if attributes.get("role") != "parameter":
            return cls(**declared)
        low, high = attributes.get("prior_range", (None, None))
        period = _optional_float(attributes.get("period"))
        return Parameter(
            **declared, low=_optional_float(low), high=_optional_float(high), period=period
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
    period
        Of an angle or a phase: values this far apart mean the same, and models see it as a
        point on a circle.
    """

    low: float | None = None
    high: float | None = None
    period: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.period is not None and not 0 < self.period < float("inf"):
            raise LabelError(f"{self.name}: a period should be positive, got {self.period}")

    def attributes(self) -> dict[str, Any]:
        """Return the netCDF attributes, with ``role`` and the prior's range."""
        attributes = {**super().attributes(), "role": "parameter"}
        if self.low is not None and self.high is not None:
            attributes["prior_range"] = [float(self.low), float(self.high)]
        if self.period is not None:
            attributes["period"] = float(self.period)
        return attributes


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


COMPONENT = Coordinate("component", ("real", "imag"), long_name="part of a complex number")


@dataclass(frozen=True)
class Schema:
    """What a dataset of samples holds.

    Parameters
    ----------
    sample
        Name of the sample dimension (``event``, ``sample``, ``tone``).
    variables
        Variables and parameters, each with the dimensions of one sample's value.
    coordinates
        Fixed coordinates of the other dimensions.
    ragged
        Dimensions whose length differs from sample to sample. A variable that has one
        has it first, and is stored flat along it, beside a variable ``<dim>_count`` with
        the length for each sample (CF conventions, contiguous ragged arrays).
    """

    sample: str
    variables: tuple[Variable, ...]
    coordinates: tuple[Coordinate, ...] = ()
    ragged: tuple[str, ...] = ()
    _by_name: dict[str, Variable] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = [variable.name for variable in self.variables]
        doubles = sorted({name for name in names if names.count(name) > 1})
        if doubles:
            raise LabelError(f"variable names must differ; twice: {', '.join(doubles)}")
        for variable in self.variables:
            late = set(variable.dims[1:]) & set(self.ragged)
            if late:
                raise LabelError(f"{variable.name}: ragged dimension {late.pop()!r} must be first")
        object.__setattr__(self, "_by_name", {v.name: v for v in self.variables})

    def __getitem__(self, name: str) -> Variable:
        if name not in self._by_name:
            raise LabelError(f"no variable {name!r}{nearest(name, self._by_name)}")
        return self._by_name[name]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The variables that are parameters."""
        return tuple(v for v in self.variables if isinstance(v, Parameter))

    def stored(self) -> dict[str, tuple[tuple[str, ...], Variable]]:
        """Return name → (stored dims, declaration), the ragged counts included."""
        layout: dict[str, tuple[tuple[str, ...], Variable]] = {}
        for dim in self.ragged:
            count = Variable(f"{dim}_count", (), "int64", "1", f"length of {dim}", lower=0)
            layout[count.name] = ((self.sample,), count)
        for variable in self.variables:
            flat = bool(set(variable.dims[:1]) & set(self.ragged))
            layout[variable.name] = (
                variable.dims if flat else (self.sample, *variable.dims),
                variable,
            )
        return layout

    def sizes(self) -> dict[str, int]:
        """Return the fixed lengths that the coordinates give."""
        return {coordinate.along: len(coordinate.values) for coordinate in self.coordinates}


def check_arrays(arrays: Arrays, schema: Schema, samples: int, source: str) -> dict[str, Array]:
    """Check one block of arrays against a schema and return it in declared types.

    Parameters
    ----------
    arrays
        Name → array; the sample dimension (or a ragged one) is first.
    schema
        What was declared.
    samples
        How many samples the block must hold.
    source
        Who made the arrays, for the error.

    Raises
    ------
    LabelError
        A variable is missing, unknown, of wrong shape, not finite or beyond a bound, or two
        disagree on the length of a dimension.
    """
    layout = schema.stored()
    for name in arrays:
        if name not in layout:
            raise LabelError(f"{source} returned undeclared {name!r}{nearest(name, layout)}")
    checked: dict[str, Array] = {}
    lengths = {schema.sample: samples, **schema.sizes()}
    for name, (dims, variable) in layout.items():
        if name not in arrays:
            raise LabelError(f"{source} did not return the declared variable {name!r}")
        array = _in_declared_type(np.asarray(arrays[name]), variable, source)
        _check_shape(array, name, dims, lengths, source)
        lengths.update(zip(dims, array.shape, strict=True))
        _check_values(array, variable, source)
        checked[name] = array
        flat = name.removesuffix("_count")
        if flat != name and flat in schema.ragged:
            lengths[flat] = int(array.sum())
    return checked


def _check_shape(
    array: Array, name: str, dims: tuple[str, ...], lengths: Mapping[str, int], source: str
) -> None:
    """Refuse a shape that contradicts the lengths known so far; others are free."""
    expected = tuple(lengths.get(dim, -1) for dim in dims)
    same = array.ndim == len(dims) and all(
        want in (-1, got) for want, got in zip(expected, array.shape, strict=True)
    )
    if not same:
        shown = ", ".join(
            f"{d}={'any' if n < 0 else n}" for d, n in zip(dims, expected, strict=True)
        )
        raise LabelError(f"{source}: {name!r} should be [{shown}], got shape {array.shape}")


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


def _in_declared_type(array: Array, variable: Variable, source: str) -> Array:
    """Convert to the declared type; refuse what would lose more than precision."""
    want = np.dtype(variable.dtype)
    kinds = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
    if array.size and kinds.get(array.dtype.kind, 4) > kinds.get(want.kind, 4):
        raise LabelError(
            f"{source}: {variable.name!r} has dtype {array.dtype}, declared {want}; "
            "convert it or declare what it is"
        )
    with np.errstate(over="ignore"):  # becomes infinite, which is refused by name
        converted = np.ascontiguousarray(array, dtype=want)
    if want.kind in "iu" and not np.can_cast(array.dtype, want) and (converted != array).any():
        raise LabelError(f"{source}: {variable.name!r} holds values beyond {want}")
    return converted


def _check_values(array: Array, variable: Variable, source: str) -> None:
    """Refuse NaN, infinities and values beyond a physical bound; one pass, no temporaries."""
    if array.size == 0 or array.dtype.kind not in "fiu":
        return
    if variable.gaps:
        low, high = np.fmin.reduce(array, axis=None), np.fmax.reduce(array, axis=None)
        if np.isnan(low):  # nothing but gaps
            return
    else:
        low, high = array.min(), array.max()  # NaN propagates through both
    if not (math.isfinite(low) and math.isfinite(high)):
        bad = np.isinf(array) if variable.gaps else ~np.isfinite(array)
        hint = "" if variable.gaps else "; declare gaps=True if NaN stands for no value"
        raise LabelError(
            f"{source}: {variable.name!r} holds {np.count_nonzero(bad)} values that are not "
            f"finite{hint if np.isnan(array).any() else ''}"
        )
    if variable.lower is not None and low < float(variable.lower):
        raise LabelError(
            f"{source}: {variable.name!r} reaches {low}, below its bound {variable.lower}"
        )
    if variable.upper is not None and high > float(variable.upper):
        raise LabelError(
            f"{source}: {variable.name!r} reaches {high}, above its bound {variable.upper}"
        )


def require(dataset: xr.Dataset, variables: Iterable[Variable], sample: str) -> None:
    """Check that a dataset holds these variables with their dims and units.

    Parameters
    ----------
    dataset
        A labelled dataset.
    variables
        What a model or a metric was declared for.
    sample
        Name of the sample dimension.

    Raises
    ------
    LabelError
        A variable is missing, or has other dims or another unit; the message names it.
    """
    for variable in variables:
        if variable.name not in dataset:
            raise LabelError(
                f"the dataset has no variable {variable.name!r}"
                f"{nearest(variable.name, map(str, dataset.variables))}"
            )
        array = dataset[variable.name]
        got = tuple(str(dim) for dim in array.dims)
        if set(got) != {sample, *variable.dims}:
            raise LabelError(
                f"{variable.name!r} should have dims {(sample, *variable.dims)}, got {got}"
            )
        unit = str(array.attrs.get("units", "1"))
        if unit != variable.unit:
            raise LabelError(
                f"{variable.name!r} should be in {variable.unit!r}, got {unit!r}; convert it first"
            )


def to_complex(array: xr.DataArray) -> xr.DataArray:
    """Join a dimension ``component`` of (real, imag) into complex values.

    Parameters
    ----------
    array
        Real array with dimension ``component``, any order of dims.

    Returns
    -------
    xarray.DataArray
        Complex, without ``component``.
    """
    if "component" not in array.dims:
        raise LabelError(f"to_complex needs a dimension 'component', got {array.dims}")
    parts = [str(part) for part in array["component"].values]
    if parts != ["real", "imag"]:
        raise LabelError(f"'component' should be ['real', 'imag'], got {parts}")
    real, imaginary = (array.sel(component=part, drop=True) for part in parts)
    return (real + 1j * imaginary).assign_attrs(array.attrs)


def from_complex(array: xr.DataArray) -> xr.DataArray:
    """Split complex values into a last dimension ``component`` of (real, imag)."""
    joined = xr.concat([array.real, array.imag], dim="component").transpose(..., "component")
    return joined.assign_coords(component=["real", "imag"]).assign_attrs(array.attrs)


def _optional_float(value: Any) -> float | None:
    return None if value is None else float(value)
