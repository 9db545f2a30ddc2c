"""Reading ahead: one thread that fills buffers while the last ones are used.

A thread is enough because copying releases the interpreter's lock; worker processes would
copy every batch once more and wait for each other. Buffers go round between two queues, so
the thread stops by itself when the reader falls behind. A reader that is faster than the
thread does not sit and wait: it fills the next buffer itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

Buffer = TypeVar("Buffer")
Task = TypeVar("Task")
Item = TypeVar("Item")


class Ahead(Generic[Task, Buffer, Item]):
    """Iterate over ``fill(task, buffer)`` for every one of `count` tasks, in order.

    Use it in a ``with`` block: leaving it, for whatever reason, ends the thread. `fill` is called
    in either thread, tasks are asked for by one at a time; an error of `fill` is raised where the
    item would have come. There are two buffers or more: an item's is used again once the next item
    is asked for.
    """

    def __init__(
        self,
        fill: Callable[[Task, Buffer], Item],
        tasks: Iterator[Task],
        count: int,
        buffers: list[Buffer],
    ) -> None:
        # The thread knows the work, not this object: a forgotten iterator can be collected.
        self._work = _Work(fill, tasks, buffers)
        self._count = count
        self._thread = threading.Thread(target=self._work.run, name="presage-batches", daemon=True)

    def __enter__(self) -> Ahead[Task, Buffer, Item]:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._work.stopped = True
        self._work.free.put(None)
        self._thread.join()

    def __iter__(self) -> Iterator[Item]:
        work = self._work
        arrived: dict[int, tuple[Item | BaseException, Buffer]] = {}
        for number in range(self._count):
            while number not in arrived:
                got, outcome, buffer = work.receive()
                arrived[got] = outcome, buffer
            outcome, buffer = arrived.pop(number)
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome
            work.free.put(buffer)


class _Work(Generic[Task, Buffer, Item]):
    """The tasks, the free buffers and the finished items that two threads share."""

    def __init__(
        self, fill: Callable[[Task, Buffer], Item], tasks: Iterator[Task], buffers: list[Buffer]
    ) -> None:
        self.free: SimpleQueue[Buffer | None] = SimpleQueue()
        self.stopped = False
        self._ready: SimpleQueue[tuple[int, Item | BaseException, Buffer]] = SimpleQueue()
        self._fill = fill
        self._tasks = enumerate(tasks)
        self._lock = threading.Lock()
        for buffer in buffers:
            self.free.put(buffer)

    def run(self) -> None:
        """Work until the tasks are done or the reader leaves."""
        while True:
            buffer = self.free.get()
            if buffer is None or self.stopped or not self._do_next(buffer):
                return

    def receive(self) -> tuple[int, Item | BaseException, Buffer]:
        """Return some finished item; with none there, do a task meanwhile."""
        try:
            return self._ready.get_nowait()
        except Empty:
            pass
        try:
            buffer = self.free.get_nowait()
        except Empty:
            buffer = None
        if buffer is not None:
            self._do_next(buffer)
        return self._ready.get()

    def _do_next(self, buffer: Buffer) -> bool:
        """Do the next task; False when there is none."""
        number = -1
        try:
            with self._lock:
                found = next(self._tasks, None)
            if found is None:
                return False
            number, task = found
            self._ready.put((number, self._fill(task, buffer), buffer))
        except BaseException as error:  # noqa: BLE001 - raised again where the item is asked for
            self._ready.put((number, error, buffer))
        return True
