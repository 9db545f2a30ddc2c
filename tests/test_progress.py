"""The progress bar: lines of their own in a log, one line in a notebook, and never silence."""

from __future__ import annotations

import io
import re
import time
from typing import Any

import numpy as np
import pytest

from presage import progress
from presage.analysis import compare as module
from presage.progress import CLOCK, SHARE, Bar


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log lines every tenth of a second, looked after as often."""
    monkeypatch.setattr(progress, "_LINES", 0.2)
    monkeypatch.setattr(progress, "_LOOK", 0.05)


class Screen(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_log_gets_whole_lines_even_while_nothing_advances(quick: None) -> None:
    file = io.StringIO()
    with Bar(total=4, desc="labels", unit="label", delay=0, file=file) as bar:
        bar.update(3)
        deadline = time.monotonic() + 60
        while file.getvalue().count("\n") < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        bar.update()
    said = file.getvalue()
    assert "\r" not in said
    lines = said.splitlines()
    assert lines[0].startswith("labels:   0% 0/4")
    assert all(line.startswith("labels:  75% 3/4") for line in lines[1:-1])
    assert lines[-1].startswith("labels: 100% 4/4")


def test_a_terminal_and_a_notebook_rewrite_one_line(quick: None) -> None:
    screen = Screen()
    with Bar(total=2, desc="labels", delay=0, file=screen) as bar:
        bar.update(2)
    assert "\r" in screen.getvalue()
    assert screen.getvalue().count("\n") == 1


def test_short_work_shows_nothing_and_items_are_counted_one_by_one() -> None:
    file = io.StringIO()
    bar = Bar(range(3), desc="labels", file=file)
    assert [(item, bar.n) for item in bar] == [(0, 0), (1, 1), (2, 2)]
    assert bar.n == 3
    assert file.getvalue() == ""


@pytest.mark.parametrize(("shape", "line"), [(SHARE, "work:  40% ["), (CLOCK, "work [00:00]")])
def test_weights_are_shown_as_a_share_and_the_unknown_as_a_clock(
    shape: str, line: str, quick: None
) -> None:
    file = io.StringIO()
    total = 5.0 if shape == SHARE else None
    with Bar(total=total, desc="work", bar_format=shape, delay=0, file=file) as bar:
        bar.update(2)
    assert line in file.getvalue()


def test_nested_bars_write_one_line_at_a_time(quick: None) -> None:
    file = io.StringIO()
    with (
        Bar(total=2, desc="folds", delay=0, file=file),
        Bar(total=9, desc="steps", delay=0, file=file),
    ):
        deadline = time.monotonic() + 60
        while file.getvalue().count("steps") < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
    # The outer one is said at its start, and again only when it advances.
    assert file.getvalue().count("folds") == 1


def test_work_on_residuals_is_that_of_the_tests() -> None:
    sizes = {n: np.array([10_000, 100_000]) for n in ("reference", "flow", "nearest")}
    work, tests = module._work(sizes, np.array([False, True]), 50_000)
    assert set(tests) == {"flow", "nearest"}
    assert work.tolist() == [30_000, 300_000 + 2 * module._TEST * 50_000]


def test_generation_shows_its_blocks(capfd: pytest.CaptureFixture[str], quick: None) -> None:
    from faults import toys
    from presage.generate import simulate
    from presage.store import Store

    slow: Any = toys.Waves(delay=0.05)
    simulate(slow, 400, store=Store())
    said = capfd.readouterr().err
    shares = [int(share) for share in re.findall(r"(\d+)%", said)]
    assert shares == sorted(shares)
    assert len(set(shares)) > 3
