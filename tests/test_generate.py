"""Laws of generation: neither cuts, workers, jobs nor kills show in what is made."""

from __future__ import annotations

import copy
import os
import pickle
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from faults import toys
from presage.cli.main import main
from presage.generate import checks, samples, simulate, simulate_shard, tasks, verify
from presage.generate.samples import make
from presage.inputs import FileInput, InputError
from presage.labels import Arrays, LabelError, Variable
from presage.simulator import Simulator, Source
from presage.store import Store, StoreError

WAVES = toys.Waves()
SOURCES = pytest.mark.parametrize("source", toys.SOURCES.values(), ids=toys.SOURCES)


def files(store: Store, source: Source) -> list[tuple[int, int]]:
    """Ranges of the shards on disk."""
    return [(s.start, s.stop) for s in store.entry(source.recipe()).shards()]


# -- cuts -----------------------------------------------------------------------------------


@SOURCES
@pytest.mark.parametrize(("size", "seconds"), [(1, 30.0), (64 << 20, 0.0), (500, 30.0)])
def test_early_files_do_not_change_samples(
    source: Simulator, size: int, seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "SHARD_BYTES", size)
    monkeypatch.setattr(samples, "SHARD_SECONDS", seconds)
    store = Store(tmp_path)
    simulate(source, 13, store=store, progress=False)
    made = simulate(source, 50, store=store, progress=False)
    assert toys.same(made, toys.truth(source, 50))
    if size == 1 or not seconds:
        assert files(store, source)[:2] == [(0, 8), (8, 13)]


def test_slow_samples_survive_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "SHARD_SECONDS", 0.0)
    store = Store(tmp_path)
    made: list[int] = []
    block = toys.Waves.block

    def killed(self: toys.Waves, seed: int, index: int) -> dict[str, np.ndarray]:
        if index == 3:
            raise KeyboardInterrupt
        made.append(index)
        return block(self, seed, index)

    monkeypatch.setattr(toys.Waves, "block", killed)
    with pytest.raises(KeyboardInterrupt):
        simulate(WAVES, 60, store=store, progress=False)
    assert files(store, WAVES) == [(0, 8), (8, 16), (16, 24)]
    monkeypatch.setattr(toys.Waves, "block", block)
    assert toys.same(simulate(WAVES, 60, store=store, progress=False), toys.truth(WAVES, 60))


@SOURCES
def test_workers_share_what_is_less_than_a_shard(source: Simulator, tmp_path: Path) -> None:
    store = Store(tmp_path)
    with ThreadPoolExecutor(2) as pool:
        made = simulate(source, 100, store=store, workers=2, executor=pool, progress=False)
    assert toys.same(made, toys.truth(source, 100))
    assert len(files(store, source)) == 7  # 13 blocks, two for each of 8 tasks


def test_processes_make_what_one_makes(tmp_path: Path) -> None:
    made = simulate(WAVES, 40, store=Store(tmp_path), workers=2, progress=False)
    assert toys.same(made, toys.truth(WAVES, 40))


def test_progress_moves_with_every_block() -> None:
    steps: list[int] = []
    list(samples.portions(WAVES, 0, 3, 30, steps.append))
    assert steps == [5, 8, 8, 6]


def test_workers_tell_how_far_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, steps = [0, 0], []
    monkeypatch.setattr(tasks, "_made", made)
    job = tasks.Job(WAVES, 0, str(tmp_path), WAVES.recipe())
    with ThreadPoolExecutor(1) as pool:
        tasks._run_there(job, [(0, 20), (20, 30)], pool, made, steps.append)
    assert made == [20, 10]
    assert sum(steps) == 30


@dataclass(frozen=True)
class Long(Simulator):
    """Long rows without a coordinate; `wrong` makes them of another length."""

    length_of_row: int = 4096
    wrong: int = 0
    told: bool = True

    name: ClassVar[str] = "generate-long"
    block_size: ClassVar[int] = 4
    parameters = ()
    variables = (Variable("row", ("column",), "float64"),)

    @property
    def lengths(self) -> dict[str, int]:
        return {"column": self.length_of_row} if self.told else {}

    def draw(self, rng: np.random.Generator, n: int) -> Arrays:
        return {}

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        more = self.wrong * int(rng.integers(1, 1 << 20))
        return {"row": np.ones((self.block_size, self.length_of_row + more))}


def test_declared_lengths_bound_a_shard() -> None:
    assert samples.shard_samples(Long()) * 4096 * 8 == samples.SHARD_BYTES
    assert samples.shard_samples(replace(Long(), told=False)) == samples.SHARD_BYTES // (64 * 8)


def test_measured_sizes_bound_a_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "SHARD_BYTES", 8 * 4096 * 8)
    store, source = Store(tmp_path), replace(Long(), told=False)
    simulate(source, 20, store=store, progress=False)
    assert files(store, source) == [(0, 8), (8, 16), (16, 20)]


@pytest.mark.parametrize(
    ("told", "message"), [(True, "declared 4096 in lengths"), (False, "is named in ragged")]
)
def test_lengths_that_differ_are_named(told: bool, message: str, tmp_path: Path) -> None:
    source = Long(wrong=1, told=told)
    with pytest.raises(LabelError, match=message):
        simulate(source, 20, store=Store(tmp_path), progress=False)


# -- jobs -----------------------------------------------------------------------------------


@SOURCES
@pytest.mark.parametrize("jobs", [(0, 1, 2), (2, 0, 1)])
def test_jobs_make_everything_between_them(
    source: Simulator, jobs: tuple[int, ...], tmp_path: Path
) -> None:
    store = Store(tmp_path)
    made = [simulate_shard(source, 50, (i, 3), store=store, progress=False) for i in jobs]
    assert sum(made) == 50
    assert min(made) > 0
    before = files(store, source)
    assert toys.same(simulate(source, 50, store=store, progress=False), toys.truth(source, 50))
    assert files(store, source) == before
    assert simulate_shard(source, 50, (0, 3), store=store, progress=False) == 0


@pytest.mark.parametrize("shard", [(3, 3), (-1, 2), (0, 0)])
def test_wrong_jobs_are_named(shard: tuple[int, int], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs 0 <= I < N"):
        simulate_shard(WAVES, 50, shard, store=Store(tmp_path))


def test_the_command_makes_one_job_s_part(capsys: pytest.CaptureFixture[str]) -> None:
    for job, count in (("1/2", 7232), ("0/2", 32768)):
        with pytest.raises(SystemExit) as stop:
            main(["generate", "resonance", "-n", "40000", "--shard", job])
        assert not stop.value.code
        key, _, text = capsys.readouterr().out.strip().partition("  ")
        assert text == f"made {count} samples, job {job}"
    assert Store().samples(key) == 40_000


# -- input files ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Amplified(toys.Bags):
    """A simulator that reads weights; `edit` changes them while it runs."""

    weights: FileInput | None = None
    edit: bool = False

    name: ClassVar[str] = "generate-amplified"

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        assert self.weights is not None
        made = dict(super().simulate(theta, rng))
        made["energy"] = made["energy"] * float(self.weights.read_bytes())
        if self.edit:
            self.weights.path.write_text("9.0")
        return made


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "gain.txt"
    path.write_text("3.0")
    return path


def test_a_file_is_its_name_and_content(weights: Path, tmp_path: Path) -> None:
    key = Amplified(weights=FileInput(weights)).recipe().key
    elsewhere = tmp_path / "other" / weights.name
    elsewhere.parent.mkdir()
    elsewhere.write_text("3.0")
    assert Amplified(weights=FileInput(str(elsewhere))).recipe().key == key
    assert FileInput(elsewhere) == FileInput(weights)
    assert str(tmp_path) not in Amplified(weights=FileInput(weights)).recipe().json
    assert pickle.loads(pickle.dumps(FileInput(weights))).read_bytes() == b"3.0"
    assert copy.copy(FileInput(weights)).path == weights
    weights.write_text("4.0")
    assert Amplified(weights=FileInput(weights)).recipe().key != key


def test_a_file_that_changes_or_is_none_is_said(weights: Path) -> None:
    given = FileInput(weights)
    for content in ("4.0", "3.00", ""):
        weights.write_text(content)
        with pytest.raises(InputError, match="was changed since"):
            given.read_bytes()
    weights.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        given.read_bytes()
    with pytest.raises(InputError, match="cannot be read"):
        FileInput(weights)
    weights.write_text("3.0")
    with pytest.raises(InputError, match="larger than 2 bytes"):
        FileInput(weights, limit=2)


def test_weights_edited_meanwhile_make_nothing(weights: Path, tmp_path: Path) -> None:
    store, source = Store(tmp_path / "s"), Amplified(weights=FileInput(weights), edit=True)
    with pytest.raises(InputError, match="was changed since"):
        simulate(source, 16, store=store, progress=False)
    assert store.samples(source.recipe()) == 0


@dataclass(frozen=True)
class ByHand(toys.Bags):
    """A simulator that hashes its file itself, at every look."""

    path: str = ""

    name: ClassVar[str] = "generate-by-hand"

    def identity(self) -> dict[str, str]:
        return {"content": Path(self.path).read_text()}

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        Path(self.path).write_text("9.0")
        return super().simulate(theta, rng)


def test_a_recipe_that_changes_meanwhile_keeps_nothing(weights: Path, tmp_path: Path) -> None:
    store, source = Store(tmp_path / "s"), ByHand(path=str(weights))
    with pytest.raises(StoreError, match="was changed while it ran"):
        simulate(source, 16, store=store, progress=False)
    assert [entry.samples for entry in store.list()] == [0]


# -- looking again --------------------------------------------------------------------------


@dataclass(frozen=True)
class Loose(toys.Bags):
    """A network in all but name: the last bits differ each time."""

    name: ClassVar[str] = "generate-loose"
    tolerance: ClassVar[float] = 1e-5
    off: ClassVar[float] = 0.0

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        made = dict(super().simulate(theta, rng))
        made["energy"] = made["energy"] * (1 + 1e-7 * np.random.default_rng().normal())
        made["energy"][-1] += self.off
        return made


def test_tolerance_holds_for_ragged_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    simulate(Loose(), 16, store=store, progress=False)
    assert verify(Loose(), store=store, fraction=1.0) == 16
    monkeypatch.setattr(Loose, "off", 0.5)
    counts = store.open(Loose().recipe()).particle_count.values[:8]
    last = int(np.flatnonzero(counts)[-1])
    with pytest.raises(StoreError, match=f"'energy' of sample {last} is not what"):
        verify(Loose(), store=store, fraction=1.0)
    monkeypatch.setattr(Loose, "noise", {"energy": 0.6})
    assert verify(Loose(), store=store, fraction=1.0) == 16


# -- the code that made it ------------------------------------------------------------------


def module_of(text: str, path: Path) -> type[Simulator]:
    """Import a module of this text, with a class Physics."""
    path.write_text(text)
    module = types.ModuleType(path.stem)
    module.__file__ = str(path)
    sys.modules[path.stem] = module
    exec(compile(text, str(path), "exec"), module.__dict__)
    kind: type[Simulator] = module.Physics
    return kind


def test_every_block_is_looked_at_before_one_is_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "SHARD_BYTES", 500)
    store, recipe, seen = Store(tmp_path), WAVES.recipe(), []
    monkeypatch.setattr(checks, "make", lambda *given: seen.append(given[2]) or make(*given))

    def looked_at(times: int) -> list[int]:
        seen.clear()
        for _ in range(times):
            assert verify(WAVES, store=store, fraction=0.01, progress=False) <= 8
        return sorted(seen)

    simulate(WAVES, 60, store=store, progress=False)
    assert looked_at(8) == [*range(0, 60, 8)]
    assert len(looked_at(5)) == 5
    simulate(WAVES, 80, store=store, progress=False)  # the block from 56 on is another now
    rest = looked_at(10 - 5 + (56 in seen))
    assert {56, 64, 72} <= set(rest)
    assert len(set(rest)) == len(rest)
    looked_at(3)
    note, shard = store.entry(recipe).folder / checks._LOOKED, store.entry(recipe).shards()[0]
    os.utime(store.entry(recipe).folder / shard.file)
    assert looked_at(10) == [*range(0, 80, 8)]  # a file was touched: nothing counts any more
    for text in ("{", '{"blocks": "ff", "samples": Infinity, "shards": {}}', "[" * 10_000):
        note.write_text(text)
        assert len(looked_at(1)) == 1


def test_what_is_not_there_cannot_be_verified(tmp_path: Path) -> None:
    store = Store(tmp_path)
    simulate(WAVES, 20, store=store, progress=False)
    with pytest.raises(StoreError, match="lacks samples"):
        verify(WAVES, 200, store=store, progress=False)


def test_repeated_checks_find_a_forged_shard(tmp_path: Path) -> None:
    store, arrays = Store(tmp_path), toys.truth(WAVES, 200)
    arrays["hits"][91] += 1
    store.add(WAVES.recipe(), WAVES.schema, arrays, 0)
    said = []
    for _ in range(25):
        try:
            verify(WAVES, store=store, fraction=0.01, progress=False)
        except StoreError as error:
            said.append(str(error))
    assert "'hits' of sample 91 is not what its recipe gives" in said[0]


def test_the_source_hash_sees_functions_beside_the_class(tmp_path: Path) -> None:
    text = (
        "from faults import toys\n"
        "def mass(x): return {}\n"
        "class Physics(toys.Waves): pass\n"
    )  # fmt: skip
    kinds = [module_of(text.format(f), tmp_path / f"p{i}.py") for i, f in enumerate("xyx")]
    first, second, third = (kind().source_hash() for kind in kinds)
    assert first == third != second
    assert first != WAVES.source_hash() != ""


def test_presage_s_own_base_classes_are_not_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    before = WAVES.source_hash()
    from presage import simulator

    simulator._source_hash.cache_clear()
    monkeypatch.setitem(sys.modules, "presage.simulator", types.ModuleType("presage.simulator"))
    assert WAVES.source_hash() == before
