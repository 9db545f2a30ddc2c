"""A description to start from, for files of another layout than was asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from presage.studies.events.root.branches import Branches
from presage.studies.events.root.errors import RootError
from presage.studies.events.root.finding import Paths, RootFile, listed
from presage.studies.events.root.grammar import quoted
from presage.studies.events.root.opening import open_tree, tree_names

#: Branches that are written out; of the others it is told that they are there.
_SHOWN = 8
#: A name and the number behind it, in a path.
_LABEL = re.compile(r"([A-Za-z]+)_?([-+m]?\d+(?:[p.]\d+)?)(?![A-Za-z0-9])")


def suggest(files: Iterable[RootFile], given: Paths, tree: str, limit: int) -> str:
    """Return a TOML description with branches that files have, empty where none can be opened.

    The first of `files` that can be opened is described, with another tree where it has not the
    one that was asked for; `given` is the folder or pattern that was; `limit` is that of
    :func:`.opening.open_tree`.
    """
    for file in files:
        with suppress(RootError):
            there = tree_names(file)
            name = tree if tree in there else there[0] if there else ""
            if name:
                with open_tree(file, name, limit) as found:
                    return _text(Branches.of(found, file), name, file, given)
    return ""


def _text(branches: Branches, tree: str, file: RootFile, given: Paths) -> str:
    kinds = {path: branches.kind(path) for path in branches.known}
    # What is measured is mostly a number with a fraction: whole numbers are counts and indices.
    floats = [path for path, kind in kinds.items() if kind.startswith("f")]
    columns = sorted(floats, key=lambda path: kinds[path] != "f")[:_SHOWN]
    pattern = _labelled(_folder(file))
    lines = [
        f"files = {_absolute(given)}  # a file, folder or pattern, or a list of them",
        f"tree = {json.dumps(tree)}",
    ]
    if "{" in pattern:
        lines.append(f"path = {json.dumps(pattern)}  # labels in the names of folders")
    lines.append("[columns]  # what is measured: name = expression over branches")
    for path in columns:
        comment, index = ("", "") if kinds[path] == "f" else ("# ", "[0]")
        expression = json.dumps(_expression(path) + index)
        lines.append(f"{comment}{_name(path)} = {expression}")
    others = [path for path in kinds if path not in columns]
    if others:
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        lines.append(f"# also there: {', '.join(others[:_SHOWN])}{more}")
    lines.append("# a column with a unit, an angle's period or a number for missing values:")
    lines.append('# x = {expression = "branch", unit = "GeV", missing = -999}')
    if "{" not in pattern:
        name = _labelled(PurePosixPath(file.name).stem)
        if "{" in name:
            lines.insert(2, f"# path = {json.dumps(name)}  # labels in the names of files")
        lines += ["[labels]  # what the events are conditioned on", '# mass = "gen_mass[0]"']
    return "\n".join(f"    {line}" for line in lines)


def _labelled(path: str) -> str:
    return _LABEL.sub(lambda m: m[0].replace(m[2], f"{{{m[1]}}}"), path)


def _absolute(given: Paths) -> str:
    paths = [Path(path).expanduser().absolute().as_posix() for path in listed(given)]
    return json.dumps(paths[0] if len(paths) == 1 else paths)


def _folder(file: RootFile) -> str:
    return PurePosixPath(file.name).parent.as_posix() if "/" in file.name else file.path.parent.name


def _name(path: str) -> str:
    name = re.sub(r"\W+", "_", path).strip("_")
    return "event_number" if name == "event" else name or "x"


def _expression(path: str) -> str:
    return path if re.fullmatch(r"[A-Za-z_]\w*", path) else quoted(path)
