"""The 21 cm signal: its spectra, its fields against their covariance, and the sky's simulators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import presage as ps
from presage.labels import LabelError
from presage.recipe import Recipe
from presage.studies import rebuild
from presage.studies.sky import SKIES, Patch, Signal, SkySignal, sky
from presage.studies.sky.cosmology import PLANCK18
from presage.studies.sky.linear_power import linear_power, unnormalised_sigma8
from presage.studies.sky.signal import box

SMALL = {"channels": 16, "pixels": 16}
SIMULATORS = [
    pytest.param(part, id=f"{name}-{part.makes[0]}")
    for name in SKIES
    for part in sky(name, **SMALL).simulators().values()
]


@pytest.mark.parametrize("part", SIMULATORS)
def test_a_sample_is_the_same_in_any_shard_and_can_be_rebuilt(part: Any, tmp_path: Any) -> None:
    name = part.makes[0]
    whole = ps.simulate(part, 20, seed=3, store=ps.Store(tmp_path / "a"), progress=False)
    store = ps.Store(tmp_path / "b")
    ps.simulate(part, 5, seed=3, store=store, progress=False)
    pieces = ps.simulate(part, 20, seed=3, store=store, progress=False)
    assert np.array_equal(whole[name].values, pieces[name].values)
    assert whole[name].dims == ("sample", *part.beam.dims)
    assert whole[name].attrs["units"] == part.beam.units
    recipe = Recipe.from_json(part.recipe(3).json)
    again = rebuild(recipe, type(part))
    assert again == part
    assert np.array_equal(again.block(3, 1)[name][:4], whole[name].values[8:12])


# -- spectra ----------------------------------------------------------------------------


def test_the_table_has_its_sigma8_and_grows_as_the_cosmology_says() -> None:
    found = unnormalised_sigma8("boltzmann", PLANCK18)
    assert found == pytest.approx(0.4933, rel=2e-4)
    assert found == pytest.approx(0.8102 * PLANCK18.growth(np.array(1.0)), rel=3e-3)


@pytest.mark.parametrize("spectrum", ["boltzmann", "eisenstein_hu"])
def test_a_spectrum_has_the_sigma8_that_is_asked_for(spectrum: str) -> None:
    cosmology = replace(PLANCK18, sigma8=0.7)
    k = np.geomspace(1e-4, 50, 5_000)
    window = 3 * (np.sin(8 * k) - 8 * k * np.cos(8 * k)) / (8 * k) ** 3
    density = k**2 * linear_power(k, spectrum, cosmology) / (2 * np.pi**2) * window**2
    assert np.sqrt(np.trapezoid(density, k)) == pytest.approx(0.7, rel=1e-3)


def test_without_oscillations_the_fit_is_the_table() -> None:
    k = np.geomspace(1e-3, 5, 2_000)
    smooth = (k < 0.02) | (k > 0.2)
    ratio = linear_power(k, "eisenstein_hu") / linear_power(k, "boltzmann")
    ratio /= np.median(ratio[smooth])
    off = np.abs(ratio - 1)
    assert np.sqrt(np.mean(off[smooth] ** 2)) < 0.015
    assert np.mean(off[smooth] < 0.02) > 0.9  # ripples reach beyond 0.2, and the fit sags at 0.001
    assert off[smooth].max() < 0.06
    assert 0.05 < off[~smooth].max() < 0.11


def test_beyond_the_table_spectra_are_power_laws() -> None:
    for first in (1e-7, 1e3):
        power = linear_power(first * np.array([1.0, 10.0, 100.0]), "boltzmann")
        assert power[1] ** 2 == pytest.approx(power[0] * power[2])
    rising = linear_power(np.array([1e-6, 1e-5]), "boltzmann")
    assert np.log10(rising[1] / rising[0]) == pytest.approx(PLANCK18.tilt, abs=0.002)


def test_velocities_squeeze_and_blur_along_the_line_of_sight() -> None:
    patch, k, none = Patch(), np.array([0.1]), np.zeros(1)
    across = Signal(bias=1.3).power(patch, k, none)
    assert across == pytest.approx(Signal(bias=1.3, distortions=False).power(patch, none, k))
    rate = PLANCK18.growth_rate(patch.middle)
    along = Signal(bias=1.3).power(patch, none, k)
    assert along / across == pytest.approx((1 + rate / 1.3) ** 2)
    blurred = Signal(bias=1.3, dispersion=6.0)
    assert blurred.power(patch, none, k) / along == pytest.approx(1 / (1 + 0.5 * 0.6**2))
    assert blurred.power(patch, k, none) == pytest.approx(across)


# -- fields -----------------------------------------------------------------------------

BOX = Patch(channels=48, pixels=48)
EDGES = np.arange(0.03, 0.235, 0.012)
KINDS = {
    "gaussian": Signal(),
    "smooth": Signal(spectrum="eisenstein_hu"),
    "lognormal": Signal(lognormal=True),
    "blurred": Signal(bias=2.0, dispersion=5.0),
    "still": Signal(bias=1.0, distortions=False, oversize=3.0),
}


def test_a_box_without_structure_is_white_noise() -> None:
    """Its filter is 1, so that a mode has the variance of a cell."""
    white = box(Signal(), BOX)._replace(filter=np.ones((96, 48, 25), np.float32))
    modes = white.modes(np.random.default_rng(1), 16, 96)
    assert np.mean(np.abs(modes[..., 1:-1]) ** 2) == pytest.approx(1, abs=0.002)
    assert np.mean(modes[..., 0, 0].real ** 2) == pytest.approx(1, abs=0.15)
    assert np.abs(modes[..., 0, 0].imag).max() < 1e-5


def measured(signal: Signal, against: Signal, boxes: int) -> tuple[Any, Any]:
    """Return P(k)/P_against(k) in bins, mean over whole boxes, and its error."""
    whole = box(signal, BOX)
    modes = whole.modes(np.random.default_rng(7), boxes, len(whole.filter))
    modes = np.fft.fft(modes, axis=1, norm="ortho")[..., 1:-1]
    along = 2 * np.pi * np.fft.fftfreq(modes.shape[1], BOX.spacing["frequency"])[:, None, None]
    across = (BOX.multipole * np.deg2rad(BOX.pixel) / BOX.spacing["y"])[:, 1:-1]
    expected = against.power(BOX, across, along) / np.prod([*BOX.spacing.values()])
    which = np.digitize(np.hypot(across, along), EDGES).ravel()
    ratio = (np.abs(modes) ** 2 / expected).reshape(boxes, -1)
    bins = [ratio[:, which == i].mean(axis=1) for i in range(1, len(EDGES))]
    return np.mean(bins, axis=1), np.std(bins, axis=1, ddof=1) / np.sqrt(boxes)


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_have_the_power_that_was_asked_for(kind: str) -> None:
    ratio, error = measured(KINDS[kind], KINDS[kind], 60)
    pull = (ratio - 1) / error
    assert np.all(error < 0.02)
    assert np.mean(pull**2) < 2
    assert abs(pull.mean()) < 1.2


@pytest.mark.parametrize("lognormal", [False, True])
def test_acoustic_peaks_are_seen_in_the_mean_of_many_boxes(lognormal: bool) -> None:
    """Against a spectrum without them, boxes ripple as the table does."""
    signal = Signal(lognormal=lognormal)
    ratio, error = measured(signal, replace(signal, spectrum="eisenstein_hu"), 100)
    k = 0.5 * (EDGES[1:] + EDGES[:-1])
    table = linear_power(k, "boltzmann") / linear_power(k, "eisenstein_hu")
    assert np.mean(((ratio - 1) / error) ** 2) > 8
    assert np.corrcoef(ratio, table)[0, 1] > 0.95


@pytest.mark.parametrize("kind", KINDS)
def test_modes_have_exactly_their_covariance(kind: str) -> None:
    signal, patch, n = KINDS[kind], Patch(540.0, 549.4, 12, 8), 4_000
    modes = signal.modes(patch, np.random.default_rng(5), n).astype(np.complex128)
    covariance = signal.covariance(patch, patch.multipole.ravel())
    root = np.linalg.cholesky(covariance)
    white = np.linalg.solve(root, modes.reshape(n, 12, -1).transpose(2, 1, 0))
    found = (white @ white.conj().transpose(0, 2, 1)).real / n
    off = (found - np.eye(12)) * np.sqrt(n / 2)
    # 1/2 where modes are complex; those that are their own conjugates scatter more.
    assert np.sqrt(np.mean(off**2)) < (0.8 if kind == "lognormal" else 0.65)
    assert np.abs(np.diagonal(off, axis1=1, axis2=2).mean(axis=1)).max() < 1.2
    mean = modes.mean(axis=0) / modes.std(axis=0)
    assert np.abs(mean).max() < 5 / np.sqrt(n)


def test_a_lognormal_density_is_never_negative_and_skewed() -> None:
    patch = Patch(channels=32, pixels=32)
    for signal, lowest, skewed in ((Signal(lognormal=True), -1, True), (Signal(), -9, False)):
        cubes = SkySignal(patch, signal=signal).block(1, 0)["signal"]
        density = cubes / signal.amplitude(patch)[:, None, None]
        assert density.min() > lowest
        assert density.var() == pytest.approx(
            float((signal.variance(patch) / signal.amplitude(patch) ** 2).mean()), rel=0.03
        )
        assert (np.mean(density**3) / density.std() ** 3 > 1) == skewed


def test_the_variance_of_a_cell_is_the_integral_over_its_power() -> None:
    """int d^3k/(2 pi)^3 P over the wave numbers that cells can show, by midpoints."""
    patch, signal = Patch(), Signal()
    ends = {dim: np.pi / step for dim, step in patch.spacing.items()}
    kz, ky, kx = np.meshgrid(
        *((np.arange(100) + 0.5) / 100 * ends[dim] for dim in ("frequency", "y", "x")),
        indexing="ij", sparse=True,
    )  # fmt: skip
    power = signal.power(patch, np.hypot(ky, kx), kz).mean()
    expected = power * np.prod(list(ends.values())) / np.pi**3 * signal.amplitude(patch) ** 2
    assert signal.variance(patch) == pytest.approx(expected, rel=0.01)


def test_the_exponential_of_the_underlying_field_has_the_power_that_was_asked_for() -> None:
    gaussian, lognormal = Signal(), Signal(lognormal=True)
    whole, shape = box(lognormal, BOX), (96, 48, 48)
    power = np.fft.irfftn(whole.filter.astype(float) ** 2, s=shape, axes=(0, 1, 2))
    found = np.fft.rfftn(np.expm1(power), axes=(0, 1, 2)).real
    expected = box(gaussian, BOX).filter.astype(float) ** 2
    assert power[0, 0, 0] == pytest.approx(whole.underlying)
    assert found[0, 0, 0] == pytest.approx(whole.zero, abs=1e-3)
    expected[0, 0, 0] = found[0, 0, 0]
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-6 * expected.max())
    more, less = (s.covariance(BOX, np.zeros(1))[0] for s in (lognormal, gaussian))
    amplitude = gaussian.amplitude(BOX)
    assert more - less == pytest.approx(whole.zero / 96 * np.outer(amplitude, amplitude))


@pytest.mark.parametrize("pixel", [0.25, 0.3])
@pytest.mark.parametrize("bias", [1.0, "evolving"])
def test_the_signal_is_as_bright_as_published(pixel: float, bias: Any) -> None:
    rms = np.sqrt(Signal(bias=bias).variance(Patch(pixel=pixel)).mean())
    assert 0.165 < rms < 0.195
    assert np.sqrt(Signal(bias=bias).variance(Patch(pixel=pixel, channels=256)).mean()) > rms


def test_parts_are_shared_among_skies_that_do_not_differ_in_them() -> None:
    keys = {
        name: {part: s.recipe(0).key for part, s in SKIES[name].simulators().items()}
        for name in SKIES
    }
    assert keys["easy"]["noise"] == keys["beam"]["noise"] == keys["hard"]["noise"]
    assert keys["easy"]["signal"] == keys["leakage"]["signal"] != keys["beam"]["signal"]
    assert len({each["foreground"] for each in keys.values()}) == len(SKIES)
    assert len({each["noise"] for each in keys.values()}) == 2
    other = SKIES["hard"].held_out().simulators()
    assert other["signal"] == SKIES["hard"].simulators()["signal"]
    assert other["foreground"] != SKIES["hard"].simulators()["foreground"]


def test_the_noise_is_that_of_the_receiver_and_can_be_chosen() -> None:
    chosen = sky("easy", **SMALL).with_noise(0.04)
    assert chosen.noise_share == pytest.approx(0.04)
    noise = np.concatenate([chosen.simulators()["noise"].block(1, i)["noise"] for i in range(8)])
    expected = chosen.receiver.variance(chosen.patch)
    assert noise.var(axis=(0, 2, 3)) == pytest.approx(expected, rel=0.06)


# -- bad input --------------------------------------------------------------------------

BAD = [
    (lambda: Signal(spectrum="boltzman"), "no spectrum 'boltzman'; did you mean 'boltzmann'"),
    (lambda: Signal(bias="constant"), "bias is a positive number or 'evolving', got 'constant'"),
    (lambda: Signal(bias=-1.0), "bias is a positive number"),
    (lambda: Signal(dispersion=-1.0), "dispersion is in Mpc/h and not negative"),
    (lambda: Signal(oversize=1.5), "oversize is at least 2"),
    (lambda: Signal(oversize=float("nan")), "oversize is at least 2"),
    (lambda: draw(Signal(lognormal=True, bias=4.0)), "no Gaussian field gives a lognormal one"),
    (lambda: draw(Signal(lognormal=True, bias=300.0)), "a correlation above -1 everywhere, got -"),
    (lambda: draw(Signal(), hubble=0.7), "take spectrum='eisenstein_hu'"),
    (lambda: sky("esay"), "no sky 'esay'; did you mean 'easy'"),
    (lambda: sky("easy", chanels=3), "a patch has no 'chanels'; did you mean 'channels'"),
    (lambda: sky("easy").with_noise(0.0), "a positive share"),
    (lambda: sky("easy", pixels=16.5), "at least 2 channels and 2 pixels"),
    (lambda: sky("easy", channels="16"), "at least 2 channels and 2 pixels"),
]


def draw(signal: Signal, **cosmology: float) -> Any:
    patch = Patch(channels=32, pixels=32, cosmology=replace(PLANCK18, **cosmology))
    return signal.modes(patch, np.random.default_rng(0), 1)


@pytest.mark.parametrize(("wrong", "text"), BAD, ids=[text for _, text in BAD])
def test_bad_input_is_named(wrong: Any, text: str) -> None:
    with pytest.raises(LabelError) as caught:
        wrong()
    assert text in str(caught.value)
