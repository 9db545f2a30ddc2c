"""What an earlier release left is what this one makes: keys, bytes, numbers, whole stores.

``golden/old.tar.xz`` was written by the code of a release, see ``golden/make.py``. A key that
is another one now means that nobody's datasets are found again; other bytes under the same
key that old and new results are mixed. Where a result has to change, its producer's `version`
rises, and the producer is named in :data:`RAISED`.
"""

from __future__ import annotations

import json
import math
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import presage as ps
from browsing import Visit, needs_browser, start
from golden.make import bits
from golden.things import SOURCES, THINGS, Place, key_of
from guides import command as presage
from presage.pipeline.parameters import combinations
from presage.pipeline.records import find, read
from presage.pipeline.steps import known_parameters, notebooks_of
from presage.store import StoreError
from presage.store.sidecar import fingerprint
from presage.studies import events as events_study
from presage.studies import pdf as pdf_study
from presage.studies import study as find_study
from presage.studies.pdf.calibration_figures import calibration_figure
from presage.studies.pdf.measure import Effort, posteriors
from presage.studies.pdf.posterior_figures import corner_figure, curves_figure

HERE = Path(__file__).parent / "golden"
TABLE = json.loads((HERE / "keys.json").read_text(encoding="utf-8"))
MADE = {name: held["key"] for name, held in TABLE["made"].items()}
#: Producer → the version that it has now, where that is above the one in the archive.
RAISED: dict[str, int] = {
    "residuals": 4,
    **dict.fromkeys(
        ("fit-spline_flow", "fit-coupling_spline", "fit-maf", "fit-realnvp", "fit-mixture_density"),
        4,
    ),
    "fit-ensemble": 16,
    "fit-set_encoder": 2,
    "pdf_posteriors": 3,
    "pdf_reference": 2,
}
#: Numbers that hang on single draws, or are the rounding itself: with other libraries only their
#: mean is held to.
CHANCY = ("aliasing", "posteriors", "calibration", "reference", "refinement", "ranking", "held out")


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that an earlier release left: store, runs and files."""
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(HERE / "old.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def kept(old: Path) -> Place:
    """The store of the earlier release, to be worked with."""
    return Place(ps.Store(old / "store"), old / "files")


@pytest.fixture(scope="module")
def again(old: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A store that holds the earlier release's models and nothing else."""
    root = tmp_path_factory.mktemp("again") / "store"
    for folder in (old / "store").glob("fit-*"):
        shutil.copytree(folder, root / folder.name)
    return Place(ps.Store(root), old / "files")


@pytest.fixture(scope="module")
def anew(old: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """An empty store."""
    return Place(ps.Store(tmp_path_factory.mktemp("anew") / "store"), old / "files")


def is_raised(store: ps.Store, key: str) -> bool:
    """Say whether a dataset, or one that it was made from, is of a raised version."""
    try:
        recipe = store.find(key)
    except StoreError:  # made on the fly
        return False
    return recipe.version == RAISED.get(recipe.producer) or any(
        is_raised(store, parent.key) for parent in recipe.parents
    )


def same_key(made: Any, name: str, store: ps.Store) -> None:
    assert key_of(made) == MADE[name] or is_raised(store, key_of(made)), (
        f"{name} has another key than before. Only where its result changes: raise its "
        "producer's version and name it in RAISED and in the CHANGELOG"
    )


def is_same_environment(name: str) -> bool:
    """Say whether it was made with the libraries and the kind of processor of today."""
    return fingerprint() == TABLE["made"][name].get("environment", TABLE["environment"])


def close(new: Any, before: Any, name: str) -> None:
    """Compare all variables of an earlier dataset with those of today."""
    for variable in before.data_vars:
        a, b = np.asarray(new[variable].values), np.asarray(before[variable].values)
        where = f"{name}: {variable}"
        assert (a.shape, a.dtype) == (b.shape, b.dtype), where
        about = [
            {k: np.asarray(v).tolist() for k, v in d[variable].attrs.items()} for d in (new, before)
        ]
        assert about[0] == about[1], where
        if is_same_environment(name):
            np.testing.assert_array_equal(a, b, err_msg=where)
        elif a.dtype.kind not in "fc":
            chancy = any(word in name for word in CHANCY)
            assert a.size == 0 or np.mean(a != b) < (0.1 if chancy else 0.02), where
        elif any(word in name for word in CHANCY):  # a contour's end may move
            assert np.mean(np.isnan(a) != np.isnan(b)) < 0.02, where
            spread = max(float(np.nanstd(b)), abs(float(np.nanmean(b)))) if b.size else 0.0
            np.testing.assert_allclose(np.nanmean(a), np.nanmean(b), atol=0.1 * spread)
        else:  # a rare event may fall on the other side of a cut
            equal = np.isclose(a, b, rtol=2e-4, atol=1e-6, equal_nan=True)
            assert np.mean(~equal) < 0.02, where


def alike(a: Any, b: Any, share: float) -> bool:
    """Compare declarations, whose numbers are sums that another processor rounds otherwise."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(alike(a[k], b[k], share) for k in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(alike(x, y, share) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=share, abs_tol=share / 10)
    return bool(a == b)


def test_every_entry_of_the_archive_is_in_the_table() -> None:
    assert set(MADE) == {*SOURCES, *THINGS}


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_makes_the_same_samples_under_the_same_key(
    name: str, kept: Place, anew: Place
) -> None:
    made = anew.simulate(name)
    same_key(made, name, anew.store)
    if not is_raised(anew.store, key_of(made)):
        count = made.sizes[made.attrs["presage_sample"]]
        close(made, kept.store.open(MADE[name], 0, count), name)
        if is_same_environment(name):
            assert bits(made) == TABLE["made"][name]["samples"]


@pytest.mark.parametrize("name", THINGS)
def test_what_was_made_is_found_again(name: str, kept: Place) -> None:
    same_key(THINGS[name](kept), name, kept.store)


@pytest.mark.parametrize(
    "name", [n for n in THINGS if n != "refinement" and not n.startswith("fit ")]
)
def test_what_is_made_from_the_same_weights_has_the_same_numbers(
    name: str, kept: Place, again: Place
) -> None:
    made = THINGS[name](again)
    if isinstance(made, xr.Dataset) and not is_raised(again.store, key_of(made)):
        close(made, kept.store.open(MADE[name]), name)


@pytest.mark.parametrize("name", [name for name in THINGS if name.startswith("fit ")])
def test_a_training_leaves_the_same_weights(name: str, kept: Place, anew: Place) -> None:
    made, before = THINGS[name](anew), ps.load(MADE[name], kept.store)
    if is_raised(anew.store, made.key):
        return
    share = 1e-3 if is_same_environment(name) else 1e-2
    for tensor, value in before.network.state_dict().items():
        a, b = made.network.state_dict()[tensor].numpy(), value.numpy()
        np.testing.assert_allclose(a, b, rtol=share, atol=share / 10, err_msg=tensor)
    assert alike(made.declaration, before.declaration, share)
    xr.testing.assert_allclose(
        made.history.drop_vars("seconds"), before.history.drop_vars("seconds"), rtol=share
    )


def test_the_store_is_whole_and_simulates_again(old: Path, capsys: Any) -> None:
    before = len(ps.Store(old / "store").list())
    presage("store", "verify", "--fraction", "0.02", "--store", str(old / "store"))
    said = capsys.readouterr().out.splitlines()
    assert len(said) == before
    assert all("hashes fit" in line for line in said)
    assert sum("simulated again are equal" in line for line in said) >= len(SOURCES) - 3


def test_every_entry_is_listed_and_shown_and_every_model_loads(old: Path, capsys: Any) -> None:
    store = ps.Store(old / "store")
    presage("store", "ls", "--store", str(store.root))
    listed, seen = capsys.readouterr().out, set()
    for entry in store.list():
        assert entry.state == "complete"
        assert entry.key[:8] in listed
        if entry.producer not in seen:  # show opens it
            presage("store", "show", entry.key[:16], "--store", str(store.root))
            assert f"{entry.producer} version" in capsys.readouterr().out
            seen.add(entry.producer)
        if entry.producer.startswith("fit-"):
            assert ps.load(entry.key, store).key == entry.key


def test_the_settings_of_a_run_find_its_products(kept: Place) -> None:
    products = TABLE["runs"]["events"]["products"]
    sizes = {"n_events": 1600, "n_truth": 400, "n_grid": 100}
    events = events_study.Campaign(store=kept.store, grid=(4, 4), interior=1, edge=1, **sizes)
    # The flow of another version than today's is found by its key.
    fitted = ps.load(products["fit"], kept.store)
    assert key_of(events.draw(fitted, 400)) == products["drawn"]
    products = TABLE["runs"]["pdf"]["products"]
    sizes = {"n_samples": 80, "n_events": 20, "n_repeat": 2, "n_observations": 2}
    sizes |= {"towards_edges": 0.0}
    sets = pdf_study.Campaign(store=kept.store, n_calibration=40, **sizes)
    encoder, posterior = (ps.load(products[name], kept.store) for name in ("encoder", "posterior"))
    inference = pdf_study.Inference(sets.single, encoder, posterior)
    made = posteriors(sets, inference, [20], Effort(n_draws=100, n_proposals=500), False)
    before = kept.store.open(products["posteriors"])
    # The exact posterior is drawn in another way than it was; the estimate is the same.
    kinds = [a.sel(kind="estimate") for a in (made["draws"], before["draws"])]
    np.testing.assert_allclose(*(a.mean("draw") for a in kinds), atol=0.05)


@pytest.mark.parametrize("study", TABLE["runs"])
def test_the_record_of_a_run_is_read(study: str, old: Path) -> None:
    steps, products = TABLE["runs"][study]["steps"], TABLE["runs"][study]["products"]
    records = [read(old / "runs" / study / step) for step in steps]
    assert all(record is not None and record.state == "done" for record in records)
    given = records[0].given
    for key in products.values():
        assert find(old / "runs", key[:16], study).given == given
    (taken,) = combinations([("--from", given)], known_parameters(notebooks_of(find_study(study))))
    assert json.dumps(next(iter(given.values()))) in json.dumps(taken)


def product(old: Path, study: str, name: str) -> xr.Dataset:
    return ps.Store(old / "store").open(TABLE["runs"][study]["products"][name])


def test_figures_are_drawn_from_old_products(old: Path) -> None:
    residuals = ps.Residuals(product(old, "events", "residuals"))
    assert {"flow", "morphing", "nearest", "floor"} <= set(residuals.dataset["source"].values)
    assert "W1/std" in residuals.verdict()
    assert len(residuals.table()) > 0
    assert len(residuals.equivalent()) > 0
    posteriors = product(old, "pdf", "posteriors")
    pages = [
        residuals.figure(),
        residuals.marginals(),
        residuals.pulls(),
        residuals.map("w1_over_std"),
        corner_figure(posteriors, 0),
        curves_figure(posteriors, 0),
        calibration_figure(product(old, "pdf", "calibration")),
    ]
    assert all(page.axes for page in pages)
    for page in (pages[0], pages[-1]):
        assert page._repr_png_()[:4] == b"\x89PNG"


@needs_browser
@pytest.mark.browser
def test_the_dashboard_shows_old_products(
    old: Path, browser: Any, servers: Any, tmp_path: Path
) -> None:
    site = start(old / "store", "", servers, tmp_path / "server.log")
    page, faults = browser.new_page(viewport={"width": 1280, "height": 800}), []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    for study, name in (("events", "residuals"), ("pdf", "posteriors")):
        key = TABLE["runs"][study]["products"][name]
        visit = Visit(page, faults).open(site.url, f"?page={study}&key={key[:16]}")
        assert sum(map(bool, visit.pixels())) >= 4, study
        assert key[:8] in visit.piece(".provenance")
    page.goto(f"{site.url}?page=store")
    page.locator("table.entries tr").first.wait_for()
    assert len(ps.Store(old / "store").list()) + 1 == page.locator("table.entries tr").count()
    page.close()
    assert faults == []
    assert "Traceback" not in site.log.read_text(encoding="utf-8")
