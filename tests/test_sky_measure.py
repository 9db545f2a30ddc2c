"""Methods beside the limit on skies held out: laws of the product, rivals, words and figures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from sklearn.decomposition import PCA as SklearnPCA

from presage.analysis.canvas import Page
from presage.analysis.spectra import Spectra
from presage.batches import Paired
from presage.fitting import fit
from presage.generate import simulate
from presage.labels import LabelError
from presage.store import Store
from presage.studies.sky import measure as module
from presage.studies.sky.figures import maps_figure
from presage.studies.sky.measure import measure
from presage.studies.sky.product import METHODS
from presage.studies.sky.report import SkyResiduals
from presage.studies.sky.rivals import RIVALS, Examples, LogPolynomial, fastica, observed
from presage.studies.sky.scales import Scales
from presage.studies.sky.skies import sky
from presage.studies.sky.visibilities import Interferometer
from presage.transforms import PCABasis
from presage.transforms.pca import PCA

SKY = sky("beam", channels=16, pixels=16, pixel=1.0).with_noise(0.04)
TRAINED, HELD_OUT, MODES = 64, 40, 6


@pytest.fixture(scope="module")
def pools(store):
    def of(seed, n):
        parts = SKY.simulators().items()
        return {k: simulate(s, n, seed=seed, store=store, progress=False) for k, s in parts}

    return {"train": of(0, TRAINED), "held_out": of(2, HELD_OUT)}


@pytest.fixture(scope="module")
def examples(pools, store):
    columns = {"sky": [f"{name}.{name}" for name in pools["train"]]}
    source = Paired(pools["train"], columns)
    basis = fit(PCABasis("sky"), source, store=store, progress=False)
    return Examples(SKY, pools["train"], PCA(basis), MODES)


@pytest.fixture(scope="module")
def cleaners(examples, pools):
    truth = iter(np.array_split(np.arange(HELD_OUT), HELD_OUT // 8))
    signal = pools["held_out"]["signal"]["signal"]

    def halved(seen):  # knows the truth, and hides half of its amplitude
        return 0.5 * signal.isel(sample=next(truth)).assign_coords(sample=seen["sample"])

    return {**{n: make(examples).clean for n, make in RIVALS.items()}, "halved": halved}


@pytest.fixture(scope="module")
def found(examples, pools, cleaners, store):
    return measure(
        SKY, pools["held_out"], cleaners, basis=examples.basis, modes=MODES,
        store=store, name="beam", shown=2, progress=False,
    )  # fmt: skip


# The product


LAYOUT = {
    ("truth", "observed"): ("sky", "frequency", "y", "x"),
    ("cleaned", "signal_error"): ("cleaner", "sky", "frequency", "y", "x"),
    ("power_ratio", "correlation", "residual", "residual_error", "ratio_to_limit"):
        ("cleaner", "k_perpendicular", "k_parallel"),
    ("expected_limit", "mode_count"): ("k_perpendicular", "k_parallel"),
    ("power_ratio_1d", "correlation_1d", "residual_1d", "residual_1d_error"): ("cleaner", "k"),
    ("power_true_1d",): ("k",),
    ("angular_power_ratio",): ("cleaner", "multipole"),
    ("residual_parallel", "ratio_to_limit_parallel"): ("cleaner", "k_parallel"),
    ("eigenvalues", "signal_eigenvalues"): ("mode",),
    ("scan_residual", "scan_power_ratio", "scan_correlation"): ("modes", "k_parallel"),
    ("scan_total",): ("modes",),
    ("coverage", "coverage_error"): ("cleaner", "level"),
    ("residual_band", "ratio_to_limit_band_error"): ("cleaner", "band"),
}  # fmt: skip


@pytest.mark.parametrize("names", LAYOUT)
def test_the_product_has_the_agreed_dims_units_and_types(found, names):
    product = found.dataset
    cubes = {"truth", "observed", "cleaned", "signal_error"}
    for name in names:
        assert product[name].dims == LAYOUT[names], name
        assert product[name].dtype == (np.float32 if name in cubes else product[name].dtype)
        assert {"units", "long_name"} <= set(product[name].attrs), name
        assert set(product[name].dims) - {"sky"} <= set(product.coords), name
    order = [m for m in METHODS if m in product["cleaner"]]
    assert list(product["cleaner"].values) == [*order, "halved"]


def test_the_limit_leaves_what_its_covariances_say(found):
    product = found.dataset
    limit = product.sel({"cleaner": "limit"})
    pull = (limit["residual"] - product["expected_limit"]) / limit["residual_error"]
    assert (abs(pull) < 4.5).all()
    assert abs(float(pull.mean())) < 0.5
    assert float(pull.std()) < 1.6


def test_no_method_is_below_the_limit(found):
    ratio, error = (found.dataset[f"ratio_to_limit_band{e}"] for e in ("", "_error"))
    linear = [m for m in ratio["cleaner"].values if m != "halved"]
    assert (ratio + 3 * error).sel({"cleaner": linear}).min() >= 1
    np.testing.assert_array_equal(ratio.sel({"cleaner": "limit"}), 1)


def test_who_hides_half_of_the_amplitude_is_found_out(found):
    halved = found.dataset.sel({"cleaner": "halved"})
    for name, value in {"power_ratio": 0.25, "correlation": 1.0, "residual": 0.25}.items():
        for ending in ("", "_1d", "_parallel", "_band"):
            np.testing.assert_allclose(halved[name + ending], value, rtol=1e-5)
    np.testing.assert_allclose(halved["angular_power_ratio"], 0.25, rtol=1e-5)
    said = found.verdict("halved")
    assert "0.250 of the true power there, with r = 1.000: it suppresses power" in said
    assert "not at the limit" in said


def test_the_limit_knows_its_errors(found):
    coverage, error = (
        found.dataset[f"coverage{e}"].sel({"cleaner": "limit"}) for e in ("", "_error")
    )
    assert (abs(coverage - coverage["level"]) < 4 * error).all()
    assert (error < 0.03).all()
    assert found.dataset["coverage"].sel({"cleaner": "pca"}).isnull().all()


def test_it_is_made_once(found, examples, pools, cleaners, store, monkeypatch):
    monkeypatch.setattr(module, "_gone_through", None)
    again = measure(
        SKY, pools["held_out"], cleaners, basis=examples.basis, modes=MODES,
        store=store, name="beam", shown=2,
    )  # fmt: skip
    assert again.dataset.attrs["presage_key"] == found.dataset.attrs["presage_key"]
    assert again.dataset.attrs["best_modes"] == MODES
    said = store.find(again.dataset.attrs["presage_key"]).fields["chosen"]
    assert said["fastica"] == {"components": MODES}
    assert said["halved"] == {}


def test_a_method_of_other_settings_is_measured_anew(examples, pools, cleaners, store, monkeypatch):
    def refuse(*_):
        raise NotImplementedError

    monkeypatch.setattr(module, "_gone_through", refuse)
    with pytest.raises(NotImplementedError):
        measure(
            SKY, pools["held_out"], {**cleaners, "polynomial": LogPolynomial(7).clean},
            basis=examples.basis, modes=MODES, store=store, name="beam", shown=2,
        )  # fmt: skip


def test_visibilities_are_measured_by_baseline(store):
    beam = Interferometer(baselines=6, longest=20.0)
    seen = replace(sky("visibilities", channels=16, pixels=12, pixel=0.5), beam=beam)
    parts = seen.with_noise(0.01).simulators().items()
    pools = {k: simulate(s, 24, seed=1, store=store, progress=False) for k, s in parts}
    basis = PCA.fit(observed(pools))
    examples = Examples(seen.with_noise(0.01), pools, basis, MODES)
    cleaners = {n: make(examples).clean for n, make in RIVALS.items()}
    found = measure(examples.sky, pools, cleaners, basis=basis, modes=MODES, progress=False)
    product = found.dataset
    assert product["truth"].dims == ("sky", "frequency", "baseline", "right_ascension")
    assert product.attrs["across"] == "baseline,right_ascension"
    limit = product.sel({"cleaner": "limit"})
    pull = (limit["residual"] - product["expected_limit"]) / limit["residual_error"]
    assert (abs(pull) < 5).all()
    assert (abs(limit["coverage"] - limit["level"]) < 0.03).all()
    assert (product["ratio_to_limit_band"] + 3 * product["ratio_to_limit_band_error"]).min() >= 1
    assert (product["correlation_band"].isel(band=-1) > 0.4).all()
    assert found.maps().axes


# Rivals


def test_every_rival_removes_foregrounds_and_keeps_signal(found):
    table = found.table()
    high = table["k∥ > 0.05"]
    for name in ("PCA", "PCA with transfer function", "FastICA"):
        assert high.loc[name, "r"] > 0.5, name
        assert high.loc[name, "residual"] < 1, name
    assert high.loc["PCA with transfer function", "power"] > high.loc["PCA", "power"]


def test_independent_components_of_a_sky_are_a_projection_on_its_principal_ones(examples, pools):
    seen = observed(pools["held_out"], slice(0, 2))
    cleaned = fastica(examples).clean(seen)
    spectra = seen.isel(sample=1).stack(sight=("y", "x")).transpose("sight", "frequency").values
    model = SklearnPCA(MODES).fit(spectra)
    left = spectra - model.inverse_transform(model.transform(spectra))
    own = cleaned.isel(sample=1).stack(sight=("y", "x")).transpose("sight", "frequency")
    np.testing.assert_allclose(own, left, atol=1e-6 * np.abs(spectra).max() * 1e-3)


@pytest.mark.parametrize("logarithmic", [True, False])
def test_a_polynomial_takes_power_laws_and_leaves_ripples(logarithmic):
    mhz = xr.DataArray(np.linspace(500.0, 600.0, 32), dims="frequency")
    mhz = mhz.assign_coords(frequency=mhz)
    steep = 1e4 * (mhz / 550) ** xr.DataArray([-2.4, -2.9], dims="y")
    ripple = 0.1 * np.cos(2 * np.pi * mhz / 15)
    left = LogPolynomial(6, logarithmic=logarithmic).clean(steep + ripple)
    assert left.dims == (steep + ripple).dims
    assert float(abs(LogPolynomial(6, logarithmic=logarithmic).clean(steep)).max()) < 1e-2
    assert float(np.corrcoef(left.isel(y=0), ripple)[0, 1]) > 0.9


def test_the_transfer_function_is_what_is_left_of_signals(examples, pools):
    corrected = RIVALS["pca_transfer"](examples)
    edges = Scales(SKY).spectra()["plane"].edges
    bins = Spectra(**edges)
    signal = pools["held_out"]["signal"]["signal"]
    box = Scales(SKY).box
    kept = bins.update(box.transform(examples.basis.clean(signal, MODES)), box.transform(signal))
    left = kept.finish()
    here = edges["k_perpendicular"][1:] <= Scales(SKY).signal_left[1]
    expected = (left["cross"] / left["power_true"]).values[here]
    np.testing.assert_allclose(corrected.transfer[here], expected, atol=0.15)
    assert (corrected.transfer[~here] == 1).all()


# Words and figures


def test_power_is_corrected_by_that_of_other_skies(found):
    reference = SkyResiduals(
        found.dataset.assign(power_ratio_band=found.dataset["power_ratio_band"] * 2)
    )
    table = found.table(reference)
    assert list(table.columns)[:4] == [
        ("k∥ < 0.03", n) for n in ("residual", "× limit", "power", "r")
    ]
    corrected = table.xs("corrected", axis=1, level=1)
    assert corrected.shape == (len(found.dataset["cleaner"]), 3)
    np.testing.assert_allclose(corrected, 0.5)


def test_the_verdict_says_what_nobody_recovers_and_who_stands_where(found):
    lost = found.dataset.copy(deep=True)
    lost["residual_band"].loc[{"cleaner": "limit", "band": "k∥ < 0.03"}] = 0.9
    said = SkyResiduals(lost).verdict("pca")
    for text in ("Nobody recovers k∥ < 0.03.", "PCA leaves", "times the limit", "worse than",
                 "of the true power there, with r ="):  # fmt: skip
        assert text in said, text
    assert "68 % bands hold" in found.verdict("limit")
    for name, value in (("ratio_to_limit_band", 0.8), ("ratio_to_limit_band_error", 0.01)):
        lost[name].loc[{"cleaner": "pca"}] = value
    assert "0.8 ± 0.01 times the limit: beyond it" in SkyResiduals(lost).verdict("pca")
    assert "PCA" in repr(found)
    assert "<table" in found._repr_html_()


@pytest.mark.parametrize(
    ("draw", "panels"),
    [("planes", 8), ("spectra", 3), ("maps", 9), ("eigenvalues", 2), ("lines_of_sight", 3)],
)
def test_figures_are_drawn(found, draw, panels):
    page = getattr(found, draw)()
    assert isinstance(page, Page)
    page.canvas.draw()
    assert len([axes for axes in page.axes if axes.get_visible()]) >= panels


WRONG = {
    "no pool": (lambda p: observed({"signal": p["signal"]}), "there is no 'foreground'"),
    "unequal": (
        lambda p: observed({**p, "noise": p["noise"].isel(sample=slice(0, 3))}),
        "equally long, got .*'noise': 3",
    ),
    "no logarithm": (
        lambda p: LogPolynomial(3).clean(p["signal"]["signal"]),
        "not positive and have no logarithm; fit with logarithmic=False",
    ),
    "another dataset": (lambda p: SkyResiduals(p["signal"]), "got a dataset of signal"),
    "not stored": (
        lambda p: measure(SKY, p, {}, basis=PCA.fit(observed(p)), modes=2, store=Store("/nowhere")),
        "did not come from a store",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(case, pools):
    make, text = WRONG[case]
    with pytest.raises(LabelError, match=text):
        make(pools["held_out"])


def test_a_method_that_was_not_measured_is_named(found):
    with pytest.raises(LabelError, match="no method 'pac'; did you mean 'pca'"):
        maps_figure(found.dataset, methods=["pac"])
