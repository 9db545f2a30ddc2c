"""Fixtures and settings that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Before anything imports numpy or torch: tests run side by side, and tiny arrays gain nothing.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes to the user's store, whatever it forgets to name."""
    monkeypatch.setenv("PRESAGE_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("PRESAGE_STEP_RECORD", raising=False)
    return


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT
