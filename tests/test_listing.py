"""The store's listing: lines are kept while files are the same, and decide nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from guides import exit_code as run
from presage.recipe import Parent, Recipe
from presage.store import EntryInfo, Store, listing
from presage.store.sidecar import make_sidecar, sidecar_path

RECIPE = Recipe("toy", 1, {"width": 1.0})


@pytest.fixture
def store() -> Store:
    return Store()


def product() -> xr.Dataset:
    return xr.Dataset({"x": ("i", np.arange(4.0))})


MANY = 150


def many(store: Store, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Path], Callable[[], int]]:
    """Fill a store with copies of one product; return its folders, and what counts looks at one."""
    monkeypatch.setattr(listing, "_TICKS", -3600.0)  # these files are seconds old
    first = Recipe("first", 1)
    store.put(first, product())
    content = (store.entry(first).folder / "product.nc").read_bytes()
    for k in range(MANY):
        recipe = Recipe(f"many-{k % 3}", 1, {"k": k}, parents=(Parent(first.key),))
        folder = store.entry(recipe).folder
        folder.mkdir(parents=True)
        (folder / "recipe.json").write_text(recipe.json)
        (folder / "product.nc").write_bytes(content)
        mark = make_sidecar(folder / "product.nc", {}, recipe.key)
        sidecar_path(folder / "product.nc").write_text(mark.text())
    looked, describe = [0], listing.describe_entry

    def counted(*given: Any) -> EntryInfo:
        looked[0] += 1
        return describe(*given)

    def looks() -> int:
        count, looked[0] = looked[0], 0
        return count

    monkeypatch.setattr(listing, "describe_entry", counted)
    return sorted(f for f in store.root.glob("*/*") if f.is_dir()), looks


def edited(path: Path) -> None:
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # size and times tell nothing


def exchanged(path: Path) -> None:
    shutil.copy2(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").replace(path)


def cut(path: Path) -> None:
    os.truncate(path, 1000)


def forged(path: Path) -> None:
    path.write_text(path.read_text().replace("complete", "sound", 1))


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def test_lines_are_kept_while_files_are_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders, looks = many(store, monkeypatch)
    first, kept = store.list(), store.root / listing.FILE
    assert (len(first), looks()) == (MANY + 1, MANY + 1)
    for again in (store, Store(store.root)):  # from memory, from the file
        assert again.list() == first
        assert looks() == 0

    edited(folders[5] / "product.nc.done.json")
    exchanged(folders[6] / "recipe.json")
    edited(folders[7] / "recipe.json")
    (folders[8] / "work").mkdir()
    shutil.rmtree(folders[9])
    for again, expected in ((store, 4), (Store(store.root), 0)):  # so many that it was written
        states = [line.state.split(" ")[0] for line in again.list()]
        assert states[5:9] == ["product.nc.done.json", "complete", str(folders[7] / "recipe.json"),
                               "unfinished"]  # fmt: skip
        assert len(states) == MANY
        assert looks() == expected

    last = Store(store.root).list()
    for damage in (cut, forged, Path.unlink, lambda path: path.write_bytes(b"\xff"), folder):
        looks()
        damage(kept)
        assert Store(store.root).list() == last
        assert looks() == MANY
    monkeypatch.setattr(listing, "__version__", "another")
    assert Store(store.root).list() == last
    assert looks() == MANY


def test_what_has_just_changed_is_looked_at_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(RECIPE, product())
    store.list()
    assert not (store.root / listing.FILE).exists()  # the clock of a file system ticks
    monkeypatch.setattr(listing, "_TICKS", -3600.0)
    store.list()
    assert (store.root / listing.FILE).exists()


def test_several_who_list_at_once_leave_a_whole_file(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, looks = many(store, monkeypatch)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: Store(store.root).list(), range(4)))
    assert all(lines == found[0] for lines in found)
    looks()
    assert Store(store.root).list() == found[0]
    assert looks() == 0
    assert not list(store.root.glob(".*.tmp"))


def test_work_grows_with_entries_and_not_with_their_square(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders, _ = many(store, monkeypatch)
    calls, scandir = [0], os.scandir

    def counted(*given: Any) -> Any:
        calls[0] += 1
        return scandir(*given)

    monkeypatch.setattr(os, "scandir", counted)
    assert run("store", "verify", "--fraction", "0") == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.endswith("hashes fit") for line in lines) == MANY + 1
    assert calls[0] < 15 * MANY, calls
    calls[0] = 0
    assert run("store", "rm", *(folder.name for folder in folders)) == 0
    assert calls[0] < 15 * MANY, calls
    assert store.list() == []


def test_a_parent_that_is_gone_is_named(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    child = Recipe("toy-child", 1, parents=(Parent(RECIPE.key),))
    for recipe in (RECIPE, child):
        Store().put(recipe, product())
    assert Store().remove(RECIPE, force=True) == [f"toy/{RECIPE.key[:16]}"]
    gone = f"made from {RECIPE.key[:16]}, which is not in this store"
    assert run("store", "ls") == 0
    assert f"complete; {gone}" in capsys.readouterr().out
    assert run("store", "verify") == 0
    assert gone in capsys.readouterr().out
