"""Files of every kind that can be imported, damaged at random: a sentence, or the whole content.

    python -m faults.damaged [KIND ...] [--cases 500] [--seed 0]

(with ``tests`` on the path); each case is a child forked from a process that has everything
imported, which imports one damaged file with the command line. It prints for each kind how
many cases there were, how many files were taken, and what went wrong: ``signal`` (it crashed,
or took longer than 30 s), ``traceback``, ``memory`` (it asked for more than 1 GiB),
``false success`` (it took a file whose damage shows, or other values than are in the file).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
import xarray as xr
from astropy.io import fits

from faults.below import run_main, shown
from presage.exchange import write_file
from presage.exchange.about import ABOUT, describe
from presage.store import Store

TABLE = np.random.default_rng(0).normal(size=(200, 2)).astype("f4")
EVENTS = xr.Dataset({"x": ("sample", TABLE[:, 0]), "y": ("sample", TABLE[:, 1])})
COLUMNS = {"x": TABLE[:, 0].copy(), "y": TABLE[:, 1].copy()}
TENSORS = {name: torch.tensor(column) for name, column in COLUMNS.items()}
MEMORY, SECONDS = 1 << 30, 30
TREE = "columns = {{x = 'x'}}\nlabels = {{y = 'y'}}\ntree = 'Events'\nfiles = '{}'\n"
READER = "columns = {{x = {{}}}}\nlabels = {{y = {{}}}}\nfile = '{}'\n"
#: What a short of memory looks like in words.
_MEMORY = re.compile("MemoryError|Unable to allocate|ENOMEM|not enough memory")


@dataclass(frozen=True)
class Kind:
    """How a file is made, imported, and read by others.

    Parameters
    ----------
    suffix
        Of the file that is damaged.
    make
        Writes it.
    beside
        Text of a description that names it; by default it is imported itself.
    others
        Reads x and y as another program does.
    sealed
        Whether checksums tell of all damage.
    reader
        Of a study, by name.
    """

    suffix: str
    make: Callable[[Path], object]
    beside: str = ""
    others: Callable[[Path], dict[str, Any]] | None = None
    sealed: bool = False
    reader: str = ""


def _about(path: Path) -> None:
    """Write the description of an archive's arrays as a file of its own, to be put in later."""
    path.write_text(describe(EVENTS), encoding="utf-8")


def _root(path: Path) -> None:
    write_file(EVENTS.assign_attrs(presage_sample="sample"), path)


def _h5(path: Path) -> dict[str, Any]:
    with h5py.File(path) as file:
        return {name: file[name][()] for name in ("x", "y")}


def _dictionary(path: Path) -> None:
    np.save(path, {"data": TABLE[:, :1], "cond": TABLE[:, 1:], "note": "mine"}, allow_pickle=True)


def _cube(path: Path) -> None:
    cards = {"CTYPE3": "FREQ", "CRVAL3": 500e6, "CDELT3": 2e6, "CRPIX3": 1.0, "BUNIT": "K"}
    cards |= {"CTYPE1": "RA---TAN", "CRVAL1": 10.0, "CDELT1": -0.25, "CRPIX1": 3.0}
    cards |= {"CTYPE2": "DEC--TAN", "CRVAL2": -30.0, "CDELT2": 0.25, "CRPIX2": 2.0}
    fits.PrimaryHDU(TABLE.reshape(4, 10, 10), fits.Header(cards)).writeto(path)


def _sets(path: Path) -> None:
    theta = np.tile([[0.0, 1.0, 1.0, 2.0, 0.5]], (4, 1))
    np.savez(path, thetas=theta, events=TABLE.reshape(4, 1, 50, 2), problem=np.array("gaussian"))


def _described(path: Path) -> None:
    np.savez(path.with_name("beside.npz"), x=TABLE[:, 0], y=TABLE[:, 1])
    path.write_text(READER.format("beside.npz"), encoding="utf-8")


def _records(path: Path) -> dict[str, Any]:
    held = np.load(path)
    return {name: held[name] for name in ("x", "y")}


def _table(path: Path) -> dict[str, Any]:
    return dict(zip("xy", np.load(path).T, strict=True))


KINDS: dict[str, Kind] = {
    "npz": Kind("npz", lambda p: write_file(EVENTS, p), sealed=True),
    "npz packed": Kind("npz", lambda p: write_file(EVENTS, p, compression=6), sealed=True),
    "npz of numpy": Kind("npz", lambda p: np.savez(p, **COLUMNS), sealed=True),
    "json in npz": Kind("json", _about),
    "npy": Kind("npy", lambda p: write_file(EVENTS, p), READER, _records),
    "npy table": Kind("npy", lambda p: np.save(p, TABLE), READER, _table),
    "npy pickle": Kind("npy", _dictionary, READER),
    "pt": Kind("pt", lambda p: write_file(EVENTS, p), sealed=True),
    "pt of torch": Kind("pt", lambda p: torch.save(TENSORS, p), sealed=True),
    "h5": Kind("h5", lambda p: write_file(EVENTS, p), others=_h5),
    "h5 packed": Kind("h5", lambda p: write_file(EVENTS, p, compression=6), others=_h5),
    "nc": Kind("nc", lambda p: write_file(EVENTS, p), others=_h5),
    "nc classic": Kind("nc", lambda p: EVENTS.to_netcdf(p, engine="scipy")),
    "root": Kind("root", _root, TREE),
    "fits": Kind("fits", _cube, reader="sky_cubes"),
    "sets": Kind("npz", _sets, reader="original-event-sets"),
    "toml": Kind("toml", _described),
}


#: A value in JSON or TOML, and what may stand there instead.
_VALUE = re.compile(rb"\"[^\"]*\"|'[^']*'|\[[^\]]*\]|\{\}|false|true")
_OTHERS = rb"""
null 1 -1 1e999 true "x" "sample" [] [[]] {} {"a":{}} ["sample","x"] [1] {"units":[{}]}
{"_FillValue":"x"} {"units":"days","calendar":1} {x={lower=1}} {''={}} {x=1979-05-27}
""".split()


def reworded(text: bytes, rng: np.random.Generator) -> bytes:
    """Return a text with other values in the place of one to three."""
    for _ in range(int(rng.integers(1, 4))):
        places = [found.span() for found in _VALUE.finditer(text)]
        if places:
            start, stop = places[int(rng.integers(len(places)))]
            text = text[:start] + _OTHERS[int(rng.integers(len(_OTHERS)))] + text[stop:]
    return text


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Return a file's content after one to three of the accidents that befall files."""
    for _ in range(int(rng.integers(1, 4))):
        size = max(len(content), 1)
        # Half of them near the ends, where what describes the numbers stands.
        near = int(rng.integers(min(size, 400))) * int(rng.choice([1, -1]))
        at = near % size if rng.random() < 0.5 else int(rng.integers(size))
        length = int(rng.integers(1, 9))
        head, part, tail = content[:at], content[at : at + length], content[at + length :]
        match int(rng.integers(9)):
            case 0:
                content = (
                    head + bytes([(part or b"\0")[0] ^ 1 << int(rng.integers(8))]) + part[1:] + tail
                )
            case 1:
                content = head + rng.bytes(length) + tail
            case 2:
                content = head
            case 3:
                content = head + bytes(int(rng.integers(1, 600))) + tail
            case 4:
                content = head + tail
            case 5:
                content = head + part * int(rng.integers(2, 200)) + tail
            case 6:
                content = head + bytes([int(rng.choice([0xFF, 0x7F, 0x00]))]) * length + tail
            case 7:
                content = (
                    head + rng.choice([b"(", b"[", b"{", b".", b"9", b"'", b"N"]) * length + tail
                )
            case _:
                other = int(rng.integers(size))
                content = head + content[other : other + 64] + content[at + 64 :]
    return content


def judged(kind: Kind, content: bytes, root: Path) -> tuple[bool, str]:
    """Import a damaged file; return whether it was taken, and what was wrong."""
    path = root / f"in.{kind.suffix}"
    path.write_bytes(content)
    status, used = _imported(_command(kind, path), root)
    text = (root / "said").read_text(encoding="utf-8", errors="replace")
    if status < 0:
        return False, f"signal: {signal.Signals(-status).name}"
    if "Traceback (most" in text or "Exception ignored" in text:
        return False, f"traceback: {text.strip().splitlines()[-1]}"
    if used > MEMORY or _MEMORY.search(text):
        return False, f"memory: {used >> 20} MiB, {text[-100:]}"
    if status:
        return False, "" if "error: " in text else f"no sentence: {text[-200:]}"
    return True, _other_values(kind, path, root)


def _command(kind: Kind, path: Path) -> list[str]:
    """Return the command that imports the file, or another one that holds or names it."""
    reader = ["--reader", kind.reader] if kind.reader else []
    return ["store", "import", str(_holder(kind, path)), *reader]


def _holder(kind: Kind, path: Path) -> Path:
    if kind.suffix == "json":
        about = np.array(path.read_bytes().decode("utf-8", "replace"))
        np.savez(path.with_suffix(".npz"), **COLUMNS, **{ABOUT: about})
        return path.with_suffix(".npz")
    if kind.beside:
        path.with_suffix(".toml").write_text(kind.beside.format(path.name), encoding="utf-8")
        return path.with_suffix(".toml")
    return path


def _imported(words: list[str], root: Path) -> tuple[int, int]:
    """Import a file in a child; return its status, and by how much its memory grew."""
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    pid = os.fork()
    if pid:
        _, status, usage = os.wait4(pid, 0)
        return os.waitstatus_to_exitcode(status), (usage.ru_maxrss << 10) - before
    code = 70
    try:
        for number in (1, 2):
            os.dup2(os.open(root / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
        signal.alarm(SECONDS)
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + 4 * MEMORY, size + 4 * MEMORY))
        code = run_main(words)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _other_values(kind: Kind, path: Path, root: Path) -> str:
    """Return how what was taken differs from the file, where it tells of damage, or is readable."""
    store = Store(root / "store")
    held = store.open(store.list()[0].key)
    try:
        read = COLUMNS if kind.sealed else kind.others(path) if kind.others else {}
    except Exception as error:  # noqa: BLE001 - whatever another program's reader raises
        return f"false success: another reader says {type(error).__name__}: {error}"
    same = all(n in held and _equal(held[n].values, a) for n, a in read.items())
    return "" if same else f"false success: {shown(held)[:200]}"


def _equal(taken: np.ndarray, read: np.ndarray) -> bool:
    kept = read[np.isfinite(read)] if taken.shape != read.shape else read
    return np.array_equal(taken.reshape(-1), kept.astype(taken.dtype).reshape(-1), equal_nan=True)


def campaign(kinds: list[str], cases: int, seed: int, where: Path | None = None) -> dict[str, Any]:
    """Import each kind of file, damaged in so many ways; return counts, and what went wrong."""
    results: dict[str, Any] = {}
    for name in kinds or list(KINDS):
        kind, rng = KINDS[name], np.random.default_rng([seed, *name.encode()])
        taken, wrong = 0, []
        with tempfile.TemporaryDirectory(dir=where) as folder:
            root = Path(folder)
            good = root / f"in.{kind.suffix}"
            kind.make(good)
            content = good.read_bytes()
            os.environ |= {"PRESAGE_STORE": f"{root}/store", "PRESAGE_CACHE": f"{root}/cache"}
            with contextlib.redirect_stdout(io.StringIO()):  # the children need import nothing
                run_main(_command(kind, good))
            for number in range(cases + 1):  # the first one is whole
                shutil.rmtree(root / "store", ignore_errors=True)
                (root / "said").unlink(missing_ok=True)
                spoil = reworded if number % 2 and kind.suffix in ("json", "toml") else damaged
                took, fault = judged(kind, spoil(content, rng) if number else content, root)
                if not number and (fault or not took):
                    raise SystemExit(f"{name}: undamaged, {(root / 'said').read_text()}")
                taken += took and number > 0
                if fault:
                    wrong.append(f"case {number}: {fault}")
                    print(name, wrong[-1], file=sys.stderr, flush=True)
        results[name] = {"cases": cases, "taken": taken, "wrong": wrong}
        print(name, cases, taken, len(wrong), file=sys.stderr, flush=True)
    return results


if __name__ == "__main__":
    words = sys.argv[1:]
    options = {"--cases": 500, "--seed": 0}
    for option in options:
        if option in words:
            place = words.index(option)
            options[option] = int(words[place + 1])
            del words[place : place + 2]
    print(json.dumps(campaign(words, options["--cases"], options["--seed"]), indent=1))
