"""Runs a store operation again and again, and lets it fail at each I/O step in turn.

A *step* is one call that changes the disk: opening for writing, writing, flushing,
linking, renaming, removing, making a directory.
The functions are patched from outside, in a child process forked for each step, so that
the product needs no seams and a SIGKILL is a real one. Run as

    python failpoints.py FOLDER [--all]

it prints for each scenario, as JSON, its steps and what went wrong.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from faults import toys
from presage.fitting.checkpoint import Checkpoints, read
from presage.generate import simulate
from presage.store import Store, StoreError, locks

ERRORS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "EROFS": errno.EROFS}


class Failpoint:
    """Counts steps; at step `at` it kills the process or raises.

    Parameters
    ----------
    at
        Which step fails; -1 for none, -2 for every one.
    action
        ``KILL`` or a name of ERRORS.
    root
        Only steps on paths below it count.
    links
        False: ``os.link`` always fails with EPERM, as on mounts without hard links.
    """

    def __init__(self, at: int, action: str, root: Path, links: bool = True) -> None:
        self.at, self.action, self.root, self.links = at, action, str(root), links
        self.names: list[str] = []
        self._files: dict[int, str] = {}
        self._lock = threading.Lock()

    def step(self, name: str) -> None:
        with self._lock:
            number = len(self.names)
            self.names.append(name)
        if self.at not in (number, -2):
            return
        if self.action == "KILL":
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)
        raise OSError(ERRORS[self.action], f"injected {self.action} at step {number}: {name}")

    def concerns(self, args: tuple[Any, ...]) -> bool:
        return any(isinstance(a, (str, os.PathLike)) and self.root in str(a) for a in args)

    def install(self) -> None:
        for name in ("link", "unlink", "rename", "replace", "mkdir", "rmdir", "truncate"):
            setattr(os, name, self._by_path(name, getattr(os, name)))
        os.open = self._opening(os.open)
        os.write = self._torn(os.write)
        os.ftruncate = self._always("truncate", os.ftruncate)
        os.fsync = self._always("fsync", lambda _: None)  # nobody cuts the power

    def _by_path(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if self.concerns(args):
                self.step(name)
                if name == "link" and not self.links:
                    raise OSError(errno.EPERM, "no hard links here")
            return real(*args, **kwargs)

        return call

    def _always(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.step(name)
            return real(*args, **kwargs)

        return call

    def _opening(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, flags: int, *args: Any, **kwargs: Any) -> Any:
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and self.concerns((path,)):
                self.step("os.open")
                descriptor = real(path, flags, *args, **kwargs)
                self._files[descriptor] = str(path)
                return descriptor
            return real(path, flags, *args, **kwargs)

        return call

    def _torn(self, real: Callable[..., int]) -> Callable[..., int]:
        """A write stops half-way when its step is the failing one."""

        def call(descriptor: int, data: Any) -> int:
            name = self._files.get(descriptor)
            if name is None:
                return real(descriptor, data)
            real(descriptor, data[: len(data) // 2])
            self.step("netCDF write" if ".nc." in name and ".json." not in name else "write")
            return len(data) // 2 + real(descriptor, data[len(data) // 2 :])

        return call


# -- what is done, and what must hold afterwards ------------------------------------------


def generate(source: str, n: int) -> Callable[[Store], None]:
    return lambda store: _generate(source, n, store)


def _generate(source: str, n: int, store: Store) -> None:
    simulate(toys.SOURCES[source], n, store=store, progress=False)


def put_product(store: Store) -> None:
    store.put(toys.PRODUCT, toys.product())


def put_file(store: Store) -> None:
    store.put_file(toys.FILE, "weights.bin", toys.write_file)


def checkpoint(*steps: int) -> Callable[[Store], None]:
    return lambda store: _checkpoint(store, steps)


def _checkpoint(store: Store, steps: tuple[int, ...]) -> None:
    with store.workspace(toys.FILE) as folder:
        for step in steps:
            Checkpoints(folder).save({"progress": {"epoch": 0, "step": step}, "is": "sound"})


def nothing(store: Store) -> None:
    """Start from an empty store."""


def samples_right(source: str, n: int, before: int) -> Callable[[Store, bool], str]:
    """Whatever is visible is byte-correct; after the rerun all of it is there."""

    def check(store: Store, rerun: bool) -> str:
        simulator = toys.SOURCES[source]
        there = store.samples(simulator.recipe())
        if there < (n if rerun else before):
            return f"{there} samples are left"
        if there and not toys.same(store.open(simulator.recipe()), toys.truth(simulator, there)):
            return "other values"
        return ""

    return check


def product_right(store: Store, rerun: bool) -> str:
    held = store.get(toys.PRODUCT)
    if held is None:
        return "it is not there" if rerun else ""
    return "" if held.drop_attrs().identical(toys.product().drop_attrs()) else "other values"


def file_right(store: Store, rerun: bool) -> str:
    path = store.file(toys.FILE, "weights.bin")
    if path is None:
        return "it is not there" if rerun else ""
    return "" if path.read_bytes() == toys.WRITTEN else "other bytes"


def checkpoint_right(store: Store, rerun: bool) -> str:
    with store.workspace(toys.FILE) as folder:
        path = Checkpoints(folder).newest()
    held = read(path) if path else {}
    step = held.get("progress", {}).get("step", 0)
    return "" if held.get("is") == "sound" and step > (2 if rerun else 1) else f"holds {held}"


Scenario = tuple[
    Callable[[Store], None], Callable[[Store], None], Callable[[Store, bool], str], bool
]

#: name → (what was there, what is interrupted, what must hold, hard links)
SCENARIOS: dict[str, Scenario] = {
    "publish": (nothing, generate("waves", 8), samples_right("waves", 8, 0), True),
    "extend": (generate("bags", 12), generate("bags", 16), samples_right("bags", 16, 12), True),
    "no_links": (nothing, generate("waves", 8), samples_right("waves", 8, 0), False),
    "product": (nothing, put_product, product_right, True),
    "file": (nothing, put_file, file_right, True),
    "checkpoint": (checkpoint(1, 2), checkpoint(3), checkpoint_right, True),
}


#: Steps within the writing of a temporary: tried in two scenarios, alike in the others.
WITHIN = {"netCDF write", "truncate"}


def cases(scenario: str, steps: list[str], everything: bool) -> list[tuple[int, str, str]]:
    """Return (step, its name, action): a kill at each step and the errors in turn, or all."""
    chosen = []
    for at, name in enumerate(steps):
        inside = name in WITHIN and not everything
        if inside and (at % 2 or scenario not in ("publish", "product")):
            continue
        actions = ["KILL", "ENOSPC", "EIO"]
        if not everything:
            actions = [actions[at // 2 % 3]] if inside else ["KILL", actions[1 + at % 2]]
        chosen += [(at, name, action) for action in actions]
    return chosen


def run(scenario: str, folder: Path, everything: bool) -> dict[str, Any]:
    """Fail at every step in turn; return the steps and what went wrong."""
    toys.small_shards()
    locks.GRACE = 0.0  # the writer that died will not come back
    before, interrupted, check, links = SCENARIOS[scenario]
    master = folder / "master"
    before(Store(master))
    interrupted(Store(folder / "warm"))  # imports and caches are filled before any fork
    check(Store(folder / "warm"), True)
    counted = folder / "count.json"
    _in_child(lambda: _count(interrupted, master, folder / "count", links, counted))
    steps = json.loads(counted.read_text())
    wrong = []
    for at, name, action in cases(scenario, steps, everything):
        root = folder / f"{scenario}-{action}-{at}"
        if master.exists():
            shutil.copytree(master, root)
        point = Failpoint(at, action, root, links)
        faults = _one(interrupted, check, point, root)
        wrong += [f"{action} at step {at} ({name}): {fault}" for fault in faults]
        shutil.rmtree(root, ignore_errors=True)
    return {"steps": steps, "wrong": wrong}


def _count(
    interrupted: Callable[[Store], None], master: Path, root: Path, links: bool, out: Path
) -> str:
    if master.exists():
        shutil.copytree(master, root)
    point = Failpoint(-1, "KILL", root, links)
    point.install()
    interrupted(Store(root))
    names = list(point.names)
    out.write_text(json.dumps(names))
    return ""


def _one(
    interrupted: Callable[[Store], None],
    check: Callable[[Store, bool], str],
    point: Failpoint,
    root: Path,
) -> list[str]:
    faults = [_in_child(lambda: _interrupted(interrupted, point, root))]
    if point.action != "KILL":
        point.at = -1
    faults.append(_in_child(lambda: _again(interrupted, check, root, point.links)))
    return [fault for fault in faults if fault]


def _interrupted(interrupted: Callable[[Store], None], point: Failpoint, root: Path) -> str:
    point.install()
    try:
        interrupted(Store(root))
    except StoreError as error:
        if point.action == "ENOSPC" and "is full" not in str(error):
            return f"unclear error {error}"
    except OSError as error:
        if "injected" not in str(error):
            return f"another error {error!r}"
    remains = toys.leftovers(Store(root))
    # A temporary whose own removal failed is swept once its writer is gone.
    return f"left {remains}" if remains and point.names[point.at] != "unlink" else ""


def _again(
    interrupted: Callable[[Store], None],
    check: Callable[[Store, bool], str],
    root: Path,
    links: bool,
) -> str:
    visible = check(Store(root), False)
    if visible:
        return f"before the rerun: {visible}"
    Failpoint(-1, "KILL", root, links).install()
    store = Store(root)
    interrupted(store)
    remains = toys.leftovers(store)
    return f"the rerun left {remains}" if remains else check(Store(root), True)


def _in_child(function: Callable[[], str]) -> str:
    """Run in a forked child and return its answer; a SIGKILL of it is no fault."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                answer = function()
        except BaseException:  # noqa: BLE001 - the child reports whatever happened
            answer = traceback.format_exc(limit=-3)
        os.write(writing, answer.encode()[:60_000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    return answer


if __name__ == "__main__":
    place, everything = Path(sys.argv[1]), "--all" in sys.argv
    print(json.dumps({name: run(name, place / name, everything) for name in SCENARIOS}))
