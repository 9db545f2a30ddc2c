"""What is unlike the training is said, with a p-value that is right for what is not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import stats
from torch import Tensor

from presage.fitting import Fitted, fit, load
from presage.generate import simulate
from presage.labels import Parameter
from presage.models import FittedDensity, MixtureDensity, SetEncoder
from presage.models.event_law import RangeWarning, strange_labels
from presage.models.set_verdict import judged
from presage.store import Store
from presage.studies.events import Gaussians
from presage.studies.pdf.draws import Draws
from presage.studies.pdf.gaussian import Gaussian
from presage.transforms.tail import UnlikeTrainingWarning, alarming, log_tail

EVENTS, SETS = 60, 1000


# -- tails --------------------------------------------------------------------------------


TAILS = {
    "normal": lambda rng, n: rng.standard_normal(n) ** 2 / 2,
    "power": lambda rng, n: np.log(rng.pareto(1.0, n) + 1),
    "numbers": lambda rng, n: rng.poisson(3.0, n).astype(float),
}


@pytest.mark.parametrize("name", TAILS)
@pytest.mark.parametrize("level", [0.2, 0.01, 0.003])
def test_p_values_of_the_same_law_are_as_often_small_as_they_say(name, level):
    rng = np.random.default_rng(3)
    seen, rest = np.sort(TAILS[name](rng, 2000)), TAILS[name](rng, 50_000)
    share = np.mean(np.exp(log_tail(seen, rest)) <= level)
    assert share < level * 1.5 + 3 * (level / 2000) ** 0.5
    if name != "numbers":
        assert share > level / 2 - 3 * (level / 2000) ** 0.5


def test_far_beyond_everything_seen_the_tail_goes_on():
    seen = np.sort(np.random.default_rng(0).exponential(size=1000))
    got = log_tail(seen, [10.0, 20.0, 1e4, np.nan])
    np.testing.assert_allclose(got[:2], [-10, -20], rtol=0.3)
    assert got[2] < -1e3
    assert np.isnan(got[3])
    assert (np.diff(log_tail(seen, np.linspace(-1, 30, 400))) <= 0).all()


# -- sets of events -----------------------------------------------------------------------


@dataclass(frozen=True)
class Ready:
    encoder: Fitted
    store: Store
    fresh: Tensor


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    sets = simulate(Gaussian(n_events=EVENTS, n_repeat=2), 400, store=store, progress=False)
    spec = SetEncoder(hidden=(8,), seeds=1, head=(16,), smallest=20)
    encoder = fit(spec, sets, epochs=8, batch_size=40, learning_rate=1e-2, store=store,
                  progress=False)  # fmt: skip
    problem, draws = Gaussian(n_events=EVENTS), Draws(np.random.default_rng(8))
    fresh = problem.events(problem.draw_theta(draws, SETS), draws, 1, EVENTS)[:, 0]
    return Ready(encoder, store, fresh.double())


def p_values(ready: Ready, sets: list[Tensor]) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnlikeTrainingWarning)
        return judged(ready.encoder, sets)[0]


@pytest.mark.parametrize("size", [EVENTS, 33, 20])
@pytest.mark.parametrize("level", [0.01, 0.1])
def test_sets_that_were_held_out_are_rarely_called_unlike(ready, size, level):
    """False alarms among fresh sets, at sizes that the law was and was not made at."""
    alarms = int((p_values(ready, [one[:size] for one in ready.fresh]) < level).sum())
    # 800 sets that it is counted among scatter as well.
    spread = (SETS * level * (1 + SETS / 800)) ** 0.5
    assert SETS * level / 3 - 3 * spread < alarms < SETS * level + 3 * spread


def put(value: float, count: int, column: int = 0) -> Callable[[Tensor], Tensor]:
    def change(one: Tensor) -> Tensor:
        one = one.clone()
        one[:count, column] = value
        return one

    return change


#: What was done to a set → how, the fewest of 20 that are noticed, and what is said.
UNLIKE: dict[str, tuple[Callable[[Tensor], Tensor], int, str]] = {
    "one event at -999": (put(-999.0, 1), 20, "-999|spread of x|x, in quartile"),
    "one event of the other feature": (put(999.0, 1, 1), 20, "y"),
    "one event beyond any of the training": (put(13.0, 1), 19, "x"),
    "far from the prior": (lambda e: e * 0.01 + 50, 20, "in all of the training"),
    "other units": (lambda e: e * 1000, 20, "in all of the training"),
    "smaller units": (lambda e: e / 1000, 20, "in all of the training"),
    "all events equal": (lambda e: e[:1].expand_as(e), 20, "spread|repeats"),
    "one feature stuck": (put(0.3, EVENTS), 20, "x"),
    "half of the events twice": (lambda e: e[:30].repeat(2, 1), 20, "30 of 60 events are repeats"),
    "one event twice": (lambda e: torch.cat((e[:-1], e[:1])), 20, "1 of 60 events are repeats"),
    "a tenth set to 0": (put(0.0, 6), 20, "5 values of x are repeats"),
    "wide": (lambda e: e * 4, 18, ""),
    "shifted out of the prior": (lambda e: e + 6, 20, "in all of the training"),
    "heavy tails": (
        lambda e: e.mean(0) + e.std(0) * torch.tan(3.0 * (torch.rand(
            e.shape, generator=torch.Generator().manual_seed(0)) - 0.5)), 20, "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNLIKE)
def test_sets_unlike_the_training_are_said_to_be(ready, name):
    change, fewest, words = UNLIKE[name]
    changed = [change(one) for one in ready.fresh[:20]]
    assert (p_values(ready, changed) < 0.01).sum() >= fewest
    with pytest.warns(UnlikeTrainingWarning, match=words):
        judged(ready.encoder, changed)


def test_of_many_sets_the_one_that_is_unlike_is_named(ready):
    sets = [*ready.fresh[:5], put(-999.0, 1)(ready.fresh[5])]
    with pytest.warns(UnlikeTrainingWarning, match="1 of 6 sets are, number 5 above all"):
        judged(ready.encoder, sets)


def test_sets_larger_than_any_are_judged_in_parts_and_smaller_ones_not(ready):
    twin = Gaussian(n_events=3 * EVENTS)
    draws = Draws(np.random.default_rng(5))
    large = twin.events(twin.draw_theta(draws, 50), draws, 1, 3 * EVENTS)[:, 0].double()
    assert (p_values(ready, list(large)) < 0.01).sum() <= 3
    assert p_values(ready, [put(-999.0, 1)(large[0])])[0] < 0.01
    assert np.isnan(p_values(ready, [large[0][:5]])[0])


def test_the_law_is_kept_with_the_model_and_its_key_is_as_before(ready):
    again = load(ready.encoder.key, ready.store)
    assert again.seen.identical(ready.encoder.seen)
    assert again.recipe == ready.encoder.recipe
    sets = list(ready.fresh[:3])
    np.testing.assert_array_equal(judged(again, sets)[0], judged(ready.encoder, sets)[0])


def test_a_model_stored_without_its_law_says_so_and_gets_it_without_training(ready, tmp_path):
    store = Store(tmp_path)
    sets = simulate(Gaussian(n_events=20), 60, store=store, progress=False)
    spec = SetEncoder(hidden=(4,), seeds=0, head=(4,), smallest=20)
    given = {"epochs": 1, "batch_size": 20, "store": store, "progress": False}
    made = fit(spec, sets, **given)
    for path in store.entry(made.recipe).folder.glob("seen.nc*"):
        path.unlink()
    old = load(made.key, store)
    values, note = judged(old, [ready.fresh[0]])
    assert old.seen is None
    assert np.isnan(values).all()
    assert "fit it again with the same settings" in note
    added = fit(spec, sets, **given)
    assert added.seen.identical(made.seen)
    assert added.history.identical(made.history)
    assert judged(replace(old, seen=added.seen), [ready.fresh[0][:20]])[0][0] <= 1


def test_p_values_are_uniform_as_a_whole(ready):
    p = p_values(ready, list(ready.fresh))
    # Small ones are a little rarer than they say: 2.8 % of the sets are below 0.05.
    assert stats.kstest(p, "uniform").statistic < 0.1


# -- events and labels given to flows -----------------------------------------------------


@dataclass(frozen=True)
class Flow:
    flow: FittedDensity
    fresh: xr.Dataset


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("events"))
    source = Gaussians.on_grid(3, 4)
    events = simulate(source, 12_000, store=store, progress=False)
    fitted = fit(MixtureDensity(components=2, hidden=(16,)), events, epochs=6, store=store,
                 progress=False)  # fmt: skip
    fresh = simulate(source, 60_000, seed=1, store=store, progress=False).load()
    return Flow(fitted, fresh)


def test_p_values_of_fresh_events_are_as_often_small_as_they_say(trained):
    p = trained.flow.p_value(trained.fresh)
    assert p.dims == ("event",)
    for level in (0.1, 0.01, 0.001):
        assert float((p < level).mean()) == pytest.approx(level, rel=0.6)


@pytest.mark.parametrize("size", [1, 100, 3000])
def test_fresh_events_are_rarely_called_unlike(trained, size):
    alarms, calls = 0, 0
    for start in range(0, min(trained.fresh.sizes["event"], 200 * size), size):
        values = trained.flow.p_value(trained.fresh.isel(event=slice(start, start + size)))
        alarms, calls = alarms + bool(len(alarming(values))), calls + 1
    assert alarms <= 0.01 * calls + 3 * (0.01 * calls) ** 0.5 + 1


def test_events_that_were_never_seen_are_said_and_named(trained):
    few = trained.fresh.isel(event=slice(0, 1000)).copy(deep=True)
    trained.flow.log_prob(few)  # without a word
    name = trained.flow.scale.variables[0].name
    few[name].values[7] = -999.0
    with pytest.warns(UnlikeTrainingWarning, match=f"1 of 1000 events are .*{name} = -999") as got:
        trained.flow.log_prob(few)
    assert got[0].filename == __file__
    assert float(trained.flow.p_value(few)[7]) < 1e-6
    assert trained.flow.log_prob(few.isel(event=slice(0, 0))).shape == (0,)


def test_labels_beyond_the_trained_ones_or_far_from_all_are_said(trained):
    names = [p.name for p in trained.flow.scale.parameters]
    known = trained.flow.seen["label"].values
    trained.flow.warn_of_labels((known[:1] + known[-1:]) / 2)
    with pytest.warns(RangeWarning, match=f"outside the trained range.*nearest.*{names[1]} = "):
        trained.flow.warn_of_labels(known[-1:] + np.array([1.0, 0.0]))


STEPS = {
    "a place of the grid": ([2.5, 1.5], 0.5),
    "a label left out": ([2.0, 2.0], 1.0),
    "a hole": ([6.0, 2.0], 2.0),
}


@pytest.mark.parametrize("name", STEPS)
def test_distance_of_a_label_is_counted_in_steps_of_the_grid(name):
    """A label left out of the grid is a step away, the middle of a block of nine two."""
    label, steps = STEPS[name]
    axes = np.meshgrid([0.0, 1, 2, 3, 4, 5, 6, 7, 8], np.arange(5.0), indexing="ij")
    grid = np.stack([a.reshape(-1) for a in axes], 1)
    inside = (np.abs(grid - [6, 2]) < 1.5).all(1) | (grid == [2, 2]).all(1)
    parameters = [Parameter(n, low=0.0, high=8.0) for n in ("a", "b")]
    law = xr.Dataset({"label": (("label", "parameter"), grid[~inside])})
    ranges = {"a": (0.0, 8.0), "b": (0.0, 4.0)}
    said = strange_labels(np.array([label]), parameters, ranges, law)
    assert len(said) == (steps > 1.6)
    if said:
        assert f"{steps:.1f} grid steps from any" in said[0]
        assert "the nearest trained label is a = 4, b = " in said[0]
