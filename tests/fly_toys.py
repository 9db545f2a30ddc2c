"""A simulator of small sets that counts its blocks, and a network that streams them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

import fit_toys
from presage.labels import Parameter, Variable
from presage.simulator import Simulator

THETA = Parameter("theta", ("parameter",), "float64", low=-1.0, high=1.0)
POINTS = Variable("points", ("point",), "float32", "mm", "points of a set")


@dataclass(frozen=True)
class Sets(Simulator):
    """Five points around the first of two parameters; `block_size` is 16."""

    width: float = 0.1

    name: ClassVar[str] = "toy_sets"
    block_size: ClassVar[int] = 16
    thread_safe: ClassVar[bool] = True
    #: Blocks that were made whole, in all instances.
    made: ClassVar[list[int]] = []

    parameters: ClassVar = (THETA,)
    variables: ClassVar = (POINTS,)
    lengths: ClassVar = {"parameter": 2, "point": 5}

    def draw(self, rng, n):
        return {"theta": rng.uniform(-1, 1, (n, 2))}

    def simulate(self, theta, rng):
        noise = self.width * rng.standard_normal((len(theta["theta"]), 5))
        return {"points": theta["theta"][:, :1] + noise}

    def block(self, seed, index):
        self.made.append(index)
        return super().block(seed, index)


@dataclass(frozen=True)
class Unmeasured(Sets):
    """The same, whose lengths only its samples tell."""

    lengths: ClassVar = {}
    thread_safe: ClassVar[bool] = False


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 2)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        away = self.layer(batch["points"]) - batch["theta"].to(self.layer.weight.dtype)
        return away.square().sum(-1)


@dataclass(frozen=True)
class Streaming:
    """Declares what it streams, and looks at the first sample only."""

    name: ClassVar[str] = "toy_streaming"
    version: ClassVar[int] = 1
    network: ClassVar[type[Network]] = Network

    def prepare(self, dataset: xr.Dataset) -> fit_toys.Prepared:
        first = {"first": dataset["points"].isel(sample=0).values}
        declaration = {"variables": [asdict(POINTS)], "parameters": [asdict(THETA)]}
        return fit_toys.Prepared(None, first, declaration)

    def build(self, declaration: Mapping[str, Any]) -> Network:
        return self.network()


@dataclass(frozen=True)
class Holding(Streaming):
    """Keeps all of its training data in memory."""

    name: ClassVar[str] = "toy_holding"

    def prepare(self, dataset: xr.Dataset) -> fit_toys.Prepared:
        arrays = {name: np.asarray(dataset[name]) for name in ("points", "theta")}
        return fit_toys.Prepared(arrays, {}, super().prepare(dataset).declaration)


def weights(fitted: Any) -> dict[str, Tensor]:
    return dict(fitted.network.state_dict())


def same(one: Any, other: Any) -> bool:
    return all(torch.equal(t, weights(other)[n]) for n, t in weights(one).items())
