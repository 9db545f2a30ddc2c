"""Normalising flows: exact conditional densities p(x | c) that can be sampled.

A flow maps x to a standard normal u = f(x; c) by an invertible f, so that

    log p(x | c) = log N(f(x; c)) + log |det df/dx|,

and a sample is the inverse map of a normal draw. The loss is -log p of the training events.
A variant is a choice of univariate map (affine, spline) and of the order in which variables
see each other; the maps come from zuko (https://github.com/probabilists/zuko). In front of
the network stands :class:`presage.transforms.scale.LabelScale`, whose log-determinant is
part of the density.

Sources: MAF, Papamakarios et al. 2017, arXiv:1705.07057; neural splines, Durkan et al. 2019,
arXiv:1906.04032.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, cast

import numpy as np
import torch
import xarray as xr
import zuko
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from presage.labels import LabelError, nearest, require
from presage.models.spline import RationalQuadraticSpline
from presage.transforms.scale import LabelScale

#: Rows handled at once when a trained flow is evaluated.
_ROWS = 65536

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "SiLU": nn.SiLU,
    "GELU": nn.GELU,
    "ELU": nn.ELU,
    "ReLU": nn.ReLU,
    "Tanh": nn.Tanh,
}


@dataclass(frozen=True)
class Prepared:
    """Training data in a network's coordinates, and how they were reached.

    Parameters
    ----------
    arrays
        Name → float32 array, rows in the dataset's order.
    state
        Fitted numbers of the transforms, saved with the weights.
    declaration
        What the model is declared for, in JSON's terms.
    """

    arrays: dict[str, NDArray[np.float32]]
    state: dict[str, NDArray[np.float64]]
    declaration: dict[str, Any]


class FlowNetwork(nn.Module):
    """A conditional flow on standardised variables.

    Parameters
    ----------
    flow
        A zuko flow: ``flow(c)`` is a distribution over x.
    """

    def __init__(self, flow: Any) -> None:
        super().__init__()
        self.flow = flow

    def forward(self, condition: Tensor | None) -> Any:
        """Return the distribution for conditions ``(*, C)``; ``None`` without conditions."""
        return self.flow(condition)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return -log p of each row of a batch, ``(B,)``."""
        # The base is a standard normal; written out, it costs no distribution objects.
        transform = self.flow.transform(batch.get("condition"))
        normal, log_det = transform.call_and_ladj(batch["target"])
        norm = 0.5 * math.log(2 * math.pi) * normal.shape[-1]
        return cast(Tensor, 0.5 * normal.square().sum(-1) - log_det + norm)


@dataclass(frozen=True)
class FlowSpec(ABC):
    """A kind of flow, and its settings; a subclass gives the univariate maps.

    Parameters
    ----------
    hidden
        Widths of the hidden layers of each map's network.
    layers
        How many maps follow one another, the order of variables reversed between them.
    activation
        SiLU interpolates labels better than ReLU.
    """

    hidden: tuple[int, ...] = (64, 64)
    layers: int = 1
    activation: str = "SiLU"

    name: ClassVar[str]
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(int(width) for width in self.hidden))
        if self.activation not in _ACTIVATIONS:
            raise LabelError(
                f"no activation {self.activation!r}{nearest(self.activation, _ACTIVATIONS)}"
            )
        if self.layers < 1 or not self.hidden or min(self.hidden) < 1:
            raise LabelError(
                f"{self.name} needs at least one layer and hidden widths of at least 1, "
                f"got layers={self.layers}, hidden={self.hidden}"
            )

    def prepare(self, dataset: xr.Dataset) -> Prepared:
        """Fit the scaling to training events and return them scaled.

        Parameters
        ----------
        dataset
            Flat over its sample dimension; parameters have the attribute
            ``role="parameter"``.
        """
        sample = sample_dim(dataset)
        scale = LabelScale.fit_dataset(dataset, sample)
        columns = {v.name: dataset[v.name].values for v in (*scale.variables, *scale.parameters)}
        arrays = {"target": _stack(scale.apply(columns, columns))}
        ranges = {}
        if scale.parameters:
            arrays["condition"] = scale.features(columns).astype(np.float32)
            ranges = {
                p.name: [float(np.min(columns[p.name])), float(np.max(columns[p.name]))]
                for p in scale.parameters
            }
        declaration = {**scale.declaration(), "sample": sample, "trained_range": ranges}
        return Prepared(arrays, scale.state(), declaration)

    def build(self, declaration: Mapping[str, Any]) -> FlowNetwork:
        """Return an untrained network for what `declaration` says."""
        features, context = len(declaration["variables"]), len(declaration["parameters"])
        maps = [self.transform(features, context, index) for index in range(self.layers)]
        base = zuko.lazy.UnconditionalDistribution(
            zuko.distributions.DiagNormal, torch.zeros(features), torch.ones(features), buffer=True
        )
        return FlowNetwork(zuko.lazy.Flow(maps, base))

    @abstractmethod
    def transform(self, features: int, context: int, index: int) -> Any:
        """Return map number `index` as a zuko lazy transform.

        Parameters
        ----------
        features, context
            Number of variables and of condition features.
        index
            Position in the chain.
        """

    def _order(self, features: int, index: int) -> Tensor:
        order = torch.arange(features)
        return order.flip(0) if index % 2 else order


@dataclass(frozen=True)
class SplineFlow(FlowSpec):
    """Autoregressive rational-quadratic splines (arXiv:1906.04032).

    With two variables one layer is a universal triangular map.

    Parameters
    ----------
    bins
        Spline segments for each variable.
    bound
        Splines act on [-bound, bound] of the standardised variables, the identity beyond.
    """

    bins: int = 16
    bound: float = 5.0

    name: ClassVar[str] = "spline_flow"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bins < 2 or not self.bound > 0:
            raise LabelError(
                f"splines need at least 2 bins and a positive bound, "
                f"got bins={self.bins}, bound={self.bound}"
            )

    def transform(self, features: int, context: int, index: int) -> Any:
        """Return one autoregressive spline map."""
        return zuko.flows.autoregressive.MaskedAutoregressiveTransform(
            features,
            context,
            order=self._order(features, index),
            univariate=partial(RationalQuadraticSpline, bound=self.bound),
            shapes=[(2, self.bins), (self.bins - 1,)],
            hidden_features=self.hidden,
            activation=_ACTIVATIONS[self.activation],
        )


@dataclass(frozen=True)
class MAF(FlowSpec):
    """Masked autoregressive flow of affine maps (arXiv:1705.07057)."""

    hidden: tuple[int, ...] = (128,)
    layers: int = 10

    name: ClassVar[str] = "maf"

    def transform(self, features: int, context: int, index: int) -> Any:
        """Return one masked autoregressive affine map."""
        return zuko.flows.autoregressive.MaskedAutoregressiveTransform(
            features,
            context,
            order=self._order(features, index),
            hidden_features=self.hidden,
            activation=_ACTIVATIONS[self.activation],
        )


class ConditionalFlow:
    """A trained flow in physical units: log p of labelled events, and samples.

    Parameters
    ----------
    network
        What :meth:`FlowSpec.build` made, trained.
    declaration, state
        As in :class:`Prepared`.
    """

    def __init__(
        self,
        network: nn.Module,
        declaration: Mapping[str, Any],
        state: Mapping[str, ArrayLike],
    ) -> None:
        self.network = network
        self.declaration = declaration
        self.scale = LabelScale.from_state(state, declaration)
        self.sample_dim = str(declaration["sample"])

    def log_prob(self, dataset: xr.Dataset) -> xr.DataArray:
        """Return the natural logarithm of the density, in the inverse units of the variables.

        Parameters
        ----------
        dataset
            Labelled events with the declared variables and parameters.

        Raises
        ------
        LabelError
            A variable is missing or has another unit.
        """
        known = (*self.scale.variables, *self.scale.parameters)
        require(dataset, known, self.sample_dim)
        columns = {variable.name: dataset[variable.name].values for variable in known}
        target = _stack(self.scale.apply(columns, columns))
        condition = self._condition(columns, len(target))

        def density(start: int, stop: int) -> Tensor:
            distribution = self.network(None if condition is None else condition[start:stop])
            return cast(Tensor, distribution.log_prob(torch.from_numpy(target[start:stop])))

        values = self._by_rows(density, len(target)) + self.scale.log_det(columns, columns)
        units = " ".join(f"{v.unit}-1" for v in self.scale.variables if v.unit != "1") or "1"
        return xr.DataArray(
            values,
            dims=self.sample_dim,
            coords={k: v for k, v in dataset.coords.items() if v.dims == (self.sample_dim,)},
            name="log_prob",
            attrs={"long_name": "natural logarithm of the density", "units": f"ln({units})"},
        )

    def sample(
        self, labels: Mapping[str, ArrayLike], rng: np.random.Generator, n: int | None = None
    ) -> dict[str, NDArray[Any]]:
        """Draw one event for each label.

        Parameters
        ----------
        labels
            Parameter name → ``[event]``.
        rng
            Source of the normal draws; the same generator gives the same events.
        n
            Number of events, needed only where there are no parameters.

        Returns
        -------
        dict
            Variable name → ``[event]`` in the declared type, strictly inside its bounds.
        """
        columns = {name: np.atleast_1d(np.asarray(value)) for name, value in labels.items()}
        names = [parameter.name for parameter in self.scale.parameters]
        events = columns[names[0]].size if names and names[0] in columns else int(n or 0)
        normal = rng.standard_normal((events, len(self.scale.variables)), dtype=np.float32)
        condition = self._condition(columns, events)

        def draw(start: int, stop: int) -> Tensor:
            distribution = self.network(None if condition is None else condition[start:stop])
            return cast(Tensor, distribution.transform.inv(torch.from_numpy(normal[start:stop])))

        drawn = self._by_rows(draw, events).reshape(events, len(self.scale.variables))
        z = {v.name: drawn[:, i] for i, v in enumerate(self.scale.variables)}
        values = self.scale.inverse(z, columns)
        return {v.name: values[v.name].astype(v.dtype) for v in self.scale.variables}

    def _condition(self, columns: Mapping[str, ArrayLike], events: int) -> Tensor | None:
        if not self.scale.parameters:
            return None
        return torch.from_numpy(self.scale.features(columns, events).astype(np.float32))

    def _by_rows(self, function: Any, rows: int) -> NDArray[np.float64]:
        """Run `function(start, stop)` over chunks of rows, in evaluation mode."""
        was_training = self.network.training
        self.network.eval()
        try:
            with torch.inference_mode():
                parts = [
                    function(start, min(start + _ROWS, rows)).double().numpy()
                    for start in range(0, rows, _ROWS)
                ]
        finally:
            self.network.train(was_training)
        return np.concatenate(parts) if parts else np.zeros(0)


def sample_dim(dataset: xr.Dataset) -> str:
    """Return the sample dimension: what the dataset says, else its only dimension.

    Raises
    ------
    LabelError
        The dataset has several dimensions and names none of them.
    """
    if "presage_sample" in dataset.attrs:
        return str(dataset.attrs["presage_sample"])
    if len(dataset.sizes) == 1:
        return str(next(iter(dataset.sizes)))
    raise LabelError(
        f"which dimension counts samples? got {tuple(dataset.sizes)}; "
        "set the attribute presage_sample"
    )


def _stack(columns: Mapping[str, ArrayLike]) -> NDArray[np.float32]:
    """Return columns side by side, ``[row, column]``, in the precision networks train in."""
    return np.stack([np.asarray(column, dtype=np.float32) for column in columns.values()], axis=1)
