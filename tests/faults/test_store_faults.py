"""Faults at every step, damage of every kind: absent or byte-correct, and said aloud."""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import multiprocessing
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faults import failpoints, toys
from presage.generate import repair, samples, simulate, verify
from presage.store import Store, StoreError, StoreWarning, files, listing, locks
from presage.store import entry as entry_module
from test_locks import apart

TESTS = Path(__file__).resolve().parents[1]
PATHS = os.pathsep.join([str(TESTS), str(TESTS.parent / "package")])
WAVES = toys.Waves()


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "SHARD_BYTES", 1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with 20 samples in three shards."""
    store = Store(tmp_path / "store")
    simulate(WAVES, 20, store=store, progress=False)
    return store


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": PATHS, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=850,
        check=False,
        **options,
    )


# -- failpoints ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of a fault at each step of each scenario."""
    script = TESTS / "faults" / "failpoints.py"
    done = python(str(script), str(tmp_path_factory.mktemp("failpoints")))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("scenario", failpoints.SCENARIOS)
def test_a_fault_at_any_step_leaves_nothing_or_the_whole(
    scenario: str, failed: dict[str, Any]
) -> None:
    assert {"fsync", "write"} <= set(failed[scenario]["steps"])
    assert not failed[scenario]["wrong"], "\n".join(failed[scenario]["wrong"])


def test_a_disk_that_fills_at_any_byte_leaves_nothing(tmp_path: Path) -> None:
    # A limit on the size of files fails in the kernel, below whatever writes them.
    store = Store(tmp_path / "store")
    recipe = WAVES.recipe()
    store.entry(recipe).prepare()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for limit in (0, 1, 512, 2048, 5000, 9000):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            with pytest.raises(OSError, match="File too large"):
                simulate(WAVES, 8, store=store, progress=False)
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert store.samples(recipe) == 0
            assert toys.leftovers(store) == []
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)
    assert toys.same(simulate(WAVES, 8, store=store), toys.truth(WAVES, 8))


def test_no_room_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(StoreError, match=r"is full: 0 MB free, about 17 MB are needed.*store rm"):
        simulate(WAVES, 8, store=Store(tmp_path / "store"), progress=False)


# -- damage -------------------------------------------------------------------------------


def shard(store: Store, number: int = 1) -> Path:
    return sorted(store.entry(WAVES.recipe()).folder.glob("shard-*.nc"))[number]


def sidecar(store: Store) -> Path:
    path = shard(store)
    return path.with_name(path.name + ".done.json")


def recipe_file(store: Store) -> Path:
    return store.entry(WAVES.recipe()).folder / "recipe.json"


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def data_position(path: Path) -> int:
    first = toys.truth(WAVES, 20)["amplitude"][8:16].tobytes()
    return path.read_bytes().index(first) + 5


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def foreign(store: Store) -> None:
    """Put the same shard of another seed in its place, with its own sound sidecar."""
    simulate(WAVES, 20, seed=1, store=store, progress=False)
    other = store.entry(WAVES.recipe(1)).folder
    for path in (shard(store), sidecar(store)):
        shutil.copy(other / path.name, path)


DAMAGE: dict[str, Callable[[Store], None]] = {
    "truncated": lambda s: os.truncate(shard(s), shard(s).stat().st_size - 100),
    "cut to nothing": lambda s: os.truncate(shard(s), 0),
    "longer": lambda s: shard(s).write_bytes(shard(s).read_bytes() + b"\0"),
    "bit flipped in the data": lambda s: flip(shard(s), data_position(shard(s))),
    "bit flipped in the header": lambda s: flip(shard(s), 9),
    "bit flipped in an attribute": lambda s: flip(shard(s), shard(s).read_bytes().index(b"CF-1")),
    "file gone": lambda s: shard(s).unlink(),
    "zeros": lambda s: shard(s).write_bytes(bytes(shard(s).stat().st_size)),
    "of another seed": foreign,
    "sidecar edited": lambda s: edit(sidecar(s), '"start": 8', '"start": 7'),
    "sidecar's hash edited": lambda s: edit(sidecar(s), '"hash": "', '"hash": "0'),
    "sidecar's seal edited": lambda s: edit(sidecar(s), '"seal": "', '"seal": "0'),
    "sidecar cut": lambda s: os.truncate(sidecar(s), 40),
    "sidecar emptied": lambda s: os.truncate(sidecar(s), 0),
    "sidecar not text": lambda s: sidecar(s).write_bytes(b"\xff\xfe\x00" * 30),
    "sidecar another JSON": lambda s: sidecar(s).write_text("[1, 2]"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_noticed_put_aside_and_made_good(damage: str, store: Store) -> None:
    DAMAGE[damage](store)
    assert len(Store(store.root).check(WAVES.recipe())) == 1
    with pytest.warns(StoreWarning, match="put into quarantine"):
        again = simulate(WAVES, 20, store=Store(store.root), progress=False)
    assert toys.same(again, toys.truth(WAVES, 20))
    fresh = Store(store.root)
    assert fresh.check(WAVES.recipe()) == []
    assert toys.leftovers(fresh) == []
    aside = list((store.entry(WAVES.recipe()).folder / "quarantine").iterdir())
    assert aside


@pytest.mark.parametrize("damage", ["truncated", "bit flipped in the data", "sidecar edited"])
def test_opening_never_shows_damaged_samples(damage: str, store: Store) -> None:
    DAMAGE[damage](store)
    with (
        pytest.warns(StoreWarning, match=r"shard-000000000008-000000000016\.nc was put into"),
        pytest.raises(StoreError, match=r"lacks samples \[8, 16\); ask presage.simulate"),
    ):
        Store(store.root).open(WAVES.recipe(), 0, 20)


def test_a_store_that_looked_once_looks_again_when_a_file_changes(store: Store) -> None:
    store.open(WAVES.recipe(), 0, 20)
    flip(shard(store), data_position(shard(store)))
    with pytest.warns(StoreWarning, match="content does not match its hash"):
        assert store.samples(WAVES.recipe()) == 8


def test_repair_hashes_everything_and_makes_it_good(store: Store) -> None:
    path = shard(store)
    before = path.stat()
    flip(path, data_position(path))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # size and times tell nothing
    with pytest.warns(StoreWarning, match="does not match its hash"):
        mended = repair(WAVES, 20, store=store)
    assert toys.same(mended, toys.truth(WAVES, 20))


RECIPES: dict[str, Callable[[Path], object]] = {
    "edited": lambda path: edit(path, '"seed":{"int":"0"}', '"seed":{"int":"1"}'),
    "emptied": lambda path: os.truncate(path, 0),
    "not text": lambda path: path.write_bytes(b"\xff\x00\xfe"),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", RECIPES)
def test_an_edited_recipe_is_noticed_and_written_again(damage: str, store: Store) -> None:
    path = recipe_file(store)
    good = path.read_text()
    RECIPES[damage](path)
    listed = [e.state for e in Store(store.root).list()]
    assert "recipe.json" in listed[0]
    with pytest.raises(StoreError, match=r"recipe.json .*(was edited|cannot be read)"):
        Store(store.root).open(store.entry(WAVES.recipe()).folder.name)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert toys.same(Store(store.root).open(WAVES.recipe()), toys.truth(WAVES, 20))
    assert damage == "gone" or "quarantine" in str(said[0].message)
    assert path.read_text() == good


def test_a_newer_format_is_left_alone(store: Store) -> None:
    edit(sidecar(store), '"format": 1', '"format": 2')
    with pytest.raises(StoreError, match=r"written by a newer presage .* update presage"):
        Store(store.root).open(WAVES.recipe())
    assert shard(store).exists()


def test_a_dead_writers_file_without_sidecar_is_not_trusted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sidecar(store).unlink()
    flip(shard(store), data_position(shard(store)))
    assert Store(store.root).missing(WAVES.recipe(), 20) == [(8, 16)]
    monkeypatch.setattr(locks, "GRACE", 0.0)
    again = simulate(WAVES, 20, store=Store(store.root), progress=False)  # nothing to warn of
    assert toys.same(again, toys.truth(WAVES, 20))
    assert Store(store.root).check(WAVES.recipe()) == []


def test_a_simulator_that_is_not_deterministic_is_named(store: Store) -> None:
    arrays = toys.truth(WAVES, 8)
    arrays["wave"] = arrays["wave"] + 1
    with pytest.raises(StoreError, match="fault-waves is not deterministic"):
        store.add(WAVES.recipe(), WAVES.schema, arrays, 0)
    assert toys.same(store.open(WAVES.recipe()), toys.truth(WAVES, 20))


def test_verify_names_the_first_sample_that_differs(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    arrays = toys.truth(WAVES, 16)
    arrays["hits"][11] += 1
    store.add(WAVES.recipe(), WAVES.schema, arrays, 0)
    with pytest.raises(StoreError, match="'hits' of sample 11 is not what its recipe gives"):
        verify(WAVES, store=store, fraction=1.0)


# -- several at once ----------------------------------------------------------------------


TOGETHER = ["publish", "extend", "no_links", "product", "file"]


def _together(folder: str, barrier: Any, answers: Any) -> None:
    toys.small_shards()
    point = failpoints.Failpoint(-1, "KILL", Path(folder))
    point.install()
    warnings.simplefilter("error")
    for scenario in TOGETHER:
        _, action, check, point.links = failpoints.SCENARIOS[scenario]
        store = Store(Path(folder) / scenario)
        barrier.wait(timeout=600)
        try:
            action(store)
            answers.put((scenario, check(store, True)))
        except BaseException as error:  # noqa: BLE001 - the parent judges
            answers.put((scenario, repr(error)))


def test_several_processes_on_one_recipe_all_succeed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.Queue()
    arguments = str(tmp_path), barrier, answers
    workers = [context.Process(target=_together, args=arguments) for _ in range(2)]
    for worker in workers:
        worker.start()
    found = [answers.get(timeout=600) for _ in range(2 * len(TOGETHER))]
    assert sorted(found) == sorted((scenario, "") for scenario in 2 * TOGETHER)
    for worker in workers:
        worker.join()
    for scenario in TOGETHER:
        root = tmp_path / scenario
        assert toys.leftovers(Store(root)) == []
        marks = [p.name.removesuffix(".done.json") for p in root.rglob("*.done.json")]
        files = [p.name for p in root.rglob("*") if p.suffix in {".nc", ".bin"}]
        assert sorted(marks) == sorted(files)


def test_a_file_just_published_is_not_taken_from_its_writer(tmp_path: Path) -> None:
    # The first writer rests between its file and its sidecar; the second has to wait.
    store = Store(tmp_path / "store")
    resting, go_on = threading.Event(), threading.Event()
    real = entry_module.publish_sidecar

    def rest(*args: Any) -> None:
        if threading.current_thread().name == "first":
            resting.set()
            go_on.wait(20)
        real(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(locks, "GRACE", 0.0)  # it is held, however long that takes
        patch.setattr(entry_module, "publish_sidecar", rest)
        first = threading.Thread(target=failpoints.put_file, args=(store,), name="first")
        first.start()
        assert resting.wait(20)
        threading.Timer(0.3, go_on.set).start()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            failpoints.put_file(Store(store.root))
        first.join()
    assert failpoints.file_right(store, True) == ""


def test_races_end_in_right_values_or_a_sentence(tmp_path: Path) -> None:
    done = python("-m", "faults.races", str(tmp_path), "--races", "5")
    assert done.returncode == 0, done.stdout + done.stderr


def _product(store: Store) -> object:
    failpoints.put_product(store)
    return store.get(toys.PRODUCT)


@pytest.mark.parametrize(
    ("last", "act"),
    [
        ("presage.store.reading.rows_of", lambda s: s.open(WAVES.recipe())),
        ("presage.store.store.rows_of", lambda s: s.rows(WAVES.recipe())),
        ("presage.store.store.read_dataset", _product),
        ("presage.store.entry.publishing", failpoints.put_file),
        ("presage.store.entry.sweep", lambda s: simulate(WAVES, 40, store=s)),
    ],
)
def test_a_dataset_that_goes_away_meanwhile_is_a_sentence(
    last: str, act: Callable[[Store], object], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def after_its_removal(*arguments: Any) -> Any:
        for folder in store.root.glob("*/*"):
            shutil.rmtree(folder)
        return real(*arguments)

    module, _, name = last.rpartition(".")
    real = getattr(importlib.import_module(module), name)
    monkeypatch.setattr(last, after_its_removal)
    with pytest.raises(StoreError, match="was removed by another process while it was in use"):
        act(Store(store.root))
    assert store.list() == []


def test_a_file_that_was_mended_meanwhile_is_not_put_aside(store: Store) -> None:
    entry, found = store.entry(WAVES.recipe()), ["a fault", ""]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        entry.put_aside(shard(store), lambda _: found.pop(0))
    assert shard(store).exists()
    assert toys.leftovers(store) == []


# -- mounts that cannot do everything -----------------------------------------------------


@pytest.mark.parametrize("code", ["EPERM", "EOPNOTSUPP", "ENOSYS", "EXDEV", "EMLINK"])
def test_without_hard_links_a_lock_guards_the_rename(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(getattr(errno, code), "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    if code == "ENOSYS":  # nor can files be locked
        monkeypatch.setattr(locks.fcntl, "fcntl", refuse)
    store = Store(tmp_path / "store")
    assert toys.same(simulate(WAVES, 20, store=store), toys.truth(WAVES, 20))
    assert toys.same(simulate(WAVES, 30, store=store), toys.truth(WAVES, 30))
    failpoints.put_product(store)
    assert failpoints.product_right(store, True) == ""
    assert toys.leftovers(store) == []


@contextlib.contextmanager
def read_only(root: Path) -> Iterator[list[str]]:
    """Refuse every write, as EROFS does even to root; give the names of those that were tried."""
    point = failpoints.Failpoint(-2, "EROFS", root)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("link", "unlink", "rename", "replace", "mkdir", "rmdir", "truncate"):
            patch.setattr(os, name, point._by_path(name, getattr(os, name)))
        patch.setattr(os, "open", point._opening(os.open))
        yield point.names


@pytest.fixture
def frozen(store: Store) -> Iterator[Store]:
    """The store behind a mount that refuses every write; none is tried."""
    failpoints.put_product(store)
    failpoints.put_file(store)
    with read_only(store.root) as tried:
        yield Store(store.root)
    assert tried == []


def test_a_read_only_store_is_readable(frozen: Store) -> None:
    recipe = WAVES.recipe()
    assert toys.same(frozen.open(recipe), toys.truth(WAVES, 20))
    assert toys.same(frozen.open(recipe.key[:10]), toys.truth(WAVES, 20))
    assert toys.same(simulate(WAVES, 20, store=frozen), toys.truth(WAVES, 20))
    assert failpoints.product_right(frozen, True) == ""
    assert failpoints.file_right(frozen, True) == ""
    assert len(frozen.list()) == 3
    assert frozen.check(recipe) == []
    assert frozen.rows(recipe).shards[0][1] == 8


def test_a_read_only_store_is_verified_and_listed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_TICKS", -3600.0)  # lines would be kept
    with read_only(store.root) as tried:
        assert verify(WAVES, store=store, fraction=1.0) == 20
        assert [line.state for line in store.list()] == ["complete"]
    assert tried == ["os.open", "os.open"]  # notes of both, which may be missing


def test_a_fault_in_a_read_only_store_is_said_and_cannot_be_mended(store: Store) -> None:
    flip(shard(store), data_position(shard(store)))
    point = failpoints.Failpoint(-2, "EROFS", store.root)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("rename", "mkdir"):
            patch.setattr(os, name, point._by_path(name, getattr(os, name)))
        with pytest.raises(StoreError, match=r"is faulty .* the store is read-only; copy"):
            Store(store.root).open(WAVES.recipe())


def test_a_read_only_mount_is_readable(store: Store) -> None:
    script = (
        "import sys; from faults import toys; from presage.store import Store\n"
        "from presage.generate import simulate\n"
        "waves, store = toys.Waves(), Store(sys.argv[1])\n"
        "assert toys.same(simulate(waves, 20, store=store), toys.truth(waves, 20))\n"
        "assert len(store.list()) == 1 and store.check(waves.recipe()) == []\n"
        "try:\n    simulate(waves, 40, store=store)\n"
        "except OSError as error:\n    print(error)\n"
    )
    bind = f'mount --bind "{store.root}" "{store.root}" && mount -o remount,ro,bind "{store.root}"'
    if (
        not shutil.which("unshare")
        or subprocess.run(
            ["unshare", "-m", "sh", "-c", bind], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("mount namespaces are not to be had here")
    run = f'{bind} && exec "{sys.executable}" -c "$0" "{store.root}"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", run, script],
        env={**os.environ, "PYTHONPATH": PATHS},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search("[Rr]ead-only file system", done.stdout)


RESTING = """
import sys
from faults import toys
from presage.store import Store
def write(sink):
    toys.write_file(sink)
    print("half way", flush=True)
    input()
Store(sys.argv[1]).put_file(toys.FILE, "weights.bin", write)
"""


def test_leftovers_of_the_living_are_left_alone(tmp_path: Path) -> None:
    # As in two containers that share a host's name and have process numbers of their own.
    store = Store(tmp_path)
    entry = store.entry(toys.FILE)
    with subprocess.Popen(
        [*apart(), sys.executable, "-c", RESTING, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": PATHS},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "half way\n"
        entry.prepare()
        assert len(toys.leftovers(store)) == 1
        writer.communicate("go on\n", timeout=60)
        assert writer.returncode == 0
    assert toys.leftovers(store) == []
    assert failpoints.file_right(store, True) == ""


def test_leftovers_of_the_dead_are_swept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = store.entry(WAVES.recipe()).folder
    here = files._host()
    dead = folder / f".shard.nc.{here}@01234567.tmp"
    far = folder / ".shard.nc.elsewhere@01234567.tmp"
    before = folder / f".shard.nc.{here}@12@34.01234567.tmp"  # as an earlier version names them
    for path in (dead, far, before):
        path.touch()
    simulate(WAVES, 20, store=store, progress=False)
    assert [p.exists() for p in (dead, far, before)] == [False, True, True]
    monkeypatch.setattr(locks, "DAY", -1.0)
    simulate(WAVES, 20, store=store, progress=False)
    assert toys.leftovers(store) == []


def test_memory_mapped_arrays_cannot_be_written(store: Store) -> None:
    arrays = store.rows(WAVES.recipe()).shards[0][2]
    with pytest.raises(ValueError, match="read-only"):
        arrays["wave"][0] = np.nan
