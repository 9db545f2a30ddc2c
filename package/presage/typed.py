"""Typed settings: what type a field or parameter has, and text or plain values in that type.

papermill, YAML and the command line hand over text, numbers and lists. What may come in is
declared once, as the annotation of a dataclass's field or of a line in a notebook's parameters
cell; here it is read, and values are checked against it and converted.
"""

from __future__ import annotations

import ast
import glob
import inspect
import json
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import presage.foreign as foreign
from presage.labels import nearest

_TEXTS = ("str", "Path")
_SCALARS = ("int", "float", "bool", *_TEXTS)
_SEQUENCES = ("list", "tuple")
_MAPPINGS = ("dict", "Mapping")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SPOKEN = {"true": True, "yes": True, "false": False, "no": False}
#: Of a docstring: the section, its entries, and references, whose last name is shown.
_SECTION = re.compile(r"^Parameters\n-+\n(.*?)(?=\n\n\S[^\n]*\n-+\n|\Z)", re.MULTILINE | re.DOTALL)
_ENTRY = re.compile(r"^(\S[^:\n]*)[^\n]*\n((?:[ \t]+[^\n]*\n|\n)+)", re.MULTILINE)
_ROLE = re.compile(r":\w+:`~?(?:[\w.]*\.)?(\w+)`")


class ParameterError(ValueError):
    """A parameter is unknown, of the wrong type, or declared in a way that cannot be read."""


@dataclass(frozen=True)
class Kind:
    """A parameter's type."""

    name: str  # ``int``, ``float``, ``bool``, ``str``, ``Path``, ``list``, ``tuple``, ``dict``
    item: Kind | None = None  # type of a sequence's items; None takes anything
    optional: bool = False  # whether None is a value
    choices: tuple[str, ...] = ()  # the only texts that there are
    own: str = ""  # the annotation of another type, whose values check themselves

    def __str__(self) -> str:
        if self.own:
            return self.own
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
    """What is known of one setting."""

    name: str
    kind: Kind
    default: Any
    help: str = ""
    choices: tuple[str, ...] = ()
    unit: str = ""
    section: str = ""  # the parameter of a notebook that it is an entry of
    settings: str = ""  # of such a parameter: "module:Class" of what its entries are fields of


def declared_of(kind: type) -> dict[str, Declared]:
    """Return the settings of a dataclass that have a default and a plain type.

    Examples
    --------
    >>> from presage.studies.events import Training
    >>> str(declared_of(Training)["hidden"].kind)
    'tuple[int]'
    """
    every = settings_of(kind).values()
    plain_ones = (d for d in every if not d.kind.own and d.default is not MISSING)
    return {d.name: replace(d, default=plain(d.default)) for d in plain_ones}


def settings_of(thing: Any) -> dict[str, Declared]:
    """Return what a dataclass, an object of one, or a function can be set to.

    The help of each is what the docstring says of it under *Parameters*; choices and unit are
    those of a field's metadata, or of ``Literal["a", "b"]``. A default of MISSING is none.

    Raises
    ------
    ParameterError
        It is none of these.
    """
    found = []
    if is_dataclass(thing):
        for f in (f for f in fields(thing) if f.init):
            default = f.default if f.default_factory is MISSING else f.default_factory()
            kind, more = _annotated(f.type), f.metadata
            found.append(
                Declared(
                    f.name,
                    kind,
                    default if isinstance(thing, type) else getattr(thing, f.name),
                    description(thing if isinstance(thing, type) else type(thing), f.name),
                    tuple(more.get("choices", ())) or kind.choices,
                    more.get("unit", ""),
                )
            )
    elif callable(thing) and not isinstance(thing, type):
        said = described(thing)
        for name, one in inspect.signature(thing).parameters.items():
            default = MISSING if one.default is inspect.Parameter.empty else one.default
            kind = _annotated(one.annotation)
            found.append(Declared(name, kind, default, said.get(name, ""), kind.choices))
    else:
        raise ParameterError(f"{thing!r} is no dataclass of settings, and no function")
    return {declared.name: declared for declared in found}


def _annotated(annotation: Any) -> Kind:
    """Return the type of a field or an argument, be it one that only itself knows."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    try:
        return kind_of(ast.parse(text, mode="eval").body, text)
    except (ParameterError, SyntaxError):
        return Kind("own", own=text)


def description(kind: Any, name: str) -> str:
    """Return what the class that declares a field says of it, or else a class above or below."""
    declares = [c for c in kind.__mro__ if name in inspect.get_annotations(c)]
    said = (described(c).get(name) for c in (*declares, *kind.__mro__))
    return next(filter(None, said), "")


def described(thing: Any) -> dict[str, str]:
    """Return name → first sentence of its entry in the section ``Parameters``, without markup."""
    section = _SECTION.search(inspect.cleandoc(thing.__doc__ or ""))
    found: dict[str, str] = {}
    for names, text in _ENTRY.findall(section[1] + "\n" if section else ""):
        plain = _ROLE.sub(r"\1", " ".join(text.split())).replace("`", "")
        sentence = re.split(r"(?<=[.])\s+(?=[A-Z])", plain, maxsplit=1)[0].rstrip(".")
        found |= dict.fromkeys(re.findall(r"\w+", names), sentence)
    return found


def plain(value: Any) -> Any:
    """Return a value as JSON and papermill have it: lists, mappings, paths as text."""
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return str(value) if isinstance(value, PurePath) else value


def frozen(value: Any) -> Any:
    """Return a value as a setting holds it: lists as tuples, at every depth."""
    if isinstance(value, Mapping):
        return {key: frozen(inner) for key, inner in value.items()}
    return tuple(map(frozen, value)) if isinstance(value, (list, tuple)) else value


def kind_of(node: ast.expr, where: str) -> Kind:
    """Return the type that an annotation spells."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = [s for s in (node.left, node.right) if not _is(s, None)]
        if len(sides) == 1:
            inner = kind_of(sides[0], where)
            return replace(inner, optional=True)
        if {ast.unparse(side) for side in sides} == set(_TEXTS):
            return Kind("Path")
    name, _, inner_text = ast.unparse(node).partition("[")
    name = name.rpartition(".")[2]  # typing.Literal, pathlib.Path
    if name == "Literal":
        return Kind("str", choices=tuple(map(str, ast.literal_eval(f"[{inner_text}"))))
    if name == "Optional" and isinstance(node, ast.Subscript):
        return replace(kind_of(node.slice, where), optional=True)
    if name in (*_SCALARS, *_SEQUENCES) and not inner_text:
        return Kind(name)
    if name in _MAPPINGS:
        return Kind("dict")
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        inner_nodes = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        plain = [n for n in inner_nodes if not _is(n, ...)]
        kinds = {kind_of(n, where) for n in plain}
        if node.value.id in _SEQUENCES and len(kinds) == 1:
            return Kind(node.value.id, kinds.pop())
    raise ParameterError(
        f"{where}: a parameter's type is int, float, str, bool, Path, list[...], tuple[...] or "
        f"dict, possibly '| None'; got {ast.unparse(node)!r}"
    )


def _is(node: ast.expr, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def coerce(name: str, value: Any, kind: Kind) -> Any:
    """Return a value in the declared type; text is read as a literal.

    Tuples come back as lists, which is what papermill can hand to a notebook.

    Examples
    --------
    >>> coerce("n_events", "1e5", Kind("int"))
    100000
    >>> coerce("hidden", "64", Kind("tuple", Kind("int")))  # a list of one
    [64]
    >>> coerce("n_events", "many", Kind("int"))
    Traceback (most recent call last):
    presage.typed.ParameterError: n_events should be int, got the text 'many'
    """
    if kind.own:
        return literal(value) if isinstance(value, str) else value
    if kind.choices and value not in kind.choices and not (value is None and kind.optional):
        raise ParameterError(f"no {name} {value!r}{nearest(str(value), kind.choices)}")
    value = str(value) if isinstance(value, PurePath) else value
    read = literal(value) if isinstance(value, str) and kind.name not in _TEXTS else value
    if read is None and kind.optional:
        return None
    if kind.name in _TEXTS and isinstance(value, str):
        return absolute(unquoted(value)) if kind.name == "Path" else unquoted(value)
    if kind.is_sequence and isinstance(read, (list, tuple)):
        return [coerce(name, v, kind.item) if kind.item else _plain(name, v) for v in read]
    if kind.is_sequence and kind.item and kind.item.name in _SCALARS and _is_one(read):
        return [coerce(name, value, kind.item)]
    if kind.name == "dict" and isinstance(read, Mapping):
        return {str(key): _plain(name, inner) for key, inner in read.items()}
    converted = _scalar(read, kind.name)
    if converted is None:
        shown = f"the text {value!r}" if isinstance(value, str) else f"{value!r}"
        raise ParameterError(f"{name} should be {kind}, got {shown}")
    return converted


def _is_one(value: Any) -> bool:
    """Return whether a value is a number, or text that is no broken list."""
    if isinstance(value, str):
        return bool(value) and not any(c in value for c in "[](){},")
    return isinstance(value, (int, float))


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
    """Return an item of an untyped list or a mapping, nested tuples as lists."""
    if isinstance(value, (list, tuple)):
        return [_plain(name, v) for v in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(name, inner) for key, inner in value.items()}
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise ParameterError(f"{name} holds {value!r}; use finite numbers, text, lists and mappings")


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
    """Return the Python literal that a text spells, or a list or mapping in JSON, else the text."""
    with suppress(ValueError):
        return foreign.literal(text)
    with suppress(ValueError, RecursionError):
        return json.loads(text) if text.strip()[:1] in ("{", "[") else text
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
