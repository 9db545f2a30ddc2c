"""Users' own cubes: maps at many frequencies, in HDF5, netCDF or FITS files.

Files of different origin agree on nothing: the order of axes, the direction of frequency, units.
Everything is taken by name, from the file or from the user, and what neither says is asked for;
no axis, unit or order is ever guessed. What comes out has the dims ``(sample, frequency, y, x)``,
mK and ascending MHz, so that basis, filter and network take it as they take simulated skies.
"""

from __future__ import annotations

import glob
import math
import os
import re
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np

from presage.inputs import MEBIBYTE, FileInput, LeftOut, check_settings
from presage.labels import Array, Coordinate, Floats, LabelError, Parameter, Variable
from presage.labels.errors import few
from presage.simulator import Reader
from presage.store.opening import read_apart
from presage.studies.sky.cube_files import Axis, FileCube, opened
from presage.studies.sky.cube_layout import (
    DIMS,
    FREQUENCY,
    KNOWN,
    TEMPERATURE,
    Layout,
    Tally,
    ascending,
    factor,
    names,
    pixel_size,
)
from presage.studies.sky.geometry import Patch, angles, frequencies

Paths = str | os.PathLike[str] | FileInput | tuple[str | os.PathLike[str] | FileInput, ...]
#: What cubes are, and the type they are stored in: float32 would round a signal away that
#: stands beside a foreground 1e5 times brighter.
ROLES = {"sky": "float64", "foreground": "float64", "signal": "float32", "noise": "float32"}
_TITLES = {"sky": "observed sky", "foreground": "foregrounds", "signal": "signal", "noise": "noise"}
_SUFFIXES = (".h5", ".hdf5", ".nc", ".nc4", ".fits", ".fit", ".fts")


def found_files(given: Any) -> tuple[tuple[FileInput, ...], tuple[str, ...]]:
    """Return files in the order of the numbers in their names, and what is passed over."""
    files: list[Any] = []
    others = 0
    for one in given if isinstance(given, (tuple, list)) else [given]:
        if isinstance(one, FileInput):
            files.append(one)
            continue
        path = Path(os.path.expandvars(one)).expanduser()
        text = f"{glob.escape(str(path))}/**" if path.is_dir() else str(path)
        inside = [path] if path.is_file() else map(Path, glob.glob(text, recursive=True))  # noqa: PTH207
        inside = [p for p in inside if p.is_file()]
        kept = [p for p in inside if p.suffix.lower() in _SUFFIXES or p == path]
        others += len(inside) - len(kept)
        files += sorted(kept, key=_in_order)
    if not files:
        raise LabelError(f"there is no file of {', '.join(_SUFFIXES)} at {given!s:.80}")
    said = (f"{others} file(s) beside those of {', '.join(_SUFFIXES)} are not read",)
    return tuple(map(FileInput.of_reader, files)), said if others else ()


def _in_order(path: Path) -> list[int | str]:
    """Return what sorts ``map_2`` before ``map_10``."""
    parts = re.split(r"(\d+)", str(path))
    return [int(part) if number % 2 else part for number, part in enumerate(parts)]


@dataclass(frozen=True)
class SkyFiles(Reader):
    """What readers of skies have in common.

    Parameters
    ----------
    files
        A file, a folder that is searched with all below it, a pattern such as ``skies/*.h5``, or
        several of them, read in this order; a file's content is its identity.
    role
        What the maps are, and are called: ``sky``, ``foreground`` (both float64), ``signal`` or
        ``noise`` (float32).
    array
        Which array of a file: a path in HDF5, a variable of netCDF, the name of a FITS extension
        (its number, from 0 on, where it has none), the column of a HEALPix map. By default the
        only cube, or every map.
    frequencies
        Of the channels or maps, in the order of the files, where these do not say.
    frequency_unit
        Hz, kHz, MHz or GHz, where the files do not say.
    unit
        K, mK or uK of brightness temperature, where the files do not say.
    pixel
        Distance of the pixels in degrees, where the files do not say.
    memory
        Bytes that are read at a time, and of the largest cube or map that is accepted; a few
        times as much is in use.
    """

    files: Paths
    role: str = "sky"
    array: str = ""
    frequencies: tuple[float, ...] = ()
    frequency_unit: str = ""
    unit: str = ""
    pixel: float = 0.0
    memory: int = 512 * MEBIBYTE
    _passed: tuple[str, ...] = field(default=(), init=False, repr=False, compare=False)

    sample_dim: ClassVar[str] = "sample"
    parameters: ClassVar[tuple[Parameter, ...]] = ()

    def __post_init__(self) -> None:
        found, passed = found_files(self.files)
        frequencies = tuple(np.asarray(self.frequencies, np.float64).tolist())
        for name, value in (("files", found), ("_passed", passed), ("frequencies", frequencies)):
            object.__setattr__(self, name, value)
        check_settings(self, LabelError, role=tuple(ROLES))

    @property
    def inputs(self) -> tuple[FileInput, ...]:
        """The files, by their content."""
        return cast(tuple[FileInput, ...], self.files)

    def identity(self) -> Mapping[str, Any]:
        """Return the settings and the files' content; where they lie is no part of it."""
        return {
            f.name: getattr(self, f.name) for f in fields(self) if f.init and f.name != "memory"
        }

    def cube(self, *across: str) -> Variable:
        """Declare cubes of the dims frequency and `across`."""
        dims, title = ("frequency", *across), _TITLES[self.role]
        return Variable(self.role, dims, ROLES[self.role], "mK", title, gaps=True)

    def left_out(self, notes: list[str], tally: Tally, frequency: Floats) -> LeftOut:
        """Say what of the files is not in the cubes, or is easily overlooked."""
        said = (*self._passed, *dict.fromkeys(notes), *tally.said(frequency))
        left_out = LeftOut(said=said)
        left_out.warn()
        return left_out


@dataclass(frozen=True)
class SkyCubes(SkyFiles):
    """Cubes of sky in HDF5, netCDF or FITS files.

    A file holds one cube, or several along an axis ``sample``; all are of one band and pixel size.
    From the command line: ``presage generate sky_cubes --files FOLDER --role signal``. Settings are
    those of :class:`SkyFiles`, and

    Parameters
    ----------
    dims
        What the axes are, in the order of the file: ``sample``, ``frequency``, ``y``, ``x``; any
        other is of length 1 and dropped. ``"y, x, frequency"`` will do. By default what the file
        calls them.
    frequency
        Name of the array of frequencies, where it is no coordinate of the cube; not of FITS.

    Raises
    ------
    InputError
        There is no such file.
    LabelError
        Wrong settings; what is in the files is not looked at before it is needed.

    Notes
    -----
    Rows and columns keep the file's order; `y` and `x` are angles from the middle of the map.

    Examples
    --------
    >>> import h5py, tempfile
    >>> path = Path(tempfile.mkdtemp()) / "sky.h5"
    >>> with h5py.File(path, "w") as file:
    ...     file["maps"] = np.ones((4, 4, 2), "f4")  # y, x, frequency
    >>> cubes = SkyCubes(path, dims=("y", "x", "frequency"), frequencies=(0.5, 0.6),
    ...     frequency_unit="GHz", unit="K", pixel=0.25)
    >>> cubes.coordinates[0].values, next(cubes.chunks())["sky"].shape
    ((500.0, 600.0), (1, 2, 4, 4))
    """

    dims: str | tuple[str, ...] = ()
    frequency: str = ""

    name: ClassVar[str] = "sky_cubes"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        listed = re.findall(r"\w+", self.dims) if isinstance(self.dims, str) else self.dims
        object.__setattr__(self, "dims", tuple(listed))

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The cubes, mK; NaN where a file has no value."""
        return (self.cube("y", "x"),)

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """Frequency in ascending MHz, and angles from the middle of the map in degrees."""
        first = self._layouts[0]
        return (frequencies(first.frequency), *angles(first.lengths[1:], first.pixel))

    @cached_property
    def _layouts(self) -> tuple[Layout, ...]:
        """How each file is read, from headers alone; all are of one kind."""
        found = []
        read_apart(file.path for file in self.inputs)  # all by one process
        for file in self.inputs:
            with self._opened(file) as cube:
                found.append(self._layout(cube, file.name))
        named = zip(self.inputs, map(found[0].unlike, found), strict=True)
        unlike = [f"{file.name} has {how}" for file, how in named if how]
        if unlike:
            raise LabelError(
                f"{len(unlike)} of {len(found)} files are unlike {self.inputs[0].name}: "
                f"{few(unlike)}; read them as datasets of their own"
            )
        return tuple(found)

    def _opened(self, file: FileInput) -> AbstractContextManager[FileCube]:
        return opened(file.path, self.array, self.frequency, self.memory)

    def _layout(self, cube: FileCube, where: str) -> Layout:
        """Return how one file is read."""
        found = names(cube, tuple(self.dims), where)
        axes = dict(zip(found, cube.axes, strict=True))
        lengths = tuple(axes[dim].length for dim in DIMS)
        check_memory(lengths, self.memory, where)
        values = self._frequencies(cube, axes["frequency"], where)
        order, notes = ascending(values, where)
        turned = [name for name in found if name in KNOWN]
        if turned != [name for name in KNOWN if name in turned]:
            notes.append(f"{where}: axes are turned round, from {', '.join(turned)}")
        return Layout(
            tuple(found.index(name) for name in KNOWN if name in found),
            axes["sample"].length if "sample" in axes else 1,
            lengths,
            values[order],
            order,
            tuple(pixel_size(axes[dim], self.pixel, where) for dim in "yx"),
            factor(cube.unit, self.unit, TEMPERATURE, "unit", f"{where}, temperature"),
            tuple(notes),
        )

    def _frequencies(self, cube: FileCube, axis: Axis, where: str) -> Floats:
        """Return the file's frequencies in MHz, in its order."""
        length, what = axis.length, f"{where}, frequency"
        axis = cube.frequency or axis
        values = axis.values
        if values is None and not self.frequencies:
            raise LabelError(
                f"{where} does not say its frequencies; name the array that holds them with "
                "frequency=, or give them with frequencies="
            )
        if values is None:
            values = np.asarray(self.frequencies, np.float64)
        elif self.frequencies and not np.allclose(values, self.frequencies):
            raise LabelError(f"{where} has other frequencies than frequencies= says; leave it out")
        if len(values) != length:
            raise LabelError(f"{where}: {length} channels, and {len(values)} frequencies")
        said = self.frequency_unit or ("" if axis.unit else axis.usual)
        return values * factor(axis.unit, said, FREQUENCY, "frequency_unit", what)

    def chunks(self) -> Generator[dict[str, Array], None, LeftOut]:
        """Yield cubes ``[sample, frequency, y, x]`` in mK, about `memory` bytes at a time.

        Returns
        -------
        LeftOut
            What is not in the cubes or was turned round, of which there was a warning.

        Raises
        ------
        InputError
            A file was changed since it was named.
        LabelError, StoreError
            A file is damaged, lacks what was not said, or is unlike the others.
        """
        for file in self.inputs:
            file.check_unchanged()
        tally = Tally()
        for file, layout in zip(self.inputs, self._layouts, strict=True):
            step = max(1, self.memory // (8 * math.prod(layout.lengths)))
            with self._opened(file) as cube:
                for start in range(0, layout.samples, step):
                    cubes = _cubes(cube, layout, slice(start, min(start + step, layout.samples)))
                    tally.add(cubes)
                    yield {self.role: cubes.astype(ROLES[self.role], copy=False)}
        notes = [note for layout in self._layouts for note in layout.notes]
        return self.left_out(notes, tally, self._layouts[0].frequency)


def patch_of(cubes: SkyCubes) -> Patch:
    """Return the patch that cubes are of, for signal and noise to be simulated on it.

    Raises
    ------
    LabelError
        Channels are irregular, or maps are no squares of square pixels.
    """
    nu, y, x = (np.asarray(c.values) for c in cubes.coordinates)
    width, side = np.diff(nu), [abs(float(np.diff(axis[:2]).sum())) for axis in (y, x)]
    if len(nu) < 2 or not np.allclose(width, width.mean(), rtol=1e-3):
        raise LabelError("a signal is simulated for two channels or more, at equal distances")
    if len(y) != len(x) or len(y) < 2 or not np.isclose(side[0], side[1], rtol=1e-4):
        raise LabelError(
            f"a signal is simulated on squares of square pixels, got {len(y)} x {len(x)} of "
            f"{' x '.join(f'{s:g}' for s in side)} degrees; cut the maps"
        )
    half = 0.5 * float(width.mean())
    return Patch(float(nu[0]) - half, float(nu[-1]) + half, len(nu), len(y), side[0])


def check_memory(lengths: tuple[int, ...], memory: int, where: str) -> None:
    """Refuse a cube that does not fit, before anything of it is read."""
    size = 8 * math.prod(lengths)
    if not 0 < size <= memory:
        raise LabelError(
            f"{where}: a cube of {lengths} takes {size} bytes, and memory={memory} is given"
        )


def _cubes(cube: FileCube, layout: Layout, samples: slice) -> Array:
    """Return some samples of a file as they are to be stored."""
    part: list[slice | int] = [0] * len(cube.axes)
    for axis in layout.axes:
        part[axis] = slice(None)
    single = len(layout.axes) == len(DIMS)
    if not single:
        part[layout.axes[0]] = samples
    kept = sorted(layout.axes)
    values = cube.read(tuple(part)).transpose([kept.index(axis) for axis in layout.axes])
    return (values[None] if single else values)[:, layout.order] * layout.scale
