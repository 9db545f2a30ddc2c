"""Things that are made once per server, whoever asks first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Any


class Shelf:
    """A cache that makes each thing once, even when two visitors ask at the same time."""

    def __init__(self, room: int = 8) -> None:
        """Keep at most so many things; the ones not asked for longest go first."""
        self.room = room
        self._lock = Lock()
        self._things: OrderedDict[Hashable, Future[Any]] = OrderedDict()

    def get(self, name: Hashable, make: Callable[[], Any]) -> Any:
        """Return the thing of this name; the first to ask makes it, the others wait for it.

        An error is passed on to all who wait, and the next one to ask tries again.
        """
        with self._lock:
            future = self._things.get(name)
            mine = future is None
            if future is None:
                future = self._things[name] = Future()
                while len(self._things) > self.room:
                    self._things.popitem(last=False)
            self._things.move_to_end(name)
        if mine:
            try:
                future.set_result(make())
            except Exception as error:  # noqa: BLE001 - whatever it is, those who wait get it too
                with self._lock:
                    self._things.pop(name, None)
                future.set_exception(error)
        return future.result()
