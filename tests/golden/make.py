"""Add to the golden archive what is new in the table, with the code that Python finds.

    PYTHONPATH=<checkout of the release>/package:tests python -m golden.make FOLDER

keeps ``old.tar.xz`` (a store with everything of :mod:`golden.things`, runs of the studies as
their records stand, the files that were read) and ``keys.json`` beside this file. What is there
stays as it was made; it is run when a source, a thing or a study was added to the tables, with the
code that is to be held to, and never because a test fails.
"""

from __future__ import annotations

import hashlib
import json
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
    """Make what is missing in a folder, then archive and table."""
    folder.mkdir(parents=True)
    archive, keys, files = HERE / "old.tar.xz", HERE / "keys.json", folder / "files"
    held: dict[str, Any] = {"environment": fingerprint(), "made": {}, "runs": {}}
    if archive.exists():
        held = json.loads(keys.read_text(encoding="utf-8"))
        with tarfile.open(archive) as before:
            before.extractall(folder, filter="data")
    else:
        files.mkdir()
        write_files(files, ps.Store(folder / "scratch"))
    store = ps.Store(folder / "store")
    place, new = Place(store, files), {}
    for name in [name for name in SOURCES if name not in held["made"]]:
        made = place.simulate(name)
        new[name] = {"key": key_of(made), "samples": bits(made), "environment": fingerprint()}
    for name in [name for name in THINGS if name not in held["made"]]:
        new[name] = {"key": key_of(THINGS[name](place)), "environment": fingerprint()}
    held["made"] |= new
    for study in [study for study in RUNS if study not in held["runs"]]:
        (run,) = run_study(study, preset="tiny", parameters=RUNS[study], store=store)
        steps = [step.folder.name for step in run.steps]
        held["runs"][study] = {"steps": steps, "products": run.products}
        leave_records(folder / "runs" / study)
    keys.write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")
    with tarfile.open(archive, "w:xz", preset=9) as after:
        for name in ("store", "runs", "files"):
            after.add(folder / name, name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
