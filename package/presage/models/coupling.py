"""Coupling flows: half of the variables are mapped, given the other half and the condition.

Map number i takes the variables 0, 2, 4... (i even) or 1, 3, 5... (i odd) through univariate
maps whose parameters a perceptron reads from the other variables and the condition; the next
map takes the others. Inverting costs as much as evaluating, whatever the number of
variables; an autoregressive map of D variables takes D passes. In exchange each map does
less, so that more of them are needed.

Sources: RealNVP, Dinh et al. 2016, arXiv:1605.08803; splines, Durkan et al. 2019,
arXiv:1906.04032.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, ClassVar

import torch
import zuko
from torch import Tensor, nn
from torch.distributions import Transform, constraints

from presage.labels import LabelError
from presage.models.density import perceptron
from presage.models.flow import FlowNetwork, FlowSpec
from presage.models.spline import RationalQuadraticSpline, check_spline
from presage.transforms.event_scale import column_count

#: Shapes of the parameters of a univariate map, for each variable.
Shapes = tuple[tuple[int, ...], ...]


class Coupling(Transform):
    """One map of a coupling flow.

    Parameters
    ----------
    maps
        What is not mapped ``(*, A)`` → the univariate maps of the rest ``(*, B)``.
    first
        Which variables are mapped: every second one from this on, 0 or 1.
    """

    domain = constraints.real_vector
    codomain = constraints.real_vector
    bijective = True

    def __init__(self, maps: Any, first: int) -> None:
        super().__init__()
        self.maps, self.first = maps, first

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return y ``(*, D)`` and ln|det dy/dx| ``(*)``."""
        kept = x[..., 1 - self.first :: 2]
        mapped, ladj = self.maps(kept).call_and_ladj(x[..., self.first :: 2])
        return self._merge(kept, mapped), ladj.sum(-1)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ln|det dy/dx| ``(*)``."""
        return self.call_and_ladj(x)[1]

    def _call(self, x: Tensor) -> Tensor:
        return self.call_and_ladj(x)[0]

    def _inverse(self, y: Tensor) -> Tensor:
        kept = y[..., 1 - self.first :: 2]
        return self._merge(kept, self.maps(kept).inv(y[..., self.first :: 2]))

    def _merge(self, kept: Tensor, mapped: Tensor) -> Tensor:
        even, odd = (kept, mapped) if self.first else (mapped, kept)
        pairs = torch.stack((even[..., : odd.shape[-1]], odd), -1).flatten(-2)
        return pairs if even.shape[-1] == odd.shape[-1] else torch.cat((pairs, even[..., -1:]), -1)


class LazyCoupling(zuko.lazy.LazyTransform):
    """The network of one coupling: ``network(c)`` is a :class:`Coupling`.

    `univariate` makes the maps of arguments that have these `shapes` for one variable.
    """

    def __init__(
        self,
        features: int,
        context: int,
        first: int,
        univariate: Any,
        shapes: Shapes,
        hidden: tuple[int, ...],
        activation: str,
    ) -> None:
        super().__init__()
        self.first, self.univariate, self.shapes = first, univariate, shapes
        self.sizes = [prod(shape) for shape in shapes]
        mapped = len(range(first, features, 2))
        outputs = mapped * sum(self.sizes)
        self.hyper: nn.Module = perceptron(features - mapped + context, outputs, hidden, activation)

    def forward(self, c: Tensor | None = None) -> Coupling:
        """Return the map for conditions ``(*, C)``; ``None`` without conditions."""

        def maps(kept: Tensor) -> Any:
            inputs = kept if c is None else torch.cat((kept, c), -1)
            each = self.hyper(inputs).unflatten(-1, (-1, sum(self.sizes))).split(self.sizes, -1)
            parts = zip(each, self.shapes, strict=True)
            return self.univariate(
                *(part.unflatten(-1, s) if s else part[..., 0] for part, s in parts)
            )

        return Coupling(maps, self.first)


@dataclass(frozen=True)
class CouplingSpec(FlowSpec):
    """A kind of coupling flow; a subclass gives the univariate maps.

    One variable alone has nothing to be coupled with: its maps then read the condition only,
    as those of the autoregressive flows do.
    """

    def build(self, declaration: Mapping[str, Any]) -> FlowNetwork:
        """Return an untrained network for what `declaration` says."""
        features = column_count(declaration)
        if features > 1 and self.layers < 2:
            raise LabelError(
                f"{self.name} maps every second variable in a layer, so {features} variables "
                f"need at least 2 layers, got layers={self.layers}"
            )
        return super().build(declaration)

    def transform(self, features: int, context: int, index: int) -> Any:
        """Return coupling number `index`."""
        univariate, shapes = self.univariate()
        if features == 1:
            return zuko.flows.gaussianization.ElementWiseTransform(
                features,
                context,
                univariate=univariate,
                shapes=shapes,
                hidden_features=self.hidden,
                activation=self.activation_class,
            )
        return LazyCoupling(
            features, context, index % 2, univariate, shapes, self.hidden, self.activation
        )

    @property
    def takes_cells(self) -> bool:
        """Half of the columns at once: cells are filled with points."""
        return False

    def univariate(self) -> tuple[Any, Shapes]:
        """Return the univariate map and the shapes of its parameters."""
        raise NotImplementedError


@dataclass(frozen=True)
class RealNVP(CouplingSpec):
    """Affine couplings (arXiv:1605.08803): quick to sample, coarse where peaks are not normal."""

    layers: int = 8

    name: ClassVar[str] = "realnvp"

    def univariate(self) -> tuple[Any, Shapes]:
        """Return shift and scale."""
        return zuko.transforms.MonotonicAffineTransform, ((), ())


@dataclass(frozen=True)
class CouplingSpline(CouplingSpec):
    """Couplings of rational-quadratic splines (arXiv:1906.04032).

    Parameters
    ----------
    bins
        Spline segments for each variable.
    bound
        Splines act on [-bound, bound] of the standardised variables, the identity beyond.
    """

    layers: int = 4
    bins: int = 16
    bound: float = 5.0

    name: ClassVar[str] = "coupling_spline"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_spline(self.bins, self.bound)

    def univariate(self) -> tuple[Any, Shapes]:
        """Return the spline."""
        shapes = (2, self.bins), (self.bins - 1,)
        return partial(RationalQuadraticSpline, bound=self.bound), shapes
