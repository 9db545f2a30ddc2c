"""The examples of README and docs, as code; commands of presage and what a run leaves."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from presage.cli.main import main
from presage.pipeline.run import Run


def examples(path: Path) -> list[str]:
    """Return the Python examples of a text, in their order."""
    return re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.S)


def run(example: str, instead: dict[str, str], names: dict[str, Any]) -> None:
    """Run an example with other words in place of those that are written; fill in `names`."""
    exec(compile(_with(example, instead), "example", "exec"), names)


def _with(text: str, instead: dict[str, str]) -> str:
    for written, other in instead.items():
        text = text.replace(written, other)
    return text


def follow(path: Path, folder: Path, instead: dict[str, str]) -> dict[str, Any]:
    """Do what a how-to says, in a folder: write its modules, run its examples and commands.

    An example that begins with the name of a file, ``# my_toys.py``, becomes that file; lines of
    ``sh`` that begin with ``presage`` are run as commands. `instead` puts other words in place of
    those that are written, each of which has to be there: a minute of training is none of a test's.
    """
    text = path.read_text(encoding="utf-8")
    assert all(written in text for written in instead), path.name
    text, names = _with(text, instead), {}
    for kind, block in re.findall(r"```(python|sh)\n(.*?)```", text, flags=re.S):
        file = re.match(r"# (\w+\.py)\n", block)
        if file is not None:
            (folder / file[1]).write_text(block, encoding="utf-8")
        elif kind == "python":
            exec(compile(block, path.name, "exec"), names)
        else:
            for line in block.splitlines():
                command(*shlex.split(line, comments=True)[1:])
    return names


def exit_code(*arguments: str) -> int:
    """Run a command of presage and return what it exits with."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return int(left.value.code or 0)


def command(*arguments: str) -> None:
    """Run a command of presage, which should succeed."""
    assert exit_code(*arguments) == 0, arguments


def leaves(run: Run, *words: str) -> None:
    """Check that a study's run left figures that are pictures, and words in its summary."""
    for step in run.steps:
        for figure in step.record.figures.values():
            assert (step.folder / figure).read_bytes().startswith(b"\x89PNG")
    text = run.summary()
    assert [word for word in words if word not in text] == []
