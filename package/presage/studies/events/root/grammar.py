"""What text may be an expression: a strict grammar, checked before anything is read.

Text from a file of settings is not to be trusted. It is parsed to a syntax tree in which
only names, numbers, arithmetic, comparisons, and/or/not, indices and the listed functions
may occur. No Python code is ever compiled or run.

A branch may have any name. One that is no plain word is quoted, ``"jet pt"`` or in backquotes;
names are taken letter by letter, where Python would take the micro sign for a mu.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any, cast

from presage.labels import nearest
from presage.studies.events.root.errors import RootError
from presage.studies.events.root.values import FUNCTIONS, REDUCTIONS

LONGEST, DEEPEST = 4000, 60

#: Name of every function → how many arguments it takes.
ARGUMENTS: dict[str, int] = {
    **{name: count for name, (count, _) in FUNCTIONS.items()},
    **dict.fromkeys(REDUCTIONS, 1),
    "len": 1,
    "where": 3,
}

_HINTS = {"&&": "and", "||": "or", "!": "not"}
_OPERATORS = (
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow),
    *(ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq),
    *(ast.BitAnd, ast.BitOr, ast.And, ast.Or, ast.Not, ast.Invert, ast.USub, ast.UAdd),
)


def parse(text: str) -> ast.expr:
    """Return the syntax tree of an expression."""
    if not isinstance(text, str):
        raise RootError(f"an expression is text, such as 'genWeight * puWeight', got {text!r}")
    if len(text) > LONGEST:
        raise RootError(f"an expression of {len(text)} characters; at most {LONGEST} are read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "1or x" is told by the error
            plain, names = _without_names(text)
            tree = _Names(names).visit(ast.parse(plain, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        hints = [f"write '{good}' for '{bad}'" for bad, good in _HINTS.items() if bad in text]
        why = hints[0] if hints else getattr(error, "msg", None) or "nested too deeply"
        raise RootError(
            f"{text!r:.200} is not an expression: {why} (a branch that is no plain word is "
            'quoted, as "jet pt")'
        ) from None
    _check(tree, text)
    return cast(ast.expr, tree)


def quoted(name: str) -> str:
    """Return a name as it is written in an expression."""
    quote = next((q for q in '"`' if q not in name), None)
    if quote is None:
        raise RootError(f"{name!r} holds both kinds of quotes and cannot be written")
    return f"{quote}{name}{quote}"


_TOKEN = re.compile(r"\"[^\"]*\"|`[^`]*`|[^\W\d]\w*")


def _without_names(text: str) -> tuple[str, dict[str, str]]:
    """Put plain words in place of names that Python does not read, or reads as others."""
    prefix = "_"
    while prefix in text:
        prefix += "_"
    names: dict[str, str] = {}

    def place(match: re.Match[str]) -> str:
        token = match[0]
        if token[0] not in '"`' and token.isascii():
            return token
        word = f"{prefix}{len(names)}"
        names[word] = token[1:-1] if token[0] in '"`' else token
        return f" {word} "

    return _TOKEN.sub(place, text).strip(), names


class _Names(ast.NodeTransformer):
    """Put the names back, and make one name of ``Muon.pt``: it is no attribute."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Put back what was quoted."""
        return ast.Name(self.names.get(node.id, node.id), node.ctx)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Join the parts."""
        self.generic_visit(node)
        if isinstance(node.value, ast.Name):
            return ast.Name(f"{node.value.id}.{self.names.get(node.attr, node.attr)}", node.ctx)
        return node


def names_in(node: ast.AST) -> Iterator[str]:
    """Yield the names of branches, aliases and path labels; functions are none."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Call):
        for argument in node.args:
            yield from names_in(argument)
    else:
        for child in ast.iter_child_nodes(node):
            yield from names_in(child)


def _check(node: ast.AST, text: str, depth: int = 0) -> None:
    """Refuse everything but the grammar of this module."""
    if depth > DEEPEST:
        raise RootError(f"{text!r:.200} is nested too deeply; use aliases")
    rule = _CHECKS.get(type(node))
    if rule is None:
        raise RootError(f"{text!r}: {_named(node)} is not allowed in an expression")
    rule(node, text)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr) and not (isinstance(node, ast.Call) and child is node.func):
            _check(child, text, depth + 1)


def _named(node: ast.AST) -> str:
    try:
        shown = ast.unparse(node)
    except (ValueError, RecursionError):
        shown = "?"
    return f"{shown!r:.80} ({type(node).__name__})"


def _check_name(node: Any, text: str) -> None:
    if not node.id:
        raise RootError(f"{text!r}: a name in quotes is empty")


def _check_constant(node: Any, text: str) -> None:
    value = node.value
    small = isinstance(value, int) and abs(value) < 2**63
    if not (small or (isinstance(value, float) and math.isfinite(value))):
        raise RootError(f"{text!r}: {value!r:.60} is not a number that an expression may hold")


def _check_operator(node: Any, text: str) -> None:
    operators = node.ops if isinstance(node, ast.Compare) else [node.op]
    for op in operators:
        if not isinstance(op, _OPERATORS):
            raise RootError(f"{text!r}: {type(op).__name__} is not allowed in an expression")
    if isinstance(node, ast.Compare) and len(operators) > 1:
        for part in (node.left, *node.comparators):
            if isinstance(part, ast.BinOp) and isinstance(part.op, (ast.BitAnd, ast.BitOr)):
                raise RootError(
                    f"{text!r}: '&' and '|' bind tighter than comparisons; "
                    "write 'and' and 'or', or put each comparison in brackets"
                )


def _check_subscript(node: Any, text: str) -> None:
    index = node.slice
    negative = isinstance(index, ast.UnaryOp) and isinstance(index.op, ast.USub)
    if negative and isinstance(index.operand, ast.Constant):
        raise RootError(f"{text!r}: an index counts from 0; negative ones mean a missing value")


def _check_call(node: Any, text: str) -> None:
    name = node.func.id if isinstance(node.func, ast.Name) else None
    if name not in ARGUMENTS:
        shown = ast.unparse(node.func)
        raise RootError(
            f"{text!r}: only functions can be called, not {shown!r:.60}{nearest(shown, ARGUMENTS)}"
        )
    plain = not node.keywords and not any(isinstance(a, ast.Starred) for a in node.args)
    if not plain or len(node.args) != ARGUMENTS[name]:
        raise RootError(f"{text!r}: {name} takes {ARGUMENTS[name]} argument(s), by position")
    if name == "round" and not isinstance(node.args[1], ast.Constant):
        raise RootError(f"{text!r}: round takes a fixed number of digits, as in round(x, 3)")


_CHECKS: dict[type[ast.AST], Callable[[Any, str], None]] = {
    ast.Name: _check_name,
    ast.Constant: _check_constant,
    ast.UnaryOp: _check_operator,
    ast.BinOp: _check_operator,
    ast.BoolOp: _check_operator,
    ast.Compare: _check_operator,
    ast.Subscript: _check_subscript,
    ast.Call: _check_call,
}
