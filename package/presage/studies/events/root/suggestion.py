"""A description to start from, for files of another layout than was asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import PurePosixPath

from presage.studies.events.root.branches import Branches
from presage.studies.events.root.errors import RootError
from presage.studies.events.root.finding import RootFile
from presage.studies.events.root.grammar import quoted
from presage.studies.events.root.opening import open_tree, tree_names

#: Branches that are written out; of the others it is told that they are there.
_SHOWN = 8
#: A name and the number behind it, in a path.
_LABEL = re.compile(r"([A-Za-z]+)_?([-+m]?\d+(?:[p.]\d+)?)(?![A-Za-z0-9])")


def suggest(files: Iterable[RootFile], tree: str, limit: int) -> str:
    """Return a TOML description with branches that files have, empty where none can be opened.

    The first of `files` that can be opened is described, with another tree where it has not the
    one that was asked for; `limit` is that of :func:`.opening.open_tree`.
    """
    for file in files:
        with suppress(RootError):
            there = tree_names(file)
            name = tree if tree in there else there[0] if there else ""
            if name:
                with open_tree(file, name, limit) as found:
                    return _text(Branches.of(found, file), name, file)
    return ""


def _text(branches: Branches, tree: str, file: RootFile) -> str:
    numeric = [path for path in branches.known if branches.is_numeric(path)][:_SHOWN]
    pattern = _LABEL.sub(lambda m: m[0].replace(m[2], f"{{{m[1]}}}"), _folder(file))
    lines = [
        f"files = {json.dumps(_searched(file))}  # a file, folder or pattern",
        f"tree = {json.dumps(tree)}",
    ]
    if "{" in pattern:
        lines.append(f"path = {json.dumps(pattern)}  # labels in the names of folders")
    lines.append("[columns]  # what is measured: name = expression over branches")
    lines += [f"{_name(path)} = {json.dumps(_expression(path))}" for path in numeric]
    more = len(branches.known) - len(numeric)
    lines += [f"# and {more} other branches"] if more > 0 else []
    if "{" not in pattern:
        lines += ["[labels]  # what the events are conditioned on", '# mass = "gen_mass[0]"']
    return "\n".join(f"    {line}" for line in lines)


def _searched(file: RootFile) -> str:
    """Return the folder that was searched, or the file that was given."""
    path = file.path.absolute().as_posix()
    return path.removesuffix(f"/{file.name}") if "/" in file.name else path


def _folder(file: RootFile) -> str:
    return PurePosixPath(file.name).parent.as_posix() if "/" in file.name else file.path.parent.name


def _name(path: str) -> str:
    name = re.sub(r"\W+", "_", path).strip("_")
    return "event_number" if name == "event" else name or "x"


def _expression(path: str) -> str:
    return path if re.fullmatch(r"[A-Za-z_]\w*", path) else quoted(path)
