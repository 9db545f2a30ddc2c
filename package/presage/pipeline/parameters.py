"""Typed parameters of a notebook: read from its ``parameters`` cell, checked and coerced.

papermill injects whatever it is given; a misspelt name or a text in place of a number is
then found late or never. Here the cell itself is the declaration::

    n_events: int = 48_500  # events over the whole grid
    held_out: list[list[float]] = [[2464.0, 5.125]]

One assignment a line, the type annotated (or taken from the default), the default a
literal, the comment a help text. A file or folder is annotated as ``Path``, which the cell may
import: notebooks run in a folder of their own, so a path is made absolute here.
"""

from __future__ import annotations

import ast
import glob
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

_TEXTS = ("str", "Path")
_SCALARS = ("int", "float", "bool", *_TEXTS)
#: What a cell may hold beside assignments: without it, Jupyter does not know the name.
_IMPORT = "from pathlib import Path"
_SEQUENCES = ("list", "tuple")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SPOKEN = {"true": True, "yes": True, "false": False, "no": False}


class ParameterError(ValueError):
    """A parameter is unknown, of the wrong type, or declared in a way that cannot be read."""


@dataclass(frozen=True)
class Kind:
    """A parameter's type."""

    name: str  # ``int``, ``float``, ``bool``, ``str``, ``Path``, ``list`` or ``tuple``
    item: Kind | None = None  # type of a sequence's items; None takes anything
    optional: bool = False  # whether None is a value

    def __str__(self) -> str:
        inner = f"[{self.item}]" if self.item else ""
        return f"{self.name}{inner}{' | None' if self.optional else ''}"

    @property
    def is_sequence(self) -> bool:
        """Whether one value is a list."""
        return self.name in _SEQUENCES

    @property
    def is_path(self) -> bool:
        """Whether a value is a path, or a list of them."""
        return self.name == "Path" or (self.item is not None and self.item.is_path)


@dataclass(frozen=True)
class Declared:
    """One line of a parameters cell."""

    name: str
    kind: Kind
    default: Any
    help: str = ""


def declarations(source: str, where: str = "the parameters cell") -> dict[str, Declared]:
    """Read a parameters cell, which errors call `where`.

    Raises
    ------
    ParameterError
        A line is not ``name: type = literal``.

    Examples
    --------
    >>> declared = declarations("n_events: int = 48_500  # over the whole grid")
    >>> declared["n_events"].default, declared["n_events"].help
    (48500, 'over the whole grid')
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise ParameterError(f"{where} is not Python: {error.msg}, line {error.lineno}") from None
    lines = source.splitlines()
    found: dict[str, Declared] = {}
    for node in tree.body:
        declared = _declared(node, lines, where)
        if declared is not None:
            found[declared.name] = declared
    return found


def _declared(node: ast.stmt, lines: Sequence[str], where: str) -> Declared | None:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return None  # a docstring
    if ast.unparse(node) == _IMPORT:
        return None
    target: ast.expr | None = None
    if isinstance(node, ast.AnnAssign):
        target = node.target
    elif isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
    shown = lines[node.lineno - 1].strip()
    if not isinstance(target, ast.Name) or not isinstance(node, (ast.Assign, ast.AnnAssign)):
        raise ParameterError(f"{where}: expected 'name: type = value', got {shown!r}")
    try:
        default = ast.literal_eval(node.value) if node.value is not None else None
    except ValueError:
        raise ParameterError(
            f"{where}: the default of {target.id} must be a literal (a number, text, a list), "
            f"got {shown!r}"
        ) from None
    kind = kind_of(node.annotation, where) if isinstance(node, ast.AnnAssign) else None
    kind = kind or _kind_of_value(target.id, default, where)
    end = lines[(node.end_lineno or 1) - 1].encode()[node.end_col_offset :].decode()
    help_text = end.partition("#")[2].strip()
    return Declared(target.id, kind, coerce(target.id, default, kind), help_text)


def kind_of(node: ast.expr, where: str) -> Kind:
    """Return the type that an annotation spells.

    Raises
    ------
    ParameterError
        It is none that a parameter can have.
    """
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = [s for s in (node.left, node.right) if not _is(s, None)]
        if len(sides) == 1:
            inner = kind_of(sides[0], where)
            return Kind(inner.name, inner.item, optional=True)
    if isinstance(node, ast.Name) and node.id in (*_SCALARS, *_SEQUENCES):
        return Kind(node.id)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        inner_nodes = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        plain = [n for n in inner_nodes if not _is(n, ...)]
        kinds = {kind_of(n, where) for n in plain}
        if node.value.id in _SEQUENCES and len(kinds) == 1:
            return Kind(node.value.id, kinds.pop())
    raise ParameterError(
        f"{where}: a parameter's type is int, float, str, bool, Path, list[...] or tuple[...], "
        f"possibly '| None'; got {ast.unparse(node)!r}"
    )


def _is(node: ast.expr, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _kind_of_value(name: str, value: Any, where: str) -> Kind:
    kind = type(value).__name__
    if kind in (*_SCALARS, *_SEQUENCES):
        return Kind(kind)
    raise ParameterError(f"{where}: give {name} a type, its default {value!r} does not tell it")


def coerce(name: str, value: Any, kind: Kind) -> Any:
    """Return a value in the declared type; text is read as a literal.

    Tuples come back as lists, which is what papermill can hand to a notebook.

    Raises
    ------
    ParameterError
        It is of another type, with what was expected and what came.

    Examples
    --------
    >>> coerce("n_events", "1e5", Kind("int"))
    100000
    >>> coerce("n_events", "many", Kind("int"))
    Traceback (most recent call last):
    presage.pipeline.parameters.ParameterError: n_events should be int, got the text 'many'
    """
    value = str(value) if isinstance(value, PurePath) else value
    read = literal(value) if isinstance(value, str) and kind.name not in _TEXTS else value
    if read is None and kind.optional:
        return None
    if kind.name in _TEXTS and isinstance(value, str):
        return absolute(unquoted(value)) if kind.name == "Path" else unquoted(value)
    if kind.is_sequence and isinstance(read, (list, tuple)):
        return [coerce(name, v, kind.item) if kind.item else _plain(name, v) for v in read]
    converted = _scalar(read, kind.name)
    if converted is None:
        shown = f"the text {value!r}" if isinstance(value, str) else f"{value!r}"
        raise ParameterError(f"{name} should be {kind}, got {shown}")
    return converted


def _scalar(value: Any, kind: str) -> Any:
    """Return the value as this type, None where it is none of it."""
    if kind == "bool":
        if isinstance(value, str):
            return _SPOKEN.get(value.lower())
        return value if isinstance(value, bool) else None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value):
        return None
    if kind == "int":
        return int(value) if value == int(value) else None
    return float(value) if kind == "float" else None


def _plain(name: str, value: Any) -> Any:
    """Return an item of an untyped list, nested tuples as lists."""
    if isinstance(value, (list, tuple)):
        return [_plain(name, v) for v in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise ParameterError(f"{name} holds {value!r}; use finite numbers, text and lists")


def absolute(path: str) -> str:
    """Return a path as seen from anywhere: ``~`` spelled out, relative to the current folder.

    Patterns (``run*/*.root``) and trees in a file (``file.root:Events``) stay what they are, and
    so do addresses (``https://...``) and the empty text, which is no path.
    """
    if not path or _ADDRESS.match(path):
        return path
    here = str(Path.cwd())
    if glob.has_magic(path) and not Path(path).exists():
        here = glob.escape(here)  # only what the user wrote is a pattern
    return str(Path(here) / Path(path).expanduser())


def literal(text: str) -> Any:
    """Return the Python literal that a text spells, else the text itself."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return text


def unquoted(text: str) -> str:
    """Return a text without the quotes around it."""
    read = literal(text) if text[:1] in ("'", '"') else text
    return read if isinstance(read, str) else text


def split(text: str) -> list[str]:
    """Split at commas outside of brackets and quotes.

    Examples
    --------
    >>> split("0,1,2"), split("[1, 2]"), split("'a,b'")
    (['0', '1', '2'], ['[1, 2]'], ["'a,b'"])
    """
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        depth += (character in "([{") - (character in ")]}") if not quote else 0
        if character == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def values(name: str, value: Any, kind: Kind) -> list[Any]:
    """Return the values that a parameter takes: one, or several of a sweep.

    Several values given for a parameter that takes one (``0,1,2`` or a list) are a sweep.

    Raises
    ------
    ParameterError
        One of them is of another type, or there is none.
    """
    several: Sequence[Any] = [value]
    if not kind.is_sequence and isinstance(value, str):
        several = split(value)
    elif not kind.is_sequence and isinstance(value, (list, tuple)):
        several = value
    if not several:
        raise ParameterError(f"{name} should be {kind}, got an empty list")
    return [coerce(name, one, kind) for one in several]


def defaults(declared: Mapping[str, Declared]) -> dict[str, Any]:
    """Return name → default."""
    return {name: parameter.default for name, parameter in declared.items()}
