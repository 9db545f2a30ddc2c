"""The header of an ``.npy`` file, checked before anything that it declares is believed.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from presage.labels import Array, LabelError

MAGIC = b"\x93NUMPY"
#: Bytes of the length that follows the version (1, 0), (2, 0) or (3, 0).
_LENGTH_BYTES = {1: 2, 2: 4, 3: 4}
#: Longest header that is parsed: NumPy's own limit.
_MAX_HEADER = 10_000
_MAX_DIMS = 8
_SIMPLE = re.compile(r"[<>|=]?([biuf]\d{1,2}|[SU]\d{1,7})")
_KEYS = {"descr", "fortran_order", "shape"}


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
    """Read and check the header at the beginning of a stream, which then stands at the values.

    Raises
    ------
    NumpyFileError
        It is no ``.npy`` file, of an unknown version, or its header is not one that NumPy
        writes.
    """
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
        fields = ast.literal_eval(text.decode("utf-8").strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or fields.keys() != _KEYS:
        raise NumpyFileError(f"{where}: its header is not one that NumPy writes: {text[:60]!r}")
    return fields


def _checked(fields: dict[str, Any], where: str, offset: int) -> Header:
    shape, fortran = fields["shape"], fields["fortran_order"]
    lengths = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
    if not lengths or len(shape) > _MAX_DIMS or type(fortran) is not bool:
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
