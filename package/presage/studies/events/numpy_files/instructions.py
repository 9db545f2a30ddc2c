"""The instructions of a pickle that carry data, followed without running anything.

A pickle is a program, and running one from a stranger runs what the stranger wrote. Here
the few instructions are followed that dictionaries of arrays consist of; they build
dictionaries, lists, tuples, text and numbers, and note where in the file bytes lie. What
calls of globals mean is left to a subclass, which never looks a global up.

Instructions: Lib/pickletools.py of CPython.
"""

from __future__ import annotations

import pickletools
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from presage.exchange.numpy_archive import NumpyFileError

#: Instructions of one pickle, and bytes of its text: a file with two arrays and their
#: constants has about 500, and 1 kB.
MAX_STEPS, MAX_TEXT = 50_000, 1 << 20
_LONGEST_LINE = 256
_CONSTANTS = {b"N": None, b"\x88": True, b"\x89": False}
#: Instructions with a number after them, in `struct`'s words.
_NUMBERS = {b"J": "<i", b"K": "<B", b"M": "<H", b"G": ">d"}
#: Instructions with bytes after them: how their length is written, and whether they are text.
_STRINGS = {
    b"\x8c": ("<B", True), b"X": ("<I", True), b"\x8d": ("<Q", True),
    b"C": ("<B", False), b"B": ("<I", False), b"\x8e": ("<Q", False),
}  # fmt: skip
_TUPLES = {b")": 0, b"\x85": 1, b"\x86": 2, b"\x87": 3}
#: Instructions that keep the value on top of the stack, and that fetch one kept.
_KEEP = {b"q": "<B", b"r": "<I"}
_FETCH = {b"h": "<B", b"j": "<I"}
_MARK = object()


@dataclass(frozen=True)
class Place:
    """Bytes in the file."""

    offset: int
    length: int


class Instructions(ABC):
    """Follows one pickle, at which `file` is positioned, of `size` bytes with all before it."""

    def __init__(self, file: BinaryIO, size: int, where: str) -> None:
        self.file, self.size, self.where = file, size, where
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._text_left = MAX_TEXT

    @abstractmethod
    def admit(self, module: str, name: str) -> Any:
        """Return what stands for a global, or refuse it."""

    @abstractmethod
    def call(self, function: Any, arguments: tuple[Any, ...]) -> Any:
        """Return what stands for the result of a call."""

    @abstractmethod
    def build(self, target: Any, state: tuple[Any, ...]) -> None:
        """Complete what :meth:`call` returned."""

    def run(self) -> Any:
        """Return what the pickle describes.

        Raises
        ------
        NumpyFileError
            An instruction is refused, the file is too short, or makes no sense.
        """
        try:
            for _ in range(MAX_STEPS):
                code = self.take(1)
                if code == b".":
                    return self._stack.pop()
                self._step(code)
        except (IndexError, KeyError, TypeError, UnicodeDecodeError) as error:
            raise NumpyFileError(
                f"{self.where}: not a pickle that NumPy writes ({type(error).__name__} at byte "
                f"{self.file.tell()})"
            ) from None
        raise self.refusal(f"more than {MAX_STEPS} instructions")

    def refusal(self, what: str) -> NumpyFileError:
        """Return the error for something that is not read."""
        return NumpyFileError(
            f"{self.where}: its pickle holds {what}; only dictionaries, text, numbers and arrays "
            "of numbers are read, and nothing was run"
        )

    def take(self, count: int) -> bytes:
        """Return the next bytes, a few."""
        taken = self.file.read(count)
        if len(taken) < count:
            raise NumpyFileError(f"{self.where}: truncated, its pickle has no end")
        return taken

    def _step(self, code: bytes) -> None:
        stack = self._stack
        if code in _CONSTANTS:
            stack.append(_CONSTANTS[code])
        elif code in _NUMBERS:
            stack.append(self._number(_NUMBERS[code]))
        elif code in _STRINGS:
            stack.append(self._string(*_STRINGS[code]))
        elif code in _TUPLES:
            stack.append(tuple(self._pop(_TUPLES[code])))
        elif code in _KEEP:
            self._memo[self._number(_KEEP[code])] = stack[-1]
        elif code in _FETCH:
            stack.append(self._memo[self._number(_FETCH[code])])
        elif code in _OTHERS:
            _OTHERS[code](self)
        else:
            names = {opcode.code: opcode.name for opcode in pickletools.opcodes}
            name = names.get(code.decode("latin-1"), repr(code))
            raise self.refusal(f"the instruction {name}")

    def _number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def _string(self, layout: str, text: bool) -> str | Place:
        """Return text, or where bytes lie."""
        length, offset = self._number(layout), self.file.tell()
        if length > self.size - offset:
            raise NumpyFileError(
                f"{self.where}: truncated, {length} bytes are declared at byte {offset} and "
                f"{self.size - offset} are there"
            )
        if not text:
            self.file.seek(length, 1)
            return Place(offset, length)
        self._text_left -= length
        if self._text_left < 0:
            raise self.refusal(f"more than {MAX_TEXT} bytes of text")
        return self.take(length).decode("utf-8", "surrogatepass")

    def _pop(self, count: int) -> list[Any]:
        """Take the last values off the stack."""
        first = len(self._stack) - count
        if first < 0:
            raise IndexError
        taken = self._stack[first:]
        del self._stack[first:]
        return taken

    def _pop_to_mark(self) -> list[Any]:
        """Take everything above the last mark off the stack, and the mark."""
        above = 0
        while self._stack[-1 - above] is not _MARK:
            above += 1
        taken = self._pop(above)
        self._stack.pop()
        return taken

    def _set_items(self, items: list[Any]) -> None:
        """Put keys and values into the dictionary on top of the stack."""
        target, keys = self._stack[-1], items[::2]
        if not isinstance(target, dict) or len(items) % 2:
            raise TypeError
        if not all(isinstance(key, str) for key in keys):
            raise self.refusal("a dictionary with keys that are not text")
        target.update(zip(keys, items[1::2], strict=True))

    def _append(self, items: list[Any]) -> None:
        """Append to the list on top of the stack."""
        if not isinstance(self._stack[-1], list):
            raise TypeError
        self._stack[-1].extend(items)

    def _integer(self) -> None:
        """Read an integer of up to eight bytes."""
        length = self._number("<B")
        if length > 8:
            raise self.refusal(f"an integer of {length} bytes")
        self._stack.append(int.from_bytes(self.take(length), "little", signed=True))

    def _line(self) -> str:
        return self.file.readline(_LONGEST_LINE).rstrip(b"\n").decode("latin-1")

    def _global(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise TypeError
        self._stack.append(self.admit(module, name))

    def _call(self) -> None:
        function, arguments = self._pop(2)
        if not isinstance(arguments, tuple):
            raise TypeError
        self._stack.append(self.call(function, arguments))

    def _build(self) -> None:
        state = self._stack.pop()
        if not isinstance(state, tuple):
            raise TypeError
        self.build(self._stack[-1], state)


_OTHERS: dict[bytes, Callable[[Instructions], Any]] = {
    b"\x80": lambda own: own.take(1),  # the protocol's number
    b"\x95": lambda own: own.take(8),  # a frame's length
    b"(": lambda own: own._stack.append(_MARK),
    b"}": lambda own: own._stack.append({}),
    b"]": lambda own: own._stack.append([]),
    b"t": lambda own: own._stack.append(tuple(own._pop_to_mark())),
    b"a": lambda own: own._append(own._pop(1)),
    b"e": lambda own: own._append(own._pop_to_mark()),
    b"s": lambda own: own._set_items(own._pop(2)),
    b"u": lambda own: own._set_items(own._pop_to_mark()),
    b"\x8a": Instructions._integer,
    b"\x94": lambda own: own._memo.__setitem__(len(own._memo), own._stack[-1]),
    b"c": lambda own: own._global(own._line(), own._line()),
    b"i": lambda own: own._global(own._line(), own._line()),  # of old; refused by name at least
    b"\x93": lambda own: own._global(*own._pop(2)),
    b"R": Instructions._call,
    b"b": Instructions._build,
}
