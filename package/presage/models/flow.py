"""Normalising flows: exact conditional densities p(x | c) that can be sampled.

A flow maps x to a standard normal u = f(x; c) by an invertible f, so that

    log p(x | c) = log N(f(x; c)) + log |det df/dx|,

and a sample is the inverse map of a normal draw. The loss is -log p of the training events.
A variant is a choice of univariate map (affine, spline) and of which variables see each
other: all those before (autoregressive, here) or the other half
(:mod:`presage.models.coupling`). Maps come from zuko (https://github.com/probabilists/zuko),
the splines from :mod:`presage.models.spline`. In front of
the network stands :class:`presage.transforms.scale.LabelScale`, whose log-determinant is
part of the density.

Sources: MAF, Papamakarios et al. 2017, arXiv:1705.07057; neural splines, Durkan et al. 2019,
arXiv:1906.04032.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, cast

import torch
import zuko
from torch import Tensor, nn

from presage.labels import LabelError
from presage.models.autoregressive import Autoregressive
from presage.models.cells import Roles, log_between, log_normal
from presage.models.density import ACTIVATIONS, DensityNetwork, Settle, check_perceptrons
from presage.models.fitted_density import DensityModel
from presage.models.spline import RationalQuadraticSpline, check_spline, usual_bins
from presage.transforms.event_scale import column_count
from presage.transforms.smooth import count_features


class FlowNetwork(DensityNetwork):
    """A conditional flow of zuko, ``flow(c)`` a distribution over x, on standardised variables."""

    def __init__(self, flow: Any, features: int, roles: Roles | None = None) -> None:
        super().__init__()
        self.flow, self.numbers, self.roles = flow, features, roles

    def forward(self, condition: Tensor | None) -> Any:
        """Return the distribution for conditions ``(*, C)``; ``None`` without conditions."""
        return self.flow(condition)

    def log_prob(self, condition: Tensor | None, target: Tensor) -> Tensor:
        """Return log p of each row, ``(B,)``."""
        return cast(Tensor, self.flow(condition).log_prob(target))

    def draw(self, condition: Tensor | None, numbers: Tensor) -> Tensor:
        """Return one event ``(B, D)`` for each row of standard normal `numbers` ``(B, D)``."""
        return cast(Tensor, self.flow.transform(condition).inv(numbers))

    def draw_settled(self, condition: Tensor | None, numbers: Tensor, settle: Settle) -> Tensor:
        """Return one event ``(B, D)`` for each row, its columns settled one after the other."""
        if self.numbers == 1:  # nothing comes after it
            return self.draw(condition, numbers)
        return self._layer.draw(condition, numbers, settle)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return -log p of each row of a batch, ``(B,)``."""
        if self.roles is not None:
            return -self._log_prob_of_cells(batch, self.roles)
        # The base is a standard normal; written out, it costs no distribution objects.
        transform = self.flow.transform(batch.get("condition"))
        normal, log_det = transform.call_and_ladj(batch["target"])
        return cast(Tensor, -(log_det + log_normal(normal).sum(-1)))

    def log_prob_of(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return log p of each row of a batch, ``(B,)``."""
        return -self.loss(batch)  # which torch.compile is given, and takes whole

    def _log_prob_of_cells(self, batch: Mapping[str, Tensor], roles: Roles) -> Tensor:
        target = batch["target"]
        maps = self.each_map(batch.get("condition"), target)
        points = list(roles.points)
        total = target.new_zeros(len(target))
        if points:
            normal, log_det = maps(points).call_and_ladj(target[:, points])
            each = log_det + log_normal(normal)
            for k, column in enumerate(roles.rests):
                there = batch["there"][:, k : k + 1]
                own = (torch.tensor(points) == column).to(each)
                each = each * (1 - own * (1 - there))
            total = total + each.sum(-1)
        if roles.cells:
            cells = maps(list(roles.cells))
            total = total + log_between(cells(batch["low"]), cells(batch["high"])).sum(-1)
        return total

    def each_map(self, condition: Tensor | None, target: Tensor) -> Callable[[list[int]], Any]:
        """Return the univariate maps of a flow of one layer: what gives those of some columns."""
        if self.numbers > 1:
            return self._layer.each_map(condition, target)
        (only,) = self.flow.transform(condition).transforms  # of one variable, as zuko has it
        return lambda _: only.base

    def map_of(self, column: int, condition: Tensor | None, before: Tensor) -> Any:
        """Return the univariate map of one column, given those `before` it in place ``(B, D)``."""
        if self.numbers > 1:
            return self._layer.maps_of(column, condition, before)[1]
        return self.each_map(condition, before)([column])

    @property
    def _layer(self) -> Autoregressive:
        """Its only map."""
        return next(m for m in self.modules() if isinstance(m, Autoregressive))


@dataclass(frozen=True)
class FlowSpec(DensityModel, ABC):
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
    version: ClassVar[int] = 4
    #: Versions whose stored models can still be read.
    readable: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __post_init__(self) -> None:
        check_perceptrons(self, "hidden")
        if self.layers < 1:
            raise LabelError(f"{self.name} needs at least one layer, got layers={self.layers}")

    def build(self, declaration: Mapping[str, Any]) -> FlowNetwork:
        """Return an untrained network for what `declaration` says."""
        features = column_count(declaration)
        context = count_features(declaration["parameters"])
        maps = [self.transform(features, context, index) for index in range(self.layers)]
        base = zuko.lazy.UnconditionalDistribution(
            zuko.distributions.DiagNormal, torch.zeros(features), torch.ones(features), buffer=True
        )
        return FlowNetwork(zuko.lazy.Flow(maps, base), features, Roles.of(declaration))

    @abstractmethod
    def transform(self, features: int, context: int, index: int) -> Any:
        """Return map number `index` of the chain as a zuko lazy transform."""

    @property
    def takes_cells(self) -> bool:
        """Whether its networks give cells their exact probabilities."""
        return self.layers == 1

    @property
    def activation_class(self) -> type[nn.Module]:
        """The activation as torch has it."""
        return ACTIVATIONS[self.activation]

    def _autoregressive(self, features: int, context: int, index: int, **univariate: Any) -> Any:
        order = torch.arange(features)
        return Autoregressive(
            features,
            context,
            order=order.flip(0) if index % 2 else order,
            hidden_features=self.hidden,
            activation=self.activation_class,
            **univariate,
        )


@dataclass(frozen=True)
class SplineFlow(FlowSpec):
    """Autoregressive rational-quadratic splines (arXiv:1906.04032).

    With two variables one layer is a universal triangular map.

    Parameters
    ----------
    bins
        Spline segments for each variable; 0 for 16, or 8 where there are more than two columns.
    bound
        Splines act on [-bound, bound] of the standardised variables, the identity beyond.
    """

    bins: int = 0
    bound: float = 5.0

    name: ClassVar[str] = "spline_flow"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_spline(self.bins, self.bound)

    def transform(self, features: int, context: int, index: int) -> Any:
        """Return one autoregressive spline map."""
        bins = usual_bins(self.bins, features)
        return self._autoregressive(
            features,
            context,
            index,
            univariate=partial(RationalQuadraticSpline, bound=self.bound),
            shapes=[(2, bins), (bins - 1,)],
        )


@dataclass(frozen=True)
class MAF(FlowSpec):
    """Masked autoregressive flow of affine maps (arXiv:1705.07057)."""

    hidden: tuple[int, ...] = (128,)
    layers: int = 10

    name: ClassVar[str] = "maf"

    def transform(self, features: int, context: int, index: int) -> Any:
        """Return one masked autoregressive affine map."""
        return self._autoregressive(features, context, index)
