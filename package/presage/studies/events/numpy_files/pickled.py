"""A dictionary of arrays that ``numpy.save`` pickled, read without unpickling.

An array becomes the place in the file where its values lie, mapped when it is needed. A
global other than NumPy's constructors is refused by name, and no length is believed that
the file is too short for.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from presage.exchange.instructions import Instructions, Place
from presage.exchange.numpy_archive import NumpyFileError, mapped

_MAX_DIMS = 4
_TYPE = re.compile(r"[<>|=]?([biufcSUO])\d{0,4}")
_GLOBALS = {("numpy", "ndarray"), ("numpy", "dtype")} | {
    (f"numpy.{core}.multiarray", name)
    for core in ("core", "_core")
    for name in ("_reconstruct", "scalar")
}


@dataclass(frozen=True)
class _Global:
    """A name that NumPy's pickles call."""

    name: str


@dataclass
class _Type:
    """A type of numbers, of text, or of objects; its byte order comes later."""

    dtype: np.dtype[Any]


@dataclass
class _Stored:
    """An array; its type, shape and place come later."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...] = ()
    fortran: bool = False
    content: Any = None


def read_dict(path: Path, offset: int, where: str) -> dict[str, Any]:
    """Read the dictionary that the header of an ``.npy`` file ends before, at `offset`.

    It holds numbers, text, arrays (mapped, not loaded), or containers of them.
    """
    with path.open("rb") as file:
        file.seek(offset)
        top = _NumpyPickle(file, path.stat().st_size, where).run()
    content = top.content if isinstance(top, _Stored) else None
    held = content[0] if isinstance(content, list) and len(content) == 1 else None
    if not isinstance(held, dict):
        kind = "other objects" if isinstance(top, _Stored) else f"a {type(top).__name__}"
        raise NumpyFileError(f"{where}: holds {kind}; expected one dictionary with data and cond")
    return {name: _mapped(value, path) for name, value in held.items()}


def _mapped(value: Any, path: Path, depth: int = 1) -> Any:
    """Return arrays in place of their descriptions, also in dictionaries within."""
    if isinstance(value, dict) and depth:
        return {name: _mapped(inner, path, depth - 1) for name, inner in value.items()}
    if not isinstance(value, _Stored) or not isinstance(value.content, Place):
        return value
    return mapped(path, value.dtype, value.shape, value.content.offset, value.fortran)


class _NumpyPickle(Instructions):
    """A pickle in which the only calls are those that make NumPy's arrays and numbers."""

    def admit(self, module: str, name: str) -> _Global:
        if (module, name) not in _GLOBALS:
            raise self.refusal(f"{module}.{name}"[:100])
        return _Global(name)

    def call(self, function: Any, arguments: tuple[Any, ...]) -> Any:
        match function, arguments:
            case _Global("_reconstruct"), (_Global("ndarray"), *_):
                return _Stored(np.dtype(object))
            case _Global("dtype"), (str(text), *_):
                return self._type(text)
            case _Global("scalar"), (_Type(dtype), Place(offset, length)):
                return self._scalar(dtype, offset, length)
        raise self.refusal(f"a call of {getattr(function, 'name', 'something')} that NumPy has not")

    def build(self, target: Any, state: Any) -> None:
        match target, state:
            case _Type(dtype), (_, order, None, None, None, *_):
                if order in ("<", ">"):
                    target.dtype = dtype.newbyteorder(order)
            case _Stored(), (_, tuple(shape), _Type(dtype), fortran, content):
                self._check(shape, dtype, content)
                target.dtype, target.shape, target.content = dtype, shape, content
                target.fortran = fortran in (1, True)
            case _:
                raise self.refusal("an array with fields, or what is no array")

    def _type(self, text: str) -> _Type:
        known = _TYPE.fullmatch(text)
        if not known:
            raise self.refusal(f"an array of type {text[:40]!r}")
        return _Type(np.dtype("O" if known[1] == "O" else text))

    def _scalar(self, dtype: np.dtype[Any], offset: int, length: int) -> Any:
        if dtype.kind not in "biuf" or length != dtype.itemsize:
            raise self.refusal(f"{length} bytes as a number of type {dtype}")
        here = self.file.tell()
        self.file.seek(offset)
        value = np.frombuffer(self.take(length), dtype)[0]
        self.file.seek(here)
        return value

    def _check(self, shape: tuple[Any, ...], dtype: np.dtype[Any], content: Any) -> None:
        """Refuse an array whose declared shape is not that of its bytes."""
        if len(shape) > _MAX_DIMS or not all(type(n) is int and n >= 0 for n in shape):
            raise self.refusal(f"an array of {len(shape)} dimensions, or with odd lengths")
        if dtype.hasobject:
            if shape != ():
                raise self.refusal(f"an array of Python objects, shape {shape}")
            return
        held = content.length if isinstance(content, Place) else 0
        declared = math.prod(shape) * dtype.itemsize
        if held != declared:
            raise NumpyFileError(
                f"{self.where}: an array of {dtype} with shape {shape} is {declared} bytes, and "
                f"{held} are there"
            )
