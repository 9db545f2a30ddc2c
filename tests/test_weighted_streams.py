"""Weights where the model does not look at them: streamed samples, sets, pools, own functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor, nn

import presage as ps
from fit_toys import Prepared
from presage.analysis.compare import compare
from presage.batches import BatchSource, Labelled, Paired
from presage.emulation import sample
from presage.fitting import FitError, fit
from presage.fitting.weighing import resampled
from presage.labels import Parameter, Schema, Variable, Weight
from presage.models.sets import check_sets
from presage.store import Store
from presage.transforms import PCABasis
from presage.transforms.weights import weights_of
from test_weighted_fit import SETTINGS, SMALL, events, toy

X, LABELS, RNG = toy(1000)
COUNTS = RNG.integers(0, 4, len(X)) * (1.0 + (X > 3))
WEIGHTED, PLAIN = events(X, LABELS, COUNTS), events(X, LABELS)


class Mean(nn.Module):
    """The mean of x is what its loss is least at."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(()))

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        return batch.get("w", 1.0) * (batch["x"] - self.mean) ** 2


class Segments(Mean):
    def segment_loss(self, batch: Any, carry: Any) -> Any:
        del carry
        return self.loss(batch), None


@dataclass(frozen=True)
class MeanOf:
    """A model that knows nothing of weights; one that `counts` reads them itself."""

    streams: bool = True
    counts: bool = False
    segments: bool = False
    name: ClassVar[str] = "mean"
    version: ClassVar[int] = 1

    def prepare(self, dataset: xr.Dataset) -> Prepared:
        names = ("x", "w") if self.counts else ("x",)
        known = [asdict(Variable.of(dataset[name], "event")) for name in names]
        arrays: Any = {name: np.asarray(dataset[name].values) for name in names}
        return Prepared(None if self.streams else arrays, {}, {"variables": known})

    def build(self, declaration: Mapping[str, Any]) -> nn.Module:
        del declaration
        return Segments() if self.segments else Mean()


@dataclass(frozen=True)
class Own(BatchSource):
    """The weighted events as a source of a user's own; with `sign` some count negatively."""

    samples: int = len(X)
    sign: bool = False
    fresh: ClassVar[bool] = False
    name, version = "own_weighted", 1
    schema = Schema("event", (Parameter("a"), Variable("x"), Weight("w", dtype="float64")))

    def gather(self, numbers: Any, epoch: int, buffers: Any) -> dict[str, np.ndarray]:
        del epoch, buffers
        weights = np.where(self.sign & (numbers == len(X) - 1), -1.0, COUNTS[numbers])
        arrays = {"a": LABELS[numbers].astype("f4"), "x": X[numbers].astype("f4")}
        return {**arrays, "w": weights}


def found(model: MeanOf, data: Any) -> float:
    settings: Any = {"epochs": 12, "batch_size": 100, "learning_rate": 0.2, "validation": 0}
    return float(fit(model, data, **settings, progress=False).network.mean.detach())


SOURCES: dict[str, tuple[MeanOf, Any]] = {
    "a stream": (MeanOf(), WEIGHTED),
    "prepared arrays": (MeanOf(streams=False), WEIGHTED),
    "a model that counts": (MeanOf(counts=True), WEIGHTED),
    "the same, prepared": (MeanOf(streams=False, counts=True), WEIGHTED),
    "a source": (MeanOf(), Own()),
    "pools": (MeanOf(), Paired({"one": WEIGHTED}, new_pairs=False)),
    "repetition": (MeanOf(), PLAIN.isel(event=np.repeat(np.arange(len(X)), COUNTS.astype(int)))),
}


@pytest.mark.parametrize("what", SOURCES)
def test_every_stream_counts_by_weight(what: str) -> None:
    assert found(*SOURCES[what]) == pytest.approx(np.average(X, weights=COUNTS), abs=0.05)
    assert abs(np.average(X, weights=COUNTS) - X.mean()) > 0.5


def test_a_density_takes_the_weights_of_a_source() -> None:
    one, other = (fit(SMALL, data, **SETTINGS) for data in (Own(), WEIGHTED.assign(
        a=WEIGHTED["a"].astype("f4"))))  # fmt: skip
    for name, array in one.network.state_dict().items():
        np.testing.assert_array_equal(other.network.state_dict()[name], array, err_msg=name)


def sets(**weights: Any) -> xr.Dataset:
    return xr.Dataset({n: (d, v, {"role": "weight"}) for n, (d, v) in weights.items()})


SIGNS = events(X, LABELS, np.where(X > 3, -1.0, 1.0))
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "negative": (lambda: found(MeanOf(), SIGNS), r"\d+ of 3000 weights 'w' are negative.*make"),
    "negative, prepared": (lambda: found(MeanOf(streams=False), SIGNS), "'w' are negative"),
    "negative, met later": (
        lambda: found(MeanOf(), Own(sign=True)),
        "'w' are negative",
    ),
    "zero": (lambda: found(MeanOf(), events(X, LABELS, 0 * X)), "'w' of .* are all zero"),
    "NaN": (lambda: found(MeanOf(), events(X, LABELS, X + np.nan)), "NaN or infinite in 3000"),
    "segments": (lambda: found(MeanOf(segments=True), WEIGHTED), "by segments.*drop_vars"),
    "sets": (lambda: check_sets(sets(w=("sample", [1.0]))), "a model of sets counts all alike"),
    "events of sets": (
        lambda: check_sets(sets(w=(("sample", "event"), [[1.0]]))),
        r"have the weight 'w'.*drop_vars\('w'\)",
    ),
    "one pass": (lambda: fit(PCABasis("x"), WEIGHTED, progress=False), "pca.*counts all alike"),
    "a pool's": (
        lambda: Paired({"one": WEIGHTED}, columns={"x": "one.x"}),
        "pool 'one' has the weight 'w', which no column takes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_count_says_so(what: str) -> None:
    wrong, message = REFUSED[what]
    with pytest.raises(ValueError, match=message):
        wrong()


def test_bootstrap_samples_vary_as_events_do() -> None:
    means = [
        np.average(X, weights=weights_of(resampled(Labelled(WEIGHTED), k).dataset))
        for k in range(300)
    ]
    mean = np.average(X, weights=COUNTS)
    error = np.sqrt((COUNTS**2 * (X - mean) ** 2).sum()) / COUNTS.sum()
    assert np.std(means) == pytest.approx(error, rel=0.15)
    assert np.mean(means) == pytest.approx(mean, abs=0.2 * error)


def test_a_training_on_a_bootstrap_sample_is_another_one(tmp_path: Any) -> None:
    store = Store(tmp_path)
    data = store.adopt(PLAIN, "toy", "event")
    how: Any = {"epochs": 1, "batch_size": 500, "store": store, "progress": False}
    plain, one, other = (fit(SMALL, data, resample=k, **how) for k in (None, 0, 1))
    assert len({plain.key, one.key, other.key}) == 3
    assert one.history["loss"].values[-1] != other.history["loss"].values[-1]
    assert fit(SMALL, data, resample=0, **how).key == one.key
    with pytest.raises(FitError, match="a dataset that stays the same"):
        fit(SMALL, Own(), resample=0, progress=False)


@ps.versioned(1)
def shift(reference: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Difference of the means."""
    return other.mean(0) - reference.mean(0)


@ps.versioned(1)
def weighed(reference: np.ndarray, other: np.ndarray, weights: Any) -> np.ndarray:
    """Difference of the weighted means."""
    means = [np.average(x, 0, w) for x, w in zip((reference, other), weights, strict=True)]
    return means[1] - means[0]


def test_own_figures_of_merit_count_by_weight() -> None:
    seen = compare(WEIGHTED, {"plain": PLAIN}, metrics=(), own=(shift, weighed), classifier=False)
    per_label = [(X.reshape(3, -1)[k], COUNTS.reshape(3, -1)[k]) for k in range(3)]
    true = [float(x.mean() - np.average(x, weights=w)) for x, w in per_label]
    own = seen.sel(source="plain", variable="x")
    np.testing.assert_allclose(own["weighed"], true, atol=1e-6)
    np.testing.assert_allclose(own["shift"], true, atol=0.05)  # by draws of equal weight


def test_drawn_events_are_spread_by_the_totals() -> None:
    flow = fit(SMALL, WEIGHTED, epochs=1, progress=False)
    asked = [(0.0,), (1.5,), (2.0,)]
    there = ps.totals(WEIGHTED).assign_coords(a=("label", [0.0, 1.5, 2.0]))
    drawn = sample(flow, labels=asked, n=2000, totals=there)
    sizes = np.unique(drawn["a"], return_counts=True)[1]
    assert sizes.sum() == 2000
    share = there["total"].values / float(there["total"].sum())
    np.testing.assert_allclose(sizes, 2000 * share, atol=8)
    for given, message in (
        ({"n": [1, 2, 3]}, "the number of all events"),
        ({"n": 2}, "none of 2 events: give more"),
        ({"labels": [(0.5,)]}, "a = 0.5 has no total"),
        ({"totals": PLAIN}, r"presage\.totals\(events, labels\) returned.*got a, x"),
    ):
        with pytest.raises(ValueError, match=message):
            sample(flow, **{"labels": asked, "n": 2000, "totals": there, **given})
