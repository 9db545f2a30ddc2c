"""Things that a user names on the command line: their own, plug-ins', and what a file may not."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.main import get_command

from fly_toys import Sets
from guides import exit_code as run
from presage import plugins
from presage.cli.main import app
from presage.cli.settings import Group, divide
from presage.generate import simulate
from presage.recipe import Parent
from presage.store import Store
from presage.typed import ParameterError

ROOT = Path(__file__).resolve().parents[1]
TOYS = '''
"""A simulator, a reader and a model of a user's own."""
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Optional

import numpy as np

import presage as ps
from presage.inputs import FileInput
from presage.labels import Parameter, Variable
from presage.simulator import Reader, Simulator


@dataclass(frozen=True)
class Bath:
    """Where they are.

    Parameters
    ----------
    water
        How deep.
    """

    water: float = 1.0
    tiles: tuple[int, ...] = (1,)


@dataclass(frozen=True)
class Waves(Simulator):
    """Waves.

    Parameters
    ----------
    width, depth
        Of the ``noise``, see :class:`~presage.labels.Variable`. And more.
    shape : str
        Which curve.
    seed
        A field called as an option is.

    Returns
    -------
    wrong
        No parameter.
    """

    width: float = field(default=0.5, metadata={"unit": "mV"})
    depth: Optional[int] = None
    shape: Literal["sine", "saw"] = "sine"
    steps: tuple[int, ...] = (1, 2)
    seed: int = 0
    bath: Bath = Bath()

    name: ClassVar[str] = "my-waves"
    block_size: ClassVar[int] = 64
    parameters = (Parameter("amplitude", low=0.0, high=1.0),)
    variables = (Variable("height", unit="mV"),)

    def draw(self, rng: np.random.Generator, n: int) -> dict[str, Any]:
        return {"amplitude": rng.random(n)}

    def simulate(self, theta: Any, rng: np.random.Generator) -> dict[str, Any]:
        return {"height": theta["amplitude"] + self.width * rng.normal(size=self.block_size)}


@dataclass(frozen=True)
class Table(Reader):
    """Numbers, one a line.

    Parameters
    ----------
    table
        The file.
    factor
        What they are multiplied by.
    """

    table: Any
    factor: float = 1.0

    name: ClassVar[str] = "my-table"
    parameters = ()
    variables = (Variable("height", dtype="float64", unit="mV"),)

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", FileInput.of_reader(self.table))

    def chunks(self):
        yield {"height": self.factor * np.loadtxt(self.table.path)}


WIDE = Waves(width=2.0)


def half(store, rows: int = 10):
    """Half of them.

    Parameters
    ----------
    rows
        How many there are.
    """
    return ps.simulate(WIDE, rows, store=store).isel(sample=slice(rows // 2))


@dataclass(frozen=True)
class Small(ps.models.MixtureDensity):
    """A smaller model."""

    name: ClassVar[str] = "my-small"
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of a user's own, in which they stand; nothing else puts it on the path."""
    (tmp_path / "mine.py").write_text(TOYS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    yield tmp_path
    sys.modules.pop("mine", None)


def test_a_simulator_of_ones_own_goes_every_road(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["generate", "mine:Waves", "-n", "200", "--width", "0.25", "--depth=3"]
    assert run(*command, "--workers", "2", "--steps", "[4]") == 0  # spawned: they import it too
    key = capsys.readouterr().out.split()[0]
    recipe = Store().find(key)
    assert recipe.producer == "my-waves"
    assert recipe.fields["width"] == 0.25
    assert (recipe.fields["depth"], recipe.fields["steps"]) == (3, (4,))
    assert run(*command, "-p", "steps", "4,") == 0
    assert "200 samples found" in capsys.readouterr().out
    # The store alone does not say where the code is; whoever has it does.
    assert run("store", "verify", key) == 0
    assert "; --simulator MODULE:CLASS names code" in capsys.readouterr().out
    assert run("store", "verify", "--simulator", "mine:Waves", "--fraction", "1") == 0
    assert (
        capsys.readouterr().out
        == f"my-waves/{key[:16]}  hashes fit, 200 samples simulated again are equal\n"
    )
    assert run("store", "verify", key, "--simulator", "resonance") == 2
    assert "Resonance makes 'resonance', not 'my-waves'" in capsys.readouterr().err
    # The same samples, found; a model of one's own; the settings of all three.
    options = ["--width", "0.25", "--depth", "3", "--steps", "[4]", "--epochs", "1"]
    words = ["mine:Small", "mine:Waves", "-n", "150", *options, "--components", "2"]
    assert run("train", *words, "--hidden", "[4]") == 0
    said = capsys.readouterr()
    assert "150 samples found, 0 made" in said.err
    made, name = said.out.split()
    trained = Store().find(made)
    assert (name, trained.producer) == ("mine:Small", "fit-my-small")
    assert trained.parents[0] == Parent(key, 0, 150)
    assert trained.fields["model"]["components"] == 2


def test_an_object_and_a_function_are_named_too(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--steps", "[3]", "--bath.water", "2", "-p", "bath.tiles", "[4]"]
    assert run("generate", "mine:WIDE", *options, "-n", "20") == 0
    recipe = Store().find(key := capsys.readouterr().out.split()[0])
    assert (recipe.fields["width"], recipe.fields["steps"]) == (2.0, (3,))
    assert "'water': 2.0" in str(recipe.fields["bath"])
    assert "(4,)" in str(recipe.fields["bath"])
    assert run("store", "verify", key, "--simulator", "mine:WIDE", "--fraction", "1") == 0
    assert "20 samples simulated again" in capsys.readouterr().out
    command = ["train", "mine:Small", "mine:half", "--epochs", "1", "--components", "2"]
    assert run(*command, "--rows", "300") == 0
    (parent,) = Store().find(capsys.readouterr().out.split()[0]).parents
    assert (parent.start, parent.stop) == (0, 150)
    assert run(*command, "--fresh") == 2
    assert "mine:half is no simulator" in capsys.readouterr().err
    assert run("train", "mine:Small", "mine:half", "--help") == 0
    assert "rows: int = 10 How many there are" in " ".join(capsys.readouterr().out.split())


def test_a_reader_of_ones_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "t.txt").write_text("1\n2\n", encoding="utf-8")
    command = ["store", "import", "t.txt", "--reader", "mine:Table", "--factor", "3"]
    assert run(*command) == 0
    data = Store().open(capsys.readouterr().out.split()[0])
    np.testing.assert_array_equal(data["height"], [3, 6])
    assert run(*command[:-2], "--factr", "3") == 2
    assert "there is no option --factr; did you mean '--factor'?" in capsys.readouterr().err
    assert run("store", "import", "--reader", "mine:Table", "--help") == 0
    assert "factor: float = 1.0" in (said := capsys.readouterr().out)
    assert "table:" not in said
    assert run("store", "import", "t.txt", "--reader", "mine:Waves") == 2
    assert "reads no files" in capsys.readouterr().err


def test_help_lists_the_settings_of_what_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--help", "mine:Waves"], ["mine:Waves", "--help"]):
        assert run("generate", *words) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "width: float = 0.5 Of the noise, see Variable; in mV" in said
        assert "shape: str = 'sine' Which curve; one of sine, saw" in said
        assert "steps: tuple[int] = (1, 2)" in said
        assert "bath.water: float = 1.0 How deep" in said
    assert run("generate", "--help") == 0
    assert not re.search("n-events|n-repeat|--device", capsys.readouterr().out)
    assert run("train", "spline_flow", "mine:Waves", "--help") == 0
    said = " ".join(capsys.readouterr().out.split())
    for text in ("bins: int = 0 Spline segments", "epochs: int | None = None Passes", "width: "):
        assert text in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mine:Wave"], "mine has no 'Wave'; did you mean 'Waves'?"),
        (["mint:Waves"], "importing mint failed"),
        (["sub/mine.py:Waves"], "and its name there: sub.mine:Waves, in the folder"),
        (["my.mine"], "my.mine:MyThing, in the folder from which Python finds my.mine"),
        (["mine:np"], "is no dataclass of settings, and no function"),
        (["mine:Small"], "mine:Small is not a simulator or reader but Small"),
        (["mine:Waves", "--widht", "1"], "there is no option --widht; did you mean '--width'?"),
        (["mine:Waves", "--wokers", "1"], "there is no option --wokers; did you mean '--workers'?"),
        (["mine:Waves", "-p", "widht", "1"], "has no setting 'widht'; did you mean 'width'?"),
        (["mine:Waves", "--width", "wide"], "width should be float, got the text 'wide'"),
        (["mine:Waves", "--bath.watr", "1"], "no option --bath.watr; did you mean '--bath.water'?"),
        (["mine:Waves", "--bath.water", "wet"], "bath.water should be float, got the text 'wet'"),
        (["mine:Waves", "--shape", "sin"], "no shape 'sin'; did you mean 'sine'?"),
        (["mine:Waves", "--width", "1", "--width", "2"], "width is given twice: '1' and '2'"),
        (["mine:Table", "--factor", "2"], "Table needs table: --table VALUE"),
    ],
)
def test_what_does_not_fit_is_said(
    arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("generate", *arguments, "-n", "5") == 2
    assert message in capsys.readouterr().err


def test_an_option_of_the_command_comes_first(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("generate", "mine:Waves", "-n", "5", "--seed", "3", "-p", "seed", "4") == 0
    recipe = Store().find(capsys.readouterr().out.split()[0])
    assert (recipe.seed, recipe.fields["seed"]) == (3, 4)


def test_what_several_things_have_is_told_apart_by_their_roles() -> None:
    from presage.models import SplineFlow

    def fit(bins: int = 3, epochs: int = 1) -> None:
        """Fit."""

    groups = [Group.of("model", "spline_flow", SplineFlow), Group.of("training", "fit", fit)]
    with pytest.raises(ParameterError, match=r"say which: --model.bins or --training.bins"):
        divide({"bins": "4"}, groups)
    given = {"model.bins": "4", "training.bins": "5", "num_epochs": "6"}
    assert divide(given, groups) == [{"bins": 4}, {"bins": 5, "epochs": 6}]
    with pytest.raises(ParameterError, match="neither spline_flow nor fit has a setting"):
        divide({"simulator.bins": "4"}, groups)


def test_plugins_are_found_listed_and_suggested(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An installed package is a folder on the path with a list of entry points beside it."""
    site = folder / "site"
    info = site / "waves-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "mine.py").rename(site / "waves.py")
    study = 'from presage.studies import Study\nSTUDY = Study("tides", "tides in a bay", ())\n'
    (site / "tides.py").write_text(study, encoding="utf-8")
    (info / "METADATA").write_text("Name: waves\nVersion: 1.0\n", encoding="utf-8")
    entries = (
        "[presage.simulators]\nSurf = waves:Waves\n[presage.models]\nsmall = waves:Small\n"
        "[presage.studies]\ntides = tides:STUDY\nbroken = nowhere:STUDY\n"
    )
    (info / "entry_points.txt").write_text(entries, encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))
    plugins.installed.cache_clear()
    try:
        with pytest.warns(UserWarning, match="study broken of an installed package is left out"):
            assert run("list") == 0
        said = capsys.readouterr().out
        for line in ("tides   tides in a bay", "Surf ", "small ", "mceg ", "root-events "):
            assert f"  {line}" in said
        with pytest.warns(UserWarning, match="broken"):
            assert run("generate", "Surf", "-n", "5") == 0
        key = capsys.readouterr().out.split()[0]
        with pytest.warns(UserWarning, match="broken"):
            assert run("generate", "Surv", "-n", "5") == 2
        assert "did you mean 'Surf'?" in capsys.readouterr().err
        with pytest.warns(UserWarning, match="broken"):
            assert run("train", "smal", key) == 2
        assert "did you mean 'small'?" in capsys.readouterr().err
        assert run("run", "tide") == 2
        assert "did you mean 'tides'?" in capsys.readouterr().err
    finally:
        plugins.installed.cache_clear()
        for name in ("waves", "tides"):
            sys.modules.pop(name, None)


def test_commands_of_the_guides_are_understood(folder: Path) -> None:
    """All of their options are there; nothing is run."""
    (folder / "my_package").mkdir()
    toys = TOYS + "\n\nMySimulator = Waves\n"
    for file in ("my_package/toys.py", "my_toys.py"):
        (folder / file).write_text(toys, encoding="utf-8")
    sys.path.insert(0, str(folder))
    understood = 0
    for guide in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")):
        blocks = re.findall(r"```sh\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)
        for line in "".join(blocks).splitlines():
            command, rest = get_command(app), shlex.split(line, comments=True)
            start = next((i for i, word in enumerate(rest) if word.startswith("presage")), None)
            if start is None:
                continue
            rest = rest[start + 1 :]
            context: Any = command.make_context("presage", list(rest))
            while rest and hasattr(command, "commands"):
                command, rest = command.commands[rest[0]], rest[1:]
                context = command.make_context(command.name, list(rest), parent=context)
            understood += 1
    assert understood > 15
    for name in ("my_package", "my_package.toys", "my_toys"):
        sys.modules.pop(name, None)


STRANGER = """
import sys

class Told:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "trap":
            print("imported", name)

sys.meta_path.insert(0, Told())
import presage as ps
from dashboards.kit.query import Query
from dashboards.pages.shelves.page import page
from presage.cli.main import app, main

store = ps.Store("store")
for entry in [entry for entry in store.list() if entry.recipe]:
    store.open(entry.key)
    for words in (["ls"], ["show", entry.key], ["verify", entry.key], ["verify"]):
        try:
            main(["store", *words])
        except SystemExit as stop:
            assert not stop.code or words == ["verify"], words  # one recipe cannot be one
    assert "trap" in page(store, Query({"key": entry.key}))
print("done")
"""


def test_a_strangers_store_runs_none_of_the_code_that_it_names(tmp_path: Path) -> None:
    """It is listed, shown, opened and verified from the folder where such code lies."""
    (tmp_path / "trap.py").write_text("raise SystemExit('it ran')\n", encoding="utf-8")
    store = Store(tmp_path / "store")
    for name in ("trap.Thing", "trap", "os.system"):
        kind = type("Named", (Sets,), {"name": name})
        simulate(kind(), 20, store=store, progress=False)
    (folder,) = (store.root / "trap.Thing").iterdir()
    (store.root / "trap:Thing").mkdir()
    forged = folder.rename(store.root / "trap:Thing" / folder.name)
    text = (forged / "recipe.json").read_text(encoding="utf-8")
    (forged / "recipe.json").chmod(0o644)
    (forged / "recipe.json").write_text(text.replace("trap.", "trap:"), encoding="utf-8")
    path = os.pathsep.join([*sys.path, str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", STRANGER], cwd=tmp_path, capture_output=True, text=True,
        encoding="utf-8", env={**os.environ, "PYTHONPATH": path}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "done"
    assert "imported" not in done.stdout
    assert done.stdout.count("--simulator MODULE:CLASS names code of your own") == 2 + 2 * 2
