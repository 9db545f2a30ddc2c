"""Expressions over branches, evaluated on whole columns.

Numbers are handled as in ROOT: whole numbers as 64-bit integers, all other arithmetic in
double precision. A branch that is merely picked keeps its type and its bits. What text is
an expression, :mod:`presage.studies.events.root.grammar` decides.
"""

from __future__ import annotations

import ast
import functools
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from presage.labels import Array
from presage.studies.events.root import values as v
from presage.studies.events.root.errors import RootError
from presage.studies.events.root.grammar import names_in, parse
from presage.studies.events.root.values import FUNCTIONS, Values, double, exact

_ARITHMETIC: dict[type[ast.AST], Callable[..., Array]] = {
    ast.Add: exact(np.add),
    ast.Sub: exact(np.subtract),
    ast.Mult: exact(np.multiply),
    ast.Div: double(np.true_divide),
    ast.FloorDiv: exact(np.floor_divide),
    ast.Mod: exact(np.remainder),
    ast.Pow: double(np.power),
}

_COMPARISONS: dict[type[ast.AST], Callable[..., Array]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}

_BITS: dict[type[ast.AST], Callable[..., Array]] = {
    ast.BitAnd: operator.and_, ast.BitOr: operator.or_,
}  # fmt: skip


@dataclass(frozen=True)
class Expression:
    """One expression, parsed and found harmless.

    Parameters
    ----------
    text
        Such as ``CBL_Region == 1 and Photon_pt[CBL_RecoPhi_photonindex] > 220``. Branches that
        are no plain words are quoted: ``"jet pt" / 2``, ``"parent/child"``.

    Raises
    ------
    RootError
        The text is no expression, or holds something that is not allowed.

    Examples
    --------
    >>> sorted(Expression("Muon_Px[best] / cosh(eta) > 20").names)
    ['Muon_Px', 'best', 'eta']
    >>> Expression("x.__class__()")
    Traceback (most recent call last):
    ...
    presage.studies.events.root.errors.RootError: 'x.__class__()': only functions can be called, \
not 'x.__class__'; there is abs, all, any, ...
    """

    text: str

    def __post_init__(self) -> None:
        _ = self.names  # parse now: an error belongs where the text was given

    @classmethod
    def of(cls, text: str, tree: ast.expr) -> Expression:
        """Return an expression whose names were made out: see :mod:`.resolving`."""
        expression = object.__new__(cls)
        expression.__dict__.update(text=text, tree=tree)
        return expression

    @functools.cached_property
    def tree(self) -> ast.expr:
        """The checked syntax tree."""
        return parse(self.text)

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """Names of the branches, aliases and path labels that it needs."""
        return frozenset(names_in(self.tree))

    @property
    def sums(self) -> bool:
        """Whether lists are added up in it."""
        calls = (node.func for node in ast.walk(self.tree) if isinstance(node, ast.Call))
        return any(isinstance(function, ast.Name) and function.id == "sum" for function in calls)

    def evaluate(self, names: Mapping[str, Values]) -> Values:
        """Return the expression's values, of name → values of a chunk of events.

        Raises
        ------
        RootError
            Types do not fit; the message shows the part of the expression.
        """
        with np.errstate(all="ignore"):  # NaN and infinities are counted where they matter
            return _evaluate(self.tree, names)


def _evaluate(node: Any, names: Mapping[str, Values]) -> Values:
    try:
        return _RULES[type(node)](node, names)
    except RootError as error:
        if error.args[0].startswith("in '"):
            raise
        raise RootError(f"in {ast.unparse(node)!r}: {error}") from None


def _name(node: Any, names: Mapping[str, Values]) -> Values:
    return names[node.id]


def _constant(node: Any, names: Mapping[str, Values]) -> Values:  # noqa: ARG001
    kind = {bool: np.bool_, int: np.int64, float: np.float64}[type(node.value)]
    return Values(np.asarray(node.value, kind))


def _truth(node: ast.AST, names: Mapping[str, Values]) -> Values:
    value = _evaluate(node, names)
    if value.data.dtype.kind == "f":
        raise RootError(f"{ast.unparse(node)!r} is a number, not true or false; compare it")
    return Values(value.data.astype(bool), value.offsets, value.valid)


def _unary(node: Any, names: Mapping[str, Values]) -> Values:
    if isinstance(node.op, (ast.Not, ast.Invert)):
        return v.negation(_truth(node.operand, names))
    value = _evaluate(node.operand, names)
    if value.data.dtype.kind == "b":
        raise RootError("a sign before true or false")
    return v.elementwise(np.negative, value) if isinstance(node.op, ast.USub) else value


def _binary(node: Any, names: Mapping[str, Values]) -> Values:
    left, right = _evaluate(node.left, names), _evaluate(node.right, names)
    if type(node.op) in _BITS:
        return _bits(node, left, right)
    result = v.elementwise(_ARITHMETIC[type(node.op)], left, right)
    if isinstance(node.op, (ast.FloorDiv, ast.Mod)) and result.data.dtype.kind == "i":
        # A whole number divided by zero has no value (NumPy would give 0).
        (divisor, _), _ = v.align((right, result))
        valid = result.known & (divisor.data != 0)
        return Values(result.data, result.offsets, valid)
    return result


def _bits(node: Any, left: Values, right: Values) -> Values:
    kinds = {left.data.dtype.kind, right.data.dtype.kind}
    if kinds == {"b"}:
        both = isinstance(node.op, ast.BitAnd)
        return v.conjunction(left, right) if both else v.disjunction(left, right)
    if kinds == {"i"}:
        return v.elementwise(_BITS[type(node.op)], left, right)
    raise RootError("'&' and '|' join two conditions (in brackets) or two whole numbers")


def _boolean(node: Any, names: Mapping[str, Values]) -> Values:
    join = v.conjunction if isinstance(node.op, ast.And) else v.disjunction
    return functools.reduce(join, (_truth(part, names) for part in node.values))


def _compare(node: Any, names: Mapping[str, Values]) -> Values:
    operands = [_evaluate(part, names) for part in (node.left, *node.comparators)]
    pairs = zip(node.ops, operands[:-1], operands[1:], strict=True)
    steps = (v.elementwise(_COMPARISONS[type(op)], a, b) for op, a, b in pairs)
    return functools.reduce(v.conjunction, steps)


def _subscript(node: Any, names: Mapping[str, Values]) -> Values:
    values, index = _evaluate(node.value, names), _evaluate(node.slice, names)
    if values.offsets is None:
        raise RootError(f"{ast.unparse(node.value)!r} has one value per event: no index to take")
    if index.data.dtype.kind == "b" and index.offsets is not None:
        return v.select(values, index)
    return v.pick(values, index.as_whole(ast.unparse(node.slice)))


def _call(node: Any, names: Mapping[str, Values]) -> Values:
    name = node.func.id
    if name == "where":
        condition = _truth(node.args[0], names)
        return v.choose(condition, *(_evaluate(a, names) for a in node.args[1:]))
    read = _truth if name in ("any", "all") else _evaluate
    arguments = [read(argument, names) for argument in node.args]
    if name in FUNCTIONS:
        return v.elementwise(FUNCTIONS[name][1], *arguments)
    if arguments[0].offsets is None:
        raise RootError(f"{name} needs a list per event, {ast.unparse(node.args[0])!r} is none")
    return v.lengths(arguments[0]) if name == "len" else v.reduce(name, arguments[0])


_RULES: dict[type[ast.AST], Callable[[Any, Mapping[str, Values]], Values]] = {
    ast.Name: _name,
    ast.Constant: _constant,
    ast.UnaryOp: _unary,
    ast.BinOp: _binary,
    ast.BoolOp: _boolean,
    ast.Compare: _compare,
    ast.Subscript: _subscript,
    ast.Call: _call,
}
