"""Looking again: is what is stored what its recipe gives, and mending what is not."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from functools import partial

import numpy as np
import numpy.typing as npt
import xarray as xr

from presage.generate.run import simulate
from presage.generate.samples import make
from presage.hashes import Stamp
from presage.labels import Array
from presage.lineage import take
from presage.progress import Bar
from presage.recipe import Recipe
from presage.simulator import Reader, Simulator, Source
from presage.store import Rows, Store, StoreError
from presage.store.checked import stamps
from presage.store.compare import ELSEWHERE
from presage.store.entry import Entry
from presage.store.files import MISREAD, replace, small_text, text
from presage.store.reading import covering
from presage.store.sidecar import fingerprint

#: Which blocks were simulated again; it decides nothing but what is looked at next.
_LOOKED = ".simulated.json"


def verify(
    source: Source,
    n: int | None = None,
    *,
    seed: int = 0,
    store: Store | None = None,
    fraction: float = 0.01,
    progress: bool = True,
) -> int:
    """Simulate a random part of the stored samples again and compare.

    Each time it is another part, until all were looked at: which ones is noted in the dataset's
    folder, where it can be written to. Shards that have changed since count as not looked at.

    Bit for bit, or to the simulator's declared ``tolerance`` where it runs a network. Samples that
    came from other libraries or another processor may differ in the last bits that these decide,
    by :data:`~presage.store.compare.ELSEWHERE` of the largest value.

    Parameters
    ----------
    source
        What made them.
    n
        Look at the first `n` samples; all that are stored by default.
    seed
        Seed they were made with.
    store
        Where they are.
    fraction
        Share of the blocks to look at; at least one.
    progress
        Show a bar once it takes longer than two seconds.

    Returns
    -------
    int
        Number of samples compared.

    Raises
    ------
    StoreError
        A sample differs; the message names the first.
    """
    store = store or Store()
    recipe = source.recipe(seed)
    held = store.samples(recipe)
    n = held if n is None else n
    if not isinstance(source, Simulator):
        return _verify_reader(source, store.open(recipe, 0, n), progress)
    entry = store.entry(recipe)
    if n > held:
        covering(entry, 0, n)  # says what is missing
    made = {shard.provenance.get("environment") for shard in entry.shards()}
    tolerance = source.tolerance if made <= {fingerprint()} else max(source.tolerance, ELSEWHERE)
    blocks = -(-n // source.block_size)
    count = min(blocks, max(1, round(fraction * blocks)))
    shards = stamps(entry.finished("shard-*.nc"))
    looked = _looked_at(entry, shards, held, source.block_size)
    order = np.random.default_rng().permutation(blocks)
    picked = np.sort(order[np.argsort(looked[order], kind="stable")][:count])
    compared = 0
    for index in Bar(picked, desc=f"{source.name} again", unit="block", disable=not progress):
        start, stop = index * source.block_size, min(n, (index + 1) * source.block_size)
        fresh = make(source, seed, int(start), int(stop))
        stored = store.rows(recipe, int(start), int(stop))
        _compare(fresh, stored, recipe, int(start), tolerance, source.noise)
        compared += int(stop - start)
    if n == held:
        looked[picked] = True
        _note(entry, shards, held, looked)
    return compared


def _looked_at(
    entry: Entry, shards: Mapping[str, Stamp], samples: int, block_size: int
) -> npt.NDArray[np.bool_]:
    """Return which blocks were made again before: none where all were, or a shard has changed."""
    looked = np.zeros(-(-samples // block_size), bool)
    with contextlib.suppress(OSError, *MISREAD):
        known = json.loads(small_text(entry.folder / _LOOKED))
        before = {str(name): tuple(stamp) for name, stamp in known["shards"].items()}
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(known["blocks"]), np.uint8))
        # The last block may have grown.
        whole = len(looked) if known["samples"] == samples else int(known["samples"]) // block_size
        if before.items() <= shards.items():
            bits = bits[: min(whole, len(looked))]
            looked[: len(bits)] = bits
    return np.zeros_like(looked) if looked.all() else looked


def _note(
    entry: Entry, shards: Mapping[str, Stamp], samples: int, looked: npt.NDArray[np.bool_]
) -> None:
    known = {"samples": samples, "shards": shards, "blocks": np.packbits(looked).tobytes().hex()}
    with contextlib.suppress(OSError, StoreError):  # where the store may only be read
        replace(entry.folder / _LOOKED, text(json.dumps(known)))


def repair(
    source: Source, n: int, *, seed: int = 0, store: Store | None = None, workers: int = 1
) -> xr.Dataset:
    """Hash every stored file again, put faulty ones aside, and make what is missing."""
    store = store or Store()
    recipe = source.recipe(seed)
    entry = store.entry(recipe)
    for path in entry.finished():
        entry.put_aside(path, partial(entry.problem, again=True))
    return simulate(source, n, seed=seed, store=store, workers=workers)


def _verify_reader(source: Source, stored: xr.Dataset, progress: bool) -> int:
    if not isinstance(source, Reader):
        raise TypeError(f"verify needs a Simulator or a Reader, got {type(source).__name__}")
    position = 0
    chunks = source.chunks()
    for chunk in Bar(chunks, desc=f"{source.name} again", unit="chunk", disable=not progress):
        count = source.schema.samples_in(chunk)
        part = take(stored, slice(position, position + count))
        for name, array in chunk.items():
            if not np.array_equal(part[name].values, np.asarray(array, part[name].dtype)):
                raise StoreError(f"{source.name}: {name!r} differs in samples from {position} on")
        position += count
    return position


def _compare(
    fresh: dict[str, Array],
    stored: Rows,
    recipe: Recipe,
    start: int,
    tolerance: float,
    noise: Mapping[str, float],
) -> None:
    for name, array in fresh.items():
        held = np.concatenate([arrays[name] for _, _, arrays in stored.shards])
        if held.shape == array.shape and held.tobytes() == array.tobytes():
            continue
        first = f"a sample from {start} on"
        if held.shape == array.shape:
            differs = held != array
            if tolerance and array.size and array.dtype.kind in "fc":
                most = tolerance * np.abs(array).max() + noise.get(name, 0.0)
                differs = np.abs(held - array) > most
            if not differs.any():
                continue
            row = int(np.argmax(differs.reshape(len(held), -1).any(axis=1)))
            if name in stored.ragged:  # lengths were compared before, and are the same
                ends = np.cumsum(fresh[f"{stored.ragged[name]}_count"])
                row = int(np.searchsorted(ends, row, side="right"))
            first = f"sample {start + row}"
        raise StoreError(
            f"{recipe.producer} ({recipe.key[:16]}): {name!r} of {first} is not what its recipe "
            "gives; remove the dataset and generate it again, and raise the simulator's version "
            "if its code was changed on purpose"
        )
