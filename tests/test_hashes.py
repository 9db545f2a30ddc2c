"""Hashes of users' files: remembered while nothing changed, and never when something did."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from presage import hashes
from presage.hashes import content_hashes, forget


@pytest.fixture(autouse=True)
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PRESAGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hashes, "_held", {})
    monkeypatch.setattr(hashes, "_TICKS", -3600.0)  # these files are seconds old
    return tmp_path / "cache" / "hashes.jsonl"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose content is read."""
    names: list[str] = []
    real = hashes._hashed

    def counted(path: Path, advance: Callable[[int], None]) -> object:
        names.append(path.name)
        return real(path, advance)

    monkeypatch.setattr(hashes, "_hashed", counted)
    return names


def fresh_process() -> None:
    hashes._held.clear()


def make(folder: Path, number: int = 3) -> list[Path]:
    paths = [folder / f"{i}.root" for i in range(number)]
    for i, path in enumerate(paths):
        path.write_bytes(bytes([i]) * 3_000_000 if i else b"")
    return paths


def truth(paths: list[Path]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def test_a_second_run_reads_nothing(tmp_path: Path, read: list[str]) -> None:
    paths = make(tmp_path)
    assert content_hashes(paths) == truth(paths)
    assert sorted(read) == ["0.root", "1.root", "2.root"]
    for begin in (lambda: None, fresh_process):
        begin()
        assert content_hashes(paths[::-1]) == truth(paths[::-1])
    assert len(read) == 3


#: What happens to a file of three million bytes between two runs.
CHANGES: dict[str, Callable[[Path], object]] = {
    "another size": lambda p: p.write_bytes(b"x"),
    "the same size and date": lambda p: (
        (before := p.stat()),
        p.write_bytes(b"y" * before.st_size),
        os.utime(p, ns=(before.st_atime_ns, before.st_mtime_ns)),
    ),
    "replaced": lambda p: (
        p.with_suffix(".new").write_bytes(b"z" * p.stat().st_size),
        p.with_suffix(".new").replace(p),
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_file_is_read_again(what: str, tmp_path: Path, read: list[str]) -> None:
    paths = make(tmp_path)
    content_hashes(paths)
    CHANGES[what](paths[1])
    fresh_process()
    assert content_hashes(paths) == truth(paths)
    assert read[3:] == ["1.root"]


def test_a_file_changed_a_moment_ago_is_not_remembered(
    tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that ticks every second or two would not show a change within the tick."""
    monkeypatch.setattr(hashes, "_TICKS", 2.0)
    paths = make(tmp_path)
    content_hashes(paths)
    assert content_hashes(paths) == truth(paths)
    assert len(read) == 6


@pytest.mark.parametrize("wish", ["asked for", "forgotten"])
def test_rehash(
    wish: str, tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = make(tmp_path)
    content_hashes(paths)
    fresh_process()
    if wish == "forgotten":
        forget()
    else:
        monkeypatch.setenv("PRESAGE_REHASH", "1")
    assert content_hashes(paths) == truth(paths)
    assert len(read) == 6


def test_damaged_notes_are_not_believed(tmp_path: Path, notes: Path, read: list[str]) -> None:
    paths = make(tmp_path)
    content_hashes(paths)
    whole = notes.read_bytes()
    for content in (
        whole.replace(truth(paths)[1].encode(), b"0" * 64),
        whole[: len(whole) - 40],
        b"\xff\x00 [] \n" + whole[200:],
        b"",
    ):
        notes.write_bytes(content)
        fresh_process()
        assert content_hashes(paths) == truth(paths)
    notes.unlink()
    notes.mkdir()  # nothing can be noted at all
    fresh_process()
    assert content_hashes(paths) == truth(paths)


def test_notes_do_not_grow_without_end(
    tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "_LARGEST_NOTES", 1000)
    for _ in range(30):
        content_hashes(make(tmp_path, 2)[1:])
    assert notes.stat().st_size < 1600


def _note_many(folder: str) -> None:
    hashes._TICKS = -3600.0
    paths = [Path(folder) / f"{i}.root" for i in range(3)]
    for _ in range(30):
        fresh_process()
        os.utime(paths[2], ns=(0, time.time_ns()))
        content_hashes(paths)


def test_processes_note_at_the_same_time(tmp_path: Path, notes: Path) -> None:
    paths = make(tmp_path)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(_note_many, [str(tmp_path)] * 2))
    lines = [line for line in notes.read_bytes().splitlines() if line]
    assert len(list(hashes._parsed(lines))) == len(lines) >= 10
    fresh_process()
    assert content_hashes(paths) == truth(paths)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    (path,) = make(tmp_path, 1)
    os.mkfifo(tmp_path / "pipe")
    good, missing, pipe = content_hashes([path, tmp_path / "missing", tmp_path / "pipe"])
    assert good == truth([path])[0]
    assert isinstance(missing, FileNotFoundError)
    assert isinstance(pipe, OSError)
    assert pipe.strerror == "it is no regular file"
