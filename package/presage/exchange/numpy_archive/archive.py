"""Arrays of an ``.npz`` archive as streams, so that compressed ones need no memory either."""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from presage.exchange.numpy_archive.header import Header, NumpyFileError, read_header
from presage.labels import Array

#: Largest piece that is read of a file at once, the archive's directory among them.
_PIECE = 4 << 20
#: An archive may hold this much, or this many times the file's size: numbers that are no
#: constant columns compress a few times, a bomb a thousand times.
_FREE, _RATIO = 256 << 20, 100
#: What zipfile and zlib raise at damaged archives: everything is possible.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, LookupError,
    OverflowError, RuntimeError,
)  # fmt: skip
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


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
        """Return the next rows; they are asked for in order.

        Raises
        ------
        NumpyFileError
            The data end early or do not have their checksum, or rows do not lie together.
        """
        if self.header.fortran and len(self.shape) > 2:
            raise NumpyFileError(
                f"{self.where}: stored with the first index running fastest (Fortran order), so "
                "it cannot be read in pieces; save numpy.ascontiguousarray of it"
            )
        columns = self.shape[1] if self.header.fortran and len(self.shape) == 2 else 0
        with _told(self.where):
            if not self._streams:
                self._streams = [self._stream(place) for place in range(max(columns, 1))]
            shape = (rows.stop - rows.start, *(() if columns else self.shape[1:]))
            parts = [self._read(stream, shape) for stream in self._streams]
        return np.stack(parts, axis=1) if columns else parts[0]

    def whole(self) -> Array:
        """Return the array, all of it, of any number of dimensions.

        Raises
        ------
        NumpyFileError
            The data end early or do not have their checksum.
        """
        with _told(self.where):
            flat = self._read(self._stream(0), (math.prod(self.shape),))
        return flat.reshape(self.shape, order="F" if self.header.fortran else "C")

    def _stream(self, column: int) -> BinaryIO:
        """Return the member's bytes from where a column begins."""
        stream = cast(BinaryIO, self.archive.open(self.info))
        rows = self.shape[0] if column else 0
        skip = self.header.offset + column * rows * self.dtype.itemsize
        while skip:
            skip -= len(stream.read(min(skip, _PIECE))) or skip
        return stream

    def _read(self, stream: BinaryIO, shape: tuple[int, ...]) -> Array:
        array = np.empty(shape, self.dtype)
        left = memoryview(array.reshape(-1).view(np.uint8).data)
        while left.nbytes:
            piece = stream.read(min(left.nbytes, _PIECE))
            if not piece:
                raise NumpyFileError(f"{self.where}: truncated, {left.nbytes} bytes are missing")
            left[: len(piece)] = piece
            left = left[len(piece) :]
        return array


@contextmanager
def open_archive(path: Path, where: str) -> Iterator[Mapping[str, Member]]:
    """Open an ``.npz`` archive and check what it declares.

    Raises
    ------
    NumpyFileError
        It is damaged, encrypted, a bomb, or an array is not made of numbers.
    """
    with _Cautious(path) as file:
        with _told(where):
            archive = zipfile.ZipFile(cast(BinaryIO, file))
            _check_sizes(archive.infolist(), path.stat().st_size, where)
            named = [_member(archive, info, where) for info in archive.infolist()]
        members = dict(named)
        if len(members) < len(named):
            names = [name for name, _ in named]
            twice = next(name for name in names if names.count(name) > 1)
            raise NumpyFileError(f"{where}: two arrays are called {twice!r}; which one is meant?")
        with archive:
            yield members


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Turn what zipfile and zlib raise into an error that names the file."""
    try:
        yield
    except NumpyFileError:
        raise
    except _DAMAGE as error:
        raise NumpyFileError(f"{where}: a damaged archive ({error})") from error


def _check_sizes(infos: list[zipfile.ZipInfo], size: int, where: str) -> None:
    declared = sum(info.file_size for info in infos)
    if declared > max(_FREE, _RATIO * size):
        raise NumpyFileError(
            f"{where}: {size} bytes declare {declared} bytes of arrays, more than {_RATIO} times "
            "as many; measured numbers do not compress like that"
        )
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
