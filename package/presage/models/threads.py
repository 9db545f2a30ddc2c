"""How many threads small work gets: one, decided here for the whole package.

Draws of single sets, steps of small networks and the classifiers of a two-sample test are made
of operations of microseconds. Sharing those among threads gains nothing, and where other work
keeps the processor busy the threads wait for one another, twenty times as long as the work
takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

#: Multiplications of a layer in one step below which one thread is as fast as several.
_SMALL = 1e7


@contextmanager
def one_thread(*, others: bool = False) -> Iterator[None]:
    """Let torch work in one thread for a while; also a decorator.

    Parameters
    ----------
    others
        NumPy's and scikit-learn's libraries too; looking for them takes 25 ms.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1) if others else nullcontext():
            yield
    finally:
        torch.set_num_threads(threads)


def step_threads(
    network: nn.Module, few: Mapping[str, Tensor], batch_size: int
) -> AbstractContextManager[None]:
    """Return :func:`one_thread` where a training step is small, else a context of nothing.

    The rule looks at the model, a `few` samples and the batch alone, so that results do not depend
    on the moment: the largest layer decides, for it is within a layer that work is shared.
    Convolutions use each weight many times at once, and are never small; a recurrent layer goes
    from sample to sample, and only what it does at one of them could be shared.
    """
    weights = list(network.parameters())
    reused = any(p.dim() > 2 for p in weights)
    rows = max(t[0].numel() // max(t.shape[-1], 1) if t.dim() > 1 else 1 for t in few.values())
    largest = max((p.numel() for p in weights), default=0)
    small = not reused and largest * max(rows, 1) * batch_size < _SMALL
    return one_thread() if small else nullcontext()
