"""Cleaned pools: linear, precise to float32's storage, of a stored basis or filter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import presage as ps
from presage.batches import Paired
from presage.labels import LabelError, to_complex
from presage.store import Store
from presage.studies.sky import CleanedSky, sky
from presage.transforms import PCA, LearnedWiener, PCABasis, Wiener

SIZES = {"signal": 24, "foreground": 16, "noise": 16}


def pools(name: str, store: Store) -> dict[str, xr.Dataset]:
    """The three pools of a small sky."""
    parts = sky(name, channels=16, pixels=8).with_noise(0.05).simulators()
    return {
        part: ps.simulate(simulator, SIZES[part], store=store, progress=False)
        for part, simulator in parts.items()
    }


def paired(parts: dict[str, xr.Dataset]) -> Paired:
    rest = ["foreground.foreground", "noise.noise"]
    columns = {"signal": "signal.signal", "contaminant": rest, "sky": [*rest, "signal.signal"]}
    return Paired(parts, columns, samples=60)


def values(data: xr.DataArray) -> np.ndarray:
    joined = to_complex(data) if "component" in data.dims else data
    return joined.transpose("frequency", ...).values


@pytest.mark.parametrize("name", ["hard", "visibilities"])
def test_cached_projections_add_up_to_the_cleaned_sky(name: str, tmp_path: Path) -> None:
    store = Store(tmp_path)
    parts = pools(name, store)
    basis = ps.fit(PCABasis("sky"), paired(parts), store=store, progress=False)
    cleaned = {
        part: ps.simulate(CleanedSky(pool, basis, 4), store=store, progress=False)
        for part, pool in parts.items()
    }
    first = {part: pool[part].isel(sample=slice(0, 3)) for part, pool in parts.items()}
    total = sum(values(part).astype(np.clongdouble) for part in first.values())
    vectors = values(basis["eigenvectors"].isel(mode=slice(4))).astype(np.clongdouble)
    flat = total.reshape(len(total), -1)
    oracle = flat - vectors @ (vectors.conj().T @ flat)
    added = sum(values(c["cleaned"].isel(sample=slice(0, 3))) for c in cleaned.values())
    width = np.abs(values(first["signal"])).std()
    assert np.abs(values(first["foreground"])).max() > 1e4 * width
    assert np.abs(added.reshape(oracle.shape) - oracle).std() < 1e-5 * width
    amplitude = cleaned["signal"]["amplitude"]
    assert amplitude.dims == tuple("mode" if d == "frequency" else d for d in first["signal"].dims)
    again = PCA(basis).modes_of(first["signal"], 4)
    np.testing.assert_allclose(amplitude.isel(sample=slice(0, 3)), again, atol=1e-5 * width)
    for made in cleaned.values():
        assert made["cleaned"].attrs["units"] == first["signal"].attrs["units"]
        assert made["frequency"].identical(parts["signal"]["frequency"])


def test_a_learned_filter_cleans_pools(tmp_path: Path) -> None:
    store = Store(tmp_path)
    parts = pools("hard", store)
    stored = ps.fit(LearnedWiener(), paired(parts), store=store, progress=False)
    cleaned = [
        ps.simulate(CleanedSky(pool, stored), 8, store=store, progress=False)["cleaned"].values
        for pool in parts.values()
    ]
    total = sum(pool[part].isel(sample=slice(0, 8)).astype(float) for part, pool in parts.items())
    whole = Wiener(stored).clean(total).values
    np.testing.assert_allclose(sum(cleaned), whole, atol=1e-5 * whole.std())


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    parts = pools("easy", store)
    pool = parts["signal"]
    basis = ps.fit(PCABasis("signal"), pool, store=store, progress=False)
    for modes in (0, 17, -1):
        with pytest.raises(LabelError, match="from 1 to 16 of this basis"):
            CleanedSky(pool, basis, modes)
    stored = ps.fit(LearnedWiener(), paired(parts), store=store, progress=False)
    with pytest.raises(LabelError, match="0 for a Wiener filter; got 3"):
        CleanedSky(pool, stored, 3)
    with pytest.raises(LabelError, match="one variable with dimension 'frequency', got 0"):
        CleanedSky(pool.rename(frequency="channel"), basis, 2)
    other = sky("easy", channels=16, pixels=8, low=400.0).simulators()["signal"]
    far = ps.simulate(other, 8, store=store, progress=False)
    with pytest.raises(LabelError, match="channels along 'frequency' are not those fitted"):
        CleanedSky(far, basis, 2)
    pixels = sky("easy", channels=16, pixels=8, pixel=0.5).simulators()["signal"]
    wide = CleanedSky(ps.simulate(pixels, 8, store=store, progress=False), stored)
    with pytest.raises(LabelError, match="another pixel size"):
        ps.simulate(wide, store=store, progress=False)
