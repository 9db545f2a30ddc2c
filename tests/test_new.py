"""`presage new study NAME`: what it writes is a study like any other, unedited."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from guides import command as presage
from presage import plugins
from presage.cli.main import main
from presage.studies import producers, studies

INFO = "Metadata-Version: 2.1\nName: decays\nVersion: 0.1.0\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new study."""
    made = tmp_path_factory.mktemp("new") / "decays"
    presage("new", "study", "decays", "--folder", str(made))
    return made


@pytest.fixture
def installed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same as pip leaves it, so that Python finds its entry points; and an empty store."""
    about = tmp_path / "site" / "decays-0.1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(INFO, encoding="utf-8")
    points = (folder / "pyproject.toml").read_text(encoding="utf-8").split("[project.entry-points.")
    text = "\n".join(part.partition("\n\n[tool")[0] for part in points[1:])
    text = text.replace('"presage.', "[presage.").replace('"]', "]").replace('"', "")
    (about / "entry_points.txt").write_text(text, encoding="utf-8")
    for path in (folder, about.parent):
        monkeypatch.syspath_prepend(path)
    plugins.installed.cache_clear()
    yield tmp_path / "store"
    plugins.installed.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "decays"]:
        del sys.modules[name]
    importlib.invalidate_caches()


def test_its_own_tests_pass(folder: Path, root: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(root / "package")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_linters_have_nothing_to_say(folder: Path, root: Path) -> None:
    """mypy goes by our settings, with which its cache is warm."""
    for command, where in (
        ("ruff check --no-cache .", folder),
        ("ruff format --no-cache --check .", folder),
        (f"mypy {folder / 'decays'}", root),
    ):
        program, *arguments = command.split()
        done = subprocess.run(
            [sys.executable, "-m", program, *arguments], cwd=where, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_an_installed_study_is_one_of_all(installed: Path, capsys: pytest.CaptureFixture) -> None:
    assert list(studies()) == ["decays", "events", "pdf", "sky", "amp"]
    assert producers()["decays-peak"] == "decays.simulator:Peak"
    presage("run", "--help")
    presage("run", "decays", "--help")
    presage("list")
    said = capsys.readouterr().out
    for text in ("decays", "n_labels", "true masses from 100 to 500 GeV", "tiny", "decays-peak"):
        assert text in said
    where = ("--store", str(installed))
    presage("generate", "decays-peak", "-n", "200", *where)
    presage("generate", "decays.simulator:Peak", "-n", "300", *where)
    presage("store", "verify", "--fraction", "1", *where)
    said = capsys.readouterr().out
    assert "200 samples found" in said
    assert "300 samples simulated again are equal" in said


def test_a_package_that_cannot_be_imported_is_left_out(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "decays.py").write_text("1 / 0\n", encoding="utf-8")
    monkeypatch.syspath_prepend(broken)
    with pytest.warns(UserWarning, match="decays of an installed package is left out"):
        assert set(studies()) == {"events", "pdf", "sky", "amp"}


def test_notebooks_are_short_and_clean(folder: Path) -> None:
    for path in (folder / "decays" / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        assert sum(len(cell["source"]) for cell in code) <= 80
        assert not any(cell["outputs"] for cell in code)
        assert len(cells) - len(code) >= 3


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("1st", "small letters, digits and _"),
        ("class", "small letters, digits and _"),
        ("Decays", "small letters, digits and _"),
        ("events", "there is a study 'events' already"),
        ("fine", "is not empty"),
    ],
)
def test_what_cannot_be_written_is_said(
    name: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit):
        main(["new", "study", name, "--folder", str(tmp_path)])
    assert expected in capsys.readouterr().err
