"""Laws that every figure keeps: what a paper asks of it, from one table of figures."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import xarray as xr

import pdf_toys
from drawn import grey_faults, legends, text_faults
from event_toys import LABELS, OBSERVABLES, observables
from presage.analysis import figures
from presage.analysis.canvas import WIDTH, Page
from presage.analysis.pull_figure import pulls_figure
from presage.analysis.residuals import compare
from presage.products import record, save_figure
from presage.studies.events.refine import gain_figure, ranking_figure
from presage.studies.pdf import posterior_figures
from presage.studies.pdf.calibration_figures import calibration_figure
from presage.studies.pdf.set_figures import information_figure, point_figure, sets_figure


@cache
def product(d: int, labels: int = 2, truth: int = 400) -> xr.Dataset:
    """Residuals of a model and two rivals; one label in four has as much truth as is said."""
    counts = [400] * (2**labels - 1) + [truth]
    reference, *others = (
        observables(d, labels, counts=counts, seed=s, shift=0.08 * s) for s in range(4)
    )
    names = ("spline_flow", "histogram_morphing", "nearest")
    return compare(
        reference, dict(zip(names, others, strict=True)), classifier=False,
        held_out_labels=[(1.0,) * labels], trained_labels=[(2.0,) * labels],
    )  # fmt: skip


@cache
def gain(labels: int) -> xr.Dataset:
    rng, names = np.random.default_rng(0), LABELS[:labels]
    axes = np.meshgrid(*[np.arange(4.0)] * labels)
    about = {n: {"long_name": t, "units": u, "role": "parameter"} for n, t, u in names}
    columns = {n: ("label", a.ravel(), about[n]) for (n, *_), a in zip(names, axes, strict=True)}
    added = {f"added_{n}": (("arm", "added"), np.array([[np.nan] * 2, [1, 2], [2, 3.0]]))
             for n in columns}  # fmt: skip
    size = 4**labels
    error = rng.lognormal(-4, 0.5, (3, size))
    found = {"w1_over_std": (("arm", "label"), error), "floor": ("label", np.full(size, 4e-3))}
    return xr.Dataset(found | added, coords={"arm": ["before", "chosen", "random"], **columns})


@cache
def ranking(labels: int) -> xr.Dataset:
    there = gain(labels).rename(label="rank")
    columns = {name: there[name] for name, *_ in LABELS[:labels]}
    return xr.Dataset({"expected_error": ("rank", there["w1_over_std"].values[0])}, columns)


def posteriors() -> xr.Dataset:
    return pdf_toys.posteriors(2, 500, (10, 100))


@cache
def sets() -> xr.Dataset:
    from presage.studies.pdf.gaussian import Gaussian

    return pdf_toys.observed(Gaussian(n_events=200), 4)


def history(*losses: np.ndarray) -> xr.Dataset:
    names = ("loss", "validation_loss")
    epoch = np.arange(1, len(losses[0]) + 1)
    columns = {n: ("epoch", v) for n, v in zip(names, losses, strict=False)}
    return xr.Dataset(columns, coords={"epoch": epoch})


def limit() -> xr.Dataset:
    theta = sets()["theta"]
    return xr.Dataset({"deviation": abs(0.2 + 0.1 * theta / 2)})


FALL = np.exp(-np.arange(40) / 9)
#: Name → figure, and how many sets of axes it shows.
FIGURES = {
    **{
        f"residual of {d}": (lambda d=d: figures.residual_figure(product(d)), n)
        for d, n in ((1, 3), (2, 6), (3, 10), (5, 26))
    },
    "residual of a pair": (lambda: figures.residual_figure(product(5), pair="pt,angle"), 6),
    **{f"marginals of {d}": (lambda d=d: figures.marginals(product(d)), 3 * d) for d in (2, 4)},
    **{f"pulls of {d}": (lambda d=d: pulls_figure(product(d)), 2 * d) for d in (1, 3)},
    "pulls of a rival": (lambda: pulls_figure(product(2), "nearest"), 4),
    **{
        f"map of {n} labels": (lambda n=n: figures.label_map(product(2, n)), 1 + (n > 1))
        for n in (1, 2, 3)
    },
    "map of unequal truth": (lambda: figures.label_map(product(2, 2, 4000)), 4),
    "map of a sign": (lambda: figures.label_map(product(2), "mean_shift", variable="mass"), 2),
    "map of sizes": (lambda: figures.label_map(product(2), "equivalent_events"), 2),
    "map without a value": (lambda: figures.label_map(product(2), "auc"), 2),
    **{
        f"events of {d} at {side}^{n}": (
            lambda d=d, n=n, side=side: figures.label_scatter(observables(d, n, side), most=900),
            min(max(d - 1, 1), 4) + (side**n > 6),
        )
        for d, n, side in ((1, 1, 3), (1, 2, 4), (2, 1, 2), (2, 2, 5), (3, 3, 2), (5, 1, 2))
    },
    "history": (lambda: figures.history_figure(history(FALL + 0.2, FALL + 0.3)), 1),
    "history of few": (lambda: figures.history_figure(history(FALL[:2], FALL[:2] + 1e-3)), 1),
    "history below zero": (lambda: figures.history_figure(history(FALL - 0.5, FALL - 0.4)), 1),
    **{f"gain of {n}": (lambda n=n: gain_figure(gain(n)), 4 + (n > 1)) for n in (1, 2)},
    **{f"ranking of {n}": (lambda n=n: ranking_figure(ranking(n), 3), n) for n in (1, 2)},
    "corner": (lambda: posterior_figures.corner_figure(posteriors()), 15),
    "curves": (lambda: posterior_figures.curves_figure(posteriors()), 4),
    "calibration": (lambda: calibration_figure(pdf_toys.calibration(300, 60)), 5),
    "sets": (lambda: sets_figure(sets()), 2),
    "information": (lambda: information_figure(limit(), sets()["theta"]), 1),
    "points": (lambda: point_figure(sets()["theta"] + 0.1, sets()["theta"]), 5),
}  # fmt: skip


@cache
def made(name: str) -> Page:
    return FIGURES[name][0]()


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_can_be_printed(name, monkeypatch):
    page, shown = made(name), FIGURES[name][1]
    assert text_faults(page, monkeypatch) == []
    assert page.get_figwidth() <= WIDTH
    visible = [axis for axis in page.axes if axis.get_visible()]
    assert len(visible) == shown
    if name != "events of 1 at 4^2":  # a colour bar tells these labels apart, by brightness
        assert [fault for axis in visible for fault in grey_faults(axis)] == []


LABELLED = {f"residual of {d}": OBSERVABLES[:d] for d in (1, 2, 3, 5)}
LABELLED |= {"residual of a pair": OBSERVABLES[1:4:2], "marginals of 4": OBSERVABLES[:4]}
LABELLED |= {f"map of {n} labels": LABELS[: min(n, 2)] for n in (1, 2, 3)}
LABELLED |= {"events of 5 at 2^1": OBSERVABLES, "events of 1 at 3^1": OBSERVABLES[:1]}


@pytest.mark.parametrize("name", LABELLED)
def test_axes_have_long_names_and_units(name):
    page = made(name)
    words = {
        label.replace("\n", " ")
        for axis in [*page.axes, *(inset for a in page.axes for inset in a.child_axes)]
        for label in (axis.get_xlabel(), axis.get_ylabel())
        if axis.get_visible()
    }
    known = LABELLED[name]
    assert {f"{title} [{unit}]" if unit != "1" else title for _, title, unit in known} <= words


@pytest.mark.parametrize(
    ("name", "expected"),
    {
        "residual of 5": ("reference", "spline flow", "contours: 50 and 90 % of events"),
        "marginals of 2": ("reference", "spline flow", "histogram morphing", "nearest"),
        "pulls of 3": ("unit normal", "68 % of labels, by chance", "95 % of labels, by chance"),
        "map of 2 labels": ("held out", "floor, median"),
        "map of 1 labels": ("held out", "floor", "spline flow"),
        "map without a value": ("no value here",),
        "events of 2 at 2^1": ("1 GeV", "2 GeV"),
        "history": ("training loss", "validation loss", "lowest validation loss"),
        "information": ("observation 0", "observation 3", "the prior's own"),
        "corner": ("estimate", "truth", "prior"),
        "calibration": ("mean of x", "density of x", "95 % by chance"),
        "gain of 2": ("label added",),
    }.items(),
)
def test_several_series_have_a_legend(name, expected):
    assert set(expected) <= set(legends(made(name)))


def test_epochs_are_whole():
    page = figures.history_figure(history(FALL[:2]))
    page.draw_without_rendering()
    assert all(float(t).is_integer() for t in page.axes[0].get_xticks())


def test_labels_with_more_truth_have_a_panel_scale_and_floor_of_their_own():
    found = product(2, 2, 4000)
    few, many = figures.label_map(found).axes[:2]
    assert few.get_title("left") == "400 events of truth a label"
    assert many.get_title("left") == "4\u202f000 events of truth a label"
    tiles = [axis.collections[0] for axis in (few, many)]
    assert [int(np.ma.count(mesh.get_array())) for mesh in tiles] == [3, 1]
    assert tiles[0].get_clim() != tiles[1].get_clim()
    floor = found["w1_over_std"].sel(source="floor").max("variable").values
    marks = [axis.lines[-1].get_ydata()[0] for axis in figures.label_map(found).axes[2:]]
    assert marks == [pytest.approx(np.median(floor[:3])), pytest.approx(floor[3])]


def test_of_labels_at_one_place_the_worst_size_is_shown():
    found = product(2, 3)
    mesh = figures.label_map(found, "equivalent_events").axes[0].collections[0]
    sizes = found["equivalent_events"].sel(source="spline_flow").min("variable")
    expected = [sizes.values[found["mass_label"] == 1].reshape(2, 2).min(axis=1)]
    assert mesh.get_array().reshape(2, 2)[:, 0].tolist() == pytest.approx(expected[0].tolist())


def test_of_many_variables_the_corner_shows_the_worst_five():
    names = tuple(f"x{k}" for k in range(6))
    rng = np.random.default_rng(0)

    def six(shift):
        table = xr.Dataset({n: ("event", rng.standard_normal(300)) for n in names})
        table["x_label"] = ("event", np.zeros(300), {"role": "parameter"})
        return table.assign(x3=table["x3"] * 0 + rng.standard_normal(300) + shift)

    page = figures.residual_figure(compare(six(0.0), {"f": six(1.0)}, classifier=False))
    assert len(page.axes) == 26
    assert "the 5 of 6 variables with the largest W1/std" in page.get_suptitle()
    labels = {axis.get_ylabel() for axis in page.axes}
    assert "x3" in labels


@pytest.mark.parametrize("name", ["residual of 2", "history"])
def test_files_are_the_same_bytes_every_time_with_text_as_text(name, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        save_figure(FIGURES[name][0](), tmp_path / folder / "figure")
    for suffix in ("png", "pdf", "svg"):
        one, two = ((tmp_path / f / f"figure.{suffix}").read_bytes() for f in "ab")
        assert one == two
        assert len(one) < 500_000
    svg = (tmp_path / "a" / "figure.svg").read_text(encoding="utf-8")
    assert "<text" in svg
    pdf = (tmp_path / "a" / "figure.pdf").read_bytes()
    assert b"/Type3" not in pdf
    assert b"/FontFile2" in pdf
    assert b"CreationDate" not in pdf


def test_a_notebook_keeps_its_figures_in_three_formats(tmp_path, monkeypatch):
    monkeypatch.setenv("PRESAGE_STEP_RECORD", str(tmp_path / "record.json"))
    record(losses=made("history"))
    kept = {path.name for path in tmp_path.glob("losses.*")}
    assert kept == {"losses.png", "losses.pdf", "losses.svg"}
