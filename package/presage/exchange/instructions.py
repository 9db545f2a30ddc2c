"""The instructions of a pickle that carry data, followed without running anything.

A pickle is a program, and running one from a stranger runs what the stranger wrote. Here
the few instructions are followed that dictionaries of arrays consist of; they build
dictionaries, lists, tuples, text and numbers, and note where in the file bytes lie. What
calls of globals mean is left to a subclass, which never looks a global up.

Instructions: Lib/pickletools.py of CPython.
"""

from __future__ import annotations

import io
import pickletools
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar

from presage.exchange.numpy_archive import NumpyFileError

#: Instructions of one pickle, and bytes of its text: a file with two arrays and their
#: constants has about 500, and 1 kB.
MAX_STEPS, MAX_TEXT = 50_000, 1 << 20
_LONGEST_LINE, _LONGEST_INTEGER = 256, 8
_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
#: Bytes of the length that stands before text, bytes, or a long integer.
_PREFIX = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_MARK = object()


@dataclass(frozen=True)
class Place:
    """Bytes in the file."""

    offset: int
    length: int


class Instructions(ABC):
    """Follows one pickle, at which `file` is positioned, of `size` bytes with all before it."""

    keys: ClassVar[tuple[type, ...]] = (str,)  # types of the keys of dictionaries
    max_steps: int = MAX_STEPS

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
    def build(self, target: Any, state: Any) -> None:
        """Complete what :meth:`call` returned."""

    def named(self, name: Any) -> Any:
        """Return what a name stands for that is no global: of bytes beside the pickle."""
        raise self.refusal("the instruction BINPERSID")

    def run(self) -> Any:
        """Return what the pickle describes."""
        try:
            for _ in range(self.max_steps):
                code = self.take(1)
                if code == b".":
                    return self._stack.pop()
                self._step(code)
        except (IndexError, KeyError, TypeError, UnicodeDecodeError) as error:
            raise NumpyFileError(
                f"{self.where}: not a pickle that NumPy writes ({type(error).__name__} at byte "
                f"{self.file.tell()})"
            ) from None
        raise self.refusal(f"more than {self.max_steps} instructions")

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
        opcode = _OPCODES.get(code)
        rule = _RULES.get(opcode.name) if opcode else None
        if opcode is None or rule is None:
            raise self.refusal(f"the instruction {opcode.name if opcode else repr(code)}")
        rule(self, self._argument(opcode.arg))

    def _argument(self, kind: Any) -> Any:
        """Return what follows an instruction: a number, text, where bytes lie, or two lines."""
        if kind is None:
            return None
        if kind.n >= 0:
            return kind.reader(io.BytesIO(self.take(kind.n)))
        if kind.n == pickletools.UP_TO_NEWLINE:
            lines = (self.file.readline(_LONGEST_LINE) for _ in range(2))
            return [line.rstrip(b"\n").decode("latin-1") for line in lines]
        length = int.from_bytes(self.take(_PREFIX[kind.n]), "little")
        if kind is pickletools.long1:
            if length > _LONGEST_INTEGER:
                raise self.refusal(f"an integer of {length} bytes")
            return int.from_bytes(self.take(length), "little", signed=True)
        offset = self.file.tell()
        if length > self.size - offset:
            raise NumpyFileError(
                f"{self.where}: truncated, {length} bytes are declared at byte {offset} and "
                f"{self.size - offset} are there"
            )
        if not kind.name.startswith("unicode"):
            self.file.seek(length, 1)
            return Place(offset, length)
        self._text_left -= length
        if self._text_left < 0:
            raise self.refusal(f"more than {MAX_TEXT} bytes of text")
        return self.take(length).decode("utf-8", "surrogatepass")

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _keep(self, number: int | None) -> None:
        """Keep the value on top of the stack, by default under the next number."""
        self._memo[len(self._memo) if number is None else number] = self._stack[-1]

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
        if not all(type(key) in self.keys for key in keys):
            raise self.refusal("a dictionary with keys that are not text")
        target.update(zip(keys, items[1::2], strict=True))

    def _append(self, items: list[Any]) -> None:
        """Append to the list on top of the stack."""
        if not isinstance(self._stack[-1], list):
            raise TypeError
        self._stack[-1].extend(items)

    def _global(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise TypeError
        self._stack.append(self.admit(module, name))

    def _call(self, _: None) -> None:
        function, arguments = self._pop(2)
        if not isinstance(arguments, tuple):
            raise TypeError
        self._stack.append(self.call(function, arguments))

    def _build(self, _: None) -> None:
        state = self._stack.pop()
        self.build(self._stack[-1], state)


#: Name of an instruction → what it does with its argument.
_RULES: dict[str, Callable[[Instructions, Any], Any]] = {
    **dict.fromkeys(
        (
            "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE",
            "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8",
        ),
        Instructions._push,
    ),
    **dict.fromkeys(("PROTO", "FRAME"), lambda _own, _number: None),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT", "MEMOIZE"), Instructions._keep),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda own, number: own._push(own._memo[number])),
    # INST is of old; what it names is refused by its name at least.
    **dict.fromkeys(("GLOBAL", "INST"), lambda own, names: own._global(*names)),
    "STACK_GLOBAL": lambda own, _: own._global(*own._pop(2)),
    "BINPERSID": lambda own, _: own._push(own.named(own._pop(1)[0])),
    "NONE": lambda own, _: own._push(None),
    "NEWTRUE": lambda own, _: own._push(True),
    "NEWFALSE": lambda own, _: own._push(False),
    "MARK": lambda own, _: own._push(_MARK),
    "EMPTY_DICT": lambda own, _: own._push({}),
    "EMPTY_LIST": lambda own, _: own._push([]),
    "EMPTY_TUPLE": lambda own, _: own._push(()),
    "TUPLE1": lambda own, _: own._push(tuple(own._pop(1))),
    "TUPLE2": lambda own, _: own._push(tuple(own._pop(2))),
    "TUPLE3": lambda own, _: own._push(tuple(own._pop(3))),
    "TUPLE": lambda own, _: own._push(tuple(own._pop_to_mark())),
    "APPEND": lambda own, _: own._append(own._pop(1)),
    "APPENDS": lambda own, _: own._append(own._pop_to_mark()),
    "SETITEM": lambda own, _: own._set_items(own._pop(2)),
    "SETITEMS": lambda own, _: own._set_items(own._pop_to_mark()),
    "REDUCE": Instructions._call,
    "BUILD": Instructions._build,
}  # fmt: skip
