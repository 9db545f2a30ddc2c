"""Power spectra of labelled cubes: levels, places, counts and identities."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from presage.analysis.fourier import Box
from presage.analysis.spectra import Spectra, compare_spectra, power, wave_edges
from presage.labels import LabelError, from_complex

SIZES = {"sample": 24, "frequency": 16, "y": 10, "x": 12}
BOX = Box({"frequency": 3.0, "y": 5.0, "x": 7.0})
PLAIN = Box(BOX.spacing, taper="boxcar")
EVERYTHING = {"k": [0.0, 10.0]}


def cubes(seed=0, dims=tuple(SIZES), kind="real", scale=1.0):
    rng = np.random.default_rng(seed)
    values = scale * rng.normal(size=[SIZES[d] for d in SIZES])
    if kind == "complex":
        values = (values + 1j * scale * rng.normal(size=values.shape)) / np.sqrt(2)
    return xr.DataArray(values, dims=list(SIZES), attrs={"units": "mK"}).transpose(*dims)


@pytest.mark.parametrize("taper", ["boxcar", "hann", "blackman", "blackmanharris"])
@pytest.mark.parametrize("kind", ["real", "complex"])
def test_white_noise_is_flat_at_its_level(taper, kind):
    found = power(
        cubes(kind=kind, scale=2.0), Box(BOX.spacing, taper=taper),
        k_perpendicular=[0.01, 0.2, 0.6], k_parallel=[0.05, 0.4, 1.1],
    )  # fmt: skip
    pull = (found["power"] / (4 * BOX.volume) - 1) / (found["power_error"] / (4 * BOX.volume))
    assert (abs(pull) < 4).all()
    assert (found["power_error"] < 0.1 * found["power"]).all()
    assert found["power"].attrs["units"] == "mK2 (Mpc/h)3"


@pytest.mark.parametrize("channels", [15, 16])
@pytest.mark.parametrize("kind", ["real", "complex"])
def test_all_modes_hold_the_mean_square_and_are_counted(kind, channels):
    data = cubes(kind=kind).isel(frequency=slice(0, channels))
    found = power(data, PLAIN, **EVERYTHING)
    cells = data.size // SIZES["sample"]
    assert int(found["mode_count"].sum()) == cells
    total = float((found["power"] * found["mode_count"]).sum())
    assert total == pytest.approx(float((abs(data) ** 2).mean()) * cells * BOX.volume, rel=1e-12)


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("dims", [tuple(SIZES), ("x", "frequency", "sample", "y")])
def test_counts_are_those_of_a_loop_over_all_modes(kind, dims):
    edges = {"k_perpendicular": [0.0, 0.1, 0.3], "k_parallel": [0.0, 0.2, 0.9]}
    found = power(cubes(kind=kind, dims=dims), BOX, **edges)
    k = {d: 2 * np.pi * np.fft.fftfreq(SIZES[d], BOX.spacing[d]) for d in BOX.spacing}
    across = np.hypot(*np.meshgrid(k["y"], k["x"])).ravel()
    places = [np.histogram(across, edges["k_perpendicular"])[0],
              np.histogram(abs(k["frequency"]), edges["k_parallel"])[0]]  # fmt: skip
    np.testing.assert_array_equal(found["mode_count"], np.multiply.outer(*places))
    middle = across[(across > 0.1) & (across < 0.3)].mean()
    assert float(found["k_perpendicular"][1]) == pytest.approx(middle, rel=1e-12)


@pytest.mark.parametrize("step", [(2, 3, 0), (5, 0, 4), (8, 1, 1)])
def test_a_plane_wave_lies_in_one_bin(step):
    k = [
        2 * np.pi * s / (SIZES[d] * BOX.spacing[d]) for s, d in zip(step, BOX.spacing, strict=True)
    ]
    grid = {d: xr.DataArray(np.arange(SIZES[d]) * BOX.spacing[d], dims=d) for d in BOX.spacing}
    wave = np.cos(sum(a * x for a, x in zip(k, grid.values(), strict=True)) + 0.3)
    edges = {"k_perpendicular": np.linspace(0, 1.1, 12), "k_parallel": np.linspace(0.0, 1.1, 12)}
    found = power(wave, PLAIN, **edges)
    held = found["power"] * found["mode_count"]
    across = np.hypot(k[1], k[2])
    here = held.isel(k_perpendicular=int(across / 0.1), k_parallel=int(k[0] / 0.1))
    mean_square = float((wave**2).mean()) * wave.size * BOX.volume
    assert float(here) == pytest.approx(float(held.sum()), rel=1e-12)
    assert float(here) == pytest.approx(mean_square, rel=1e-12)


def test_a_taper_keeps_a_bright_slope_out_of_small_scales():
    slope = cubes() * 0 + xr.DataArray(np.linspace(0, 1e3, 16), dims="frequency")
    small = {"k_parallel": [0.7, 1.1]}
    plain, tapered = (float(power(slope, b, **small)["power"][0]) for b in (PLAIN, BOX))
    assert tapered < 1e-2 * plain


def test_ratio_correlation_and_residual_belong_together():
    truth, noise = cubes(1), cubes(2)
    estimate = 0.7 * truth + 0.2 * noise
    edges = {"k": [0.05, 0.3, 0.6, 1.2]}
    found = compare_spectra(estimate, truth, BOX, chunk=5, **edges)
    identity = found["power"] + found["power_true"] - 2 * found["cross"]
    np.testing.assert_allclose(found["power_residual"], identity, rtol=1e-12)
    expected = {"ratio": 0.53, "residual": 0.13, "correlation": 0.7 / np.sqrt(0.53)}
    for name, value in expected.items():
        assert (abs(found[name] - value) < 4 * found[f"{name}_error"]).all(), name
        assert (found[f"{name}_error"] < 0.03).all(), name
    half = compare_spectra(0.5 * truth, truth, BOX, **edges)
    for name, value in {"ratio": 0.25, "correlation": 1.0, "residual": 0.25}.items():
        np.testing.assert_allclose(half[name], value, rtol=1e-12)
        np.testing.assert_allclose(half[f"{name}_error"], 0, atol=1e-12)
    whole = compare_spectra(estimate, truth, BOX, chunk=100, **edges)
    xr.testing.assert_allclose(whole, found, rtol=1e-12)


def test_errors_are_the_scatter_of_repetitions():
    edges = {"k": [0.05, 0.6, 1.2]}
    made = [
        compare_spectra(t + 0.5 * cubes(100 + i)[:8], t, PLAIN, **edges)
        for i, t in ((i, cubes(i)[:8]) for i in range(60))
    ]
    for name in ("ratio", "correlation", "residual"):
        scatter = np.std([m[name].values for m in made], axis=0)
        claimed = np.mean([m[f"{name}_error"].values for m in made], axis=0)
        np.testing.assert_allclose(claimed, scatter, rtol=0.35)


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_the_expected_power_is_the_mean_of_draws(kind):
    n, rng = 16, np.random.default_rng(0)
    root = np.stack([rng.normal(size=(n, n)) + 3, 0.3 * rng.normal(size=(n, n))])
    if kind == "complex":
        root = root + 1j * rng.normal(size=root.shape)
    covariance = xr.DataArray(
        root @ root.conj().transpose(0, 2, 1), dims=("shell", "frequency", "frequency_other"),
        attrs={"units": "mK2"},
    )  # fmt: skip
    drawn = np.stack([(rng.normal(size=(4000, n)) + 1j * rng.normal(size=(4000, n))) @ r.T
                      for r in root]) / np.sqrt(2)  # fmt: skip
    box = Box({"frequency": 3.0}, modes={"shell": np.array([0.1, 0.3])})
    data = from_complex(xr.DataArray(drawn, dims=("shell", "sample", "frequency")))
    edges = {"k_perpendicular": [0.0, 0.2, 0.4], "k_parallel": [0.0, 0.1, 0.3, 1.1]}
    found = power(data, box, chunk=1000, **edges)
    modes = box.expected(covariance, [0.1, 0.3], [5, 7])
    expected = Spectra(**edges).update(modes).finish()
    assert (abs(found["power"] - expected["power"]) < 4 * found["power_error"]).all()
    np.testing.assert_array_equal(expected["mode_count"].sum("k_parallel"), [5 * n, 7 * n])


@pytest.mark.parametrize("kind", ["real", "complex", "parts"])
@pytest.mark.parametrize("channels", [15, 16])
def test_modes_are_scaled_bin_by_bin(kind, channels):
    data = cubes(
        kind="real" if kind == "real" else "complex", dims=("x", "frequency", "sample", "y")
    )
    data = data.isel(frequency=slice(0, channels))
    data = from_complex(data) if kind == "parts" else data
    edges = {"k_perpendicular": [0.0, 0.1, 0.8], "k_parallel": [0.0, 0.2, 1.1]}
    factors = np.array([[1.0, 0.5], [2.0, 0.0]])
    scaled = BOX.scaled(data, lambda modes: Spectra(**edges).of(modes, factors, outside=1.0))
    assert scaled.dims == data.dims
    found = compare_spectra(scaled, data, PLAIN, **edges)
    np.testing.assert_allclose(found["cross"] / found["power_true"], factors, atol=1e-12)
    same = BOX.scaled(data, lambda modes: np.ones_like(modes.count))
    xr.testing.assert_allclose(same, data, rtol=1e-12)


def test_edges_lie_between_multiples_of_the_fundamental():
    edges = wave_edges(0.01, 0.32)
    np.testing.assert_allclose(edges[:4], [0.005, 0.015, 0.025, 0.035])
    assert edges[-1] == pytest.approx(0.325)
    np.testing.assert_allclose(edges / 0.01 - 0.5, np.rint(edges / 0.01 - 0.5), atol=1e-9)
    assert (np.diff(edges) > 0).all()


DEAD = cubes().where(cubes() < 3)
WRONG = {
    "unknown taper": (lambda: Box(BOX.spacing, taper="han"), "no taper 'han'; did you mean 'hann'"),
    "no size along": (lambda: Box({"y": 1.0}), "size of a cell along 'frequency'"),
    "negative size": (lambda: Box({"frequency": -1.0}), "positive"),
    "missing dim": (lambda: power(cubes().rename(y="z"), BOX, k=[0, 1]), "the cube has no 'y'"),
    "not finite": (lambda: power(DEAD, BOX, k=[0, 1]), "not finite; leave those channels out"),
    "unknown wave": (lambda: Spectra(k_paralel=[0, 1]), "did you mean 'k_parallel'"),
    "descending": (lambda: Spectra(k=[1, 0]), "edges of k ascend"),
    "other cells": (
        lambda: compare_spectra(cubes(), cubes().isel(x=slice(0, 6)), BOX, k=[0, 1]),
        "same cells and samples",
    ),
    "nothing": (lambda: Spectra(k=[0, 1]).finish(), "no samples"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(case):
    make, text = WRONG[case]
    with pytest.raises(LabelError, match=text):
        make()
