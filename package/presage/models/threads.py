"""Threads of torch where work is many small pieces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch work in one thread for a while; also a decorator.

    Draws and densities of single sets are small: sharing them among threads gains nothing, and
    where other work keeps the processor busy the threads wait for one another, twenty times
    as long as the work takes.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
