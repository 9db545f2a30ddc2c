"""The how-tos do what they say, from the first line to the last."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from guides import follow

GUIDES = sorted((Path(__file__).parents[1] / "docs" / "howto").glob("*.md"))
#: Guide → smaller numbers in place of those that are written.
INSTEAD = {
    "amplifier": {"1_000": "64", "1000": "64", '"quick"': '"tiny"',
                  "--epochs 4": "--epochs 1 --length 4410"},
    "counts": {"2_000": "300", "epochs=20": "epochs=1", "20_000": "500"},
    "elsewhere": {"n=1_000": "n=120", "n_events=100": "n_events=60", "20_000": "2_000"},
    "limits": {"10_000": "1_000", "100_000": "500", "members=3": "members=2, epochs=1",
               "Training()": "Training(epochs=1)", "folds=5": "folds=2",
               "resample=k": "resample=k, epochs=1", "range(6)": "range(2)"},
    "loop": {"20_000": "4_000"},
    "network": {"2_000": "500"},
    "one_label": {"4_000": "400", "epochs=20": "epochs=1"},
    "parts": {"40_000": "4_000", "n=2_000": "n=250", "epochs=10": "epochs=1"},
    "problem": {"2_000": "200", "n_events=100": "n_events=30", "1_000": "100"},
    "simulator": {"70_000": "2_100", "70000": "2100", "20_000": "300", "epochs=20": "epochs=1",
                  "--epochs 20": "--epochs 1"},
    "sky_cubes": {"200": "40", '"quick"': '"tiny"'},
    "three_labels": {"2_000": "150", "epochs=20": "epochs=1"},
    "weights": {"6_000": "600", "epochs=10": "epochs=1", "20_000": "500"},
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PRESAGE_STORE")
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in ("my_toys", "my_net", "my_parts", "my_problem"):
        if name not in before:
            sys.modules.pop(name, None)


@pytest.mark.filterwarnings("ignore:the estimate of")  # posteriors of a tenth of the sets
@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_a_guide_runs_and_is_short(guide: Path, folder: Path) -> None:
    assert len(guide.read_text(encoding="utf-8").splitlines()) <= 60
    assert follow(guide, folder, INSTEAD[guide.stem])


def test_the_readme_names_every_guide(root: Path) -> None:
    text = (root / "README.md").read_text(encoding="utf-8")
    assert all(f"docs/howto/{guide.name}" in text for guide in GUIDES)
