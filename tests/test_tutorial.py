"""The tutorial runs from its first cell to its last, and says what its text says it says."""

from __future__ import annotations

from pathlib import Path

import nbformat
import papermill
import pytest
import uproot

from presage.store import Store

pytestmark = pytest.mark.slow

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "examples" / "tutorial.ipynb"
TINY = {"n_events": 6_400, "n_truth": 500, "n_map": 60, "epochs": 1, "folds": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The executed notebook, its store and its file."""
    top = tmp_path_factory.mktemp("tutorial")
    given = {**TINY, "store": str(top / "store"), "export_to": str(top / "drawn.root")}
    papermill.execute_notebook(
        NOTEBOOK, top / "out.ipynb", given, kernel_name="python3", progress_bar=False
    )
    return top


def test_it_runs_and_shows_pictures(folder: Path) -> None:
    notebook = nbformat.read(folder / "out.ipynb", as_version=4)
    outputs = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 4
    said = "".join(output.get("text", "") for output in outputs)
    assert "6200 events to train on, 200 held out" in said
    assert "flow at 3 held-out labels" in said
    table = next(
        o.data["text/html"] for o in outputs if "AUC flow" in o.get("data", {}).get("text/html", "")
    )
    for word in ("W1/std phi_mass floor", "morphing", "equivalent events"):
        assert word in table


def test_its_words_are_those_of_the_package(folder: Path) -> None:
    """A metric or source that the text explains stands in the table, by the same name."""
    notebook = nbformat.read(folder / "out.ipynb", as_version=4)
    text = "".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    (product,) = [e for e in Store(folder / "store").list() if e.producer == "residuals"][:1]
    dataset = Store(folder / "store").open(product.key)
    for source in set(dataset["source"].values) - {"reference", "flow", "floor"}:
        assert f"*{source}*" in text


def test_what_it_exports_is_a_plain_tree(folder: Path) -> None:
    with uproot.open(folder / "drawn.root") as file:
        events = file["Events"].arrays(library="np")
    assert set(events) == {"phi_label", "omega_label", "phi_mass", "omega_mass"}
    assert len(events["phi_mass"]) == 3 * TINY["n_truth"]
