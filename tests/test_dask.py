"""Generation on dask: two worker processes make what one process makes, also when one dies."""

from __future__ import annotations

from pathlib import Path

import pytest
import xarray as xr

from dask_toys import Mortal
from fly_toys import Sets
from presage.cli.main import main
from presage.generate import simulate
from presage.store import Store

distributed = pytest.importorskip("distributed")

N = 1000  # 63 blocks of 16
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client():
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client


def on_dask(client, source, n, folder):
    executor = client.get_executor()
    return simulate(source, n, store=Store(folder), executor=executor, progress=False)


def bytes_of(store: Store, source: Sets) -> dict[str, bytes]:
    rows = store.rows(source.recipe())
    names = rows.shards[0][2]
    return {n: b"".join(arrays[n].tobytes() for _, _, arrays in rows.shards) for n in names}


def test_workers_make_the_same_bytes(client, tmp_path):
    Sets.made.clear()
    made = on_dask(client, Sets(), N, tmp_path / "there")
    assert Sets.made == []  # by other processes
    here = simulate(Sets(), N, store=Store(tmp_path / "here"), progress=False)
    xr.testing.assert_identical(made.load(), here.load())
    there, alone = Store(tmp_path / "there"), Store(tmp_path / "here")
    assert bytes_of(there, Sets()) == bytes_of(alone, Sets())
    entry = there.entry(Sets().recipe())
    assert len(entry.shards()) > 2  # several tasks
    assert there.check(Sets().recipe()) == []
    # More of them later: what is there stays.
    before = {path.name: path.stat().st_mtime_ns for path in entry.finished()}
    on_dask(client, Sets(), 2 * N, tmp_path / "there")
    after = {path.name: path.stat().st_mtime_ns for path in entry.finished()}
    assert before.items() <= after.items()


def test_a_worker_that_kills_itself_is_replaced(client, tmp_path):
    source = Mortal(fatal=40, mark=str(tmp_path / "mark"))
    made = on_dask(client, source, N, tmp_path / "there")
    assert Path(source.mark).exists()
    alone = Store(tmp_path / "here")
    simulate(source, N, store=alone, progress=False)
    assert bytes_of(Store(tmp_path / "there"), source) == bytes_of(alone, source)
    assert made.sizes["sample"] == N


def test_errors_of_a_simulator_come_back(client, tmp_path):
    with pytest.raises(FileNotFoundError, match="none"):
        on_dask(client, Mortal(fatal=3, mark=str(tmp_path / "none" / "mark")), N, tmp_path)


def test_the_command_finds_a_cluster(client, capsys):
    address = client.scheduler.address
    arguments = ["generate", "resonance", "-n", "100000", "--dask", address]
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert not stop.value.code
    assert "0 samples found, 100000 made" in capsys.readouterr().out
