"""Arrays in groups: which group of a file is read, and what of it is left out.

A table whose rows have named columns counts as a group of its columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from presage.inputs import LeftOut
from presage.labels import LabelError, nearest
from presage.labels.errors import few

ROOT = ""


def choose(
    groups: Mapping[str, Sequence[str]], wanted: str | None, where: str
) -> tuple[str, LeftOut]:
    """Return the group to read, and what is not read thereby.

    `groups` is path → names of arrays, the file's own at ``""``. Where nothing is `wanted` it is
    what the file holds outside of groups, else its only group.

    Raises
    ------
    LabelError
        There are no arrays, no such group, or several to choose from.
    """
    if not groups:
        raise LabelError(f"{where} holds no arrays")
    shown = ", ".join(f"{group or '/'} ({few(names, 4, ', ')})" for group, names in groups.items())
    chosen = ROOT if wanted is None else wanted.strip("/")
    if wanted is None and ROOT not in groups:
        if len(groups) > 1:
            raise LabelError(
                f"{where} holds its arrays in groups: {shown}; say which with --group NAME "
                "(read_file(path, group=NAME))"
            )
        chosen = next(iter(groups))
    if chosen not in groups:
        raise LabelError(
            f"{where} has no group {wanted!r} with arrays{nearest(chosen, groups)}; it has {shown}"
        )
    return chosen, _left_out(groups, chosen, where)


def _left_out(groups: Mapping[str, Sequence[str]], chosen: str, where: str) -> LeftOut:
    taken = f"of {where} the group {chosen!r} is read" if chosen else ""
    others = {name: len(arrays) for name, arrays in groups.items() if name != chosen}
    if not others:
        return LeftOut(taken)
    counted = ", ".join(f"{n} in {name or '/'}" for name, n in others.items())
    said = (
        f"{where}: {sum(others.values())} array(s) are not read ({counted}); --group NAME reads "
        "another group"
    )
    return LeftOut(taken, (said,))
