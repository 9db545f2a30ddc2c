"""The README's examples run as they are written there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from guides import examples, run


def test_the_example_of_the_readme(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    example, *_ = examples(root / "README.md")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    run(example, {}, names)
    assert names["drawn"].sizes["event"] == 100_000
    assert names["held_out"].sizes["event"] + names["train"].sizes["event"] == 48_500
    product = names["ps"].residuals(names["drawn"], names["held_out"], store=names["store"]).dataset
    assert {"flow", "morphing", "nearest", "floor"} <= set(product["source"].values)
    assert (product["w1_over_std"].sel(source="flow") < 0.2).all()  # 550 events of truth


def test_the_example_of_posteriors(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As written, but for sizes: a minute of training is none of a test's."""
    _, example, *_ = examples(root / "README.md")
    smaller = {
        "n_events=1000": "n_events=60",
        "n=100_000": "n=2_000",
        'preset("gaussian")': 'preset("quick")',
    }
    assert all(written in example for written in smaller)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    run(example, smaller, names)
    assert names["draws"]["theta"].dims == ("draw", "parameter")
    assert names["draws"].sizes["draw"] == 2000


def test_the_example_of_skies(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As written, but for sizes."""
    *_, example, _ = examples(root / "README.md")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    run(example, {"channels=64, pixels=32": "channels=16, pixels=8", "200": "16"}, names)
    seen = names["pairs"].dataset["sky"]
    cleaned = names["limit"].clean(seen.isel(sample=slice(0, 2)))
    assert cleaned.dims == seen.dims
    assert float(cleaned.std()) < 1e-3 * float(seen.std())
    assert names["cleaned"]["amplitude"].sizes["mode"] == 6


def test_the_example_of_amplifiers(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As written, but for sizes, and for the comparison, which is that of the notebooks."""
    *_, example = examples(root / "README.md")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    smaller = {'"quick"': '"tiny"', '"ts9"': '"wavenet_tiny"', "1000": "64", "print": "# print"}
    run(example, smaller, names)
    assert names["tones"].sizes["tone"] == 64
    assert (tmp_path / "student.json").is_file()
