"""PyTorch's ``.pt`` files, read without PyTorch and without unpickling.

Such a file is a zip archive: ``data.pkl`` describes tensors by type, shape and strides, within
dictionaries, lists and tuples, and ``data/0``, ``data/1``, ... hold their numbers, uncompressed.

Format: https://pytorch.org/docs/stable/notes/serialization.html
"""

from __future__ import annotations

import io
import math
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal, TypeAlias, cast

import numpy as np

from presage.exchange.instructions import Instructions
from presage.exchange.numpy_archive import NumpyFileError, filled, open_zip, told
from presage.foreign import file_size, unpacks_too_far
from presage.labels import Array

_MAX_DIMS = 32
_BYTES = np.dtype(np.uint8)
_NUMBERS = {
    "bool": "?", "uint8": "u1", "int8": "i1", "uint16": "u2", "int16": "i2", "uint32": "u4",
    "int32": "i4", "uint64": "u8", "int64": "i8", "float16": "f2", "float32": "f4",
    "float64": "f8", "complex64": "c8", "complex128": "c16",
}  # fmt: skip
_STORAGES = {
    "Bool": "bool", "Byte": "uint8", "Char": "int8", "Short": "int16", "Int": "int32",
    "Long": "int64", "Half": "float16", "Float": "float32", "Double": "float64",
    "ComplexFloat": "complex64", "ComplexDouble": "complex128",
}  # fmt: skip
#: Global of the pickle → type of numbers.
_TYPES = {
    "torch.storage.UntypedStorage": _BYTES,
    **{f"torch.{name}": np.dtype(code) for name, code in _NUMBERS.items()},
    **{f"torch.{name}Storage": np.dtype(_NUMBERS[of]) for name, of in _STORAGES.items()},
}
_CALLS = (
    "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_parameter", "collections.OrderedDict", "torch.Size", "torch.device",
)  # fmt: skip


def read_tensors(path: Path) -> dict[str, Any]:
    """Return what a file holds by name: tensors as arrays, and what stands beside them.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    LabelError
        It is damaged, holds Python objects, or declares far more than it holds.
    """
    with open_tensors(path) as (top, arrays):
        if not isinstance(top, dict) or not all(isinstance(name, str) for name in top):
            raise NumpyFileError(f"{path.name} holds a {type(top).__name__}, not tensors by name")
        if wrong := unpacks_too_far(sum(map(_nbytes, top.values())), file_size(path)):
            raise NumpyFileError(f"{path.name}: {wrong}")
        made = arrays([value for value in top.values() if isinstance(value, Tensor)])
        return {n: next(made) if isinstance(v, Tensor) else v for n, v in top.items()}


@contextmanager
def open_tensors(path: Path) -> Iterator[tuple[Any, Arrays]]:
    """Open a file: yield what it holds, and what reads the numbers of some :class:`Tensor` in it.

    The numbers are read one tensor after the other, after all that were asked for were counted.
    A file may mention one thing many times, and itself: who follows it goes a known number of
    levels deep.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    LabelError
        It is damaged, or holds Python objects; on reading, it declares far more than it holds.
    """
    size, where = file_size(path), path.name
    with path.open("rb") as file:
        if file.read(2) != b"PK":
            raise NumpyFileError(
                f"{where} is no zip archive, as PyTorch writes since version 1.6; only tensors are "
                "read, written by torch.save"
            )
    with open_zip(path, where) as archive:
        with told(where):
            held = _TorchPickle(archive, where, size).run()
        yield held, partial(_arrays, archive, where, size)


def _nbytes(held: Any) -> int:
    """Return what a list of texts takes as an array: each of them as much as the longest."""
    texts = held if isinstance(held, list) else []
    return 4 * len(texts) * max((len(one) for one in texts if isinstance(one, str)), default=0)


def _arrays(
    archive: zipfile.ZipFile, where: str, size: int, tensors: Sequence[Tensor]
) -> Iterator[Array]:
    """Return what reads tensors of a file of `size` bytes, which have been counted."""
    if wrong := unpacks_too_far(sum(tensor.nbytes for tensor in tensors), size):
        raise NumpyFileError(f"{where}: {wrong}")
    return _read(archive, where, tensors)


def _read(archive: zipfile.ZipFile, where: str, tensors: Sequence[Tensor]) -> Iterator[Array]:
    left, shared = Counter(tensor.info for tensor in tensors), dict[zipfile.ZipInfo, bytes]()
    with told(where):
        for tensor in tensors:
            content = shared.pop(tensor.info, b"") or _content(archive, tensor.info, where)
            left[tensor.info] -= 1
            if left[tensor.info]:
                shared[tensor.info] = content
            yield _array(tensor, content)


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> bytes:
    with archive.open(info) as member:
        return filled(cast(BinaryIO, member), (info.file_size,), _BYTES, where).tobytes()


@dataclass(frozen=True)
class Tensor:
    """Some of the numbers in a member of the archive; strides, which may be 0, count numbers."""

    info: zipfile.ZipInfo
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    strides: tuple[int, ...] = (1,)
    offset: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes that its numbers take as an array."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def reach(self) -> int:
        """Bytes from the member's beginning to the last number's end."""
        last = sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        return (self.offset + last + 1) * self.dtype.itemsize if math.prod(self.shape) else 0


#: What reads tensors of an open file, in order.
Arrays: TypeAlias = Callable[[Sequence[Tensor]], Iterator[Array]]


def _array(tensor: Tensor, content: bytes) -> Array:
    if not math.prod(tensor.shape):
        return np.empty(tensor.shape, tensor.dtype.newbyteorder("="))
    width = tensor.dtype.itemsize
    flat = np.frombuffer(content, tensor.dtype, len(content) // width)[tensor.offset :]
    strides = [step * width for step in tensor.strides]
    view = np.lib.stride_tricks.as_strided(flat, tensor.shape, strides)
    return np.array(view, tensor.dtype.newbyteorder("="), order="C")


@dataclass(frozen=True)
class _Global:
    """A name that PyTorch's pickles hold."""

    name: str


class _TorchPickle(Instructions):
    """A pickle in which the only calls are those that make tensors, and dictionaries of them.

    The longest ones have as many instructions as a large file of short tensors.
    """

    keys: ClassVar[tuple[type, ...]] = (str, int)

    def __init__(self, archive: zipfile.ZipFile, where: str, size: int) -> None:
        infos = archive.infolist()
        self.members = {info.filename.partition("/")[2]: info for info in infos}
        packed = any(info.compress_type != zipfile.ZIP_STORED for info in infos)
        if "data.pkl" not in self.members or packed or len(self.members) < len(infos):
            raise NumpyFileError(
                f"{where} has no data.pkl, one name twice, or compressed parts, none of which "
                "torch.save writes; only tensors are read"
            )
        content = _content(archive, self.members["data.pkl"], where)
        super().__init__(io.BytesIO(content), len(content), where)
        self.max_steps = max(1_000_000, size >> 8)
        order = self.members.get("byteorder")
        self.order: Literal["<", ">"] = (
            ">" if order and _content(archive, order, where) == b"big" else "<"
        )

    def admit(self, module: str, name: str) -> _Global:
        full = f"{module}.{name}"
        if full not in _TYPES and full not in _CALLS:
            raise self.refusal(full[:100])
        return _Global(full)

    def named(self, name: Any) -> Tensor:
        match name:
            case ("storage", _Global(kind), str(key), _, int(count)) if kind in _TYPES:
                info = self.members.get(f"data/{key}")
                if info is not None:
                    dtype = _TYPES[kind].newbyteorder(self.order)
                    return self._checked(Tensor(info, dtype, (count,)))
        raise self.refusal("numbers that are not there")

    def call(self, function: Any, arguments: tuple[Any, ...]) -> Any:
        called = function.name if isinstance(function, _Global) else ""
        match called, arguments:
            case "torch._utils._rebuild_tensor_v2", (Tensor() as flat, offset, shape, strides, *_):
                return self._checked(replace(flat, shape=shape, strides=strides, offset=offset))
            case (
                "torch._utils._rebuild_tensor_v3",
                (Tensor() as flat, offset, shape, strides, _, _, _Global(kind), *_),
            ) if kind in _TYPES:
                dtype = _TYPES[kind].newbyteorder(self.order)
                return self._checked(Tensor(flat.info, dtype, shape, strides, offset))
            case "torch._utils._rebuild_parameter", (Tensor() as tensor, *_):
                return tensor
            case "collections.OrderedDict", ():
                return {}
            case (("torch.Size" | "torch.device"), _):
                return None
        raise self.refusal(f"a call of {called or 'something'} that PyTorch has not")

    def build(self, target: Any, state: Any) -> None:
        if not isinstance(target, dict):  # an OrderedDict's attributes are nobody's numbers
            raise self.refusal("an object with a state")

    def _checked(self, tensor: Tensor) -> Tensor:
        """Refuse a tensor that does not lie within its member."""
        shape, strides = tensor.shape, tensor.strides
        lengths = isinstance(shape, tuple) and isinstance(strides, tuple)
        if not lengths or not all(
            type(n) is int and n >= 0 for n in (*shape, *strides, tensor.offset)
        ):
            raise self.refusal("a tensor with odd lengths")
        if len(shape) != len(strides) or len(shape) > _MAX_DIMS:
            raise self.refusal(f"a tensor of {len(shape)} dimensions and {len(strides)} strides")
        if tensor.reach > tensor.info.file_size:
            raise NumpyFileError(
                f"{self.where}: a tensor of shape {shape} ends at byte {tensor.reach} of "
                f"{tensor.info.file_size} that are there"
            )
        return tensor
