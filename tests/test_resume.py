"""A run that was stopped anywhere ends as if it had not been."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import fit_toys
from presage.fitting import FitError, Fitted, fit, load, turn
from presage.fitting.checkpoint import Checkpoints
from presage.progress import Bar
from presage.store import Store, StoreWarning
from presage.store.netcdf import file_hash

#: Three epochs of six steps, with everything on that has state.
SETTINGS = {
    "epochs": 3,
    "batch_size": 32,
    "validation": 0.05,
    "ema": 0.9,
    "clip": 1.0,
    "keep": "best",
    "optimizer": "adamw",
    "progress": False,
}
STEPS = 6
TOY = fit_toys.Toy(dropout=0.3)


class Stop(Exception):
    """The plug was pulled."""


FragileToy = fit_toys.fragile(fit_toys.Toy, Stop)


def run(store: Store, **changes) -> Fitted:
    settings = {**SETTINGS, **changes}
    spec = settings.pop("spec", TOY)
    return fit(spec, fit_toys.stored(store), store=store, **settings)


def killed(store: Store, at: int, **changes) -> None:
    FragileToy.network.left = at
    with pytest.raises(Stop):
        run(store, spec=FragileToy(dropout=TOY.dropout), **changes)
    FragileToy.network.left = -1


def assert_same(one: Fitted, other: Fitted) -> None:
    assert one.key == other.key
    for (name, a), b in zip(
        one.network.state_dict().items(), other.network.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name
    for name in ("loss", "validation_loss", "learning_rate"):
        np.testing.assert_array_equal(one.history[name], other.history[name])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    return run(Store(tmp_path_factory.mktemp("whole")))


@pytest.mark.parametrize(
    ("at", "every"),
    [
        (1, None),
        (7, None),
        (13, None),
        (18, None),
        (2, 1),
        (6, 1),
        (7, 1),
        (18, 1),
        (5, 4),
        (11, 4),
    ],
)
def test_stopped_at_any_step_ends_with_the_same_bits(tmp_path, whole, at, every):
    store = Store(tmp_path)
    killed(store, at, checkpoint_every=every)
    assert_same(run(store, checkpoint_every=every), whole)


def test_stopped_again_and_again(tmp_path, whole):
    store = Store(tmp_path)
    for _ in range(6):
        killed(store, 3, checkpoint_every=1)
    assert_same(run(store, checkpoint_every=1), whole)


def test_going_on_is_said(tmp_path, capsys):
    store = Store(tmp_path)
    killed(store, 9, checkpoint_every=1)
    run(store, progress=True)
    assert "fit-toy: going on at epoch 1, step 2" in capsys.readouterr().err


def test_settings_that_may_change_between_the_parts(tmp_path, whole):
    store = Store(tmp_path)
    killed(store, 9, checkpoint_every=2)
    assert_same(run(store, checkpoint_every=5), whole)


def test_nothing_is_trained_twice(tmp_path):
    """Steps done before the last checkpoint are not repeated."""
    store = Store(tmp_path)
    killed(store, 11, checkpoint_every=2)
    FragileToy.network.left = 10_000
    run(store, spec=FragileToy(dropout=TOY.dropout), checkpoint_every=2)
    assert 10_000 - FragileToy.network.left == 3 * STEPS - 10
    FragileToy.network.left = -1


@pytest.mark.parametrize(
    "changes",
    [
        {"keep": "last"},
        {"ema": None},
        {"clip": None},
        {"optimizer": {"name": "sgd", "momentum": 0.9}},
        {"accumulate": 2},
        {"precision": "64-true"},
        {"patience": 1, "learning_rate": 1e-9},
    ],
)
def test_with_other_settings(tmp_path, changes):
    stores = [Store(tmp_path / name) for name in ("whole", "parts")]
    expected = run(stores[0], **changes)
    at = 4 if "patience" in changes else 9
    killed(stores[1], at, checkpoint_every=2, **changes)
    assert_same(run(stores[1], checkpoint_every=2, **changes), expected)


def test_history_goes_on(tmp_path, whole):
    store = Store(tmp_path)
    killed(store, 2 * STEPS + 2, checkpoint_every=1)
    history = run(store).history
    assert list(history.epoch.values) == [1, 2, 3]
    assert (history.seconds > 0).all()
    np.testing.assert_array_equal(history.loss, whole.history.loss)


def test_an_unfinished_run_is_listed_and_not_loaded(tmp_path):
    store = Store(tmp_path)
    killed(store, 9)
    (entry,) = [e for e in store.list() if e.producer == "fit-toy"]
    assert entry.state == "unfinished"
    with pytest.raises(FitError, match=r"not finished.*run fit with the same settings"):
        load(entry.key, store, models={"toy": fit_toys.Toy})


def test_the_workspace_goes_when_the_run_is_done(tmp_path):
    store = Store(tmp_path)
    killed(store, 9)
    fitted = run(store)
    folder = store.entry(fitted.recipe).folder
    assert not list(folder.glob(".*"))
    assert store.check(fitted.key) == []
    (folder / "work").mkdir()  # as a run leaves it that is killed after publishing
    with store.workspace(fitted.recipe):
        load(fitted.key, store, models={"toy": fit_toys.Toy})
        assert (folder / "work").exists(), "of somebody who is at work"
    for again in (run, lambda store: load(fitted.key, store, models={"toy": fit_toys.Toy})):
        (folder / "work").mkdir(exist_ok=True)
        again(store)
        assert {entry.state for entry in store.list()} == {"complete"}


def checkpoints(store: Store) -> list[Path]:
    return sorted(store.root.glob("fit-toy/*/work/epoch-*.pt"))


def test_a_flipped_bit_is_said_and_the_checkpoint_before_is_taken(tmp_path, whole, capsys):
    store, rng = Store(tmp_path / "store"), np.random.default_rng(0)
    killed(store, 17, checkpoint_every=1)
    (folder,) = {path.parent for path in checkpoints(store)}
    shutil.copytree(folder, tmp_path / "kept")
    for _ in range(6):
        if not folder.exists():
            shutil.rmtree(folder.parent)
            shutil.copytree(tmp_path / "kept", folder)
        _, last = checkpoints(store)
        place = int(rng.integers(8 * last.stat().st_size))
        content = bytearray(last.read_bytes())
        content[place // 8] ^= 1 << place % 8
        last.write_bytes(content)
        with pytest.warns(StoreWarning, match=f"{last.name} was removed: its content"):
            assert_same(run(store, progress=True), whole)
        assert "going on at epoch 2, step 3" in capsys.readouterr().err


DAMAGE = {
    "cut": lambda path: os.truncate(path, 100),
    "of an earlier version": lambda path: path.rename(path.with_name("step-000000000012.pt")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_where_no_checkpoint_is_sound_the_run_begins_anew(tmp_path, whole, damage, recwarn):
    store = Store(tmp_path)
    killed(store, 9, checkpoint_every=1)
    for path in checkpoints(store):
        DAMAGE[damage](path)
    warnings.simplefilter("always")
    assert_same(run(store), whole)
    assert "does not match the hash in its name" in str(recwarn[0].message)


def test_a_checkpoint_that_cannot_be_read_now_is_kept(tmp_path, monkeypatch):
    sound, newest = Checkpoints(tmp_path), []
    for step in (1, 2):
        sound.save({"progress": {"epoch": 0, "step": step}})
        newest.append(sound.newest())

    def hashed(path):
        if path == newest[1]:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return file_hash(path)

    monkeypatch.setattr("presage.fitting.checkpoint.file_hash", hashed)
    with pytest.warns(StoreWarning, match="is passed over.*Too many open files"):
        assert sound.newest() == newest[0]
    assert newest[1].exists()


def test_a_pickled_object_in_a_checkpoint_is_refused(tmp_path):
    store = Store(tmp_path)
    killed(store, 9, checkpoint_every=1)
    path = checkpoints(store)[-1]
    torch.save({"progress": Path("/")}, path)
    path.rename(path.with_name(f"epoch-000009-step-000000000-{file_hash(path)}.pt"))
    with pytest.raises(FitError, match=r"cannot be read.*remove it to go on from the one before"):
        run(store)


def test_a_second_run_waits_for_the_first_and_takes_its_result(tmp_path, monkeypatch, capsys):
    store, results = Store(tmp_path), []
    waiting, (network, loss) = threading.Event(), (TOY.network, TOY.network.loss)

    def slow(self, batch):
        assert waiting.wait(60)
        return loss(self, batch)

    monkeypatch.setattr(network, "loss", slow)
    first = threading.Thread(target=lambda: results.append(run(store)))
    first.start()
    while not list(tmp_path.glob("fit-toy/*/work")):
        time.sleep(0.01)

    def bar(**settings):
        waiting.set()
        return Bar(**settings, delay=0)

    monkeypatch.setattr(turn, "Bar", bar)
    second = run(store, progress=True)
    first.join()
    assert_same(second, results[0])
    said = capsys.readouterr().err
    assert "another process trains it, waiting for its result" in said
    assert "is in the store; nothing to train" in said
    assert {entry.state for entry in store.list()} == {"complete"}
