"""Linear layers with few inputs, arranged for cheap training on CPUs.

A flow's perceptrons begin with a few variables and condition features. For so few columns
the products of a gradient, dL/dW = G^T X and dL/dX = G W, are 3 to 20 times as quick when
their transposes are computed, X^T G and W^T G^T: the libraries block them badly as they
stand. What is evaluated is the same to the last bit; gradients differ by rounding.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Inputs from which the usual order of the products is as quick.
_WIDE = 16


class _Narrow(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return functional.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        (gradient,) = gradients
        rows = gradient.reshape(-1, gradient.shape[-1])
        of_weight = (x.reshape(-1, x.shape[-1]).t() @ rows).t()
        of_x = (weight.t() @ rows.t()).t().reshape(x.shape) if ctx.needs_input_grad[0] else None
        return of_x, of_weight, rows.sum(0)


class NarrowLinear(nn.Linear):
    """A linear layer, perhaps masked ``[output, input]``; gradients are cheap for few inputs."""

    mask: Tensor | None

    def __init__(self, inputs: int, outputs: int, mask: Tensor | None = None) -> None:
        super().__init__(inputs, outputs)
        self.register_buffer("mask", mask)

    @classmethod
    def taking_over(cls, layer: Any) -> NarrowLinear:
        """Return a layer with the parameters of another, masked or not, under the same names."""
        with torch.random.fork_rng(devices=[]):  # initial weights are drawn only to be replaced
            made = cls(layer.in_features, layer.out_features, getattr(layer, "mask", None))
        made.weight, made.bias = layer.weight, layer.bias
        return made

    def forward(self, x: Tensor) -> Tensor:
        """Return W x + b, ``(*, outputs)``."""
        weight = self.weight if self.mask is None else self.mask * self.weight
        if self._is_narrow(x):
            return cast(Tensor, _Narrow.apply(x, weight, self.bias))  # type: ignore[no-untyped-call]
        return functional.linear(x, weight, self.bias)

    def _is_narrow(self, x: Tensor) -> bool:
        """Say whether gradients are wanted, and by other ways than the usual."""
        if not torch.is_grad_enabled() or torch.compiler.is_compiling():
            return False
        few = self.in_features < min(_WIDE, self.out_features)
        return few and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
