"""The README's example runs as it is written there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest


def test_the_example_of_the_readme(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (root / "README.md").read_text(), flags=re.S)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(example, "README.md", "exec"), names)
    assert names["drawn"].sizes["event"] == 100_000
    assert names["held_out"].sizes["event"] + names["train"].sizes["event"] == 48_500
    product = names["ps"].residuals(names["drawn"], names["held_out"], store=names["store"]).dataset
    assert {"flow", "morphing", "nearest", "floor"} <= set(product["source"].values)
    assert (product["w1_over_std"].sel(source="flow") < 0.2).all()  # 550 events of truth
