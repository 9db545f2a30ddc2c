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

import numpy as np

#: Name of this scheme; part of every recipe.
SCHEME = "philox4x64/name-seed/block-stream/1"

#: Streams of a block: 0 draws parameters, 1 runs the simulator, higher ones are a study's.
PARAMETERS, SIMULATION = 0, 1


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
