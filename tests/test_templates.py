"""Templates of a fit: covariances as variations, errors carried between labels, ROOT, pyhf."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyhf
import pytest
import uproot
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from presage.analysis.variations import eigenvariations, excess, spread
from presage.emulation import HeldOut, Templates, counted_templates, templates
from presage.emulation.binning import Binning
from presage.emulation.transport import nearness
from presage.fitting import fit
from presage.generate import simulate
from presage.labels import LabelError, Variable
from presage.models import Ensemble
from presage.store import Store
from presage.studies.events.gaussians import Gaussians, Line

# -- covariances ------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(1, 12))
def test_eigenpairs_give_the_covariance_back(seed: int, rank: int, bins: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((rank, bins))
    covariance, expected = root.T @ root, rng.uniform(0.1, 100, bins)
    found = eigenvariations(covariance, expected, share=1.0)
    assert np.allclose(found.vectors.T @ found.vectors, covariance, atol=1e-9 * covariance.max())
    assert found.share == pytest.approx(1)
    assert (np.diff(found.shares) <= 1e-12).all()
    some = eigenvariations(covariance, expected, share=0.8)
    assert some.share >= 0.8 - 1e-9
    assert some.share - some.shares[-1] < 0.8  # none more than it takes
    # What is left out is the variance that the share says is left out, in Poisson errors.
    left = (covariance - some.vectors.T @ some.vectors) / expected
    whole = np.trace(covariance / expected)
    assert np.trace(left) / whole == pytest.approx(1 - some.share, abs=1e-9)


@pytest.mark.parametrize(("shape", "share"), [((2, 3), 0.9), ((3, 3), 0.0), ((3, 3), 1.1)])
def test_a_covariance_that_does_not_fit_is_refused(shape: tuple[int, int], share: float) -> None:
    with pytest.raises(LabelError, match=r"3 bins have a covariance \(3, 3\)"):
        eigenvariations(np.zeros(shape), np.ones(3), share=share)


def test_the_spread_of_members_is_that_of_their_law() -> None:
    rng = np.random.default_rng(1)
    root = np.array([[1.0, 0.0], [0.5, 2.0]])
    members = 10 + rng.standard_normal((4000, 2)) @ root.T
    assert np.allclose(spread(members), root @ root.T, atol=0.3)
    with pytest.raises(LabelError, match="two members"):
        spread(members[:1])


def _pairs(p: np.ndarray, shifts: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Differences of samples of p + shift and of p."""
    rows = [rng.multinomial(n, p + shift) - rng.multinomial(n, p) for shift in shifts]
    return np.array(rows) / n


def test_what_chance_explains_is_no_uncertainty() -> None:
    """Samples of one law differ by chance alone: in nearly all cases nothing is left."""
    rng, p, n, samples = np.random.default_rng(2), np.full(20, 0.05), 2000, 40
    empty = 0
    for _ in range(40):
        apart = _pairs(p, np.zeros((samples, 20)), n, rng)
        empty += not excess(apart, np.full(samples, 2 / n), np.ones(samples), p).any()
    assert empty >= 36


def test_an_error_is_found_at_its_size_beneath_the_noise() -> None:
    """The error is 0.3 of each difference's own noise, and has one direction."""
    rng, p, n, samples = np.random.default_rng(3), np.full(20, 0.05), 2000, 60
    shape = 0.006 * np.sin(np.linspace(0, 2 * np.pi, 20, endpoint=False))
    found = []
    for _ in range(30):
        shifts = rng.standard_normal(samples)[:, None] * shape
        covariance = excess(_pairs(p, shifts, n, rng), np.full(samples, 2 / n), np.ones(samples), p)
        found.append(shape @ covariance @ shape / (shape @ shape) ** 2)
    assert np.mean(found) == pytest.approx(1, abs=0.15)


# -- from label to label ----------------------------------------------------------------------


def _events(label: float, **columns: np.ndarray) -> xr.Dataset:
    n = len(next(iter(columns.values())))
    data = {name: ("event", values, {"units": "1"}) for name, values in columns.items()}
    data["t"] = ("event", np.full(n, label), {"units": "1", "role": "parameter"})
    return xr.Dataset(data, attrs={"presage_sample": "event"})


def _both(parts: list[xr.Dataset]) -> xr.Dataset:
    return xr.concat(parts, "event")


def test_a_shift_is_carried_in_widths_of_the_other_label() -> None:
    """Held-out events that lie a tenth of a width too high do so at a label four times as wide."""
    rng = np.random.default_rng(4)
    z = rng.standard_normal((4, 100_000))
    simulated = _both([_events(1.0, x=z[0] + 0.1), _events(2.0, x=2 * (z[1] + 0.1))])
    drawn = _both([_events(1.0, x=z[2]), _events(2.0, x=2 * z[3])])
    there = np.sort(10 + 4 * rng.standard_normal(100_000))
    for pair in HeldOut(simulated, (drawn,)).pairs():
        ours, theirs = pair.moved(["x"], [there], rng)
        assert theirs.mean() == pytest.approx(10, abs=0.05)
        assert theirs.std() == pytest.approx(4, abs=0.05)
        assert ours.mean() == pytest.approx(10.4, abs=0.05)


def test_simulated_events_count_by_their_weights() -> None:
    """Events thinned at random and weighted up are the same law, with fewer effective events."""
    rng = np.random.default_rng(8)
    x, weight = rng.standard_normal(20_000), rng.choice([-1.0, 2.0], 20_000)
    parts = [_events(t, x=x + 0.5 * (weight < 0), w=weight) for t in (1.0, 2.0)]
    simulated = _both(parts)
    simulated["w"].attrs["role"] = "weight"
    drawn = _both([_events(t, x=x) for t in (1.0, 2.0)])
    pair = HeldOut(simulated, (drawn,)).pairs()[0]
    assert pair.weights.mean() == pytest.approx(1)
    assert pair.noise == pytest.approx(1 / (weight.sum() ** 2 / (weight**2).sum()) + 1 / 20_000)
    ours, _ = pair.moved(["x"], [np.sort(x)], rng)
    half = Binning.of([Variable("x")], {"x": [-9.0, 0.0, 9.0]}).shares(ours, pair.weights)
    expected = [(weight * (ours[:, 0] < 0)).sum() / weight.sum()]
    assert half[:1] == pytest.approx(expected)


def test_values_that_many_events_share_keep_their_probabilities() -> None:
    rng = np.random.default_rng(5)
    drawn = _both([_events(t, n=rng.poisson(t, 50_000).astype(float)) for t in (1.0, 3.0)])
    there = np.sort(rng.poisson(2.0, 50_000).astype(float))
    for pair in HeldOut(drawn, (drawn,)).pairs():
        ours, _ = pair.moved(["n"], [there], rng)
        counts = [np.bincount(x.astype(int), minlength=12)[:8] for x in (ours[:, 0], there)]
        assert np.abs(np.subtract(*counts)).max() < 6 * np.sqrt(50_000 * 0.25)


def test_near_labels_count_more() -> None:
    events = _both([_events(float(t), x=np.arange(4.0)) for t in range(10)])
    weights = nearness(HeldOut(events, (events,)).pairs(), np.array([2.0]))
    assert weights.sum() == pytest.approx(1)
    assert weights.argmax() == 2
    assert weights[1] == pytest.approx(weights[3])
    with pytest.raises(LabelError, match="two at least"):
        HeldOut(_events(1.0, x=np.arange(4.0)), (_events(1.0, x=np.arange(4.0)),)).pairs()


# -- bins -------------------------------------------------------------------------------------


def test_shares_are_numpys_histograms() -> None:
    rng = np.random.default_rng(6)
    events, weights = rng.integers(0, 6, (5000, 2)).astype(float), rng.uniform(0, 2, 5000)
    edges = {"b": [0.0, 1.0, 5.0], "a": [1.0, 2.0, 2.5, 4.0]}
    binning = Binning.of([Variable("a"), Variable("b")], edges)
    assert binning.names == ["b", "a"]
    for given_weights in (None, weights):
        theirs = np.histogramdd(events, list(edges.values()), weights=given_weights)[0] / 5000
        assert np.allclose(binning.arranged(binning.shares(events, given_weights)), theirs)


def test_an_angle_is_counted_within_its_range() -> None:
    binning = Binning.of([Variable("phi", period=2 * np.pi)], {"phi": [-np.pi, 0, np.pi]})
    assert binning.shares(np.array([[-1.0], [1.0], [5.5], [7.0]])) == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ({}, "edges of which observable"),
        ({"ab": [0, 1]}, "did you mean 'a'|no observable 'ab'"),
        ({"a": [0.0]}, "ascend"),
        ({"a": [1.0, 0.0]}, "ascend"),
        ({"a": [0.0, np.inf]}, "ascend"),
        ({"a": [[0.0, 1.0]]}, "ascend"),
        ({"a": ["low", "high"]}, "a: edges: numbers are needed"),
        ([0.0, 1.0], "edges are a mapping"),
    ],
)
def test_bins_that_are_none_are_refused(edges: dict, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        Binning.of([Variable("a")], edges)


# -- the product ------------------------------------------------------------------------------

_EDGES = {"x": np.linspace(0.0, 1.0, 9), "y": [0.4, 0.5, 0.6]}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("templates"))


@pytest.fixture(scope="module")
def source() -> Gaussians:
    return Gaussians.on(Line(6))


@pytest.fixture(scope="module")
def fitted(kept: Store, source: Gaussians):
    events = simulate(source, 6 * 300, store=kept, progress=False)
    model = Ensemble("mixture_density", 2, {"hidden": (8,)})
    return fit(model, events, epochs=2, batch_size=256, store=kept, progress=False)


@pytest.fixture(scope="module")
def made(kept: Store, source: Gaussians, fitted) -> Templates:
    """At two labels, with held-out events that the model knows nothing of."""
    simulated = simulate(source, 6 * 2000, seed=1, store=kept, progress=False)
    drawn = simulate(source, 6 * 2000, seed=2, store=kept, progress=False)
    held_out = HeldOut(simulated, (drawn.assign(x=drawn["x"] + 0.03),))
    return templates(
        fitted, [(0.3,), (0.5,)], _EDGES, total=[40.0, 80.0], total_error=[4.0, 8.0],
        held_out=held_out, n=20_000, progress=False,
    )  # fmt: skip


def test_templates_are_labelled(made: Templates) -> None:
    product = made.dataset
    assert product["nominal"].dims == ("label", "x", "y")
    assert product["up"].dims == product["down"].dims == ("label", "variation", "x", "y")
    assert product["x_edges"].values == pytest.approx(_EDGES["x"])
    assert product["source"].values.tolist() == ["members", "held_out"]
    assert product["total"].values.tolist() == [40.0, 80.0]
    assert (product["nominal"].sum(["x", "y"]) < product["total"]).all()
    assert all(v.attrs["units"] for v in product.variables.values() if v.dtype.kind == "f")
    # Both sources see something; the held-out events are off by a third of a width.
    assert (product["deviation"].sum(["x", "y"]) > 0).all()
    assert "held_out" in repr(made)


def test_variations_hold_the_variance_that_is_said(made: Templates) -> None:
    for i in range(2):
        here = made.at(i)
        half = (here["up"] - here["down"]) / 2
        clipped = (here["down"] <= 0).any("variation")
        for name in here["source"].values:
            own = [str(v).startswith(str(name)) for v in here["variation"].values]
            held = (half.isel(variation=own) ** 2).sum("variation").where(~clipped, 0)
            whole = (here["deviation"].sel(source=name) ** 2).where(~clipped, 0)
            assert float(held.sum()) <= float(whole.sum()) * (1 + 1e-6)
            assert float(here["kept"].sel(source=name)) == pytest.approx(
                float(here["share"].values[own].sum())
            )


def test_weighed_events_are_what_the_members_draw(fitted) -> None:
    """Two members stand at the nominal template plus and minus their variation over root 2."""
    edges, n = {"x": _EDGES["x"]}, 40_000
    made = templates(fitted, [(0.3,)], edges, n=n, progress=False).at(0)
    assert made["source"].values.tolist() == ["members"]
    assert made.sizes["variation"] == 1
    apart = (made["up"] - made["nominal"]).isel(variation=0).values / np.sqrt(2)
    error = 4 * np.sqrt(2) * made["statistical_error"].values + 1e-3
    assert (np.abs(apart) > error).any()
    drawn = [
        templates(
            replace(fitted, network=one, seen=None, saved=False), [(0.3,)], edges, n=n, seed=1,
            progress=False,
        )
        for one in fitted.network.members
    ]  # fmt: skip
    signs = []
    for one in drawn:
        moved = one.at(0)["nominal"].values - made["nominal"].values
        signs.append(np.sign(moved @ apart))
        assert (np.abs(moved - signs[-1] * apart) < error).all()
    assert sorted(signs) == [-1, 1]


def test_trainings_on_bootstrap_samples_stand_in_the_place_of_members(fitted) -> None:
    members = [
        replace(fitted, network=one, seen=None, saved=False) for one in fitted.network.members
    ]
    how = {"n": 2000, "progress": False}
    edges = {"x": _EDGES["x"]}
    one = templates(fitted, [(0.3,)], edges, **how).dataset
    other = templates(fitted, [(0.3,)], edges, resampled=members, **how).dataset
    assert other["source"].values.tolist() == ["resampled"]
    np.testing.assert_array_equal(one["deviation"].values, other["deviation"].values)
    with pytest.raises(LabelError, match="two members"):
        templates(fitted, [(0.3,)], edges, resampled=members[:1], **how)


def test_a_stored_template_is_found_again(kept: Store, fitted) -> None:
    first, again = (
        templates(fitted, [(0.3,)], {"x": _EDGES["x"]}, n=500, store=kept, progress=False)
        for _ in range(2)
    )
    assert first.dataset.identical(again.dataset)
    assert [e.producer for e in kept.list()].count("templates") == 1
    assert Templates(kept.open(first.dataset.attrs["presage_key"])).at((0.3,))


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"total": 0}, "total is above 0"),
        ({"total": [1.0, 2.0]}, "one for each of 1 labels"),
        ({"total": np.nan}, "one finite number"),
        ({"total_error": -1}, "total_error is at least 0"),
        ({"labels": []}, "of which labels"),
        ({"total": "many"}, "total: numbers are needed, got 'many'"),
        ({"n": 0.5}, "n is at least 1 event a label"),
        ({"held_out": "kfold"}, r"what kfold\(...\).held_out is"),
        ({"resampled": ["flow"]}, "densities that presage.fit returned, got 'flow'"),
    ],
)
def test_wrong_totals_are_refused(fitted, given_: dict, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        templates(
            fitted, **{"labels": [(0.3,)], "edges": {"x": [0, 1]}, "n": 10} | given_, progress=False
        )
    with pytest.raises(LabelError, match="Templates shows what"):
        Templates(xr.Dataset({"x": 1}))


def test_templates_of_events_are_their_histograms() -> None:
    rng = np.random.default_rng(9)
    events = _both([_events(t, x=rng.uniform(0, t, 400)) for t in (1.0, 2.0)])
    plain = counted_templates(events, {"x": _EDGES["x"]}).dataset
    counts = [np.histogram(events["x"].values[i : i + 400], _EDGES["x"])[0] for i in (0, 400)]
    assert np.allclose(plain["nominal"].values, counts)
    assert plain["total"].values.tolist() == [400, 400]
    assert plain.sizes["variation"] == 0
    events["w"] = ("event", np.tile([3.0, -1.0], 400), {"units": "1", "role": "weight"})
    weighted = counted_templates(events, {"x": _EDGES["x"]}).dataset
    sums = np.histogram(events["x"].values[:400], _EDGES["x"], weights=events["w"].values[:400])[0]
    assert np.allclose(weighted["nominal"].values[0], sums)
    # 400 events of weights 3 and -1 are worth 80.
    assert (
        weighted["statistical_error"].values.mean() > 2 * plain["statistical_error"].values.mean()
    )


# -- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("observables", [["x"], ["x", "y"]])
def test_root_histograms_read_back(fitted, tmp_path: Path, observables: list[str]) -> None:
    edges = {name: _EDGES[name] for name in observables}
    found = templates(fitted, [(0.25,), (0.5,)], edges, total=30, n=2000, progress=False)
    path = found.write_root(tmp_path / "templates.root")
    with uproot.open(path) as file:
        assert len(file.keys(recursive=False)) == 2
        for i, folder in enumerate(("x_label_0p25", "x_label_0p5")):
            here = found.at(i)
            assert set(file[folder].keys(cycle=False)) == {
                "nominal", *(f"{v}_{s}" for v in here["variation"].values for s in ("up", "down"))
            }  # fmt: skip
            read = file[folder]["nominal"]
            assert read.classname == ("TH1D" if len(observables) == 1 else "TH2D")
            values, *axes = read.to_numpy()
            assert np.array_equal(values, here["nominal"].values)
            assert all(map(np.array_equal, axes, edges.values()))
            assert np.allclose(read.errors(), here["statistical_error"].values)
            up = file[folder][f"{here['variation'].values[0]}_up"].values()
            assert np.array_equal(up, here["up"].isel(variation=0).values)
    with pytest.raises(LabelError, match=r"as a file .root"):
        found.write_root(tmp_path / "templates.json")


def _limit_model(template: Templates, label: int = 1, **settings):
    space = template.workspace(label, {"flat": np.full((8, 2), 20.0)}, **settings)
    pyhf.schema.validate(json.loads(json.dumps(space)), "workspace.json")
    return pyhf.Workspace(space), pyhf.Workspace(space).model()


def test_pyhf_takes_the_workspace(made: Templates) -> None:
    space, model = _limit_model(made, background_error={"flat": 0.05}, statistical=True)
    names = set(model.config.par_order)
    assert {"mu", "signal_total", "flat_total", "staterror_region"} < names
    assert {f"interpolation_{v}" for v in made.dataset["variation"].values} <= names
    assert model.config.poi_name == "mu"
    # Without signal what is observed is the background; with it the template stands on that.
    parameters = np.array(model.config.suggested_init())
    parameters[model.config.poi_index] = 2.0
    assert np.allclose(space.data(model, include_auxdata=False), 20.0)
    main = model.expected_data(parameters, include_auxdata=False)
    assert np.allclose(main, 20 + 2 * made.at(1)["nominal"].values.ravel())
    # One standard deviation of a variation is its up shape.
    parameters[model.config.poi_index] = 1.0
    parameters[model.config.par_slice(f"interpolation_{made.dataset['variation'].values[0]}")] = 1.0
    moved = model.expected_data(parameters, include_auxdata=False)
    assert np.allclose(moved, 20 + made.at(1)["up"].isel(variation=0).values.ravel(), atol=1e-6)


def test_an_injected_strength_is_found_in_toys(made: Templates) -> None:
    _, model = _limit_model(made, background_error={"flat": 0.05})
    truth = np.array(model.config.suggested_init())
    truth[model.config.poi_index] = 1.5
    rng, pulls = np.random.default_rng(7), []
    main = model.expected_data(truth, include_auxdata=False)
    for _ in range(20):
        data = [*rng.poisson(main), *model.config.auxdata]
        fitted_, minimum = pyhf.infer.mle.fit(data, model, return_fitted_val=True)
        fixed = pyhf.infer.mle.fixed_poi_fit(1.5, data, model, return_fitted_val=True)[1]
        strength = float(fitted_[model.config.poi_index])
        pulls.append(np.sign(strength - 1.5) * np.sqrt(max(float(fixed - minimum), 0.0)))
    assert abs(np.mean(pulls)) < 3.5 / np.sqrt(20)
    assert 0.6 < np.std(pulls) < 1.4


@pytest.mark.parametrize(
    ("background", "settings", "message"),
    [
        ({"flat": np.ones(3)}, {}, r"in \(8, 2\) bins"),
        ({"flat": -np.ones((8, 2))}, {}, "at least 0"),
        ({"flat": np.zeros((8, 2))}, {}, "join it with its neighbour"),
        ({"flat": np.ones((8, 2))}, {"background_error": {"flot": 0.1}}, "no background 'flot'"),
        ({"signal": np.ones((8, 2))}, {}, "no background 'signal'"),
        ([np.ones((8, 2))], {}, "stands on backgrounds"),
        ({"flat": "many"}, {}, "flat: numbers are needed"),
        ({"flat": np.ones((8, 2))}, {"background_error": {"flat": np.nan}}, "at least 0, got"),
    ],
)
def test_wrong_backgrounds_are_refused(
    made: Templates, background: dict, settings: dict, message: str
) -> None:
    with pytest.raises(LabelError, match=message):
        made.workspace(0, background, **settings)


def test_figures_are_drawn(fitted, made: Templates, tmp_path: Path) -> None:
    one = templates(fitted, [(0.3,)], {"x": _EDGES["x"]}, n=2000, progress=False)
    for found, panels in ((one, 2), (made, 4)):  # a colour bar each
        page = found.figure()
        page.savefig(tmp_path / "figure.png")
        assert len(page.axes) == panels
