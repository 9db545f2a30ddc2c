"""Fixtures and settings that all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Before anything imports numpy or torch: tests run side by side, and tiny arrays gain nothing.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

# A killed process loses nothing that the system has; no test cuts the power, and to wait for the
# disk takes a tenth of a second for every dataset.
os.fsync = lambda descriptor: None

# The same examples on every run, and no deadlines on a busy machine; `PRESAGE_EXPLORE=1` looks
# for new ones.
settings.register_profile("fixed", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile("explore" if os.environ.get("PRESAGE_EXPLORE") else "fixed")

from browsing import browser, servers, site, visit  # noqa: E402, F401 - fixtures
from presage.store import Store  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes to the user's store or cache, whatever it forgets to name."""
    monkeypatch.setenv("PRESAGE_CACHE", str(tmp_path.parent / "cache"))
    monkeypatch.setenv("PRESAGE_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("PRESAGE_STEP_RECORD", raising=False)
    return


@pytest.fixture(params=["listed", "computed"])
def orders(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a test twice: with orders that are lists, and with computed ones, as of many samples."""
    from presage.batches import permutation, pools

    pools._round.cache_clear()
    if request.param == "computed":
        monkeypatch.setattr(permutation, "HELD", 0)
    yield request.param
    pools._round.cache_clear()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store, empty at first, that the tests of a file share."""
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT
