"""Progress of long work: the one bar that everything shows, wherever it is looked at.

On a terminal and in Jupyter a line is rewritten in place; in a log file, each state is a line of
its own. Work that takes long is never silent: when nothing advances, the line is drawn again
with its clock, so that one sees what is waited for.
"""

from __future__ import annotations

import sys
import time
import weakref
from collections.abc import Iterator
from threading import Event, Thread
from typing import Any

from tqdm import tqdm

#: Seconds between two lines where each is kept, as in a log file.
_LINES = 4.0
#: Seconds between two drawings of a line in place: on a terminal, in a notebook.
_TERMINAL, _NOTEBOOK = 0.2, 1.0
_NEVER = 1e9
#: Seconds between two looks whether a line is due.
_LOOK = 0.5
#: Counts that are weights, not things: only their share is shown.
SHARE = "{desc}: {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}{postfix}]"

#: Work of which only its duration is known.
CLOCK = "{desc} [{elapsed}{postfix}]"


class Bar(tqdm):
    """A progress bar: ``tqdm`` with its arguments, at home in logs too, and never silent.

    It appears after two seconds unless `delay` says otherwise.

    Examples
    --------
    >>> with Bar(total=3, desc="labels", unit="label", disable=True) as bar:
    ...     for _ in range(3):
    ...         _ = bar.update()
    """

    #: When any bar last wrote a line, so that nested ones do not write one each.
    _written = 0.0

    def __init__(self, iterable: Any = None, **settings: Any) -> None:
        file = settings.get("file") or sys.stderr
        terminal = getattr(file, "isatty", bool)()
        self._live = terminal or _is_notebook(file)
        self._every = (_TERMINAL if terminal else _NOTEBOOK) if self._live else _LINES
        # In a log only the clock writes lines: as many as it takes, and no more.
        least = self._every if self._live else _NEVER
        plain: dict[str, Any] = {"miniters": 0, "delay": 2.0, "mininterval": least}
        if not self._live:
            plain["dynamic_ncols"] = False
        self._shown, self._drawn = -1.0, 0.0  # the count that was last drawn, and when
        super().__init__(iterable, **{**plain, **settings})
        self._ended = Event()
        if not self.disable:
            Thread(target=_keep_alive, args=(weakref.ref(self), self._ended), daemon=True).start()

    def __iter__(self) -> Iterator[Any]:
        with self:
            for item in self.iterable:
                yield item
                self.update()

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Draw the line in place, or write it as a line of its own."""
        Bar._written = self._drawn = time.time()
        self._shown = self.n
        if self._live:
            drawn: bool = super().display(msg, pos)
            return drawn
        if msg is None:
            self._write_line()
        return True

    def alive(self) -> None:
        """Draw the line again if nothing was drawn for long."""
        now = time.time()
        drawn, least = (self._drawn, 1.0) if self._live else (Bar._written, 0.9 * self._every)
        due = self._shown < 0 or now - drawn >= least
        if now >= self.start_t + self.delay and due and (self._live or self._has_news()):
            self.refresh()

    def _has_news(self) -> bool:
        """Return whether this is the innermost bar, or has advanced since its last line."""
        inner = any(abs(bar.pos) > abs(self.pos) for bar in list(type(self)._instances))
        return self._shown != self.n or not inner

    def clear(self, nolock: bool = False) -> None:
        """Make way for another line; a log has nothing to be removed."""
        if self._live:
            super().clear(nolock)

    def close(self) -> None:
        """End, with a last line if there was any."""
        if hasattr(self, "_ended"):
            self._ended.set()
        if self.disable or self._live:
            super().close()
            return
        unseen = self.leave is not False and 0 <= self._shown < self.n
        self.sp = None  # nothing to move the cursor to
        super().close()
        if unseen:
            self._write_line()

    def _write_line(self) -> None:
        known = self.format_dict
        if known["bar_format"]:
            known["bar_format"] = known["bar_format"].replace("|{bar}|", "")
        else:
            known["ncols"] = 0  # counts and times without a picture
        line = self.format_meter(**known).strip()
        self.fp.write(f"{line}\n")
        self.fp.flush()


def _is_notebook(file: Any) -> bool:
    """Return whether text goes to a Jupyter front end, which rewrites lines as terminals do."""
    return type(file).__module__.startswith("ipykernel")


def _keep_alive(held: weakref.ref[Bar], ended: Event) -> None:
    """Draw a bar again while it lives and nothing else draws it."""
    while not ended.wait(_LOOK):
        bar = held()
        if bar is None:
            return
        bar.alive()
        del bar
