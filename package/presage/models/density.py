"""What every network here can do, and the perceptrons they are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from presage.labels import LabelError, nearest
from presage.models.linear import NarrowLinear

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "SiLU": nn.SiLU,
    "GELU": nn.GELU,
    "ELU": nn.ELU,
    "ReLU": nn.ReLU,
    "Tanh": nn.Tanh,
}


class Settle(Protocol):
    """What drawn columns become before the next ones are drawn."""

    def __call__(self, own: Tensor, values: Tensor, before: Tensor) -> Tensor:
        """Return columns `own` ``(B, O)`` as they are seen, those `before` in place ``(B, D)``."""

    def at(self, rows: Tensor) -> Settle:
        """Return the same for some rows."""


class DensityNetwork(nn.Module, ABC):
    """A conditional density p(x | c) on standardised variables that can be sampled.

    Attributes
    ----------
    numbers
        Standard normal numbers that one event is made of: columns of what :meth:`draw` takes.
    """

    numbers: int

    @abstractmethod
    def log_prob(self, condition: Tensor | None, target: Tensor) -> Tensor:
        """Return log p of each row ``(B,)`` of `target` ``(B, D)``.

        Parameters
        ----------
        condition
            ``(B, C)``; None where there are no conditions.
        target
            ``(B, D)``.
        """

    @abstractmethod
    def draw(self, condition: Tensor | None, numbers: Tensor) -> Tensor:
        """Return one event ``(B, D)`` for each row of standard normal `numbers` ``(B, N)``."""

    def log_prob_of(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return log p of each row ``(B,)`` of what it is trained on."""
        return self.log_prob(batch.get("condition"), batch["target"])

    def draw_settled(self, condition: Tensor | None, numbers: Tensor, settle: Settle) -> Tensor:
        """Return :meth:`draw` where columns are settled one after the other.

        Only networks that take cells, see :class:`presage.transforms.event_scale.EventScale`, do
        that.
        """
        return self.draw(condition, numbers)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return -log p of each row of a batch, ``(B,)``."""
        return -self.log_prob_of(batch)


def perceptron(inputs: int, outputs: int, hidden: Sequence[int], activation: str) -> nn.Sequential:
    """Return linear layers of these widths, between them an activation of :data:`ACTIVATIONS`."""
    layers: list[nn.Module] = []
    for before, after in pairwise((inputs, *hidden, outputs)):
        layers += [NarrowLinear(before, after), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


def hidden_layers(inputs: int, hidden: Sequence[int], activation: str) -> nn.Sequential:
    """Return a perceptron up to its last hidden layer, the activation of which is the output."""
    before = perceptron(inputs, hidden[-1], hidden[:-1], activation)
    return nn.Sequential(before, ACTIVATIONS[activation]())


def check_perceptrons(spec: Any, *names: str) -> None:
    """Make tuples of a specification's widths `names`, and refuse what makes no perceptron."""
    if spec.activation not in ACTIVATIONS:
        raise LabelError(
            f"no activation {spec.activation!r}{nearest(spec.activation, ACTIVATIONS)}"
        )
    for name in names:
        widths = tuple(int(width) for width in getattr(spec, name))
        object.__setattr__(spec, name, widths)
        if not widths or min(widths) < 1:
            raise LabelError(
                f"{spec.name} needs at least one layer and hidden widths of at least 1, got "
                f"{name}={widths}"
            )


def pick(weights: Tensor, normal: Tensor) -> Tensor:
    """Return which of K alternatives, with probabilities ``(*, K)``, normal numbers ``(B,)`` mean.

    Their probability integral is uniform.
    """
    uniform: Tensor = torch.special.ndtr(normal.double())[..., None]
    # All but the last, so that rounding in the sum leaves nobody beyond the end.
    return (uniform > weights.double().cumsum(-1)[..., :-1]).sum(-1)


def decorrelated(d: Tensor, slopes: Tensor) -> Tensor:
    """Return d_i - sum_{j<i} t_ij d_j of d ``(*, D)``: modified Cholesky (Pourahmadi 1999).

    The `slopes` t are ``(*, D (D - 1) / 2)``, row by row below the diagonal.
    """
    return torch.stack([d[..., i] - _shift(d, slopes, i) for i in range(d.shape[-1])], -1)


def correlated(e: Tensor, slopes: Tensor) -> Tensor:
    """Return the d ``(*, D)`` of which `e` is :func:`decorrelated`."""
    d = e.clone()
    for i in range(1, d.shape[-1]):
        d[..., i] += _shift(d, slopes, i)
    return d


def _shift(d: Tensor, slopes: Tensor, i: int) -> Tensor:
    return (slopes[..., i * (i - 1) // 2 : i * (i + 1) // 2] * d[..., :i]).sum(-1)
