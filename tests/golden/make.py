"""Make the golden archive anew, with the code that Python finds: that of a release.

    PYTHONPATH=<checkout of the release>/package:tests python -m golden.make FOLDER

leaves ``old.tar.xz`` (a store with everything of :mod:`golden.things`, runs of the studies as
their records stand, the files that were read) and ``keys.json`` beside this file. It is run
when something was added to the table, with the code that is to be held to; never because a
test fails. What a new study makes joins the archive with the code of its first release.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import xarray as xr

import presage as ps
from golden.things import SOURCES, THINGS, Place, key_of
from presage.pipeline import run_study
from presage.store.sidecar import fingerprint
from presage.studies.events import write_root

HERE = Path(__file__).parent
#: Study → parameters that make its preset ``tiny`` tinier still.
RUNS: dict[str, dict[str, Any]] = {
    "events": {"grid": [4, 4], "n_events": 1600, "n_truth": 400, "n_grid": 100, "epochs": 1,
               "n_generated": 400, "hidden": [8], "bins": 4, "histogram_bins": 12},
    "pdf": {"n_samples": 80, "n_events": 20, "n_calibration": 40, "sizes": [20], "n_draws": 100,
            "n_proposals": 500, "n_ranked": 100, "n_kept": 10, "epochs": 1},
}  # fmt: skip


def bits(dataset: xr.Dataset) -> str:
    """Return a hash of the bytes of all variables of a dataset."""
    digest = hashlib.sha256()
    for name in sorted(map(str, dataset.data_vars)):
        values = np.ascontiguousarray(dataset[name].values)
        digest.update(f"{name} {values.dtype.str} {values.shape}".encode() + values.tobytes())
    return digest.hexdigest()[:16]


def write_files(folder: Path, store: ps.Store) -> None:
    """Write the files that readers read."""
    rng = np.random.default_rng(0)
    source = SOURCES["resonance, equal weights"][0](folder)
    write_root(ps.simulate(source, 180, store=store), folder / "grid")
    labels = rng.choice([1.0, 2.0], 60)
    held = np.stack([rng.normal(labels), rng.normal(size=60), labels], axis=-1)
    np.save(folder / "events.npy", held)
    low, high = np.array([(-2, 2), (-2, 2), (0.5, 2), (0.5, 2), (-0.8, 0.8)]).T
    theta = (low + (high - low) * rng.random((6, 5))).astype("float32")
    events = rng.normal(size=(6, 2, 8, 2)).astype("float32")
    np.savez(
        folder / "gaussian_ns6_ne8_nr2.npz", thetas=theta, events=events,
        problem=np.array(["gaussian"]), num_samples=[6], num_events=[8], n_repeat=[2],
        theta_shape=theta.shape, events_shape=events.shape,
    )  # fmt: skip


def leave_records(runs: Path) -> None:
    """Take the pictures out of executed notebooks and from beside them: records are meant."""
    for path in runs.rglob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        notebook.metadata.pop("papermill", None)
        for cell in notebook.cells:
            cell.metadata.pop("papermill", None)
            if cell.cell_type == "code":
                cell.outputs = []
            if "injected-parameters" in cell.metadata.get("tags", ()):
                cell.source = ""  # holds the path of the store
        nbformat.write(notebook, path)
    pixel = b"\x89PNG\r\n\x1a\n"
    for path in runs.rglob("*.png"):
        path.write_bytes(pixel)
    for path in (*runs.rglob("*.pdf"), *runs.rglob("*.svg")):
        path.unlink()


def main(folder: Path) -> None:
    """Make all of it in a folder, then archive and table."""
    folder.mkdir(parents=True)
    store, files = ps.Store(folder / "store"), folder / "files"
    files.mkdir()
    write_files(files, ps.Store(folder / "scratch"))
    place, table = Place(store, files), {}
    for name in SOURCES:
        made = place.simulate(name)
        table[name] = {"key": key_of(made), "samples": bits(made)}
    for name, make in THINGS.items():
        table[name] = {"key": key_of(make(place))}
    runs = {}
    for study, parameters in RUNS.items():
        (run,) = run_study(study, preset="tiny", parameters=parameters, store=store)
        runs[study] = {"steps": [s.folder.name for s in run.steps], "products": run.products}
    leave_records(folder / "runs")
    shutil.rmtree(folder / "scratch")
    held = {"environment": fingerprint(), "made": table, "runs": runs}
    (HERE / "keys.json").write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")
    with tarfile.open(HERE / "old.tar.xz", "w:xz", preset=9) as archive:
        for name in ("store", "runs", "files"):
            archive.add(folder / name, name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
