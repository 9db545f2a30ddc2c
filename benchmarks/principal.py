"""Principal components over frequency: fitted, applied, and what applying a basis replaces.

Batches of 4 x 128 channels x 128 x 128 pixels. The bars are ratios measured in turn: a basis
applied beside a PCA of every batch in float64, and the streaming fit beside scikit-learn's and
beside the matrix products alone.
"""

from __future__ import annotations

import statistics
from pathlib import Path

import numpy as np
import xarray as xr

from benchmarks.core import Result, paired, seconds, side_by_side
from presage.analysis.basis_check import pca_of_batch
from presage.transforms import PCA, SpectralMoments

_PIXELS = {"small": 32, "full": 128}
_SAMPLES, _CHANNELS, _MODES = 4, 128, 7
_ROUNDS = 9


def run(size: str, folder: Path) -> list[Result]:
    """Measure a batch: memcpy, a basis applied, a PCA of the batch, and a pass of the fit."""
    del folder
    batch = _batch(_PIXELS[size])
    basis, out = PCA.fit(batch), np.empty_like(batch.values)
    contenders = {
        "memcpy": lambda: seconds(lambda: np.copyto(out, batch.values)),
        "applied": lambda: seconds(lambda: basis.clean(batch, _MODES)),
        "PCA": lambda: seconds(lambda: pca_of_batch(batch.values, _MODES)),
        "products": lambda: seconds(lambda: without_modes(batch.values, _MODES)),
    }
    times = side_by_side(contenders, rounds=_ROUNDS)
    took = {name: 1e3 * statistics.median(one) for name, one in times.items()}
    ratio, share = (paired(times[name], times["applied"]) for name in ("PCA", "memcpy"))
    best = paired(times["products"], times["applied"])
    shape = f"float64, {_SAMPLES} x {_CHANNELS} x {_PIXELS[size]}^2, {_MODES} modes"
    return [
        Result("principal/basis applied", ratio, "×", 8, peer="PCA per batch",
               ratio_to_peer=ratio,
               note=f"{took['applied']:.0f} and {took['PCA']:.0f} ms, {shape}"),
        Result("principal/applied, memcpy", share, "memcpy", peer="memcpy", ratio_to_peer=share,
               note=f"{took['memcpy']:.1f} ms; the result is in fresh memory, that of memcpy not"),
        Result("principal/applied, products", best, "×", peer="PCA without moving axes",
               ratio_to_peer=best, note=f"{took['products']:.0f} ms, batched products in float64"),
        *_fits(batch),
    ]  # fmt: skip


def _fits(batch: xr.DataArray) -> list[Result]:
    """Measure a pass of the streaming fit beside scikit-learn's and beside one product."""
    from sklearn.decomposition import IncrementalPCA

    rows = np.moveaxis(batch.values, 1, -1).reshape(-1, _CHANNELS)
    columns = np.ascontiguousarray(rows.T).astype(np.float64)

    def incremental() -> None:
        fitted = IncrementalPCA(_MODES)
        for part in np.array_split(rows, 8):
            fitted.partial_fit(part)

    contenders = {
        "ours": lambda: seconds(lambda: SpectralMoments().update(batch)),
        "numpy": lambda: seconds(lambda: np.cov(columns)),
        "product": lambda: seconds(lambda: columns @ columns.T),
        "scikit-learn": lambda: seconds(incremental),
    }
    times = side_by_side(contenders, rounds=_ROUNDS)
    bars = {"numpy": 1.0, "product": 0.5, "scikit-learn": 5.0}
    took = {name: 1e3 * statistics.median(one) for name, one in times.items()}
    results = []
    for name, bar in bars.items():
        ratio = paired(times[name], times["ours"])
        results.append(Result(f"principal/fit, {name}", ratio, "×", bar, peer=name,
                              ratio_to_peer=ratio, note=f"{took['ours']:.0f} and {took[name]:.0f} "
                              "ms a pass, of float32 read as float64"))  # fmt: skip
    return results


def _batch(pixels: int) -> xr.DataArray:
    """Return power laws 1e4 times brighter than the noise on them, float32."""
    rng = np.random.default_rng(0)
    frequency = xr.Variable("frequency", np.linspace(500.0, 600.0, _CHANNELS), {"units": "MHz"})
    slope = -2.5 - 0.1 * rng.random((_SAMPLES, 1, pixels, pixels))
    sky = 1e4 * (frequency.values[:, None, None] / 550) ** slope
    values = (sky + rng.standard_normal(sky.shape, dtype=np.float32)).astype(np.float32)
    return xr.DataArray(values, {"frequency": frequency}, ("sample", "frequency", "y", "x"))


def without_modes(values: np.ndarray, modes: int) -> np.ndarray:
    """Return what a PCA of a batch leaves, with as little moving of memory as there can be."""
    cubes = values.reshape(*values.shape[:2], -1).astype(np.float64)
    vectors = np.linalg.eigh(np.matmul(cubes, cubes.transpose(0, 2, 1)).sum(0))[1][:, -modes:]
    return (cubes - vectors @ (vectors.T @ cubes)).astype(np.float32)
