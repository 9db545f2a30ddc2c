"""The examples of README and docs, as code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any


def examples(path: Path) -> list[str]:
    """Return the Python examples of a text, in their order."""
    return re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.S)


def run(example: str, instead: dict[str, str], names: dict[str, Any]) -> None:
    """Run an example with other words in place of those that are written; fill in `names`."""
    for written, other in instead.items():
        example = example.replace(written, other)
    exec(compile(example, "example", "exec"), names)
