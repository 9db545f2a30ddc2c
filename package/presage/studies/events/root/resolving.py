"""What the names of an expression mean in one tree, where they could mean two things.

``x-y`` is a difference, or the branch ``x-y``; ``a/b`` is a ratio, or b among the branches of a.
What the tree makes possible is taken; where both are possible, quotes are asked for.
"""

from __future__ import annotations

import ast
from collections.abc import Collection

from presage.studies.events.root.branches import Branches
from presage.studies.events.root.errors import RootError
from presage.studies.events.root.expression import Expression
from presage.studies.events.root.grammar import quoted


def resolve(expression: Expression, branches: Branches, defined: Collection[str]) -> Expression:
    """Return an expression in which every name is one of a tree's branches, or is `defined`.

    Raises
    ------
    RootError
        It could be the name of a branch as well.
    """
    name = expression.text.strip()
    if not isinstance(expression.tree, ast.Name) and branches.paths(name):
        _check_unambiguous(name, expression.names, branches, defined)
        return Expression(quoted(name))
    return Expression.of(expression.text, _Paths(branches, defined).visit(expression.tree))


def _check_unambiguous(
    name: str, names: Collection[str], branches: Branches, defined: Collection[str]
) -> None:
    if all(n in defined or _holds_numbers(branches, n) for n in names):
        raise RootError(
            f"{name!r} is a branch, and an expression of {', '.join(sorted(names))}: write "
            f"{quoted(name)} in quotes for the branch, or ({name}) in brackets"
        )


def _holds_numbers(branches: Branches, name: str) -> bool:
    return any(map(branches.kind, branches.paths(name)))


class _Paths(ast.NodeTransformer):
    """Read ``parent/child`` as a name where the tree has it and no ratio is possible."""

    def __init__(self, branches: Branches, defined: Collection[str]) -> None:
        self.branches, self.defined = branches, defined

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Join the names around a stroke; an index behind them belongs to the whole."""
        pieces = _pieces(node)
        name = "/".join(pieces)
        if len(pieces) > 1 and self.branches.paths(name):
            _check_unambiguous(name, pieces, self.branches, self.defined)
            joined = ast.Name(name, ast.Load())
            last = node.right
            return ast.Subscript(joined, last.slice) if isinstance(last, ast.Subscript) else joined
        return self.generic_visit(node)


def _pieces(node: ast.AST) -> list[str]:
    """Return a, b, c of ``a/b/c``; nothing for anything else."""
    if isinstance(node, ast.Name):
        return [node.id]
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)):
        return []
    last = node.right.value if isinstance(node.right, ast.Subscript) else node.right
    before = _pieces(node.left)
    return [*before, last.id] if before and isinstance(last, ast.Name) else []
