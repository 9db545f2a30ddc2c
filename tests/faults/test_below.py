"""A few of the calls that `below.py` lets fail; the whole table takes an hour."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from faults import below

ROOT = Path(__file__).resolve().parents[2]
CHOSEN = ["export nc", "export weights", "import npy"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_a_failing_call_of_the_system_is_a_sentence(tmp_path: Path) -> None:
    shim = below.compile_shim(tmp_path)
    paths = os.pathsep.join(str(ROOT / name) for name in ("package", "tests", "."))
    environment = {**os.environ, "LD_PRELOAD": str(shim), "PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, "-m", "faults.below", str(tmp_path), *CHOSEN, "--every", "61"],
        env={**environment, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for command, found in json.loads(done.stdout).items():
        assert found["cases"] >= 1
        assert found["wrong"] == [], command
