"""Writers, openers and removers of one dataset at once: right values, or one sentence.

Each race forks a few processes from one that has everything imported; they begin at the same
moment on a dataset that is sound, damaged, half published or not there. Run as

    python -m faults.races FOLDER [--races N] [--seed S]

(with ``tests`` on the path); it prints how many processes there were of each kind, how many had a
sentence for an answer, and what went wrong: another error than a sentence, other values, something
left behind, a dataset that is there again after its removal.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from faults import toys
from presage.generate import repair, simulate
from presage.labels import LabelError
from presage.store import Store, StoreError, StoreWarning, locks

WAVES = toys.Waves()
N = 24
#: Processes in a race.
MANY = 5


def opened(store: Store) -> bool:
    return toys.same(store.open(WAVES.recipe(), 0, N), toys.truth(WAVES, N))


def opened_by_key(store: Store) -> bool:
    found = store.open(WAVES.recipe().key[:16])
    return toys.same(found, toys.truth(WAVES, found.sizes["sample"]))


def product(store: Store) -> bool:
    held = store.get(toys.PRODUCT)
    return held is None or held.drop_attrs().identical(toys.product().drop_attrs())


def file(store: Store) -> bool:
    with store.entry(toys.FILE).in_use():
        path = store.file(toys.FILE, "weights.bin")
        return path is None or path.read_bytes() == toys.WRITTEN


def simulated(store: Store) -> bool:
    return toys.same(simulate(WAVES, N, store=store, progress=False), toys.truth(WAVES, N))


def repaired(store: Store) -> bool:
    return toys.same(repair(WAVES, N, store=store), toys.truth(WAVES, N))


def put(store: Store) -> bool:
    held = store.put(toys.PRODUCT, toys.product())
    return held.drop_attrs().identical(toys.product().drop_attrs())


def put_file(store: Store) -> bool:
    store.put_file(toys.FILE, "weights.bin", toys.write_file)
    return True


def listed(store: Store) -> bool:
    return all(entry.key and store.describe(entry.key) for entry in store.list())


def checked(store: Store) -> bool:
    return store.check(WAVES.recipe(), remember=True) is not None


def removed(store: Store) -> bool:
    for recipe in (WAVES.recipe(), toys.PRODUCT, toys.FILE):
        store.remove(recipe)
    return True


OPENERS = [opened, opened_by_key, product, file, listed, checked]
WRITERS = [simulated, repaired, put, put_file]
Role = Callable[[Store], bool]


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


#: State of the files at the beginning: what is done to one of them.
DAMAGE: dict[str, Callable[[Path], object]] = {
    "flipped": flipped,
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "gone": Path.unlink,
    "sidecar cut": lambda path: os.truncate(path.with_name(f"{path.name}.done.json"), 40),
    "without sidecar": lambda path: path.with_name(f"{path.name}.done.json").unlink(),
    "recipe edited": lambda path: path.with_name("recipe.json").write_text("{}"),
}
STATES = ["absent", "sound", *DAMAGE]


def one_race(folder: Path, master: Path, chance: random.Random) -> tuple[Counter[str], list[str]]:
    """Let some processes meet; return what happened how often, and what was wrong."""
    state = chance.choice(STATES)
    removers = [removed] * chance.choice([0, 0, 1, 2])
    rest = [chance.choice(OPENERS + 2 * WRITERS) for _ in range(MANY - len(removers))]
    roles: list[Role] = [*removers, *rest]
    names = [role.__name__ for role in roles]
    root = folder / "store"
    if state != "absent":
        shutil.copytree(master, root)
        for path in [p for p in root.rglob("*") if p.name in DAMAGED] if state in DAMAGE else []:
            DAMAGE[state](path)
    begin = time.monotonic() + 0.02 * MANY
    answers = [answer() for answer in [_forked(_acted, role, root, begin) for role in roles]]
    wrong = [f"{n}: {a}" for n, a in zip(names, answers, strict=True) if a not in ("", "sentence")]
    if not removers:
        asked = [n for n, a in zip(names, answers, strict=True) if a == "sentence"]
        wrong += [f"{n} had to ask again" for n in asked if n in {w.__name__ for w in WRITERS}]
    if removers and answers[0] == "" and not {*rest} & {*WRITERS}:
        wrong += [f"{p.name} is there again" for p in root.glob("fault-*/*") if any(p.iterdir())]
    if fault := _forked(_afterwards, None, root, begin)():
        wrong.append(f"afterwards: {fault}")
    shutil.rmtree(root, ignore_errors=True)
    kinds = [a if a in ("", "sentence") else "wrong" for a in answers]
    counts = Counter(f"{n}: {kind or 'right'}" for n, kind in zip(names, kinds, strict=True))
    return counts, [f"{state}, {'+'.join(names)}: {w}" for w in wrong]


#: What is damaged: a shard in the middle, the product and the file.
DAMAGED = {"shard-000000000008-000000000016.nc", "product.nc", "weights.bin"}


def _acted(role: Role, root: Path, begin: float) -> str:
    while time.monotonic() < begin:
        pass
    try:
        return "" if role(Store(root)) else "other values"
    except (StoreError, LabelError) as error:
        return "sentence" if str(error) else "no words"
    except BaseException:  # noqa: BLE001
        return traceback.format_exc(limit=-4)


def _afterwards(_: Any, root: Path, __: float) -> str:
    """All can be made, nothing is wrong, and nothing is left behind."""
    store = Store(root)
    if not (simulated(store) and put(store) and put_file(store)):
        return "other values"
    wrong = [p for what in (WAVES.recipe(), toys.PRODUCT, toys.FILE) for p in store.check(what)]
    wrong += [f"left {name}" for name in toys.leftovers(store)]
    return "; ".join(wrong)


def _forked(function: Callable[..., str], *arguments: Any) -> Callable[[], str]:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", StoreWarning)
        try:
            answer = function(*arguments)
        except BaseException:  # noqa: BLE001
            answer = traceback.format_exc(limit=-4)
        os.write(writing, answer.encode()[:60_000])
        os._exit(0)
    os.close(writing)

    def answer_of() -> str:
        with os.fdopen(reading) as pipe:
            text = pipe.read()
        return text if os.waitpid(pid, 0)[1] == 0 else "crashed"

    return answer_of


def campaign(folder: Path, races: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Run so many races."""
    toys.small_shards()
    locks.GRACE = 0.2  # half-published files of the dead are no matter of waiting
    master = folder / "master"
    _afterwards(None, master, 0.0)
    chance, counts, wrong = random.Random(seed), Counter[str](), []
    for _ in range(races):
        found, faults = one_race(folder, master, chance)
        counts.update(found)
        wrong += faults
    return counts, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--races", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    counts, wrong = campaign(arguments.folder, arguments.races, arguments.seed)
    print(json.dumps(dict(sorted(counts.items())), indent=1))
    print("\n".join(wrong))
    print(f"{arguments.races} races, {len(wrong)} faults")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
