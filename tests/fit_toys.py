"""A small conditional Gaussian, y | x ~ N(a x + b, s²), to train in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from presage.labels import Parameter, Schema, Variable
from presage.recipe import Recipe
from presage.store import Store

X = Parameter("x_label", dtype="float32", unit="GeV", long_name="label")
Y = Variable("y_mass", dtype="float32", unit="GeV", long_name="mass")
SCHEMA = Schema("event", (X, Y))


@dataclass(frozen=True)
class Prepared:
    arrays: dict[str, np.ndarray]
    state: dict[str, np.ndarray]
    declaration: dict[str, Any]


class Network(nn.Module):
    """A mean and a log width; dropout so that random numbers matter."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(1, hidden), nn.SiLU(), nn.Dropout(dropout), nn.Linear(hidden, 2)
        )

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        mean, log_width = self.body(batch["x"]).unbind(1)
        return 0.5 * ((batch["y"][:, 0] - mean) * torch.exp(-log_width)) ** 2 + log_width


@dataclass(frozen=True)
class Toy:
    """The specification."""

    hidden: int = 8
    dropout: float = 0.0
    widths: tuple[int, ...] = (1,)

    name: ClassVar[str] = "toy"
    version: ClassVar[int] = 1
    network: ClassVar[type[Network]] = Network

    def prepare(self, dataset: xr.Dataset) -> Prepared:
        x, y = (np.asarray(dataset[n], np.float64)[:, None] for n in ("x_label", "y_mass"))
        state = {"shift": np.array([x.mean(), y.mean()]), "scale": np.array([x.std(), y.std()])}
        arrays = {
            "x": ((x - state["shift"][0]) / state["scale"][0]).astype(np.float32),
            "y": ((y - state["shift"][1]) / state["scale"][1]).astype(np.float32),
        }
        declaration = {"variables": [asdict(Y)], "parameters": [asdict(X)], "sample": "event"}
        return Prepared(arrays, state, declaration)

    def build(self, declaration: Mapping[str, Any]) -> Network:
        return self.network(self.hidden, self.dropout)


def fragile(toy: type[Any], stop: type[BaseException] = KeyboardInterrupt) -> type[Any]:
    """A specification whose `network` stops where its count of training losses `left` ends."""

    class Fragile(toy.network):  # type: ignore[misc, name-defined]
        left = -1

        def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
            if self.training:
                Fragile.left -= 1
                if Fragile.left == 0:
                    raise stop
            return super().loss(batch)

    return type("FragileToy", (toy,), {"network": Fragile})


def arrays(samples: int = 200, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.uniform(1.0, 3.0, samples)
    y = 2.0 * x + 1.0 + 0.5 * rng.standard_normal(samples)
    return {"x_label": x.astype(np.float32), "y_mass": y.astype(np.float32)}


def dataset(samples: int = 200, seed: int = 0) -> xr.Dataset:
    """The same samples, in memory only."""
    columns = {
        v.name: xr.Variable(("event",), a, v.attributes())
        for v, a in zip(SCHEMA.variables, arrays(samples, seed).values(), strict=True)
    }
    return xr.Dataset(columns, attrs={"presage_sample": "event"})


def stored(store: Store, samples: int = 200, seed: int = 0) -> xr.Dataset:
    """The same samples from a store."""
    recipe = Recipe("toy_events", 1, {"samples": samples}, seed=seed)
    if store.missing(recipe, samples):
        store.add(recipe, SCHEMA, arrays(samples, seed), 0)
    return store.open(recipe)
