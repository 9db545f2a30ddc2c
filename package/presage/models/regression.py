"""Regression as pooling: one feature of the events fitted to learned functions of the others.

Where events are pairs of a place and a value measured there, what a set says is the curve
through the values. Means of products hold it, but as the solution of normal equations: a
small difference of numbers that scatter with the places. Here the equations are solved,

    beta = (mean u u^T + ridge)^-1 mean u y,

for each set, with u = (1, other features, learned functions of them), and the curve at some
fixed places and the scatter about it become features. The means are sums over events, so
order and chunks do not matter, and u is trained through the solution.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from presage.labels import LabelError, nearest
from presage.models.density import perceptron
from presage.models.inputs import to_scale

#: Added to the mean of u u^T, whose entries are about 1: sets smaller than u stay solvable.
_RIDGE = 1e-5
_PLACES, _LEAST_VARIANCE = 16, 1e-8


class LeastSquares(nn.Module):
    """Least squares of a number on `size` others for each set, from means over its events.

    The `ridge` is added to the mean of u u^T; `least` is the smallest mean square of what is left.
    So many `columns` of an event are averaged.
    """

    def __init__(self, size: int, ridge: float, least: float) -> None:
        super().__init__()
        self.size, self.ridge, self.least = size, ridge, least
        row, column = np.triu_indices(size)
        self.register_buffer("row", torch.as_tensor(row), persistent=False)
        self.register_buffer("column", torch.as_tensor(column), persistent=False)
        self.columns = len(row) + size + 1

    def averaged(self, u: Tensor, y: Tensor) -> Tensor:
        """Return what is averaged, ``(*, columns)``, of u ``(*, U)`` and y ``(*, 1)``."""
        row, column = self.get_buffer("row"), self.get_buffer("column")
        return torch.cat((u[..., row] * u[..., column], u * y, y * y), -1)

    def solved(self, mean: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return beta ``(*, U)``, the products of u, and ln of the scatter, ``(*, 1)``."""
        row, column = self.get_buffer("row"), self.get_buffer("column")
        pairs, with_y, square = mean.double().tensor_split((len(row), -1), -1)
        matrix = pairs.new_zeros(*mean.shape[:-1], self.size, self.size)
        matrix[..., row, column] = pairs
        matrix[..., column, row] = pairs
        one = torch.eye(self.size, dtype=matrix.dtype, device=matrix.device)
        beta = torch.linalg.solve(matrix + self.ridge * one, with_y[..., None])[..., 0]
        explained = (beta * (2 * with_y - (matrix @ beta[..., None])[..., 0])).sum(-1)
        rest = (square[..., 0] - explained).clamp(min=self.least)
        return beta, pairs, 0.5 * rest.log()[..., None]


class RegressionPool(LeastSquares):
    """The fit of one feature to the others.

    `fitted` has ``names`` and ``places``; the encoder's settings are `regress`, the feature that is
    fitted, to so many learned `functions` of the others, whose network has this `activation`.
    `outputs` is the numbers that a set becomes.
    """

    def __init__(self, fitted: Mapping[str, Any], encoder: Any) -> None:
        names = list(fitted["names"])
        super().__init__(len(names) + encoder.functions, _RIDGE, _LEAST_VARIANCE)
        self.response = names.index(encoder.regress)
        self.others = [i for i in range(len(names)) if i != self.response]
        self.functions = perceptron(len(self.others), encoder.functions, (32,), encoder.activation)
        self.register_buffer("places", torch.tensor(fitted["places"]))
        self.outputs = len(fitted["places"]) + 1

    @classmethod
    def fit(
        cls, events: Tensor, inputs: Mapping[str, Any], encoder: Any
    ) -> dict[str, list[list[float]]]:
        """Return places, standardised, of the features beside the fitted one in events ``(*, F)``.

        `inputs` is what is known of the features, `encoder` the encoder's settings.
        """
        names, response = list(inputs["names"]), encoder.regress
        if response not in names or len(names) < 2:
            raise LabelError(f"no feature {response!r} to fit to others{nearest(response, names)}")
        flat = events.reshape(-1, events.shape[-1])
        chosen = np.linspace(0, len(flat) - 1, _PLACES).round().astype(int)
        standard = to_scale(flat[torch.as_tensor(chosen)].double(), inputs)
        standard = (standard - torch.tensor(inputs["shift"])) / torch.tensor(inputs["width"])
        others = [i for i, name in enumerate(names) if name != response]
        return {"places": standard[:, others].tolist()}

    def forward(self, standard: Tensor) -> Tensor:
        """Return what is averaged, ``(*, columns)``, of standardised features ``(*, F)``."""
        return self.averaged(
            self._u(standard[..., self.others]), standard[..., self.response, None]
        )

    def finish(self, mean: Tensor) -> Tensor:
        """Return the curve at the places and ln of the scatter about it, ``(*, outputs)``."""
        beta, _, scatter = self.solved(mean)
        curve = beta @ self._u(self.get_buffer("places")).T.to(beta.dtype)
        return torch.cat((curve, scatter), -1).to(mean.dtype)

    def _u(self, others: Tensor) -> Tensor:
        return torch.cat((torch.ones_like(others[..., :1]), others, self.functions(others)), -1)
