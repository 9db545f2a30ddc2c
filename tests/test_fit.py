"""Laws of training: batches, averages, schedules, stopping, results, errors."""

from __future__ import annotations

import inspect
import math
import pickle
import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import fit_toys
from presage import models
from presage.batches import Batches
from presage.exchange.writing import write_file
from presage.fitting import (
    SCHEDULES,
    FitError,
    NonFiniteLossError,
    Settings,
    fit,
    fit_recipe,
    fit_streaming,
    load,
    make_schedule,
    settings_for,
)
from presage.fitting.device import reproducible
from presage.fitting.meter import Meter
from presage.fitting.settings import validation_rule
from presage.fitting.splitting import _spread, split
from presage.fitting.state import Average
from presage.labels import LabelError, Parameter, Schema, Variable
from presage.positions import listed, pick
from presage.recipe import Recipe
from presage.store import Store, StoreError, reading

TOY = fit_toys.Toy()
QUICK = {"epochs": 2, "batch_size": 32, "progress": False}
MODELS = {"toy": fit_toys.Toy}


def weights(fitted):
    return fitted.network.state_dict()


def same(one, other):
    a, b = weights(one), weights(other)
    return list(a) == list(b) and all(torch.equal(a[n], b[n]) for n in a)


# -- many shards --------------------------------------------------------------------------


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts what /proc lists")
def test_many_shards_need_few_descriptors(tmp_path):
    import resource

    store, recipe, arrays = Store(tmp_path), Recipe("toy_events", 1), fit_toys.arrays(800)

    def add(low, high):
        store.add(recipe, fit_toys.SCHEMA, {n: a[low:high] for n, a in arrays.items()}, low)

    for low in range(0, 780, 20):
        add(low, low + 20)
    taken = list(Path("/proc/self/fd").iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(taken) + 20, hard))
    try:
        add(780, 800)
        opened = store.open(recipe)
        reading._reopened.cache_clear()  # as in another process
        for data in (opened, pickle.loads(pickle.dumps(opened))):
            np.testing.assert_array_equal(data["y_mass"], arrays["y_mass"])
        for name in ("written.nc", "written.npz"):
            write_file(opened, tmp_path / name)
        assert sum(len(batch["x_label"]) for batch in Batches(opened, 32)) == 800
        fit(TOY, opened, store=store, **QUICK)
        assert store.check(recipe) == []
        assert len(list(Path("/proc/self/fd").iterdir())) <= len(taken) + 5
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# -- what a run is ------------------------------------------------------------------------


def test_a_known_answer_is_found():
    """y | x is normal with width 0.5: the mean loss tends to ln(0.5 / scale) + 1/2."""
    data = fit_toys.dataset(1000)
    fitted = fit(TOY, data, epochs=40, batch_size=128, learning_rate=0.03, progress=False)
    expected = math.log(0.5 / fitted.state["scale"][1]) + 0.5
    assert float(fitted.history.loss[-1]) == pytest.approx(expected, abs=0.05)
    assert float(fitted.history.validation_loss[-1]) == pytest.approx(expected, abs=0.15)


def test_the_same_run_twice_gives_the_same_bits():
    spec = fit_toys.Toy(dropout=0.3)
    one, other = (fit(spec, fit_toys.dataset(), **QUICK) for _ in range(2))
    assert one.key == other.key
    assert same(one, other)
    np.testing.assert_array_equal(one.history.loss, other.history.loss)


def test_training_leaves_the_users_random_numbers_and_flags_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(fit_toys.Toy(dropout=0.3), fit_toys.dataset(), **QUICK)
    assert torch.equal(torch.rand(3), expected)
    assert not torch.are_deterministic_algorithms_enabled()


def test_flags_are_put_back_after_an_error():
    with pytest.raises(KeyError), reproducible(torch.device("cpu"), 0):
        raise KeyError
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"epochs": 3},
        {"learning_rate": 2e-3},
        {"ema": 0.9},
        {"schedule": "cosine"},
        {"validation": 0.1},
    ],
)
def test_what_changes_the_result_changes_the_key(changes):
    data = fit_toys.dataset()
    one, other = fit(TOY, data, **QUICK), fit(TOY, data, **{**QUICK, **changes})
    assert one.key != other.key
    assert not same(one, other)


def test_other_samples_are_another_key(tmp_path):
    store = Store(tmp_path)
    data = fit_toys.stored(store)
    keys = {
        fit(TOY, part, store=store, **QUICK).key
        for part in (data, data.isel(event=slice(0, 150)), data.isel(event=[*range(150), 199]))
    }
    assert len(keys) == 3


def test_data_of_no_store_count_by_content():
    data = fit_toys.dataset()
    other = data.assign(y_mass=data.y_mass.copy(data=data.y_mass.values + np.float32(1)))
    assert fit(TOY, data, **QUICK).key != fit(TOY, other, **QUICK).key


def test_settings_have_the_defaults_of_fit():
    defaults = {n: p.default for n, p in inspect.signature(fit).parameters.items()}
    assert {f.name for f in fields(Settings)} <= set(defaults)
    for f in fields(Settings):
        assert defaults[f.name] in (f.default, None)


@dataclass(frozen=True)
class _Knowing(fit_toys.Toy):
    """A model that knows how it is best trained."""

    def training(self, dataset):
        return {"epochs": 1, "batch_size": dataset.sizes["event"] // 4, "schedule": "cosine"}


def test_what_is_not_given_is_the_models_own(capsys):
    data = fit_toys.dataset()
    size = data.sizes["event"] // 4
    assert settings_for(TOY, data) == Settings(batch_size=190)  # all that are trained on
    with pytest.raises(FitError, match=r"batch_size 191 is more than the 190 samples.*give 23, s"):
        settings_for(TOY, data, batch_size=191)
    with pytest.raises(FitError, match="no samples to train on"):
        settings_for(TOY, data.isel(event=slice(0)))
    assert settings_for(_Knowing(), data, epochs=None, learning_rate=0.1) == Settings(
        epochs=1, batch_size=size, schedule="cosine", learning_rate=0.1
    )
    fitted = fit(_Knowing(), data)
    assert fitted.recipe.fields["training"]["batch_size"] == size
    assert f"epochs=1, batch_size={size}, learning_rate=0.001" in capsys.readouterr().err
    spelled_out = {n: getattr(settings_for(_Knowing(), data), n) for n in ("epochs", "batch_size")}
    assert fit(_Knowing(), data, schedule="cosine", **spelled_out).key == fitted.key


def test_the_recipe_can_be_had_without_training(tmp_path):
    store = Store(tmp_path)
    data = fit_toys.stored(store)
    settings = Settings(epochs=2, batch_size=32)
    expected = fit_recipe(TOY, data, settings, seed=0, store=store).key
    assert fit(TOY, data, store=store, **QUICK).key == expected


# -- the result ---------------------------------------------------------------------------


def test_load_is_bit_equal(tmp_path):
    store = Store(tmp_path)
    fitted = fit(fit_toys.Toy(widths=(3, 4)), fit_toys.stored(store), store=store, **QUICK)
    loaded = load(fitted.key[:12], store, models=MODELS)
    assert loaded.model == fitted.model
    assert loaded.key == fitted.key
    assert loaded.declaration == fitted.declaration
    assert same(fitted, loaded)
    for name, array in fitted.state.items():
        assert array.dtype == loaded.state[name].dtype
        np.testing.assert_array_equal(array, loaded.state[name])
    xr.testing.assert_identical(fitted.history, loaded.history)
    batch = {n: torch.ones(4, 1) for n in ("x", "y")}
    assert torch.equal(fitted.network.loss(batch), loaded.network.loss(batch))


def test_a_model_in_the_store_is_not_trained_again(tmp_path, capsys):
    store = Store(tmp_path)
    data = fit_toys.stored(store)
    one = fit(TOY, data, store=store, **QUICK)
    other = fit(TOY, data, store=store, **{**QUICK, "progress": True})
    assert "is in the store; nothing to train" in capsys.readouterr().err
    xr.testing.assert_identical(one.history, other.history)  # its seconds included


def test_memory_and_store_give_the_same(tmp_path):
    store = Store(tmp_path)
    data = fit_toys.stored(store)
    saved, unsaved = fit(TOY, data, store=store, **QUICK), fit(TOY, data, **QUICK)
    assert saved.key == unsaved.key
    assert same(saved, unsaved)
    assert "not in a store" in repr(unsaved)
    assert "not in a store" not in repr(saved)


def test_history_is_labelled():
    history = fit(TOY, fit_toys.dataset(), **QUICK).history
    assert dict(history.sizes) == {"epoch": 2}
    assert history.seconds.attrs["units"] == "s"
    for array in history.variables.values():
        assert array.attrs["long_name"]
        assert array.attrs["units"]


def test_without_validation_there_is_no_validation_loss():
    history = fit(TOY, fit_toys.dataset(), validation=0, **QUICK).history
    assert history.validation_loss.isnull().all()


def test_precision_64(tmp_path):
    store = Store(tmp_path)
    fitted = fit(TOY, fit_toys.stored(store), precision="64-true", store=store, **QUICK)
    loaded = load(fitted.key, store, models=MODELS)
    assert {t.dtype for t in weights(loaded).values()} == {torch.float64}
    assert same(fitted, loaded)


# -- laws of the steps --------------------------------------------------------------------


@pytest.mark.parametrize("parts", [2, 3, 7])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_accumulation_equals_the_whole_batch(parts, optimizer):
    settings = {**QUICK, "precision": "64-true", "optimizer": optimizer, "learning_rate": 0.01}
    whole = fit(TOY, fit_toys.dataset(), **settings)
    split_up = fit(TOY, fit_toys.dataset(), accumulate=parts, **settings)
    for name, tensor in weights(whole).items():
        torch.testing.assert_close(weights(split_up)[name], tensor, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(split_up.history.loss, whole.history.loss, rtol=1e-10)


def test_one_step_is_plain_gradient_descent():
    """One batch holds all samples, so the step can be written down."""
    data = fit_toys.dataset(64)
    fitted = fit(
        TOY,
        data,
        epochs=1,
        batch_size=64,
        validation=0,
        optimizer="sgd",
        schedule="constant",
        learning_rate=0.1,
        precision="64-true",
        progress=False,
    )
    with reproducible(torch.device("cpu"), 0):
        network = TOY.build({}).double()
    arrays = TOY.prepare(data).arrays
    loss = network.loss({n: torch.from_numpy(a).double() for n, a in arrays.items()}).mean()
    loss.backward()
    assert float(fitted.history.loss[0]) == pytest.approx(float(loss.detach()), rel=1e-12)
    for (name, parameter), after in zip(
        network.named_parameters(), fitted.network.parameters(), strict=True
    ):
        expected = parameter - 0.1 * parameter.grad
        torch.testing.assert_close(after, expected, rtol=1e-12, atol=1e-14, msg=name)


def test_the_average_follows_its_formula():
    network = torch.nn.Linear(3, 2)
    average = Average(network, 0.8)
    expected = network.weight.detach().double().clone()
    for update in range(1, 60):
        with torch.no_grad():
            network.weight.add_(torch.randn(2, 3))
        average.update(update)
        decay = min(0.8, update / (update + 9))
        expected = decay * expected + (1 - decay) * network.weight.detach().double()
    torch.testing.assert_close(average.shadow["weight"].double(), expected, rtol=1e-5, atol=1e-6)
    kept = network.weight.detach().clone()
    with average.applied():
        assert torch.equal(network.weight, average.shadow["weight"])
    assert torch.equal(network.weight, kept)


def test_clipping_bounds_the_step():
    settings = {**QUICK, "epochs": 1, "batch_size": 190, "optimizer": "sgd", "schedule": "constant"}
    before = fit(TOY, fit_toys.dataset(), **{**settings, "learning_rate": 1e-12})
    after = fit(TOY, fit_toys.dataset(), **settings, learning_rate=1.0, clip=1e-3)
    moved = [(weights(after)[n] - t).flatten() for n, t in weights(before).items()]
    assert float(torch.cat(moved).norm()) == pytest.approx(1e-3, rel=1e-3)


def test_best_is_the_epoch_of_lowest_validation_loss():
    """A rate far too high makes later epochs worse, so best and last differ."""
    settings = {**QUICK, "epochs": 12, "learning_rate": 0.3, "schedule": "constant"}
    best = fit(TOY, fit_toys.dataset(), keep="best", **settings)
    epochs = int(best.history.validation_loss.values.argmin()) + 1
    assert epochs < 12
    short = fit(TOY, fit_toys.dataset(), **{**settings, "epochs": epochs})
    assert same(best, short)


def test_patience_stops():
    settings = {**QUICK, "epochs": 50, "learning_rate": 0.3, "schedule": "constant"}
    history = fit(TOY, fit_toys.dataset(), patience=3, **settings).history
    losses = history.validation_loss.values
    assert len(losses) < 50
    assert len(losses) - 1 - int(losses.argmin()) == 3


@dataclass(frozen=True)
class SegmentsToy(fit_toys.Toy):
    """Four segments of a batch's samples: as truncated back-propagation would."""

    def build(self, declaration):
        network = super().build(declaration)

        def segment_loss(batch, carry):
            number = carry or 0
            return network.loss(batch), number + 1 if number < 3 else None

        network.segment_loss = segment_loss
        return network


def test_segments_are_steps_of_their_own():
    """With plain descent and one batch, four segments are four epochs of one step."""
    settings = {
        "batch_size": 64,
        "validation": 0,
        "optimizer": "sgd",
        "schedule": "constant",
        "learning_rate": 0.05,
        "precision": "64-true",
        "progress": False,
    }
    data = fit_toys.dataset(64)
    segments = fit(SegmentsToy(), data, epochs=1, **settings)
    epochs = fit(TOY, data, epochs=4, **settings)
    for name, tensor in weights(epochs).items():
        torch.testing.assert_close(weights(segments)[name], tensor, rtol=1e-10, atol=1e-12)
    expected = float(epochs.history.loss.mean())
    assert float(segments.history.loss[0]) == pytest.approx(expected, rel=1e-10)


# -- streaming ------------------------------------------------------------------------------


class FromDataset(fit_toys.Network):
    """Scales inside, as a model that streams has to."""

    def loss(self, batch):
        scaled = {"x": (batch["x_label"][:, None] - 2.0), "y": (batch["y_mass"][:, None] - 5.0)}
        return super().loss(scaled)


@dataclass(frozen=True)
class Streaming(fit_toys.Toy):
    resident: bool = False

    def prepare(self, dataset):
        prepared = super().prepare(dataset)
        names = ("y_mass", "x_label")
        arrays = {n: np.asarray(dataset[n]) for n in names} if self.resident else None
        return fit_toys.Prepared(arrays, {}, prepared.declaration)

    def build(self, declaration):
        return FromDataset(self.hidden, self.dropout)


def test_streaming_from_the_store_equals_resident_arrays(tmp_path):
    store = Store(tmp_path)
    data = fit_toys.stored(store)
    streamed = fit(Streaming(), data, store=store, **QUICK)
    resident = fit(Streaming(resident=True), data, store=store, **QUICK)
    assert same(streamed, resident)
    np.testing.assert_array_equal(
        streamed.history.validation_loss, resident.history.validation_loss
    )


THETA = Parameter("theta", dtype="float32")
HITS = Variable("hits", ("hit",), dtype="float32", unit="mm")


class MaskedMean(torch.nn.Module):
    """The mean of a set, whatever its size."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def loss(self, batch):
        mean = (batch["hits"] * batch["hit_mask"]).sum(1) / batch["hit_count"]
        return (self.layer(mean[:, None])[:, 0] - batch["theta"]) ** 2


@dataclass(frozen=True)
class SetsToy(fit_toys.Toy):
    def prepare(self, dataset):
        declaration = {"variables": [asdict(HITS)], "parameters": [asdict(THETA)]}
        return fit_toys.Prepared(None, {}, declaration)

    def build(self, declaration):
        return MaskedMean()


def test_sets_of_unequal_size_stream_padded_with_a_mask(tmp_path):
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 9, 300)
    theta = rng.normal(size=300).astype(np.float32)
    hits = (np.repeat(theta, counts) + 0.01 * rng.normal(size=counts.sum())).astype(np.float32)
    store, recipe = Store(tmp_path), Recipe("sets", 1)
    schema = Schema("sample", (THETA, HITS), ragged=("hit",))
    store.add(recipe, schema, {"theta": theta, "hits": hits, "hit_count": counts}, 0)
    settings = {**QUICK, "epochs": 20, "learning_rate": 0.1}
    fitted = fit(SetsToy(), store.open(recipe), store=store, **settings)
    assert float(fitted.history.validation_loss[-1]) < 1e-3
    assert float(weights(fitted)["layer.weight"]) == pytest.approx(1.0, abs=0.02)
    assert fitted.sample_dim == "sample"


class Sums:
    """Counts and adds up."""

    def __init__(self):
        self.samples, self.total = 0, 0.0

    def update(self, chunk):
        self.samples += chunk.sizes["event"]
        self.total += float(chunk["y_mass"].sum(dtype=np.float64))


@pytest.mark.parametrize("chunk_bytes", [1, 100, 1 << 20])
def test_streaming_fits_see_every_sample_once(tmp_path, chunk_bytes):
    data = fit_toys.stored(Store(tmp_path), 57)
    sums = fit_streaming(Sums(), data, chunk_bytes=chunk_bytes, progress=False)
    assert sums.samples == 57
    assert sums.total == pytest.approx(float(data.y_mass.sum(dtype=np.float64)))


# -- schedules ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(SCHEDULES))
@pytest.mark.parametrize("warmup", [0, 10])
def test_schedules_stay_within_zero_and_one(name, warmup):
    factor = make_schedule({"name": name}, 100, warmup)
    values = [factor(step) for step in range(100)]
    assert all(0.0 < v <= 1.0 for v in values[:-1])
    assert max(values) == pytest.approx(1.0, abs=2e-3)
    if warmup:
        assert np.allclose(np.diff(values[:warmup], 2), 0.0)  # a straight line


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"name": "constant"}, {0: 1.0, 99: 1.0}),
        ({"name": "cosine", "end": 0.1}, {0: 1.0, 99: 0.1}),
        ({"name": "one_cycle"}, {0: 0.04, 99: 4e-6}),
        ({"name": "polynomial_decay"}, {0: 1.0, 99: 0.1}),
        (
            {"name": "polynomial_decay", "power": 0.5, "steps": 20, "restart": True},
            {0: 1.0, 15: 0.55, 19: 0.1 + 0.9 * 0.05**0.5, 20: 1.0, 40: 1.0},
        ),
        (
            {"name": "polynomial_decay", "power": 1.0, "steps": 20, "stretch": True},
            {20: 0.1, 21: 0.1 + 0.9 * 19 / 40, 40: 0.1},
        ),
        ({"name": "polynomial_decay", "steps": 20}, {20: 0.1, 99: 0.1}),
        ({"name": "step", "factor": 0.5, "at": (0.25, 0.5)}, {24: 1.0, 25: 0.5, 50: 0.25}),
    ],
)
def test_schedule_values(options, expected):
    factor = make_schedule(options, 100)
    for step, value in expected.items():
        assert factor(step) == pytest.approx(value, abs=1e-12), step


def test_the_history_holds_the_schedule():
    history = fit(TOY, fit_toys.dataset(), schedule="cosine", learning_rate=0.5, **QUICK).history
    factor = make_schedule({"name": "cosine"}, 12)
    expected = [0.5 * factor(5), 0.5 * factor(11)]
    np.testing.assert_allclose(history.learning_rate, expected)


# -- the validation part --------------------------------------------------------------------


RULES = [0.1, {"fraction": 0.3, "seed": 4}, 0.87, 0.01, (10, 40), (0, 7), (93, 100), 0]


@pytest.mark.parametrize("rule", RULES)
def test_training_and_validation_share_nothing_and_leave_nothing_out(orders, rule):
    train, held = split(100, validation_rule(rule))
    assert sorted([*train, *held]) == list(range(100))
    for part in (train, held):
        assert len(part) == len([*part])
        assert sorted(part) == [*part]
        np.testing.assert_array_equal(pick(part, np.arange(len(part))[::-2]), listed(part)[::-2])


@settings(max_examples=200)
@given(st.integers(2, 4000), st.floats(0.001, 0.999), st.integers(0, 2**32 - 1))
def test_one_sample_of_each_run_is_held_out(samples, fraction, key):
    count = round(samples * fraction)
    if not 0 < count < samples:
        return
    train, held = (listed(part) for part in _spread(samples, count, np.uint32(key)))
    assert sorted([*train, *held]) == list(range(samples))
    edges = np.arange(count + 1) * samples // count
    assert (np.searchsorted(held, edges[1:]) - np.searchsorted(held, edges[:-1]) == 1).all()


def test_samples_are_held_out_at_random_places_of_their_runs():
    places = listed(_spread(20_000_000, 1_000_000, np.uint32(7))[1]) % 20
    assert stats.chisquare(np.bincount(places, minlength=20)).pvalue > 1e-4
    pairs = np.bincount(places[:-1] * 20 + places[1:], minlength=400)
    assert stats.chisquare(pairs).pvalue > 1e-4


def test_a_fraction_of_too_many_samples_asks_for_a_range():
    with pytest.raises(FitError, match="give a range"):
        split(1 << 40, validation_rule(0.5))


def test_the_validation_part_is_fixed(orders):
    parts = [split(100, validation_rule(0.1))[1] for _ in range(2)]
    np.testing.assert_array_equal(*parts)
    other = split(100, validation_rule({"fraction": 0.1, "seed": 1}))[1]
    assert set(parts[0]) != set(other)


# -- losses that are not finite -------------------------------------------------------------


def poisoned(samples, bad):
    """A dataset whose prepared arrays hold NaN at some samples."""

    @dataclass(frozen=True)
    class Poisoned(fit_toys.Toy):
        def prepare(self, dataset):
            prepared = super().prepare(dataset)
            prepared.arrays["y"][bad] = np.nan
            return prepared

    return Poisoned(), fit_toys.dataset(samples)


def test_a_loss_that_is_not_finite_names_epoch_step_and_sample():
    spec, data = poisoned(200, [17])
    with pytest.raises(NonFiniteLossError) as caught:
        fit(spec, data, validation=0, **QUICK)
    error = caught.value
    assert error.offending == (17,)
    assert 17 in error.samples
    assert len(error.samples) == 32 or error.step == 6
    assert f"epoch 0, step {error.step}" in str(error)
    assert "1 of " in str(error)
    assert "samples 17." in str(error)


def test_sample_numbers_are_those_of_the_store(tmp_path):
    store = Store(tmp_path)
    spec, _ = poisoned(150, [3])
    with pytest.raises(NonFiniteLossError, match="last good checkpoint is kept") as caught:
        fit(spec, fit_toys.stored(store).isel(event=slice(50, 200)), store=store, **QUICK)
    assert caught.value.offending == (53,)


class Explodes(fit_toys.Network):
    """A finite loss, with a gradient that is not: the root of a zero that was trained for."""

    def loss(self, batch):
        return super().loss(batch) + torch.sqrt(0.0 * self.body[0].weight.sum())


class ExplodesToy(fit_toys.Toy):
    network = Explodes


@pytest.mark.parametrize(("batch_size", "step"), [(200, 0), (50, 1)])
def test_weights_that_are_not_finite_never_leave_the_loop(batch_size, step):
    settings = {**QUICK, "batch_size": batch_size, "validation": 0}
    with pytest.raises(NonFiniteLossError, match="not finite") as caught:
        fit(ExplodesToy(), fit_toys.dataset(), **settings)
    assert caught.value.step == step
    assert len(caught.value.samples) == batch_size


def test_the_meter_adds_up_the_same_however_often_it_is_read():
    rng = np.random.default_rng(0)
    steps = [torch.from_numpy(rng.normal(size=30).astype(np.float32)) for _ in range(123)]
    sums = []
    for every in (1, 7, 1000):
        meter = Meter(30, torch.device("cpu"), torch.float32, lambda *_: None)
        for step, losses in enumerate(steps):
            meter.add(losses[:10])
            meter.add(losses[10:])
            meter.end(step)
            if step % every == 0:
                meter.look()
        meter.look()
        assert meter.samples == 123 * 30
        sums.append(math.fsum(meter.sums))
    assert sums[0] == sums[1] == sums[2]


# -- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"batch_size": 1.5}, "batch_size must be a whole number"),
        ({"batch_size": 500}, "batch_size 500 is more than the 190 samples"),
        ({"learning_rate": -1.0}, "learning_rate must be above 0"),
        ({"clip": 0.0}, "clip must be above 0"),
        ({"ema": 1.0}, "ema is a decay such as 0.999"),
        ({"optimizer": "adamm"}, "no optimizer 'adamm'; did you mean 'adam"),
        ({"optimizer": {"name": "adam", "beta": 1}}, "'adam' has no option 'beta'.*'betas'"),
        ({"schedule": "cosin"}, "no schedule 'cosin'; did you mean 'cosine'"),
        ({"schedule": {"name": "cosine", "ends": 0}}, "has no option 'ends'; did you mean 'end'"),
        ({"precision": "16-true"}, "no precision '16-true'"),
        ({"keep": "first"}, "no keep 'first'"),
        ({"keep": "best", "validation": 0}, "keep='best' needs a validation loss"),
        ({"patience": 2, "validation": 0}, "patience=2 needs a validation loss"),
        ({"validation": 1.5}, "validation is a fraction such as 0.05"),
        ({"validation": 0.001}, "leaves 0 to validate on and 200 to train on"),
        ({"validation": (0, 300)}, "must lie inside the 200 samples"),
        ({"accumulate": 64}, "accumulate splits each batch"),
        ({"checkpoint_every": 5}, "needs a store to write to"),
        ({"device": "gpu"}, "device is 'auto', 'cpu'"),
        ({"logger": "cvs"}, "no logger 'cvs'; did you mean 'csv'"),
    ],
)
def test_errors(changes, text):
    with pytest.raises(ValueError, match=text):
        fit(TOY, fit_toys.dataset(), **{**QUICK, **changes})


WRONG_KINDS = {
    "a torch module": (torch.nn.Linear(1, 1), None, "the specification of a model.* got Linear"),
    "a class": (
        models.SplineFlow,
        None,
        r"specification.* got the class SplineFlow.* SplineFlow\(\)",
    ),
    "a table": (TOY, pd.DataFrame({"x": [1.0]}), "an xarray.Dataset, got DataFrame; store.adopt"),
    "an array": (models.SplineFlow(), np.zeros((5, 2)), "an xarray.Dataset, got ndarray"),
}


@pytest.mark.parametrize("kind", WRONG_KINDS)
def test_what_is_no_model_or_no_dataset_is_told(kind):
    model, data, text = WRONG_KINDS[kind]
    with pytest.raises(TypeError, match=text):
        fit(model, fit_toys.dataset() if data is None else data)


def test_the_handshake_names_what_is_missing(tmp_path):
    store = Store(tmp_path)
    data = fit_toys.stored(store)
    fitted = fit(TOY, data, store=store, **QUICK)
    fitted.require(data)
    with pytest.raises(LabelError, match="no variable 'y_mass'"):
        fitted.require(data.rename(y_mass="z_mass"))
    wrong = data.copy()
    wrong["y_mass"] = data.y_mass.assign_attrs(units="MeV")
    with pytest.raises(LabelError, match="should be in 'GeV', got 'MeV'"):
        fitted.require(wrong)
    with pytest.raises(StoreError, match="stored in 'GeV', the dataset says 'MeV'"):
        fit(TOY, wrong, **QUICK)


class Mean(fit_toys.Network):
    def loss(self, batch):
        return super().loss(batch).mean()


class MeanToy(fit_toys.Toy):
    network = Mean


def test_a_loss_that_is_one_number_is_refused():
    with pytest.raises(FitError, match=r"loss of each sample, shape \(2,\); got \(\)"):
        fit(MeanToy(), fit_toys.dataset(), **QUICK)


def test_values_changed_since_the_store_opened_them_are_refused(tmp_path):
    store = Store(tmp_path)
    data = fit_toys.stored(store).load()
    changed = data["y_mass"].values + np.float32(1)
    data["y_mass"] = data["y_mass"].copy(data=changed)
    with pytest.raises(StoreError, match="was changed since"):
        fit(TOY, data, store=store, **QUICK)


def test_data_of_no_store_have_to_be_adopted_first(tmp_path):
    with pytest.raises(LabelError, match=r"Store\.adopt"):
        fit(TOY, fit_toys.dataset(), store=Store(tmp_path), **QUICK)


def test_load_errors(tmp_path):
    store = Store(tmp_path)
    data = fit_toys.stored(store)
    fitted = fit(TOY, data, store=store, **QUICK)
    with pytest.raises(StoreError, match="no dataset with key"):
        load("0000", store, models=MODELS)
    assert load(fitted.recipe, store, models=MODELS).key == fitted.key
    with pytest.raises(FitError, match=r"toy_events .* is no trained model"):
        load(data.attrs["presage_key"], store, models=MODELS)
    with pytest.raises(FitError, match="no model 'toy'"):
        load(fitted.key, store)

    class Newer(fit_toys.Toy):
        version = 2

    with pytest.raises(FitError, match="trained by version 1 of toy, this is version 2"):
        load(fitted.key, store, models={"toy": Newer})


def test_a_logger_that_is_not_installed_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning.pytorch.loggers", None)
    with pytest.raises(FitError, match="pip install lightning wandb"):
        fit(TOY, fit_toys.dataset(), logger="wandb", **QUICK)


def test_csv_logs(tmp_path):
    fit(TOY, fit_toys.dataset(), logger={"name": "csv", "folder": str(tmp_path)}, **QUICK)
    (table,) = tmp_path.rglob("metrics.csv")
    assert len(table.read_text().splitlines()) == 3
