"""Shuffled minibatches of 64 rows of 12 kB from the store, beside memcpy and beside peers.

And cubes that are put together from three pools of cached projections, beside memcpy and beside
a PCA of every batch, which that replaces.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from benchmarks.core import ROUNDS, Result, installed, paired, side_by_side
from benchmarks.data import stored_noise
from benchmarks.peers import PEERS, Epoch
from benchmarks.principal import without_modes
from presage.batches import Batches, Paired
from presage.labels import Schema, Variable
from presage.recipe import Recipe
from presage.store import Store

_ROWS = {"small": 8_192, "full": 100_000}
_PEER_ROWS = {"small": 1_024, "full": 8_192}
_BATCH = 64
_PIXELS = {"small": 32**2, "full": 128**2}
_CHANNELS, _CUBES_AT_ONCE, _CUBES = 128, 4, 96
_MEMBERS = {"foreground": 16, "signal": 24, "noise": 8}
_BUDGET = {"small": 0.3, "full": 1.5}  # seconds a peer is looked at in one round


def run(size: str, folder: Path) -> list[Result]:
    """Measure ours against memcpy over all data, then peers one after the other."""
    dataset = stored_noise(folder, _ROWS[size])
    batches = {
        "full shuffle": Batches(dataset, _BATCH, shuffle="full"),
        "block shuffle": Batches(dataset, _BATCH, shuffle="block"),
        "full shuffle, no thread": Batches(dataset, _BATCH, shuffle="full", prefetch=False),
    }
    pieces = batches["full shuffle"].rows.tables[0].dense["x"]
    contenders: dict[str, Callable[[], float]] = {"memcpy": lambda: _memcpy(list(pieces))}
    for name, loader in batches.items():
        contenders[name] = lambda loader=loader: _epoch_rate(loader)
    rates = side_by_side(contenders, rounds=2 * ROUNDS + 1)
    bars = {"full shuffle": 0.60, "block shuffle": 0.85}
    results = [Result("batches/memcpy", statistics.median(rates["memcpy"]) / 1e9, "GB/s",
                      note=f"{dataset['x'].nbytes / 1e9:.2f} GB, batches of {_BATCH}")]  # fmt: skip
    for name in batches:
        ratio = paired(rates[name], rates["memcpy"])
        rate = statistics.median(rates[name]) / 1e9
        results.append(Result(f"batches/{name}", ratio, "memcpy", bars.get(name), peer="memcpy",
                              ratio_to_peer=ratio, note=f"{rate:.2f} GB/s"))  # fmt: skip
    rows = np.array(dataset["x"][: _PEER_ROWS[size]].values)
    results += _pools(size, folder)
    return results + [
        _against(name, rows, batches["full shuffle"], _BUDGET[size], folder) for name in PEERS
    ]


def _pools(size: str, folder: Path) -> list[Result]:
    """Measure cubes x = P g + P s + P n, added from three pools, and what a PCA of them takes."""
    pools = {name: _pool(folder, name, n, _PIXELS[size]) for name, n in _MEMBERS.items()}
    pairs = Paired(pools, {"x": [f"{name}.x" for name in pools]}, samples=_CUBES)
    batches = Batches(pairs, _CUBES_AT_ONCE)
    cubes = [pool["x"].values for pool in pools.values()]
    rates = side_by_side({
        "memcpy": lambda: _memcpy(cubes, _CUBES_AT_ONCE),
        "adding": lambda: _epoch_rate(batches),
        "PCA": lambda: _pca_rate(cubes[0]),
    })  # fmt: skip
    shape = f"batches of {_CUBES_AT_ONCE} x {_CHANNELS} x {_PIXELS[size]} pixels"
    speed = {name: statistics.median(rate) / 1e9 for name, rate in rates.items()}
    times, share = (paired(rates["adding"], rates[name]) for name in ("PCA", "memcpy"))
    return [
        Result("batches/pools, added", share, "memcpy", peer="memcpy", ratio_to_peer=share,
               note=f"{speed['adding']:.2f} of {speed['memcpy']:.2f} GB/s, {shape}; each byte is "
                    "the sum of three"),
        Result("batches/pools against PCA per batch", times, "×", 50, peer="PCA of every batch",
               ratio_to_peer=times, note=f"PCA: {speed['PCA']:.3f} GB/s, float64, 7 modes, "
                    "noise drawn"),
    ]  # fmt: skip


def _pool(folder: Path, name: str, members: int, pixels: int) -> xr.Dataset:
    """Return a stored pool of cubes of noise ``[member, channel, pixel]``."""
    store, recipe = Store(folder / "store"), Recipe(f"bench-{name}", 1, {"pixels": pixels})
    if store.missing(recipe, members):
        cubes = np.random.default_rng(members).random((members, _CHANNELS, pixels), np.float32)
        schema = Schema("sample", (Variable("x", ("channel", "pixel")),))
        store.add(recipe, schema, {"x": cubes}, 0)
    return store.open(recipe)


def _pca_rate(cubes: np.ndarray) -> float:
    """Return the bytes a second of finding and removing 7 modes of every batch, data at hand.

    Noise is drawn, as without a pool of it, and the moment is float64: in float32 it is in error
    by more than a signal 1e5 times below the foreground.
    """
    rng = np.random.default_rng(0)
    done, began = 0, time.perf_counter()
    for first in range(0, len(cubes) - _CUBES_AT_ONCE + 1, _CUBES_AT_ONCE):
        batch = cubes[first : first + _CUBES_AT_ONCE]
        noisy = batch + rng.standard_normal(batch.shape, dtype=np.float32)
        done += without_modes(noisy, 7).nbytes
    return done / (time.perf_counter() - began)


def _memcpy(pieces: list[np.ndarray], size: int = _BATCH) -> float:
    """Return the bytes a second of copying all rows in order, some at a time, to one buffer."""
    buffer = np.empty((size, *pieces[0].shape[1:]), pieces[0].dtype)
    done, began = 0, time.perf_counter()
    for piece in pieces:
        for first in range(0, len(piece) - size + 1, size):
            np.copyto(buffer, piece[first : first + size])
            done += buffer.nbytes
    return done / (time.perf_counter() - began)


def _epoch_rate(batches: Batches) -> float:
    done, began = 0, time.perf_counter()
    for batch in batches:
        done += batch["x"].nbytes
    return done / (time.perf_counter() - began)


def _against(name: str, rows: np.ndarray, ours: Batches, budget: float, folder: Path) -> Result:
    """Measure one peer and ours in turn; whatever goes wrong with it is said, not raised."""
    make, package, bar, whole = PEERS[name]
    label = f"batches/{name}"
    if installed(package) is None:
        return Result(label, None, "×", bar, note=f"{package} is not installed")
    with (
        tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as place,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        try:
            epoch = make(rows, _BATCH, Path(place))
            measure = _whole_rate if whole else _stream_rate
            rates = side_by_side(
                {"ours": lambda: _epoch_rate(ours), "peer": lambda: measure(epoch, budget)}
            )
        except Exception as error:  # noqa: BLE001 - a peer's fault is not ours
            traceback.print_exc(limit=3)
            return Result(label, None, "×", bar, note=f"failed: {error!r:.80}")
    ratio = paired(rates["ours"], rates["peer"])
    rate = statistics.median(rates["peer"]) / 1e9
    return Result(label, ratio, "×", bar, peer=name, ratio_to_peer=ratio,
                  note=f"{name}: {rate:.3f} GB/s, of {rows.nbytes / 1e6:.0f} MB")  # fmt: skip


def _stream_rate(epoch: Epoch, budget: float) -> float:
    """Return bytes a second after the first batch, over at most `budget` seconds."""
    stream: Iterator[Any] = iter(epoch())
    next(stream)
    done, began = 0, time.perf_counter()
    for batch in stream:
        done += batch.nbytes
        if time.perf_counter() - began > budget:
            break
    return done / (time.perf_counter() - began)


def _whole_rate(epoch: Epoch, budget: float) -> float:
    """Return bytes a second of a whole epoch, loading included."""
    del budget
    done, began = 0, time.perf_counter()
    for batch in epoch():
        done += batch.nbytes
    return done / (time.perf_counter() - began)
