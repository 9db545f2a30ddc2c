"""Parameters, step keys, skipping, sweeps, records and failures of notebook runs."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from presage.pipeline import ParameterError, PipelineError, run_study
from presage.pipeline.parameters import by_name, combinations, declarations
from presage.pipeline.records import find, read
from presage.pipeline.steps import (
    Notebook,
    Values,
    known_parameters,
    notebooks_of,
    step_key,
    versions,
)
from presage.plugins import PluginError
from presage.recipe import Recipe
from presage.store import Store
from presage.studies import Study, StudyError
from presage.studies.settings import StudySettings, setting
from presage.typed import Kind, coerce, split, values

CELL = """\
n_events: int = 48_500  # over the whole grid
width: float = 0.5
name: str = "flow"
quick: bool = True
limit: int | None = None
labels: list[list[float]] = [[2464.0, 5.125]]
"""


# -- declarations and values ------------------------------------------------------------


def test_a_cell_declares_types_defaults_and_help() -> None:
    declared = declarations(CELL)
    assert {n: (str(d.kind), d.default) for n, d in declared.items()} == {
        "n_events": ("int", 48_500),
        "width": ("float", 0.5),
        "name": ("str", "flow"),
        "quick": ("bool", True),
        "limit": ("int | None", None),
        "labels": ("list[list[float]]", [[2464.0, 5.125]]),
    }
    assert declared["n_events"].help == "over the whole grid"


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("import os", "expected 'name: type = value', got 'import os'"),
        ("a, b = 1, 2", "expected 'name: type = value'"),
        ("n: int = 2 * 3", "default of n must be a literal"),
        ("n: int = 'x'", "n should be int, got the text 'x'"),
        ("n: set = {}", "a parameter's type is int, float, str, bool"),
        ("n = None", "a parameter's type is .* got 'NoneType'"),
        ("from os import path", "expected 'name: type = value'"),
        ("n: int =", "is not Python"),
    ],
)
def test_a_cell_that_cannot_be_read_says_why(cell: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        declarations(cell, "the cell")


@pytest.mark.parametrize(
    ("given", "kind", "expected"),
    [
        ("1000", Kind("int"), 1000),
        ("1e5", Kind("int"), 100_000),
        (3, Kind("float"), 3.0),
        ("2.5", Kind("float"), 2.5),
        ("7", Kind("str"), "7"),
        ("'a,b'", Kind("str"), "a,b"),
        ("false", Kind("bool"), False),
        ("True", Kind("bool"), True),
        ("None", Kind("int", optional=True), None),
        ("[1, 2]", Kind("list", Kind("float")), [1.0, 2.0]),
        ("1, 2", Kind("tuple", Kind("int")), [1, 2]),
        ("0.5", Kind("tuple", Kind("float")), [0.5]),
        (3, Kind("tuple", Kind("int")), [3]),
        ("a", Kind("list", Kind("str")), ["a"]),
        ([(1, 2)], Kind("list"), [[1, 2]]),
    ],
)
def test_values_are_coerced_to_the_declared_type(given: Any, kind: Kind, expected: Any) -> None:
    got = coerce("x", given, kind)
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ("many", Kind("int"), "x should be int, got the text 'many'"),
        ("1.5", Kind("int"), "x should be int, got the text '1.5'"),
        (True, Kind("int"), "x should be int, got True"),
        ("1e999", Kind("float"), "x should be float, got the text '1e999'"),
        (float("nan"), Kind("float"), "x should be float, got nan"),
        ("None", Kind("int"), "x should be int, got the text 'None'"),
        (1, Kind("bool"), "x should be bool, got 1"),
        (1, Kind("str"), "x should be str, got 1"),
        ("[5", Kind("list", Kind("int")), r"x should be list\[int\], got the text '\[5'"),
        ("many", Kind("list", Kind("int")), "x should be int, got the text 'many'"),
        ("[1, 'a']", Kind("list", Kind("int")), "x should be int, got the text 'a'"),
    ],
)
def test_values_of_another_type_are_refused(given: Any, kind: Kind, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        coerce("x", given, kind)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("my/files", "{here}/my/files"),
        ("../other/./grid", "{here}/../other/grid"),
        ("'a,b'", "{here}/a,b"),
        ("~/data", "{home}/data"),
        ("/already/there", "/already/there"),
        ("file.root:Events", "{here}/file.root:Events"),
        ("run*/*.root", "{pattern}/run*/*.root"),
        ("root://server//file.root", "root://server//file.root"),
        ("", ""),
    ],
)
def test_paths_are_relative_to_where_the_command_is_typed(
    typed: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "work [1]"  # brackets that are no pattern
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    places = {"here": here, "home": tmp_path / "home", "pattern": f"{tmp_path}/work [[]1]"}
    declared = declarations("from pathlib import Path\n\nfiles: Path = ''\nmore: list[Path] = []")
    assert [str(d.kind) for d in declared.values()] == ["Path", "list[Path]"]
    assert all(d.kind.is_path for d in declared.values())
    assert coerce("files", typed, declared["files"].kind) == meant.format(**places)
    if "'" not in typed:
        assert coerce("more", [typed], declared["more"].kind) == [meant.format(**places)]


def test_several_values_where_one_is_declared_are_a_sweep() -> None:
    assert values("seed", "0,1,2", Kind("int")) == [0, 1, 2]
    assert values("seed", [0, 1], Kind("int")) == [0, 1]
    assert values("name", "a,'b,c'", Kind("str")) == ["a", "b,c"]
    assert values("labels", "1,2", Kind("list", Kind("int"))) == [[1, 2]]
    assert split("f(1,2),[3,4]") == ["f(1,2)", "[3,4]"]


def test_sources_override_each_other_and_multiply_out() -> None:
    known = declarations(CELL)
    sources = [("preset", {"n_events": 10, "width": 1}), ("-p", {"width": "2,3", "quick": "no"})]
    assert combinations(sources, known) == [
        {"n_events": 10, "width": 2.0, "quick": False},
        {"n_events": 10, "width": 3.0, "quick": False},
    ]
    assert combinations([], known) == [{}]


def test_unknown_parameters_suggest_the_nearest() -> None:
    with pytest.raises(ParameterError, match=r"-p: .*'n_event'; did you mean 'n_events'\?"):
        combinations([("-p", {"n_event": "1"})], declarations(CELL))


# -- runs of a toy study ----------------------------------------------------------------

FIRST = [
    f"""\
from {__name__} import Toy

preset: str = ""
toy: Toy = {{}}  # settings that differ
""",
    """\
import os, sys
import numpy as np, xarray as xr
from presage.products import record
from presage.recipe import Recipe
from presage.store import Store
import matplotlib.pyplot as plt

toy = Toy.preset(preset, toy)
recipe = Recipe("toy", 1, {"n": toy.n}, seed=toy.seed)
made = Store().compute(recipe, lambda: xr.Dataset({"x": ("i", np.arange(toy.n) + toy.seed)}))
print("working", file=sys.stderr)
""",
    "figure, axes = plt.subplots()\naxes.plot(made.x)\nrecord(toy=made, line=figure)",
]
SECOND = [
    FIRST[0] + "fail: bool = False",
    """\
from presage.products import record
from presage.recipe import Recipe
from presage.store import Store
import sys

toy = Toy.preset(preset, toy)
made = Store().get(Recipe("toy", 1, {"n": toy.n}, seed=toy.seed))
if fail:
    raise ValueError("asked to fail")
print(sys.executable)
record(again=made)
""",
]
#: What the toy study starts from, as it is now.
FILES = {"content": "a" * 64}


PRESETS = {"quick": {"n": 2}}


@dataclass(frozen=True)
class Toy(StudySettings):
    """Settings of a toy.

    Parameters
    ----------
    n
        Samples.
    seed
        Of the samples.
    kind
        A name.
    """

    n: int = setting(3, least=1)
    seed: int = setting(0, least=0)
    kind: str = setting("a", choices=("a", "b"))

    presets = PRESETS

    def inputs(self) -> dict[str, str]:
        return FILES


STUDY = Study("toy", "A toy", ("1_make", "2_use"), PRESETS)


def notebook(cells: list[str]) -> str:
    """Return the JSON of a notebook whose first cell is its parameters cell."""
    made = [
        {
            "cell_type": "code", "execution_count": None, "id": f"cell{i}", "outputs": [],
            "metadata": {"tags": ["parameters"]} if i == 0 else {}, "source": text,
        }
        for i, text in enumerate(cells)
    ]  # fmt: skip
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return json.dumps(
        {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    )


@pytest.fixture
def toy(tmp_path: Path) -> dict[str, Any]:
    """Notebooks of the toy study, and where its results go."""
    folder = tmp_path / "notebooks {n}"  # papermill would fill in the braces
    folder.mkdir()
    (folder / "1_make.ipynb").write_text(notebook(FIRST))
    (folder / "2_use.ipynb").write_text(notebook(SECOND))
    return {"notebooks": folder, "store": tmp_path / "out" / "store", "progress": False}


def skipped(run: Any) -> list[bool]:
    return [step.skipped for step in run.steps]


ODD = {
    "nested": b'{"a":' * 60_000,
    "no text": b"\xff\xfe\x00" * 9,
    "a list": b"[1, 2]",
    "nothing": b"",
    "null": b"null",
    "other types": b'{"cells": [3], "earlier": 3}',
    "odd products": b'{"study": "", "step": "", "key": "", "state": "done", "products": 3}',
    "cells of text": b'{"cells": ["code"]}',
}


@pytest.mark.parametrize("kind", ODD)
def test_records_and_notebooks_that_are_none_are_said(kind: str, tmp_path: Path) -> None:
    (tmp_path / "record.json").write_bytes(ODD[kind])
    assert read(tmp_path) is None
    (tmp_path / "1_odd.ipynb").write_bytes(ODD[kind])
    with pytest.raises(PipelineError, match=r"1_odd.ipynb is not a notebook of format 4"):
        Notebook.read(tmp_path / "1_odd.ipynb")


def test_a_folder_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "record.json").mkdir()
    assert read(tmp_path) is None


@pytest.mark.slow
def test_a_kernel_that_is_killed_is_a_sentence(toy: dict[str, Any]) -> None:
    cell = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    (toy["notebooks"] / "1_make.ipynb").write_text(notebook([FIRST[0], cell]))
    with pytest.raises(PipelineError, match=r"1_make failed at a cell .*it was killed"):
        run_study(STUDY, preset="quick", **toy)


@pytest.mark.slow
def test_a_study_runs_skips_and_runs_again_where_something_changed(
    toy: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = run_study(STUDY, preset="quick", **toy)
    store = Store(toy["store"])
    key = Recipe("toy", 1, {"n": 2}).key
    assert run.products == {"toy": key, "again": key}
    assert skipped(run) == [False, False]
    first, second = run.steps
    assert first.folder.parent == tmp_path / "out" / "runs" / "toy"
    assert first.figures["line"].read_bytes()[:4] == b"\x89PNG"
    assert sys.executable in second.notebook.read_text()  # not some other kernel named python3
    assert read(second.folder) == second.record
    assert "PRESAGE_STEP_RECORD" not in os.environ
    # Nothing changed.
    assert skipped(run_study(STUDY, preset="quick", **toy)[0]) == [True, True]
    # A parameter of the second notebook only.
    with pytest.raises(
        PipelineError, match=r"2_use failed at cell \[3\]: ValueError: asked to fail"
    ):
        run_study(STUDY, preset="quick", parameters={"fail": True}, **toy)
    failed = [r for r in map(read, (tmp_path / "out/runs/toy").iterdir()) if r.state == "failed"]
    assert [r.error for r in failed] == ["cell [3]: ValueError: asked to fail"]
    assert (
        "papermill-error-cell"
        in (tmp_path / "out/runs/toy" / failed[0].key[:16] / "2_use.ipynb").read_text()
    )
    # The files became others, and the same again.
    monkeypatch.setitem(FILES, "content", "b" * 64)
    assert skipped(run_study(STUDY, preset="quick", **toy)[0]) == [False, False]
    monkeypatch.setitem(FILES, "content", "a" * 64)
    assert skipped(run_study(STUDY, preset="quick", **toy)[0]) == [True, True]
    # A product is gone: its step runs again, and those that still have theirs do not.
    store.remove(key)
    assert skipped(run_study(STUDY, from_key=first.record.key[:12], **toy)[0]) == [False, True]
    # The code changed.
    (toy["notebooks"] / "2_use.ipynb").write_text(notebook([*SECOND, "1 + 1"]))
    assert skipped(run_study(STUDY, preset="quick", **toy)[0]) == [True, False]
    assert not [p for p in (tmp_path / "out/runs/toy").iterdir() if p.name.startswith(".")]


@pytest.mark.slow
def test_a_sweep_runs_every_combination_and_shares_steps(toy: dict[str, Any]) -> None:
    one = Study("toy", "A toy", ("1_make",))
    runs = run_study(one, parameters={"seed": "0,1"}, **toy)
    assert [run.given for run in runs] == [{"toy": {"seed": 0}}, {"toy": {"seed": 1}}]
    assert len({run.products["toy"] for run in runs}) == 2
    again = run_study(one, parameters={"seed": [1, 0], "n": "3"}, **toy)
    assert [skipped(run) for run in again] == [[True], [True]]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"preset": "quik"}, StudyError, "no preset 'quik'; did you mean 'quick'"),
        ({"parameters": {"m": 1}}, ParameterError, "no notebook has a parameter 'm'"),
        ({"parameters": {"n": "lots"}}, ParameterError, "-p: n should be int, got the text 'lots'"),
        ({"file": {"n": 1.5}}, ParameterError, "the parameter file: n should be int, got 1.5"),
        ({"file": {"toy": {"m": 1}}}, ParameterError, "no notebook has a parameter 'toy.m'"),
        ({"parameters": {"toy.n": 0}}, ValueError, "n should be at least 1, got 0"),
        ({"parameters": {"kind": "c"}}, ValueError, "no kind 'c'; there is a, b"),
        ({"parameters": {"toy": "quik"}}, ValueError, "no preset 'quik'; did you mean 'quick'"),
        ({"from_key": "abc"}, PipelineError, "no step or product of toy with key 'abc'"),
        ({"parameters": {"seed": "0,1,-1"}}, ValueError, "seed should be at least 0, got -1"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_runs(
    arguments: dict[str, Any], error: type[Exception], message: str, toy: dict[str, Any]
) -> None:
    with pytest.raises(error, match=message):
        run_study(STUDY, **arguments, **toy)
    assert not toy["store"].parent.exists()


def test_an_unknown_study_suggests_the_nearest() -> None:
    with pytest.raises(PluginError, match="there is no study 'event'; did you mean 'events'"):
        run_study("event")


def test_notebooks_that_disagree_on_a_parameter_are_refused(toy: dict[str, Any]) -> None:
    (toy["notebooks"] / "1_make.ipynb").write_text(notebook(["n: int = 3"]))
    (toy["notebooks"] / "2_use.ipynb").write_text(notebook(["n: int = 4"]))
    with pytest.raises(ParameterError, match="'int = 3' in 1_make and 'int = 4' in 2_use"):
        notebooks_of(STUDY, toy["notebooks"])


def test_missing_and_broken_notebooks_are_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"there is no notebook .*1_make\.ipynb"):
        notebooks_of(STUDY, tmp_path)
    (tmp_path / "1_make.ipynb").write_text("{}")
    with pytest.raises(PipelineError, match="not a notebook of format 4"):
        notebooks_of(STUDY, tmp_path)


def test_any_change_of_any_ingredient_changes_the_step_key(
    toy: dict[str, Any], tmp_path: Path
) -> None:
    one, two = notebooks_of(STUDY, toy["notebooks"])

    def at(**given: Any) -> Values:
        return Values.of_run(STUDY, (one, two), given, Store(tmp_path))

    def key(values: Values, notebook: Notebook = one, earlier: Any = (), **versions: int) -> str:
        return step_key(STUDY, notebook, values, earlier, {"toy": 1, **versions})

    base = key(at())
    others = [
        key(at(), two),
        key(at(toy={"n": 4})),
        key(at(), earlier=(base,)),
        key(at(), toy=2),
        step_key(Study("other", "", ()), one, at(), (), {"toy": 1}),
        key(Values(at().of, {"events": "b" * 64})),
    ]
    assert len({base, *others}) == 7
    # What a preset says is the same as if it were given, and as the defaults where it is.
    assert key(at(preset="quick")) == key(at(toy={"n": 2})) == key(at(toy={"preset": "quick"}))
    assert key(at(toy={"n": 3})) == base


def test_where_files_lie_is_no_part_of_a_step_key_and_what_they_hold_must_be(
    toy: dict[str, Any], tmp_path: Path
) -> None:
    cell = "from pathlib import Path\n\nfiles: Path = ''"
    (toy["notebooks"] / "1_make.ipynb").write_text(notebook([cell, "files"]))
    one = Study("toy", "A toy", ("1_make",))
    (read_cell,) = notebooks_of(one, toy["notebooks"])
    keys = {step_key(one, read_cell, Values({"files": f"/{at}/grid"}, {}), (), {}) for at in "ab"}
    assert len(keys) == 1
    with pytest.raises(PipelineError, match=r"toy reads files and nothing says .* inputs\(\)"):
        run_study(one, parameters={"files": "grid"}, **toy)


def test_files_that_change_while_a_step_runs_do_not_leave_it_done(
    toy: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def execute(*_: Any, **__: Any) -> None:
        monkeypatch.setitem(FILES, "content", "b" * 64)

    monkeypatch.setattr("presage.pipeline.run.execute", execute)
    with pytest.raises(PipelineError, match="the files that it reads were changed while it ran"):
        run_study(STUDY, **toy)
    (folder,) = (tmp_path / "out/runs/toy").iterdir()
    assert read(folder).state == "failed"


def test_values_are_given_by_short_or_full_names_or_as_mappings(toy: dict[str, Any]) -> None:
    known = known_parameters(notebooks_of(STUDY, toy["notebooks"]))
    assert {n: (str(d.kind), d.default, d.help) for n, d in known.items() if d.section} == {
        "n": ("int", 3, "Samples"),
        "seed": ("int", 0, "Of the samples"),
        "kind": ("str", "a", "A name"),
    }
    assert known["kind"].choices == ("a", "b")
    for given in ({"n": "5"}, {"toy.n": 5}, {"toy_n": 5}, {"toy": {"n": 5}}, {"toy": "{'n': 5}"}):
        assert combinations([("-p", given)], known) == [{"toy": {"n": 5}}]
    assert combinations([("-p", {"toy": "quick"})], known) == [{"toy": {"preset": "quick"}}]


def test_a_field_whose_name_is_taken_is_called_by_its_full_name() -> None:
    cell = f"from {__name__} import Toy\n\nn: int = 1\na: Toy = {{}}\nb: Toy = {{}}"
    known = by_name(declarations(cell).values())
    assert list(known) == ["n", "a.n", "seed", "kind", "b.n", "b.seed", "b.kind"]


@pytest.mark.slow
def test_steps_that_are_optional_run_where_their_parameter_is_given(
    toy: dict[str, Any], tmp_path: Path
) -> None:
    some = Study("toy", "", ("1_make",), PRESETS, optional={"fail": ("2_use",)})
    (run,) = run_study(some, **toy)
    assert [step.record.step for step in run.steps] == ["1_make"]
    (run,) = run_study(some, parameters={"fail": False}, **toy)
    assert [step.record.step for step in run.steps] == ["1_make", "2_use"]
    (again,) = run_study(some, from_key=run.steps[1].record.key, **toy)
    assert skipped(again) == [True, True]
    more = Study("toy", "", ("1_make",), optional={"n": (), "fail": ("2_use",)})
    (toy["notebooks"] / "2_use.ipynb").write_text(notebook([SECOND[0] + "\nmore: int = 0"]))
    with pytest.raises(ParameterError, match=r"more is read by optional steps .*where n or"):
        run_study(more, parameters={"more": 1}, **toy)


def test_records_of_earlier_versions_can_be_read(tmp_path: Path) -> None:
    content = {"study": "toy", "step": "1_make", "key": "c" * 64, "state": "done", "earlier": []}
    folder = tmp_path / "toy" / ("c" * 16)
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps({**content, "given": {"n": 5}}))
    assert find(tmp_path, "ccc", "toy").given == {"n": 5}


def test_prose_and_outputs_do_not_change_a_notebooks_hash(tmp_path: Path) -> None:
    path = tmp_path / "1_make.ipynb"
    path.write_text(notebook(FIRST))
    before = Notebook.read(path).hash
    content = json.loads(path.read_text())
    content["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "hello"}]
    content["cells"].append({"cell_type": "markdown", "id": "m", "metadata": {}, "source": "Hm."})
    path.write_text(json.dumps(content))
    assert Notebook.read(path).hash == before


def test_versions_of_producers_are_found_or_refused() -> None:
    good = Study("toy", "", (), producers={"recipes": "presage.recipe:SCHEMA"})
    assert versions(good) == {"recipes": 1}
    with pytest.raises(PipelineError, match="cannot be loaded"):
        versions(Study("toy", "", (), producers={"x": "presage.recipe:Nothing"}))
    with pytest.raises(PipelineError, match="no integer version"):
        versions(Study("toy", "", (), producers={"x": "presage.recipe:encode"}))
