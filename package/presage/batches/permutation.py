"""A random order of any number of samples, which takes no memory and begins anywhere.

Up to :data:`HELD` samples an order is a list that was shuffled. A longer one is computed place by
place. A Feistel network (Luby & Rackoff 1988, doi:10.1137/0217022) halves the bits of a number
and adds to each half in turn a scrambled copy of the other; what was added can be taken away
again, so different numbers stay different, whatever scrambles. It permutes the numbers below the
next power of two, and one beyond the samples is sent through again until it is one of them
(cycle walking: Black & Rogaway 2002, doi:10.1007/3-540-45760-7_9), twice on average at most.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from presage.positions import Computed, Positions

#: Samples of which an order is a list: 64 MB, shuffled in less than a second.
HELD = 1 << 24
#: How longer orders are made; part of a plan's key.
COMPUTED = "feistel-8/1"
_ROUNDS = 8
_SCRAMBLE = np.uint32(0x7FEB352D), np.uint32(15), np.uint32(0x846CA68B)


def is_long(samples: int) -> bool:
    """Say whether an order of so many is computed and no list."""
    return samples > HELD


def permutation(samples: int, rng: np.random.Generator) -> NDArray[np.int32] | Computed:
    """Return all positions below `samples` in a random order; slices and arrays index it."""
    if is_long(samples):
        return Computed(samples, partial(permuted, samples=samples, keys=draw_keys(rng)))
    order = np.arange(samples, dtype=np.int32)
    rng.shuffle(order)
    return order


def draw_keys(rng: np.random.Generator) -> NDArray[np.uint32]:
    """Draw what :func:`permuted` goes by."""
    return rng.integers(1 << 32, size=_ROUNDS, dtype=np.uint32)


def permuted(places: Positions, samples: int, keys: NDArray[np.uint32]) -> Positions:
    """Return which of `samples` stand at some places of the order of `keys`."""
    bits = max(2, (samples - 1).bit_length())
    found = _network(places.astype(np.uint64), bits, keys)
    while len(beyond := np.flatnonzero(found >= samples)):
        found[beyond] = _network(found[beyond], bits, keys)
    return found.view(np.int64)


def _network(numbers: NDArray[np.uint64], bits: int, keys: NDArray[np.uint32]) -> NDArray[Any]:
    low = bits // 2
    left = (numbers >> np.uint64(low)).astype(np.uint32)
    right = numbers.astype(np.uint32) & np.uint32((1 << low) - 1)
    for one, other in zip(keys[::2], keys[1::2], strict=True):
        left ^= scrambled(right, one) >> np.uint32(32 - (bits - low))
        right ^= scrambled(left, other) >> np.uint32(32 - low)
    found = left.astype(np.uint64) << np.uint64(low)
    found |= right
    return found


def scrambled(numbers: NDArray[np.uint32], key: np.uint32) -> NDArray[np.uint32]:
    """Return a number of 32 bits for each, of which the upper ones depend on all of it."""
    factor, shift, other = _SCRAMBLE
    found = numbers + key
    found *= factor
    found ^= found >> shift
    found *= other
    return found
