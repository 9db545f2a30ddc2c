"""A run that was stopped anywhere ends as if it had not been."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import fit_toys
from presage.fitting import FitError, Fitted, fit, load
from presage.store import Store

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
    assert not (store.entry(fitted.recipe).folder / "work").exists()
    assert store.check(fitted.key) == []


def test_an_unreadable_checkpoint_says_what_to_remove(tmp_path):
    store = Store(tmp_path)
    killed(store, 9, checkpoint_every=1)
    (checkpoint,) = Path(tmp_path).glob("fit-toy/*/work/step-*.pt")
    checkpoint.write_bytes(b"not a checkpoint")
    with pytest.raises(FitError, match=r"cannot be read.*remove .*work to begin anew"):
        run(store)


def test_a_checkpoint_without_its_weights_is_passed_over(tmp_path, whole):
    store = Store(tmp_path)
    killed(store, 9, checkpoint_every=4)
    (folder,) = Path(tmp_path).glob("fit-toy/*/work")
    (folder / "step-000000000099.pt").write_bytes(b"")
    assert_same(run(store), whole)


def test_a_pickled_object_in_a_checkpoint_is_refused(tmp_path):
    store = Store(tmp_path)
    killed(store, 9, checkpoint_every=1)
    (checkpoint,) = Path(tmp_path).glob("fit-toy/*/work/step-*.pt")
    torch.save({"progress": Path("/")}, checkpoint)
    with pytest.raises(FitError, match="cannot be read"):
        run(store)
