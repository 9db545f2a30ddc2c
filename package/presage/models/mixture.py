"""Mixture density networks: a perceptron reads a Gaussian mixture from the condition.

    p(x | c) = sum_k w_k(c) N(x; mu_k(c), Sigma_k(c)),

with full covariances. Component k is written as a chain of regressions, the modified Cholesky
factors of its precision (Pourahmadi 1999, Biometrika 86, 677): with d = x - mu,

    z_i = exp(-s_i) (d_i - sum_{j<i} t_ij d_j)    are standard normal,

so that Sigma^-1 = L^T L for L = diag(exp(-s)) (1 - T), every s and t gives a covariance, and
ln|Sigma|/2 is the sum of s. Nothing is inverted, neither for the density nor for samples.

Source: Bishop 1994, "Mixture density networks", NCRG/94/004.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, cast

import torch
from torch import Tensor, nn

from presage.labels import LabelError
from presage.models.density import (
    DensityNetwork,
    check_perceptrons,
    correlated,
    decorrelated,
    perceptron,
    pick,
)
from presage.models.fitted_density import DensityModel
from presage.transforms.event_scale import column_count
from presage.transforms.smooth import count_features

#: Conditional widths lie between e^-NARROWEST and e^NARROWEST of the standardised variables.
_NARROWEST = math.log(1e3)


class Mixture(NamedTuple):
    """The parameters of mixtures of K Gaussians in D variables."""

    log_weights: Tensor  # ``(*, K)``, normalised
    means: Tensor  # ``(*, K, D)``: mu, and s of each variable given those before it
    log_widths: Tensor
    slopes: Tensor  # ``(*, K, D (D - 1) / 2)``: t row by row, below the diagonal

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p ``(*)`` of x ``(*, D)``."""
        far = x[..., None, :] - self.means
        normal = decorrelated(far, self.slopes) * torch.exp(-self.log_widths)
        norm = 0.5 * math.log(2 * math.pi) * x.shape[-1]
        each = -0.5 * normal.square().sum(-1) - self.log_widths.sum(-1) - norm
        return torch.logsumexp(self.log_weights + each, -1)

    def draw(self, numbers: Tensor) -> Tensor:
        """Return x ``(*, D)`` from D standard normal numbers and one that picks a component."""
        picked = pick(self.log_weights.exp(), numbers[..., -1])[..., None, None]
        own = Mixture(self.log_weights, *(_rows(part, picked) for part in self[1:]))
        return own.means + correlated(numbers[..., :-1] * own.log_widths.exp(), own.slopes)


def _rows(part: Tensor, picked: Tensor) -> Tensor:
    """Return ``(*, N)``: of `part` ``(*, K, N)`` the rows `picked` ``(*, 1, 1)``."""
    return part.take_along_dim(picked.expand(*picked.shape[:-1], part.shape[-1]), -2)[..., 0, :]


class MixtureNetwork(DensityNetwork):
    """A perceptron from condition features to a :class:`Mixture`; see :class:`MixtureDensity`."""

    def __init__(
        self,
        features: int,
        context: int,
        components: int,
        hidden: tuple[int, ...],
        activation: str,
    ) -> None:
        super().__init__()
        self.numbers = features + 1
        self.components = components
        self.sizes = [1, features, features, features * (features - 1) // 2]
        outputs = components * sum(self.sizes)
        self.hyper = perceptron(max(context, 1), outputs, hidden, activation)
        self._spread(features)

    @torch.no_grad()
    def _spread(self, features: int) -> None:
        # Components that begin alike stay alike: they begin all over the standardised data.
        bias = cast(Tensor, self.hyper[-1].bias)
        nn.init.normal_(bias.view(self.components, -1)[:, 1 : 1 + features])

    def forward(self, condition: Tensor | None, rows: int = 1) -> Mixture:
        """Return the mixtures for conditions ``(B, C)``, or `rows` times the one without."""
        weight = cast(Tensor, self.hyper[0].weight)
        given = weight.new_zeros(rows, 1) if condition is None else condition
        raw = self.hyper(given).unflatten(-1, (self.components, -1))
        weights, means, widths, slopes = raw.split(self.sizes, -1)
        # Softly bounded, with slope 1 at 0.
        log_widths = widths / (1 + (widths / _NARROWEST).abs())
        return Mixture(weights[..., 0].log_softmax(-1), means, log_widths, slopes)

    def log_prob(self, condition: Tensor | None, target: Tensor) -> Tensor:
        """Return log p of each row, ``(B,)``."""
        return self.forward(condition, len(target)).log_prob(target)

    def draw(self, condition: Tensor | None, numbers: Tensor) -> Tensor:
        """Return one event ``(B, D)`` for each row of `numbers` ``(B, D + 1)``."""
        return self.forward(condition, len(numbers)).draw(numbers)


@dataclass(frozen=True)
class MixtureDensity(DensityModel):
    """A mixture of Gaussians with full covariances, read from the condition: the small model.

    Quick to train and to sample, with one network pass for either; sharp edges need many
    components.

    Parameters
    ----------
    hidden
        Widths of the hidden layers.
    components
        Number of Gaussians.
    activation
        SiLU interpolates labels better than ReLU.
    """

    hidden: tuple[int, ...] = (64, 64)
    components: int = 24
    activation: str = "SiLU"

    name: ClassVar[str] = "mixture_density"
    version: ClassVar[int] = 4
    #: Versions whose stored models can still be read.
    readable: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def __post_init__(self) -> None:
        check_perceptrons(self, "hidden")
        if self.components < 1:
            raise LabelError(f"a mixture needs components, got components={self.components}")

    def build(self, declaration: Mapping[str, Any]) -> MixtureNetwork:
        """Return an untrained network for what `declaration` says."""
        features = column_count(declaration)
        context = count_features(declaration["parameters"])
        return MixtureNetwork(features, context, self.components, self.hidden, self.activation)
