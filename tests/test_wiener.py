"""Laws of the Wiener filter: least residual power, by name, for every shell of modes by itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from presage.labels import LabelError, from_complex, to_complex
from presage.transforms import Across, TransverseMoments, Wiener
from presage.transforms.across import Modes

CHANNELS, PIXELS, BASELINES = 16, 12, 2
DEGREES = {"units": "deg"}
MHZ = xr.Variable("frequency", np.linspace(500.0, 600.0, CHANNELS), {"units": "MHz"})
ANGLE = 0.25 * np.arange(PIXELS)


def grid(kind: str) -> xr.Dataset:
    """The coordinates of maps: real over (y, x), or parts over baseline and right ascension."""
    if kind == "real":
        return xr.Dataset(coords={d: (d, ANGLE, DEGREES) for d in ("y", "x")})
    coords = {"right_ascension": ("right_ascension", ANGLE, DEGREES)}
    return xr.Dataset(coords={**coords, "baseline": [14.0, 20.0]})


def covariances(kind: str) -> tuple[xr.DataArray, xr.DataArray]:
    """A signal that is rough along frequency, and one that is smooth, 1e10 stronger, and noise."""
    real = kind == "real"
    across = Across.of(grid(kind), ("y", "x") if real else ("right_ascension",))
    shells = across.shells(is_complex=not real, signed=not real)
    apart = np.abs(np.subtract.outer(MHZ.values, MHZ.values))
    k = 1 + np.abs(shells.values)[:, None, None]
    signal = k**-1 * np.exp(-0.5 * (apart / 8) ** 2) + 1e-6 * np.eye(CHANNELS)
    foreground = 1e10 * k**-3 * np.exp(-0.5 * (apart / 300) ** 2)
    coords = {"frequency": MHZ, "wave_number": shells}
    dims: tuple[str, ...] = ("shell", "frequency", "frequency_other")
    if not real:  # phases that turn with frequency, at a rate by baseline and sign of k
        rate = 0.02 * np.array([1.0, 3.0])[:, None, None] * np.sign(shells.values)[:, None]
        turn = np.exp(1j * rate * MHZ.values)
        phase = turn[..., :, None] * turn[..., None, :].conj()
        signal, foreground = signal * phase, foreground * phase.conj()
        dims, coords = ("baseline", *dims), {**coords, "baseline": [14.0, 20.0]}
    contaminant = foreground + 0.05 * np.eye(CHANNELS)
    made = (xr.DataArray(c, coords, dims) for c in (signal, contaminant))
    s, c = (a if real else from_complex(a) for a in made)
    return s, c


def true_filter(kind: str) -> Wiener:
    across = ("y", "x") if kind == "real" else ("right_ascension",)
    return Wiener.from_covariances(*covariances(kind), grid(kind), across)


def draw(kind: str, covariance: xr.DataArray, samples: int, seed: int) -> xr.DataArray:
    """Maps whose modes have a covariance, by its square root acting on white noise."""
    rng = np.random.default_rng(seed)
    values = covariance if kind == "real" else to_complex(covariance)
    power, vectors = np.linalg.eigh(values.values)
    root = (vectors * np.sqrt(np.maximum(power, 0))[..., None, :]) @ vectors.conj().swapaxes(-1, -2)
    wave = covariance["wave_number"].values
    if kind == "real":
        white = np.fft.rfft2(rng.normal(size=(samples, CHANNELS, PIXELS, PIXELS)), norm="ortho")
        across = Across.of(grid(kind), ("y", "x"))
        shell = Modes(across, wave, False).shell.reshape(white.shape[2:])
        modes = np.einsum("yxfg,sgyx->sfyx", root[shell], white)
        maps = np.fft.irfft2(modes, s=(PIXELS, PIXELS), norm="ortho")
        dims: tuple[str, ...] = ("sample", "frequency", "y", "x")
    else:
        parts = rng.normal(size=(2, samples, CHANNELS, BASELINES, PIXELS)) / np.sqrt(2)
        shell = Modes(Across.of(grid(kind), ("right_ascension",)), wave, True).shell
        modes = np.einsum("brfg,sgbr->sfbr", root[:, shell], parts[0] + 1j * parts[1])
        maps = np.fft.ifft(modes, norm="ortho")
        dims = ("sample", "frequency", "baseline", "right_ascension")
    array = xr.DataArray(maps, {"frequency": MHZ, **grid(kind).coords}, dims, attrs={"units": "mK"})
    return array if kind == "real" else from_complex(array)


def residual_power(wiener: Wiener, left: xr.DataArray) -> float:
    """Power per value in units of what the covariance of the filter's residual says."""
    expected = wiener.residual_covariance()
    full = to_complex(expected) if "component" in left.dims else expected
    power = np.real(full.values.diagonal(axis1=-2, axis2=-1)).mean(axis=-1)
    is_complex = wiener.channels.is_complex
    modes = Modes(wiener.across, wiener.dataset["wave_number"].values, is_complex)
    mean = np.average(power.reshape(-1, len(modes.count)).mean(axis=0), weights=modes.count)
    return float((left**2).mean()) * (1 + is_complex) / float(mean)


KINDS = ["real", "parts"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_residual_is_what_the_posterior_says_and_nothing_beats_it(kind: str) -> None:
    signal, contaminant = (draw(kind, c, 200, seed) for seed, c in enumerate(covariances(kind)))
    wiener = true_filter(kind)
    left = wiener.clean(signal + contaminant) - signal
    assert residual_power(wiener, left) == pytest.approx(1.0, abs=0.03)
    for factor in (0.5, 2.0):  # a filter for another signal is worse, by what is computed
        s, c = covariances(kind)
        other = Wiener.from_covariances(factor * s, c, grid(kind), wiener.across.dims)
        worse = _trace(other.residual_covariance(wiener)) / _trace(wiener.residual_covariance())
        measured = ((other.clean(signal + contaminant) - signal) ** 2).mean() / (left**2).mean()
        assert worse > 1.01
        assert float(measured) == pytest.approx(worse, rel=0.05)


def _trace(covariance: xr.DataArray) -> float:
    values = covariance if "component" not in covariance.dims else to_complex(covariance)
    return float(np.real(values.values.trace(axis1=-2, axis2=-1)).sum())


@pytest.mark.parametrize("kind", KINDS)
def test_clean_is_linear_by_name_and_of_the_type_given(kind: str) -> None:
    wiener = true_filter(kind)
    signal, contaminant = (draw(kind, c, 3, seed) for seed, c in enumerate(covariances(kind)))
    added = wiener.clean(signal) + wiener.clean(contaminant)
    whole = wiener.clean(signal + contaminant)
    np.testing.assert_allclose(added, whole, atol=1e-9)
    turned = (signal + contaminant).transpose(*signal.dims[::-1])
    xr.testing.assert_allclose(wiener.clean(turned).transpose(*signal.dims), whole)
    single = wiener.clean(signal.astype("float32"))
    assert (single.dims, single.dtype, single.attrs) == (signal.dims, np.float32, signal.attrs)


def test_it_survives_netcdf_and_dead_channels(tmp_path) -> None:  # type: ignore[no-untyped-def]
    s, c = covariances("real")
    dead = xr.DataArray(np.isin(np.arange(CHANNELS), [3, 7]), dims="frequency")
    other = dead.rename(frequency="frequency_other")
    hidden = Wiener.from_covariances(s, c.where(~dead & ~other), grid("real"))
    hidden.dataset.to_netcdf(tmp_path / "filter.nc", engine="h5netcdf")
    sky = draw("real", s, 2, 0)
    cleaned = hidden.clean(sky.where(~dead))
    assert cleaned.isel(frequency=dead.values).isnull().all()
    live = {"frequency": np.flatnonzero(~dead)}
    both = {**live, "frequency_other": live["frequency"]}
    alone = Wiener.from_covariances(s.isel(both), c.isel(both), grid("real"))
    np.testing.assert_allclose(cleaned.isel(live), alone.clean(sky.isel(live)), atol=1e-10)
    with xr.open_dataset(tmp_path / "filter.nc", engine="h5netcdf") as read:
        xr.testing.assert_identical(Wiener(read).clean(sky), hidden.clean(sky))


def learned(kind: str, maps: int, shrink: bool = True) -> Wiener:
    """The filter learned from maps, in chunks."""
    s, c = (draw(kind, matrix, maps, 10 + i) for i, matrix in enumerate(covariances(kind)))
    real = kind == "real"
    over = ("y", "x") if real else ("right_ascension",)
    moments = TransverseMoments(across=over, apart=() if real else ("baseline",))
    for some in (slice(0, maps // 3), slice(maps // 3, None)):
        moments.update(xr.Dataset({"signal": s, "contaminant": c}).isel(sample=some))
    return Wiener(moments.finish(shrink=shrink))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_learned_comes_near_to_the_limit(kind: str) -> None:
    truth = true_filter(kind)
    limit = _trace(truth.residual_covariance())

    def excess(wiener: Wiener) -> float:
        return _trace(wiener.residual_covariance(truth)) / limit

    few, many, plain = (learned(kind, *how) for how in ((60,), (300,), (60, False)))
    assert excess(many) < min(1.02, excess(few))
    assert excess(few) < 1.1
    assert excess(few) - 1 < 0.5 * (excess(plain) - 1)  # what shrinking is for
    np.testing.assert_array_equal(few.dataset["wave_number"], truth.dataset["wave_number"])
    sample = draw(kind, covariances(kind)[0], 2, 0)
    assert few.clean(sample).dims == sample.dims


def test_learning_takes_dead_channels_and_refuses_gaps() -> None:
    s, c = (draw("real", matrix, 40, i) for i, matrix in enumerate(covariances("real")))
    dead = xr.DataArray(np.arange(CHANNELS) == 5, dims="frequency")
    maps = xr.Dataset({"signal": s, "contaminant": c.where(~dead)})
    with pytest.warns(UserWarning, match="1 of 16 channels .* hold no data"):
        wiener = Wiener(TransverseMoments().update(maps).finish())
    cleaned = wiener.clean(s)
    assert cleaned.isel(frequency=5).isnull().all()
    assert np.isfinite(cleaned.isel(frequency=slice(6, None))).all()
    with pytest.raises(LabelError, match="maps; 640 values are missing"):
        TransverseMoments().update(maps.where(c["x"] + c["y"] > 0)).finish()
    with pytest.raises(LabelError, match="no maps to learn from"):
        TransverseMoments().finish()
    few = maps.isel(sample=[0], frequency=slice(6, None), y=slice(3), x=slice(3))
    with pytest.raises(LabelError, match="learn from more maps"):
        TransverseMoments().update(few).finish()
    moments = TransverseMoments().update(maps)
    with pytest.raises(LabelError, match="another pixel size"):
        moments.update(maps.assign_coords(x=2 * maps["x"]))
    kelvin = maps.assign(contaminant=c.assign_attrs(units="K"))
    with pytest.raises(LabelError, match="first data were in 'mK', these are in 'K'"):
        TransverseMoments().update(kelvin)


def sky() -> xr.DataArray:
    return draw("real", covariances("real")[0], 1, 0)


def regridded(values: np.ndarray, unit: str = "deg") -> xr.DataArray:
    return sky().assign_coords(x=("x", values, {"units": unit}), y=("y", values, {"units": unit}))


def recoordinated(values: np.ndarray, unit: str = "MHz") -> xr.DataArray:
    return sky().assign_coords(frequency=("frequency", values, {"units": unit}))


WRONG: list[tuple[Callable[[], xr.DataArray], str]] = [
    (lambda: regridded(2 * ANGLE), "another pixel size: expected .0.25, 0.25. deg"),
    (lambda: regridded(60 * ANGLE, "arcmin"), "in 'deg', got 'arcmin'"),
    (lambda: regridded(ANGLE**2), "evenly spaced"),
    (lambda: sky().isel(x=slice(6)), "pixels along"),
    (lambda: sky().drop_vars("x"), "dimension and coordinate 'x'"),
    (lambda: sky().rename(x="column"), "dimension and coordinate 'x'"),
    (lambda: recoordinated(MHZ.values[::-1]), "another order"),
    (lambda: recoordinated(MHZ.values + 100), "channels along 'frequency' are not those"),
    (lambda: recoordinated(MHZ.values / 1e3, "GHz"), "should be in 'MHz', got 'GHz'"),
    (lambda: sky() + 0j, "expected real data, got complex"),
    (lambda: sky().where(sky()["x"] > 0), "12 values are missing|192 values are missing"),
]


@pytest.mark.parametrize(("make", "text"), WRONG)
def test_wrong_maps_are_refused(make: Callable[[], xr.DataArray], text: str) -> None:
    with pytest.raises(LabelError, match=text):
        true_filter("real").clean(make())


def test_wrong_covariances_are_refused() -> None:
    s, c = covariances("real")
    with pytest.raises(LabelError, match="needs the coordinate 'wave_number'"):
        Wiener.from_covariances(s.drop_vars("wave_number"), c, grid("real"))
    with pytest.raises(LabelError, match="be in 'rad/deg', got None"):
        Wiener.from_covariances(
            s.assign_coords(wave_number=s.wave_number.drop_attrs()), c, grid("real")
        )
    with pytest.raises(LabelError, match="'signal_covariance' is missing"):
        Wiener(xr.Dataset())
