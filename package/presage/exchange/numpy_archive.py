"""Users' ``.npy`` headers and ``.npz`` archives, read without trust.

No pickle is ever run, and no length that a file declares is believed before it has been held
against what is there. Arrays of an archive are streams, so that compressed ones need no memory
either.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from presage.foreign import literal, unpacks_too_far
from presage.labels import Array, LabelError

MAGIC = b"\x93NUMPY"
#: Bytes of the length that follows the version (1, 0), (2, 0) or (3, 0).
_LENGTH_BYTES = {1: 2, 2: 4, 3: 4}
#: Longest header that is parsed: NumPy's own limit.
_MAX_HEADER = 10_000
_MAX_DIMS = 8
#: Columns of an array that is stored column by column, each of which is a stream of its own.
_MAX_COLUMNS = 1000
_SIMPLE = re.compile(r"[<>|=]?([biuf]\d{1,2}|[SU][1-9]\d{0,6})")
_KEYS = {"descr", "fortran_order", "shape"}
#: Largest piece that is read of a file at once, the archive's directory among them.
_PIECE = 4 << 20
#: What zipfile and zlib raise at damaged archives: everything is possible.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, LookupError,
    OverflowError, RuntimeError,
)  # fmt: skip
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class NumpyFileError(LabelError):
    """A NumPy file is damaged, holds what is not read, or not what was asked for."""

    def __init__(self, message: str) -> None:
        # Names inside a damaged file may hold bytes that no terminal can print.
        super().__init__(message.encode("utf-8", "backslashreplace").decode())


@dataclass(frozen=True)
class Header:
    """What an ``.npy`` header declares."""

    #: Type of the values: numbers, text, named columns of them, or ``object`` (a pickle).
    dtype: np.dtype[Any]
    shape: tuple[int, ...]  # lengths
    fortran: bool  # whether the first index runs fastest
    offset: int  # where the values begin

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(file: BinaryIO, where: str) -> Header:
    """Read and check the header at the beginning of a stream, which then stands at the values."""
    start = file.read(len(MAGIC) + 2)
    if not start.startswith(MAGIC):
        raise NumpyFileError(f"{where}: not a NumPy file, it begins with {start[:8]!r}")
    if len(start) < len(MAGIC) + 2 or start[-2] not in _LENGTH_BYTES or start[-1] != 0:
        version = ".".join(map(str, start[len(MAGIC) :]))
        raise NumpyFileError(f"{where}: version {version} of the format is none of 1.0, 2.0, 3.0")
    size = _LENGTH_BYTES[start[-2]]
    length = int.from_bytes(file.read(size), "little")
    if length > _MAX_HEADER:
        raise NumpyFileError(f"{where}: a header of {length} bytes; at most {_MAX_HEADER} are read")
    text = file.read(length)
    if len(text) < length:
        raise NumpyFileError(f"{where}: truncated within its header")
    return _checked(_parse(text, where), where, len(start) + size + length)


def mapped(
    path: Path, dtype: np.dtype[Any], shape: tuple[int, ...], offset: int, fortran: bool
) -> Array:
    """Map an array that lies in a file; its values are read when they are used."""
    if not math.prod(shape):
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")


def _parse(text: bytes, where: str) -> dict[str, Any]:
    try:
        fields = literal(text.decode("utf-8"))
    except ValueError:
        fields = None
    if not isinstance(fields, dict) or fields.keys() != _KEYS:
        raise NumpyFileError(f"{where}: its header is not one that NumPy writes: {text[:60]!r}")
    return fields


def _checked(fields: dict[str, Any], where: str, offset: int) -> Header:
    shape, fortran = fields["shape"], fields["fortran_order"]
    lengths = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
    known = lengths and len(shape) <= _MAX_DIMS and math.prod(filter(None, shape)) < 1 << 58
    if not known or type(fortran) is not bool:
        raise NumpyFileError(
            f"{where}: its header declares shape {str(shape)[:60]} and fortran_order "
            f"{str(fortran)[:20]}; expected at most {_MAX_DIMS} lengths, and True or False"
        )
    return Header(_dtype(fields["descr"], where), shape, fortran, offset)


def _dtype(described: Any, where: str) -> np.dtype[Any]:
    """Return a type of numbers, text, or named columns of them, or that of objects."""
    if described in ("|O", "O"):
        return np.dtype(object)
    parts = described if isinstance(described, list) else [("value", described)]
    try:
        if all(_SIMPLE.fullmatch(text) for _, text in parts):
            dtype: np.dtype[Any] = np.dtype(described)
            return dtype
    except (TypeError, ValueError):  # not pairs of text, or a name twice
        pass
    raise NumpyFileError(
        f"{where}: values of type {str(described)[:60]}; expected integers and floats, in one "
        "array or in named columns"
    )


class _Cautious(io.FileIO):
    """A file of which no more than a piece is read at once, whatever its content declares."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _PIECE:
            raise zipfile.BadZipFile(f"a part of {size} bytes where few are expected")
        return super().read(size if size is not None and size >= 0 else _PIECE) or b""


@dataclass
class Member:
    """One array of an archive, read from its first row to its last."""

    archive: zipfile.ZipFile  # the open archive
    info: zipfile.ZipInfo  # the member
    header: Header  # what its own header declares
    where: str  # name of file and array, for errors
    _streams: list[BinaryIO] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the array."""
        return self.header.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its values."""
        return self.header.dtype

    def __getitem__(self, rows: slice) -> Array:
        """Return the next rows; they are asked for in order."""
        if self.header.fortran and (len(self.shape) > 2 or (*self.shape, 0)[1] > _MAX_COLUMNS):
            raise NumpyFileError(
                f"{self.where}: stored with the first index running fastest (Fortran order), so "
                "it cannot be read in pieces; save numpy.ascontiguousarray of it"
            )
        columns = self.shape[1] if self.header.fortran and len(self.shape) == 2 else 0
        with told(self.where):
            if not self._streams:
                self._streams = [self._stream(place) for place in range(max(columns, 1))]
            shape = (rows.stop - rows.start, *(() if columns else self.shape[1:]))
            parts = [filled(s, shape, self.dtype, self.where) for s in self._streams]
        return np.stack(parts, axis=1) if columns else parts[0]

    def whole(self) -> Array:
        """Return the array, all of it, of any number of dimensions."""
        with told(self.where):
            flat = filled(self._stream(0), (math.prod(self.shape),), self.dtype, self.where)
        return flat.reshape(self.shape, order="F" if self.header.fortran else "C")

    def _stream(self, column: int) -> BinaryIO:
        """Return the member's bytes from where a column begins."""
        stream = cast(BinaryIO, self.archive.open(self.info))
        rows = self.shape[0] if column else 0
        skip = self.header.offset + column * rows * self.dtype.itemsize
        while skip:
            skip -= len(stream.read(min(skip, _PIECE))) or skip
        return stream


def filled(stream: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any], where: str) -> Array:
    """Return an array of a stream's next bytes."""
    array = np.empty(shape, dtype)
    left = memoryview(array.reshape(-1).view(np.uint8).data)
    while left.nbytes:
        piece = stream.read(min(left.nbytes, _PIECE))
        if not piece:
            raise NumpyFileError(f"{where}: truncated, {left.nbytes} bytes are missing")
        left[: len(piece)] = piece
        left = left[len(piece) :]
    return array


@contextmanager
def open_zip(path: Path, where: str) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive, and check the sizes that it declares."""
    with _Cautious(path) as file:
        with told(where):
            archive = zipfile.ZipFile(cast(BinaryIO, file))
            _check_sizes(archive.infolist(), path.stat().st_size, where)
        with archive:
            yield archive


@contextmanager
def open_archive(path: Path, where: str) -> Iterator[Mapping[str, Member]]:
    """Open an ``.npz`` archive and check what it declares."""
    with open_zip(path, where) as archive:
        with told(where):
            named = [_member(archive, info, where) for info in archive.infolist()]
        members = dict(named)
        if len(members) < len(named):
            twice, _ = Counter(name for name, _ in named).most_common(1)[0]
            raise NumpyFileError(f"{where}: two arrays are called {twice!r}; which one is meant?")
        yield members


@contextmanager
def told(where: str) -> Iterator[None]:
    """Turn what zipfile and zlib raise into an error that names the file."""
    try:
        yield
    except NumpyFileError:
        raise
    except _DAMAGE as error:
        raise NumpyFileError(f"{where}: a damaged archive ({error})") from error


def _check_sizes(infos: list[zipfile.ZipInfo], size: int, where: str) -> None:
    declared = sum(info.file_size for info in infos)
    if wrong := unpacks_too_far(declared, size):
        raise NumpyFileError(f"{where}: {wrong}")
    for info in infos:
        if info.compress_type not in _METHODS or info.flag_bits & 1:
            raise NumpyFileError(f"{where}: {info.filename!r} is encrypted or oddly compressed")


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> tuple[str, Member]:
    name = info.filename.removesuffix(".npy")
    about = f"{where}, {name!r}"
    with archive.open(info) as stream:
        header = read_header(cast(BinaryIO, stream), about)
    if header.dtype.hasobject:
        raise NumpyFileError(f"{about}: Python objects (a pickle); only numbers are read here")
    if header.offset + header.nbytes != info.file_size:
        raise NumpyFileError(
            f"{about}: its header declares shape {header.shape} of {header.dtype}, {header.nbytes} "
            f"bytes, and {info.file_size - header.offset} are there"
        )
    return name, Member(archive, info, header, about)
