"""Reading ahead: one thread that fills buffers while the last ones are used.

A thread is enough because copying releases the interpreter's lock; worker processes would
copy every batch once more and wait for each other. Buffers go round between two queues, so
the thread stops by itself when the reader falls behind.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Generic, TypeVar

Buffer = TypeVar("Buffer")
Span = TypeVar("Span")
Item = TypeVar("Item")


class Ahead(Generic[Span, Buffer, Item]):
    """Iterate over ``fill(span, buffer)`` for every span, filled in a thread.

    Use it in a ``with`` block: leaving it, for whatever reason, ends the thread. An error
    of `fill` is raised where the item would have come.

    Parameters
    ----------
    fill
        Makes an item, in the buffer.
    spans
        What to make, in order.
    buffers
        At least two; an item is valid until the next but one is asked for with two of them.
    """

    def __init__(
        self,
        fill: Callable[[Span, Buffer], Item],
        spans: Iterator[Span],
        buffers: list[Buffer],
    ) -> None:
        self._free: SimpleQueue[Buffer | None] = SimpleQueue()
        self._ready: SimpleQueue[tuple[Item, Buffer] | BaseException | None] = SimpleQueue()
        for buffer in buffers:
            self._free.put(buffer)
        # The thread holds the queues, not this object: a forgotten iterator can be collected.
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=_work,
            args=(fill, spans, self._free, self._ready, self._stop),
            name="presage-batches",
            daemon=True,
        )

    def __enter__(self) -> Ahead[Span, Buffer, Item]:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._free.put(None)
        self._thread.join()

    def __iter__(self) -> Iterator[Item]:
        while True:
            item = self._ready.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item[0]
            self._free.put(item[1])


def _work(
    fill: Callable[[Span, Buffer], Item],
    spans: Iterator[Span],
    free: SimpleQueue[Buffer | None],
    ready: SimpleQueue[tuple[Item, Buffer] | BaseException | None],
    stop: threading.Event,
) -> None:
    try:
        for span in spans:
            buffer = free.get()
            if buffer is None or stop.is_set():
                return
            ready.put((fill(span, buffer), buffer))
        ready.put(None)
    except BaseException as error:  # noqa: BLE001 - raised again where the item is asked for
        ready.put(error)
