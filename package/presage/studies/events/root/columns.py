"""Columns of an events dataset: a declaration, and the expression that gives its values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from presage.labels import Variable, nearest
from presage.studies.events.root.errors import RootError
from presage.studies.events.root.expression import Expression
from presage.studies.events.root.values import Values


@dataclass(frozen=True)
class Column:
    """One column of an events dataset; as a pair, its declaration and its expression."""

    variable: Variable  # name, stored type, unit, bounds; a Parameter for a label
    expression: str  # where its values come from: a branch, or any :class:`Expression`

    def __iter__(self) -> Iterator[Variable | str]:
        yield from (self.variable, self.expression)


#: Columns as users write them: name or declaration → expression.
Columns = Mapping[str, str] | Mapping[Variable, str] | Iterable[Column | str | Variable]


def aliases_of(given: Mapping[str, str] | Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return aliases as sorted pairs (name, expression), checked to end somewhere."""
    aliases = dict(given)
    for name in aliases:
        if not name.isidentifier():
            raise RootError(f"an alias is a name such as 'photon_pt', not {name!r}")
    try:
        TopologicalSorter({n: Expression(text).names for n, text in aliases.items()}).prepare()
    except CycleError as error:
        *_, circle = error.args
        raise RootError(
            f"alias {circle[0]!r} refers to itself: {' -> '.join(reversed(circle))}"
        ) from None
    return tuple(sorted(aliases.items()))


def branches_needed(
    expressions: Iterable[Expression],
    aliases: Mapping[str, Expression],
    path_labels: Iterable[str],
) -> tuple[str, ...]:
    """Return the names of all branches that the expressions come down to, sorted."""
    needed: set[str] = set()
    waiting = [name for expression in expressions for name in expression.names]
    known = set(path_labels)
    while waiting:
        name = waiting.pop()
        if name in known or name in needed:
            continue
        if name in aliases:
            known.add(name)
            waiting.extend(aliases[name].names)
        else:
            needed.add(name)
    return tuple(sorted(needed))


class Names(dict[str, Values]):
    """What the names in expressions stand for, in one chunk of events.

    Those of branches and of labels in paths are given; an alias is evaluated when it is first
    needed, and then kept.
    """

    def __init__(self, given: Mapping[str, Values], aliases: Mapping[str, Expression]) -> None:
        super().__init__(given)
        self._aliases = aliases

    def __missing__(self, wanted: str) -> Values:
        waiting = [wanted]  # and no recursion, for there may be thousands behind one another
        while waiting:
            name = waiting[-1]
            if name not in self._aliases:
                known = {*self, *self._aliases}
                raise RootError(f"no branch or alias {name!r}{nearest(name, known)}")
            expression = self._aliases[name]
            lacking = [inner for inner in expression.names if inner not in self]
            if lacking:
                waiting += lacking
            elif waiting.pop() not in self:
                self[name] = expression.evaluate(self)
        return self[wanted]
