"""The notebook of expected limits runs from its first cell to its last, and leaves what it says."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import papermill
import pyhf
import pytest
import uproot

from presage.analysis.limit_figure import limit_figure
from presage.labels import LabelError

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "examples" / "limits.ipynb"
TINY = {
    "n_events": 100, "n_truth": 2000, "masses": 8, "scanned": 1, "members": 2, "resampled": 2,
    "folds": 2, "epochs": 2, "bins": 6, "n_templates": 1000,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:jsonschema.RefResolver is deprecated:DeprecationWarning")
def test_the_notebook_runs_and_its_files_are_read(tmp_path: Path) -> None:
    given = {**TINY, "store": str(tmp_path / "store"), "export_to": str(tmp_path / "made.root")}
    papermill.execute_notebook(
        NOTEBOOK, tmp_path / "out.ipynb", given, kernel_name="python3", progress_bar=False
    )
    notebook = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    outputs = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    said = "".join(output.get("text", "") for output in outputs)
    assert "by the flow, over full simulation" in said
    space = pyhf.Workspace(json.loads((tmp_path / "made.json").read_text()))
    with uproot.open(tmp_path / "made.root") as file:
        assert len(file.keys(recursive=False)) == 4  # a mass that is scanned, three left out
        (folder,) = [k for k in file if k.startswith("phi_label_1857") and k.endswith("nominal;1")]
        signal = next(s for s in space["channels"][0]["samples"] if s["name"] == "signal")
        assert file[folder].values() == pytest.approx(signal["data"])


def test_a_figure_of_limits_has_a_line_for_each_thing() -> None:
    page = limit_figure([1.0, 2.0], [[1, 2, 3], [2, 3, 4]], {"truth": ([1.5], [2.5])}, "mass")
    (axes,) = page.axes
    assert [line.get_label() for line in axes.lines] == ["median, interpolated templates", "truth"]
    assert axes.get_yscale() == "log"
    with pytest.raises(LabelError, match="2 rows of three"):
        limit_figure([1.0, 2.0], [[1, 2, 3]], {}, "mass")
