"""Anonymous memory over one block-shuffled epoch of data larger than what may be held."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.core import Result

_ROWS = {"small": 20_000, "full": 340_000}  # of 12 kB: 0.24 and 4.1 GB

# Pages of mapped files belong to the page cache and are given back when others need them;
# anonymous memory is what a process really holds.
_CHILD = r"""
import json, sys
from pathlib import Path

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(l.split()[1]) * 1024 for l in lines if l.startswith("RssAnon"))

bare = anonymous()
sys.path[:0] = json.loads(sys.argv[3])
from presage.batches import Batches
from presage.store import Store
store = Store(sys.argv[1])
dataset = store.open(sys.argv[2])
imported = anonymous()
batches = Batches(dataset, 64, shuffle="block")
peak, total = 0, 0
for batch in batches:
    total += batch["x"].nbytes
    if batch.step % 16 == 0:
        peak = max(peak, anonymous())
print(json.dumps({"above": peak - bare, "imports": imported - bare, "total": total}))
"""


def run(size: str, folder: Path) -> list[Result]:
    """Measure a child process, so that nothing made here counts."""
    from benchmarks.data import Noise, stored_noise

    if not Path("/proc/self/status").exists():
        return [Result("memory/block shuffle", None, "MB", note="needs Linux")]
    stored_noise(folder, _ROWS[size])
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(folder / "store"), Noise().recipe().key,
         json.dumps(sys.path)],
        check=True, capture_output=True, text=True, encoding="utf-8"
    )  # fmt: skip
    took = time.perf_counter() - began
    found = json.loads(done.stdout)
    note = (
        f"epoch over {found['total'] / 1e9:.1f} GB in {took:.1f} s with the check of all hashes; "
        f"{found['imports'] / 1e6:.0f} MB are imports"
    )
    return [Result("memory/block shuffle", found["above"] / 1e6, "MB", 300, most=True, note=note)]
