"""What a file says of the cube in it: HDF5, netCDF and FITS, opened without trust.

Nothing in a file is run, none is followed into another one, and no size is believed before it was
held against the file's own. What the axes are called, where they stand and in which units is taken
from dimension scales and attributes (HDF5, netCDF) or from CTYPE, CRVAL, CDELT and CUNIT (FITS).

Sources: CF conventions, section 8 (packed data); FITS standard 4.0, section 8.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from presage.extras import extra
from presage.labels import Array, Floats, LabelError, nearest
from presage.labels.errors import few
from presage.store.files import reading
from presage.store.hdf5 import sizes
from presage.store.netcdf import check_unpacked, open_classic
from presage.store.opening import opened as opened_hdf5

#: A part of an array, in the order of the file's axes.
Part = tuple[slice | int, ...]
_CUBE = 3
_FITS_AXES = {"RA": "x", "GLON": "x", "DEC": "y", "GLAT": "y", "FREQ": "frequency"}
_FITS_UNITS = {"x": "deg", "y": "deg", "frequency": "Hz"}
_NO_VALUES = "This is a netCDF dimension but not a netCDF variable"


@dataclass(frozen=True)
class Axis:
    """One axis of an array in a file."""

    length: int
    name: str = ""  # as the file has it; of FITS' celestial and frequency axes presage's own
    values: Floats | None = None  # of its coordinate
    unit: str = ""
    usual: str = ""  # unit that the format's standard has where none is given


@dataclass(frozen=True)
class FileCube:
    """An array in an open file, of which parts are read."""

    axes: tuple[Axis, ...]  # in the order of the file
    unit: str
    read: Callable[[Part], Array]  # float64, NaN where there is no value
    frequency: Axis | None = None  # the array that was named


@contextmanager
def opened(path: Path, array: str, frequency: str, memory: int) -> Iterator[FileCube]:
    """Open the array called so, or the only one with three axes or more.

    Raises
    ------
    LabelError, StoreError
        It is none of the formats, has no such array or several, or leads out of the file.
    """
    with path.open("rb") as file:
        start = file.read(8)
    kinds = (kind for magic, kind in _KINDS.items() if start.startswith(magic))
    kind = next(kinds, None)
    if kind is None:
        packed = start.startswith((b"\x1f\x8b", b"BZ", b"PK", b"\xfd7z"))
        how = ", and is compressed as a whole: unpack it first" if packed else ""
        raise LabelError(
            f"{path.name} is no HDF5, netCDF or FITS file: it begins with {start!r}{how}"
        )
    if frequency and kind is not _hdf5:
        raise LabelError(
            f"{path.name}: frequency= names an array of HDF5 or netCDF-4; leave it out, or give "
            "frequencies="
        )
    with reading(path), kind(path, array, frequency, memory) as cube:
        yield cube


def _chosen(arrays: Mapping[str, tuple[int, ...]], wanted: str, where: str) -> str:
    """Return the name of the array to read, among names and shapes."""
    if wanted and wanted not in arrays:
        raise LabelError(
            f"{where} has no array {wanted!r} of three axes or more (links are not followed)"
            f"{nearest(wanted, arrays)}"
        )
    if not arrays:
        raise LabelError(f"{where} holds no array of three axes or more, so no cube")
    if not wanted and len(arrays) > 1:
        shown = few([f"{name} {shape}" for name, shape in arrays.items()], 6, ", ")
        raise LabelError(f"{where} holds several cubes: {shown}; say which with array=")
    return wanted or next(iter(arrays))


def _check(dtype: np.dtype[Any], size: int, piece: int, memory: int, path: Path) -> None:
    """Refuse what are no real numbers, more than the file can hold, or stored in huge pieces."""
    if dtype.kind == "c":
        raise LabelError(
            f"{path.name} holds complex numbers, which are no maps: split visibilities with "
            "presage.labels.from_complex, and take them into the store with Store.adopt"
        )
    if dtype.kind not in "iuf":
        raise LabelError(f"{path.name} holds {dtype}, not numbers")
    check_unpacked(path, size)
    if piece > memory:
        raise LabelError(f"{path.name}: its chunks of {piece} bytes are larger than {memory=}")


# -- HDF5, and netCDF-4, which is HDF5 with dimension scales -----------------------------------


@contextmanager
def _hdf5(path: Path, array: str, frequency: str, memory: int) -> Iterator[FileCube]:
    with opened_hdf5(path, foreign=True) as content:
        arrays = content.arrays
        cubes = {name: held.shape for name, held in arrays.items() if held.ndim >= _CUBE}
        held = arrays[_chosen(cubes, array.strip("/"), path.name)]
        read = _reading(held, memory, path)
        axes = tuple(_hdf5_axis(held, number, memory, path) for number in range(held.ndim))
        name = frequency.strip("/")
        if name and name not in arrays:
            raise LabelError(f"{path.name} has no array {name!r}{nearest(name, arrays)}")
        named = _scale(arrays[name], name, memory, path) if name else None
        yield FileCube(axes, _text(held, "units", "unit", "BUNIT"), read, named)


def _hdf5_axis(held: Any, number: int, memory: int, path: Path) -> Axis:
    """Return what a dimension's label, or the scale on it, says."""
    dim, length = held.dims[number], held.shape[number]
    if not len(dim):
        return Axis(length, dim.label)
    name = dim.label or dim[0].name.rpartition("/")[2]
    if _text(dim[0], "NAME").startswith(_NO_VALUES):
        return Axis(length, name)
    return _scale(dim[0], name, memory, path)


def _scale(scale: Any, name: str, memory: int, path: Path) -> Axis:
    """Return a coordinate with its values and unit."""
    if scale.ndim != 1:
        raise LabelError(f"{path.name}: {name!r} should have one dimension, got {scale.shape}")
    values = _reading(scale, memory, path)((slice(None),))
    return Axis(len(values), name, values, _text(scale, "units", "unit"))


def _text(held: Any, *names: str) -> str:
    """Return the first of these attributes that there is, as text."""
    found = (np.asarray(held.attrs[name]).reshape(-1)[0] for name in names if name in held.attrs)
    value = next(found, "")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _reading(held: Any, memory: int, path: Path) -> Callable[[Part], Array]:
    """Return what reads a part of an array, unpacked as the CF conventions say."""
    sizes(held.id, held.name)  # a scale need have no name, by which it would have been seen
    width = held.dtype.itemsize
    _check(held.dtype, held.size * width, math.prod(held.chunks or ()) * width, memory, path)
    names = ("_FillValue", "missing_value", "scale_factor", "add_offset")
    packed = {n: np.asarray(held.attrs[n]).reshape(-1)[0] for n in names if n in held.attrs}

    def read(part: Part) -> Array:
        raw = np.asarray(held[part])
        values: Array = raw.astype(np.float64)
        for name in names[:2]:
            if name in packed:
                values[raw == packed[name]] = np.nan
        values *= packed.get("scale_factor", 1.0)
        values += packed.get("add_offset", 0.0)
        return values

    return read


# -- classic netCDF, which is mapped, so that no array reaches beyond the file's end -----------


@contextmanager
def _classic(path: Path, array: str, _: str, memory: int) -> Iterator[FileCube]:
    with open_classic(path, decode_times=False) as dataset:
        variables = {str(name): variable for name, variable in dataset.variables.items()}
        cubes = {name: v.shape for name, v in variables.items() if v.ndim >= _CUBE}
        held = variables[_chosen(cubes, array, path.name)]
        _check(held.dtype, held.nbytes, 0, memory, path)
        axes = []
        for dim, length in held.sizes.items():
            own = variables.get(str(dim))
            values = None if own is None else np.asarray(own.values, np.float64)
            unit = "" if own is None else str(own.attrs.get("units", ""))
            axes.append(Axis(length, str(dim), values, unit))

        def read(part: Part) -> Array:
            return np.asarray(held[part].values, np.float64)

        yield FileCube(tuple(axes), str(held.attrs.get("units", "")), read)


# -- FITS --------------------------------------------------------------------------------------


@contextmanager
def fits_file(path: Path, mapped: bool = False) -> Iterator[Any]:
    """Open a FITS file; what astropy would warn of is checked here: data beyond the file's end."""
    with extra("sky", "a FITS file"):
        from astropy.io import fits
        from astropy.utils.exceptions import AstropyWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        hdus = fits.open(path, memmap=mapped)
        headers = [hdu.fileinfo() for hdu in hdus]
    with hdus:
        ends = max(place["datLoc"] + place["datSpan"] for place in headers)
        if ends > path.stat().st_size + 2879:  # the padding may be lacking
            raise LabelError(
                f"{path.name} is truncated: {path.stat().st_size} bytes of {ends}; copy it again"
            )
        yield hdus


@contextmanager
def _fits(path: Path, array: str, _: str, memory: int) -> Iterator[FileCube]:
    with fits_file(path) as hdus:
        images = {hdu.name or str(n): hdu for n, hdu in enumerate(hdus) if hdu.is_image}
        cubes = {name: hdu.shape for name, hdu in images.items() if len(hdu.shape) >= _CUBE}
        hdu = images[_chosen(cubes, array, path.name)]
        size = math.prod(hdu.shape) * abs(hdu.header["BITPIX"]) // 8
        tile = 8 * math.prod(getattr(hdu, "tile_shape", None) or (0,))
        _check(np.dtype(np.float64), size, tile, memory, path)

        def read(part: Part) -> Array:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a blank value that floats have no need of
                return np.asarray(hdu.section[part], np.float64)

        axes = tuple(_fits_axis(hdu.header, n) for n in range(len(hdu.shape), 0, -1))
        yield FileCube(axes, str(hdu.header.get("BUNIT", "")).strip(), read)


def _fits_axis(header: Any, number: int) -> Axis:
    """Return axis `number` of FITS, from 1 on, with values where the header places it."""
    length = int(header[f"NAXIS{number}"])
    kind = str(header.get(f"CTYPE{number}", "")).strip().partition("-")[0].upper()
    name = _FITS_AXES.get(kind, kind.lower())
    column = [float(header.get(f"CD{row}_{number}", 0.0)) for row in range(1, 9)]
    turned = math.copysign(math.hypot(*column), column[number - 1])
    step = float(header.get(f"CDELT{number}", turned))
    values: Floats | None = None
    if step and f"CRVAL{number}" in header:
        place = np.arange(1, length + 1) - float(header.get(f"CRPIX{number}", 0.0))
        values = np.asarray(float(header[f"CRVAL{number}"]) + place * step, np.float64)
    unit = str(header.get(f"CUNIT{number}", "")).strip()
    return Axis(length, name, values, unit, _FITS_UNITS.get(name, ""))


_KINDS = {b"\x89HDF\r\n\x1a\n": _hdf5, b"CDF\x01": _classic, b"CDF\x02": _classic, b"SIMPLE": _fits}
