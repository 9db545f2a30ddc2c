"""Laws of the principal components: linear, exact in any chunking, by name, in float64."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import presage as ps
from presage.batches import BatchError, Paired
from presage.fitting import FitError
from presage.labels import LabelError, from_complex, to_complex
from presage.models import Projection
from presage.store import Store
from presage.transforms import PCABasis, channels, moments
from presage.transforms.moments import SpectralMoments
from presage.transforms.pca import PCA

CHANNELS = 10
FREQUENCY = xr.Variable("frequency", np.linspace(500.0, 600.0, CHANNELS), {"units": "MHz"})


def cube(kind: str, seed: int = 0, samples: int = 6) -> xr.DataArray:
    """A correlated cube [sample, frequency, y, x]; kind real, complex or parts."""
    rng = np.random.default_rng(seed)
    shape = (samples, CHANNELS, 4, 3)
    values = rng.normal(size=shape)
    if kind != "real":
        values = values + 1j * rng.normal(size=shape)
    mixing = rng.normal(size=(CHANNELS, CHANNELS)) + (1j * rng.normal() if kind != "real" else 0)
    values = np.einsum("fg,sgyx->sfyx", mixing, values) + 3.0
    data = xr.DataArray(
        values,
        dims=("sample", "frequency", "y", "x"),
        coords={"frequency": FREQUENCY, "sample": np.arange(samples)},
        attrs={"units": "mK"},
        name="sky",
    )
    return from_complex(data).rename("sky") if kind == "parts" else data


def numbers(data: xr.DataArray) -> xr.DataArray:
    return to_complex(data) if "component" in data.dims else data


def matrix(basis: xr.Dataset) -> np.ndarray:
    return numbers(basis["covariance"]).values


def spectra(data: xr.DataArray) -> np.ndarray:
    moved = numbers(data).transpose("frequency", ...).values
    return moved.reshape(len(moved), -1)


def far(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


KINDS = ["real", "complex", "parts"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("centred", [False, True])
def test_covariance_is_that_of_one_matrix_product(kind: str, centred: bool) -> None:
    data = cube(kind)
    basis = SpectralMoments().update(data).finish(centred=centred)
    d = spectra(data)
    mean = d.mean(axis=1, keepdims=True)
    d = d - mean if centred else d
    assert far(matrix(basis), d @ d.conj().T / d.shape[1]) < 1e-13
    assert far(numbers(basis["mean"]).values, mean[:, 0]) < 1e-13
    assert basis["mean"].attrs["units"] == "mK"
    assert basis["frequency"].attrs["units"] == "MHz"
    assert basis["covariance"].attrs["units"] == "mK2"


@pytest.mark.parametrize("kind", KINDS)
def test_eigenvectors_rebuild_the_covariance(kind: str) -> None:
    basis = SpectralMoments().update(cube(kind)).finish()
    u = numbers(basis["eigenvectors"]).transpose("frequency", "mode").values
    rebuilt = (u * basis["eigenvalues"].values) @ u.conj().T
    assert far(rebuilt, matrix(basis)) < 1e-12
    assert (np.diff(basis["eigenvalues"]) <= 0).all()


@pytest.mark.filterwarnings("ignore:.*negative:UserWarning")  # gaps leave it indefinite
@settings(max_examples=30)
@given(
    cuts=st.lists(st.integers(0, 6), max_size=4),
    kind=st.sampled_from(KINDS),
    block=st.sampled_from([7, 64, 1 << 17]),
    gaps=st.booleans(),
)
def test_any_chunking_gives_one_result(cuts: list[int], kind: str, block: int, gaps: bool) -> None:
    data = cube(kind)
    if gaps:
        data = data.where(np.random.default_rng(1).random(data.shape) > 0.1)
    whole = SpectralMoments().update(data).finish()
    edges = [0, *sorted(cuts), 6]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moments, "FITTED", block)
        parts = SpectralMoments()
        for start, stop in pairwise(edges):
            if stop > start:
                parts.update(data.isel(sample=slice(start, stop)))
    again = parts.finish()
    assert far(matrix(again), matrix(whole)) < 1e-12
    assert far(again["eigenvalues"].values, whole["eigenvalues"].values) < 1e-12
    assert again.attrs == whole.attrs


@pytest.mark.parametrize("kind", KINDS)
def test_merge_is_associative_and_changes_nothing(kind: str) -> None:
    a, b, c = (SpectralMoments().update(cube(kind, seed)) for seed in range(3))
    left, right = a.merge(b).merge(c), a.merge(b.merge(c))
    assert far(matrix(left.finish()), matrix(right.finish())) < 1e-12
    assert left.spectra == right.spectra == 3 * a.spectra
    empty = SpectralMoments()
    assert far(matrix(empty.merge(a).finish()), matrix(a.merge(empty).finish())) == 0.0


def test_a_large_offset_costs_no_digits() -> None:
    data = cube("real")
    one, far_off = (SpectralMoments().update(d).finish(centred=True) for d in (data, data + 1e8))
    assert far(matrix(far_off), matrix(one)) < 1e-6  # 1e8 itself is rounded to 1.5e-8


@pytest.mark.parametrize("kind", KINDS)
def test_clean_is_the_projector(kind: str) -> None:
    data = cube(kind)
    basis = PCA.fit(data)
    cleaned = basis.clean(data, modes=3)
    assert (cleaned.dims, cleaned.dtype) == (data.dims, data.dtype)
    assert (cleaned.name, cleaned.attrs) == (data.name, data.attrs)
    assert far(spectra(basis.clean(cleaned, modes=3)), spectra(cleaned)) < 1e-12
    assert float(np.abs(numbers(basis.modes_of(cleaned, modes=3))).max()) < 1e-12
    back = numbers(basis.inverse(basis.modes_of(data, modes=3))) + numbers(cleaned)
    assert far(spectra(back), spectra(data)) < 1e-12
    assert far(spectra(basis.project(data, modes=3)), spectra(data) - spectra(cleaned)) < 1e-12
    assert far(spectra(basis.inverse(basis.modes_of(data, CHANNELS))), spectra(data)) < 1e-12
    xr.testing.assert_identical(basis.clean(data, modes=0), data)


@settings(max_examples=20)
@given(phase=st.floats(0, 6.3), factor=st.floats(-5, 5))
def test_clean_is_linear_over_the_complex_numbers(phase: float, factor: float) -> None:
    x, y = cube("complex", 1), cube("complex", 2)
    basis = PCA.fit(cube("complex"))
    turn = np.exp(1j * phase)
    assert far(spectra(basis.clean(turn * x, 3)), turn * spectra(basis.clean(x, 3))) < 1e-12
    total = spectra(basis.clean(x, 3)) + factor * spectra(basis.clean(y, 3))
    assert far(spectra(basis.clean(x + factor * y, 3)), total) < 1e-11


@settings(max_examples=15)
@given(order=st.permutations(["sample", "frequency", "y", "x", "component"]))
def test_the_order_of_axes_is_free(order: list[str]) -> None:
    data = cube("parts")
    turned = data.transpose(*order)
    basis, other = PCA.fit(data), PCA.fit(turned)
    assert far(matrix(other.dataset), matrix(basis.dataset)) < 1e-12
    cleaned = basis.clean(turned, modes=4)
    assert cleaned.dims == tuple(order)
    xr.testing.assert_allclose(cleaned.transpose(*data.dims), basis.clean(data, modes=4))
    amplitudes = basis.modes_of(turned, modes=2)
    assert amplitudes.dims == tuple("mode" if d == "frequency" else d for d in order)
    assert basis.inverse(amplitudes).dims == tuple(order)


def test_a_lazy_array_is_read_in_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    data = cube("real").astype("float32")
    basis = PCA.fit(data)
    expected = basis.clean(data, modes=2)
    monkeypatch.setattr(channels, "SLAB", 150)
    monkeypatch.setattr(channels, "APPLIED", 64)
    monkeypatch.setattr(channels, "THREADED", 1)
    for dims in (data.dims, ("frequency", "x", "sample", "y"), ("y", "x", "sample", "frequency")):
        xr.testing.assert_allclose(
            basis.clean(data.transpose(*dims), modes=2).transpose(*data.dims), expected, rtol=1e-5
        )


def test_one_spectrum_alone_is_enough() -> None:
    data = cube("real")
    basis = PCA.fit(data)
    one = data.isel(sample=0, x=0, y=0)
    cleaned = basis.clean(one, modes=2)
    assert cleaned.dims == ("frequency",)
    np.testing.assert_allclose(cleaned, basis.clean(data, modes=2).isel(sample=0, x=0, y=0))


def test_the_mean_is_subtracted_only_when_asked() -> None:
    data = cube("real") + 50.0
    basis = PCA.fit(data, centred=True)
    asked = basis.clean(data, modes=2, subtract_mean=True)
    assert np.abs(asked.mean(("sample", "y", "x"))).max() < 1e-12
    zero = xr.zeros_like(data)
    assert not basis.clean(zero, modes=2).any()
    amplitudes = basis.modes_of(data, modes=CHANNELS, subtract_mean=True)
    xr.testing.assert_allclose(basis.inverse(amplitudes, add_mean=True), data)


def foreground(rng: np.random.Generator, pixels: int) -> np.ndarray:
    """Power laws of varying index, 1e5 times the signal's rms, float64 [frequency, pixel]."""
    ratio = np.linspace(500, 600, 128)[:, None] / 550
    slope, running = rng.normal(2.5, 0.1, pixels), rng.normal(0, 0.05, pixels)
    return 1e5 * rng.lognormal(0, 0.3, pixels) * ratio ** (-slope + running * np.log(ratio))


def sky_and_signal() -> tuple[xr.DataArray, xr.DataArray]:
    rng = np.random.default_rng(5)
    coords = {"frequency": ("frequency", np.linspace(500, 600, 128), {"units": "MHz"})}
    arrays = foreground(rng, 900), rng.normal(size=(128, 900))
    g, s = (xr.DataArray(v, dims=("frequency", "pixel"), coords=coords) for v in arrays)
    return g, s


@pytest.mark.parametrize(
    ("modes", "independent", "bar"),
    # Modes below the signal are nearly degenerate: two eigensolvers differ there by
    # rounding times the eigenvalues' ratio, so the seven modes are compared on one basis.
    [(3, True, 1e-6), (7, False, 1e-7)],
)
def test_adding_cached_projections_is_as_exact_as_float32_storage(
    modes: int, independent: bool, bar: float
) -> None:
    g, s = sky_and_signal()
    basis = PCA.fit(g + s)
    vectors = basis.dataset["eigenvectors"].values
    if independent:
        d = (g + s).values
        vectors = np.linalg.eigh(d @ d.T / d.shape[1])[1][:, ::-1]
    top = vectors[:, :modes].astype(np.longdouble)
    total = g.values.astype(np.longdouble) + s.values
    oracle = total - top @ (top.T @ total)

    def error(values: np.ndarray) -> float:
        return float(np.sqrt(np.mean((values - oracle) ** 2))) / float(s.std())

    stored = [basis.clean(part, modes).astype("float32") for part in (g, s)]
    assert error(sum(part.values.astype(float) for part in stored)) < bar
    assert error(basis.clean(g + s, modes, passes=2).values) < bar
    assert basis.clean(s.astype("float32"), modes).dtype == np.float32


def weighted_pairs(d: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The formula of the module's head, written out."""
    size = len(d)
    out = np.zeros((size, size), d.dtype)
    for i in range(size):
        for j in range(size):
            pair = w[i] * w[j]
            out[i, j] = (pair * d[i] * d[j].conj()).sum() / pair.sum()
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_weights_count_in_pairs(kind: str) -> None:
    data = cube(kind)
    rng = np.random.default_rng(2)
    frame = numbers(data).real
    weights = xr.DataArray(
        rng.uniform(0.5, 2, data.sizes["sample"])[:, None] * rng.uniform(0.5, 2, CHANNELS),
        dims=("sample", "frequency"),
        coords={"frequency": FREQUENCY},
    )
    basis = SpectralMoments().update(data, weights).finish()
    full = weights.broadcast_like(frame).transpose(*frame.dims)
    expected = weighted_pairs(spectra(data), spectra(full))
    assert far(matrix(basis), expected) < 1e-12


@pytest.mark.filterwarnings("ignore:.*negative:UserWarning")
def test_a_mask_equals_gaps_and_unseen_values_do_not_matter() -> None:
    data = cube("real")
    seen = xr.DataArray(np.random.default_rng(3).random(data.shape) > 0.1, dims=data.dims)
    as_gaps = SpectralMoments().update(data.where(seen)).finish()
    rubbish = data.where(seen, 1e30)
    as_mask = SpectralMoments().update(rubbish, seen.astype(float)).finish()
    assert far(matrix(as_mask), matrix(as_gaps)) < 1e-12
    expected = weighted_pairs(spectra(data), spectra(seen.astype(float)))
    assert far(matrix(as_gaps), expected) < 1e-12


def test_a_mask_that_empties_a_channel_is_said() -> None:
    mask = xr.DataArray((np.arange(CHANNELS) != 4).astype(float), dims="frequency")
    with pytest.warns(UserWarning, match="1 of 10 channels along 'frequency' hold no data"):
        basis = PCA.fit(cube("real"), weights=mask)
    assert basis.clean(cube("real"), 3).isnull().sum() == cube("real").size / CHANNELS
    with pytest.raises(LabelError, match="number from 0 to 9, got 10"):
        basis.clean(cube("real"), 10)


def test_an_indefinite_covariance_is_clipped_and_said() -> None:
    data = cube("real", samples=2)
    seen = xr.DataArray(np.random.default_rng(3).random(data.shape) > 0.5, dims=data.dims)
    with pytest.warns(UserWarning, match="negative .* set to 0"):
        basis = SpectralMoments().update(data.where(seen)).finish()
    assert (basis["eigenvalues"] >= 0).all()


@pytest.mark.filterwarnings("ignore:.*hold no data:UserWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_dead_channels_are_dropped_and_come_back_as_nan(kind: str) -> None:
    data = cube(kind).copy()
    dead = [2, 7]
    hidden = data.where(~data["frequency"].isin(FREQUENCY.values[dead]))
    with pytest.warns(UserWarning, match=r"2 of 10 channels .* left out: 522.222, 577.778"):
        basis = PCA.fit(hidden)
    assert basis.eigenvalues.sizes["mode"] == CHANNELS - 2
    live = np.setdiff1d(np.arange(CHANNELS), dead)
    alone = PCA.fit(data.isel(frequency=live))
    cleaned = basis.clean(hidden, modes=3)
    assert cleaned.isel(frequency=dead).isnull().all()
    assert (
        far(
            spectra(cleaned.isel(frequency=live)),
            spectra(alone.clean(data.isel(frequency=live), modes=3)),
        )
        < 1e-12
    )
    zeroed = PCA.fit(data.where(~data["frequency"].isin(FREQUENCY.values[dead]), 0.0))
    assert repr(zeroed) == repr(basis)


@pytest.mark.parametrize("kind", KINDS)
def test_gaps_are_fitted_never_filled_with_zeros(kind: str) -> None:
    train = cube(kind, 3)
    basis = PCA.fit(train)
    inside = basis.project(cube(kind, 4), modes=3)  # lies in the span of three modes
    seen = xr.DataArray(
        np.random.default_rng(4).random((6, CHANNELS)) > 0.3, dims=("sample", "frequency")
    )
    gappy = inside.where(seen)
    filled = basis.project(gappy, modes=3)
    assert far(spectra(filled), spectra(inside)) < 1e-10
    left = basis.clean(gappy, modes=3)
    assert (left.isnull() == ~seen).all()
    assert float(np.abs(left).max()) < 1e-10 * float(np.abs(inside).max())


def test_weights_are_those_of_least_squares() -> None:
    data = cube("real", 5)
    basis = PCA.fit(cube("real", 6))
    weights = xr.DataArray(
        np.random.default_rng(7).uniform(0.1, 3, (CHANNELS, 3)), dims=("frequency", "x")
    )
    found = basis.modes_of(data, modes=4, weights=weights)
    u = basis.dataset["eigenvectors"].values[:, :4]
    w, d = weights.values[:, 1], data.isel(sample=2, y=3, x=1).values
    expected = np.linalg.lstsq(u * w[:, None], d * w, rcond=None)[0]
    np.testing.assert_allclose(found.isel(sample=2, y=3, x=1), expected, rtol=1e-9)
    plain = basis.modes_of(data, modes=4, weights=xr.ones_like(weights))
    xr.testing.assert_allclose(plain, basis.modes_of(data, modes=4))


def test_too_few_channels_become_nan_and_are_said() -> None:
    data = cube("real")
    basis = PCA.fit(data)
    gappy = data.where((data["sample"] > 0) | (data["frequency"] < 530))
    with pytest.warns(UserWarning, match="12 spectra have too few channels for 4 modes"):
        cleaned = basis.clean(gappy, modes=4)
    assert cleaned.isel(sample=0).isnull().all()
    assert cleaned.isel(sample=slice(1, None)).notnull().all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_basis_survives_netcdf(kind: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    data = cube(kind)
    basis = PCA.fit(data)
    basis.dataset.to_netcdf(tmp_path / "basis.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "basis.nc", engine="h5netcdf") as read:
        xr.testing.assert_identical(PCA(read).clean(data, modes=3), basis.clean(data, modes=3))


def skies(store: Store, name: str, samples: int, seed: int) -> xr.Dataset:
    """A stored pool of maps."""
    data = cube("parts", seed, samples).transpose("sample", "frequency", "y", "x", "component")
    return store.adopt(data.to_dataset(name="sky").assign_coords(x=range(3)), name, "sample")


def test_a_stored_fit_is_of_the_training_part_alone_and_found_again(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    store = Store(tmp_path)
    pool, other = skies(store, "one", 40, 1), skies(store, "two", 20, 2)
    basis = ps.fit(PCABasis("sky"), pool, validation=(30, 40), store=store, progress=False)
    alone = PCA.fit(pool["sky"].isel(sample=slice(30))).dataset
    xr.testing.assert_allclose(basis.drop_attrs(), alone.drop_attrs())
    parents = ps.Recipe.from_json(basis.attrs["presage_recipe"]).parents
    assert parents == (ps.parent_of(pool.isel(sample=slice(30))),)
    train = PCABasis("sky"), pool.isel(sample=slice(30))
    keys = [basis, ps.fit(*train, validation=0, store=store, progress=False)]
    assert len({one.attrs["presage_key"] for one in keys}) == 1  # the same samples
    pairs = Paired({"a": pool, "b": other}, {"sky": ["a.sky", "b.sky"]}, samples=50)
    added = ps.fit(PCABasis("sky"), pairs, validation=0.1, store=store, progress=False)
    parents = ps.Recipe.from_json(added.attrs["presage_recipe"]).parents
    assert [(p.start, p.stop, bool(p.selection)) for p in parents] == [(0, 40, True), (0, 20, True)]
    assert added.attrs["spectra"] == 45 * 12
    monkeypatch.setattr(SpectralMoments, "update", None)  # nothing is gone through again
    again = ps.fit(PCABasis("sky"), pool, validation=(30, 40), store=store, progress=False)
    xr.testing.assert_identical(again, basis)
    with pytest.raises(TypeError):
        ps.fit(PCABasis("sky", centred=True), pool, store=store, progress=False)
    monkeypatch.undo()
    assert [e.producer for e in store.list()].count("pca_basis") == 2  # nothing half-made
    with pytest.raises(FitError, match="fitted in one pass"):
        ps.fit(PCABasis("sky"), pool, epochs=3)  # type: ignore[call-overload]
    with pytest.raises(BatchError, match="no variable 'sly'; did you mean 'sky'"):
        ps.fit(PCABasis("sly"), pool)


@pytest.mark.parametrize("kind", KINDS)
def test_the_torch_module_is_the_same_projector_whatever_surrounds_it(kind: str) -> None:
    data = cube(kind)
    basis = PCA.fit(data)
    module = Projection(basis, 3, like=data)
    batch = torch.from_numpy(data.values)
    assert far(module(batch).numpy(), basis.clean(data, 3).values) < 1e-13
    assert far(module.amplitudes(batch).numpy(), basis.modes_of(data, 3).values) < 1e-13
    network = torch.nn.Sequential(module).half()  # as a whole model is cast
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cleaned = network(batch)
    assert cleaned.dtype == batch.dtype
    assert far(cleaned.numpy(), basis.clean(data, 3).values) < 1e-13
    twice = Projection(basis, 3, like=data, precision="float32")(batch)
    assert 1e-9 < far(twice.numpy(), basis.clean(data, 3).values) < 1e-5
    again = Projection(basis, 3, like=data)
    again.load_state_dict(module.state_dict())
    assert torch.equal(again.vectors, module.vectors)
    with pytest.raises(LabelError, match="expected a batch"):
        module(batch[0])
    with pytest.raises(LabelError, match="another order"):
        Projection(basis, 3, like=data.isel(frequency=slice(None, None, -1)))


def test_coordinates_may_come_from_float32() -> None:
    data = cube("real")
    basis = PCA.fit(data)
    single = data.assign_coords(frequency=FREQUENCY.astype("float32"))
    np.testing.assert_array_equal(basis.clean(single, 3), basis.clean(data, 3))


def recoordinated(values: np.ndarray, unit: str = "MHz") -> xr.DataArray:
    return cube("real").assign_coords(frequency=("frequency", values, {"units": unit}))


WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: cube("real").rename(frequency="frequenci"), "no dimension 'frequency'; did you mean"),
    (lambda: cube("real").drop_vars("frequency"), "has no coordinate"),
    (lambda: recoordinated(FREQUENCY.values / 1e3, "GHz"), "should be in 'MHz', got 'GHz'"),
    (lambda: recoordinated(FREQUENCY.values[::-1]), "another order"),
    (lambda: recoordinated(FREQUENCY.values + 0.1), "missing 500, .* unknown 500.1"),
    (lambda: cube("real").isel(frequency=slice(1, None)), "missing 500 .10 fitted, 9 given"),
    (lambda: cube("real").isel(frequency=[0, *range(CHANNELS)]), "another order"),
    (lambda: cube("complex"), "expected real data, got complex"),
    (lambda: cube("parts"), "expected real data, got complex"),
    (lambda: cube("real").where(cube("real") < 4, np.inf), "infinities"),
]


@pytest.mark.parametrize(("make", "text"), WRONG)
def test_wrong_data_are_refused(make: Callable[[], xr.DataArray], text: str) -> None:
    basis = PCA.fit(cube("real"))
    with pytest.raises(LabelError, match=text):
        basis.clean(make(), modes=2)
    sums = SpectralMoments().update(cube("real"))
    with pytest.raises(LabelError, match=text):
        sums.update(make())


CALLS: list[tuple[Callable[[PCA], object], str]] = [
    (lambda p: p.clean(cube("real"), modes=11), "whole number from 0 to 10, got 11"),
    (lambda p: p.clean(cube("real"), modes=-1), "whole number from 0 to 10, got -1"),
    (lambda p: p.clean(cube("real"), 1, weights=-xr.ones_like(cube("real"))), "not negative"),
    (lambda p: p.clean(cube("real"), 1, weights=xr.DataArray([1.0], dims="z")), "dimension 'z'"),
    (
        lambda p: p.clean(cube("real"), 1, weights=recoordinated(FREQUENCY.values + 1)),
        "different coordinates",
    ),
    (lambda p: p.inverse(cube("real")), "need a dimension and coordinate 'mode'"),
    (
        lambda p: p.inverse(p.modes_of(cube("real"), 2).assign_coords(mode=[0, 99])),
        "modes 0 to 9",
    ),
    (lambda p: PCA(p.dataset.drop_vars("mean")), "'mean' is missing"),
    (lambda p: PCA(p.dataset.drop_attrs()), "'channels'"),
    (lambda p: SpectralMoments().finish(), "no data"),
    (lambda p: SpectralMoments().merge(SpectralMoments("time")).finish(), "cannot merge"),
    (
        lambda p: PCA.fit([cube("real"), cube("real").assign_attrs(units="K")]),
        "'mK', these are in 'K'",
    ),
    (
        lambda p: PCA.fit(cube("real").where((cube("real").sample % 2 == 0) ^ (FREQUENCY < 550))),
        "never seen in one spectrum",
    ),
    (lambda p: PCA.fit(cube("real").astype(str)), "expected numbers"),
]


@pytest.mark.parametrize(("call", "text"), CALLS)
def test_wrong_calls_are_refused(call: Callable[[PCA], object], text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(LabelError, match=text):
            call(PCA.fit(cube("real")))
