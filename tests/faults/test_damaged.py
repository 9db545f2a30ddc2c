"""A few of the files that `damaged.py` damages; the whole table takes an hour."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_damaged_file_is_a_sentence_or_read_right() -> None:
    paths = os.pathsep.join(str(ROOT / name) for name in ("package", "tests", "."))
    done = subprocess.run(
        [sys.executable, "-m", "faults.damaged", "--cases", "2", "--seed", "1"],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [found["wrong"] for found in json.loads(done.stdout).values() if found["wrong"]] == []
