"""The random numbers of sample i, whoever draws them and in whatever order.

Samples are made in *blocks*: fixed runs of consecutive samples, aligned to the absolute
index. Block b of stream s draws from NumPy's Philox-4x64 with key = (name, seed) and
counter = (0, 0, b, s): 2^128 numbers a block, none shared. Nothing depends on shards,
workers or on where an interrupted run went on.

The key holds the *name* of the producer and the seed, not its settings. Two variants of
one simulator thus see the same skies or tones, and comparing them is a paired comparison,
as long as their block_size is the same: it says which samples share a block's stream.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

#: Name of this scheme; part of every recipe.
SCHEME = "philox4x64/name-seed/block-stream/1"

#: Streams of a block: 0 draws parameters, 1 runs the simulator, higher ones are a study's.
PARAMETERS, SIMULATION = 0, 1

#: Normal numbers that :func:`normals` makes at a time, so that all of it stays in the cache.
_TOGETHER = 1 << 15


def generator(name: str, seed: int, block: int, stream: int = SIMULATION) -> np.random.Generator:
    """Return the generator of one block.

    Parameters
    ----------
    name
        Producer's name.
    seed
        Any non-negative integer.
    block
        Number of the block, from 0.
    stream
        Independent sequence within the block.

    Raises
    ------
    ValueError
        A negative or fractional seed, block or stream.
    """
    for what, value in (("seed", seed), ("block", block), ("stream", stream)):
        if int(value) != value or value < 0:
            raise ValueError(f"{what} must be a non-negative integer, got {value!r}")
    digest = hashlib.sha256(f"{name}\0{int(seed)}".encode()).digest()
    key = np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64)
    counter = np.array([0, 0, block, stream], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def sibling(rng: np.random.Generator, stream: int) -> np.random.Generator:
    """Return another stream of the same block, whatever `rng` has drawn so far.

    A simulator that draws its sky from one stream and its noise from another keeps the
    sky when the noise model changes.
    """
    state = rng.bit_generator.state
    if state["bit_generator"] != "Philox":
        raise ValueError(f"sibling needs a Philox generator, got {state['bit_generator']}")
    counter = np.array([0, 0, state["state"]["counter"][2], stream], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=state["state"]["key"], counter=counter))


def normals(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return standard normal numbers in single precision, three times as fast as `rng` draws them.

    Box & Muller (1958): of uniform u in (0, 1] and v, sqrt(-2 ln u) (cos 2 pi v, sin 2 pi v). Both
    are of 32 bits, so that no number is beyond 6.8.

    Examples
    --------
    >>> normals(generator("toy", 1, 0), (2, 3)).dtype
    dtype('float32')
    """
    numbers = np.empty(shape, dtype=np.float32)
    flat = numbers.reshape(-1)
    for start in range(0, flat.size, _TOGETHER):
        part = flat[start : start + _TOGETHER]
        half = (part.size + 1) // 2
        words = rng.integers(0, 2**64, half, dtype=np.uint64)
        bits = words.astype("<u8", copy=False).view("<u4")
        radius = (bits[:half].astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-32)
        radius = np.sqrt(np.float32(-2) * np.log(radius))
        angle = bits[half:].astype(np.float32) * np.float32(math.tau * 2.0**-32)
        part[:half] = radius * np.cos(angle)
        part[half:] = (radius * np.sin(angle))[: part.size - half]
    return numbers
