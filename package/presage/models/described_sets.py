"""Sets of the training as tables of numbers: of several sizes, each with its theta's position."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from presage.labels import Floats
from presage.lineage import ragged_rows, take
from presage.models.set_network import SetNetwork
from presage.models.set_statistics import compress, repeats, statistics
from presage.rng import generator

#: Sets of each size that the law is made from, events of all of them, sizes a factor of 2 apart.
_SETS, _EVENTS, _FACTOR = 2000, 1 << 23, 2.0
#: Events that are described at once.
AT_ONCE = 1 << 17
#: What overflows counts as, in the logarithms of :func:`compress`.
_FURTHEST = 1e3


@dataclass(frozen=True)
class Described:
    """Numbers of sets: `values` ``(N, K)``, `context` ``(N, C)``, `repeated` ``(N, 1 + F)``."""

    values: Floats
    context: Floats
    repeated: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @classmethod
    def of(cls, network: SetNetwork, events: Tensor) -> Described:
        """Describe sets ``(N, E, F)`` of one size."""
        dtype = network.point_head.weight.dtype
        with torch.inference_mode():
            standard = network.inputs(events.to(dtype))[..., : events.shape[-1]]
            pooled = network.encode(events.to(dtype))
            named, point = statistics(standard), network.point(pooled)
        values = torch.cat((named, compress(pooled[..., :-1])), -1).double()
        context = torch.cat((point, pooled[..., -1:]), -1).double().nan_to_num(0.0)
        values = values.nan_to_num(_FURTHEST, _FURTHEST, -_FURTHEST)  # overflow is far, too
        repeated = np.stack([repeats(one.numpy()) for one in events])
        sizes = np.full(len(events), events.shape[-2])
        return cls(values.numpy(), context.numpy(), repeated, sizes)

    @classmethod
    def joined(cls, parts: Sequence[Described]) -> Described:
        """Return the sets of all parts."""
        names = ("values", "context", "repeated", "sizes")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Described:
        """Return some of the sets."""
        return Described(
            self.values[rows], self.context[rows], self.repeated[rows], self.sizes[rows]
        )


def training_sets(
    network: SetNetwork, train: xr.Dataset, smallest: int
) -> Iterator[tuple[Described, NDArray[np.int64]]]:
    """Yield numbers of training sets, with the positions of their theta, from bounded memory."""
    sample = train["theta"].dims[0]
    total = train.sizes[sample]
    rows = np.unique(np.linspace(0, total - 1, min(total, _SETS)).round().astype(np.int64))
    if "event_count" in train:
        few = take(train, rows)
        flat = few["events"].transpose("event", "feature").values
        for row, start, count in zip(rows, *ragged_rows(few, "event"), strict=True):
            if count:
                one = torch.tensor(flat[start : start + count])
                yield Described.of(network, one[None]), np.array([row])
        return
    stored, repeat = train.sizes["event"], train.sizes.get("repeat", 1)
    repeat = min(repeat, -(-_SETS // len(rows)))
    step = max(1, AT_ONCE // (repeat * stored))
    for size in _sizes(min(smallest, stored), stored):
        most = max(1, min(len(rows), _EVENTS // (repeat * size)))
        chosen = rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]
        for start in range(0, most, step):
            own = chosen[start : start + step]
            sets = take(train, own)["events"].transpose(sample, ..., "event", "feature").values
            sets = sets.reshape(len(own), -1, stored, sets.shape[-1])[:, :repeat]
            sets = sets.reshape(-1, *sets.shape[2:])
            # Chosen anew for each set: one choice for all would keep what alternates in step.
            rng = generator("presage.models.described_sets", size, start)
            order = rng.random(sets.shape[:2]).argsort(1)[:, :size, None]
            cut = torch.tensor(np.take_along_axis(sets, order, 1))
            yield Described.of(network, cut), np.repeat(own, repeat)


def _sizes(smallest: int, stored: int) -> list[int]:
    """Return numbers of events from the fewest to all, equal factors apart."""
    count = 2 + int(np.log(stored / smallest) / np.log(_FACTOR))
    return sorted({round(n) for n in np.geomspace(smallest, stored, count)} | {stored})
