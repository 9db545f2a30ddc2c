"""Regression as pooling on fixed functions: for curves x^a (1 - x)^b times a smooth function.

Where the values measured at x have a logarithm that is nearly linear in known functions,

    u = (1, other features, ln(1 - x), Legendre polynomials of x),

the coefficients of least squares are nearly all that a set says: with normal errors they and
the mean of u u^T are sufficient up to what the polynomials miss. They are solved for in
float64, with u made orthonormal over the training events, so that errors of the
coefficients are about equal and independent. The mean of u u^T less 1 follows, which says how
far from that the places of this set are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from presage.labels import LabelError, nearest
from presage.models.inputs import to_scale
from presage.models.regression import LeastSquares

#: Degree of the polynomials; places that the functions are made orthonormal on.
_DEGREE, _PLACES = 8, 200_000
_RIDGE, _LEAST_VARIANCE, _FARTHEST = 1e-6, 1e-12, 5.0
#: Coefficients of polynomials follow as asinh(factor · coefficient) too: bends that are sharp
#: beside the scatter over all theta are smooth in one of them. Factor → how many.
_ZOOMS = {30.0: 6, 200.0: 4}


def curve_functions(
    standard: Tensor, fitted: Mapping[str, Any], response: str, place: str
) -> Tensor:
    """Return u ``(*, U)`` of standardised features ``(*, F)``, float64."""
    names = list(fitted["names"])
    at = names.index(place)
    others = [i for i, name in enumerate(names) if name != response]
    low, high = fitted["lower"][at], fitted["upper"][at]
    value = standard[..., at].double() * fitted["width"][at] + fitted["shift"][at]
    x = _raw(value, fitted["scale"][at], low, high).clamp(low, high)
    s = (2 * x - (low + high)) / (high - low)
    legendre = [torch.ones_like(s), s]
    for n in range(1, _DEGREE):
        legendre.append(((2 * n + 1) * s * legendre[n] - n * legendre[n - 1]) / (n + 1))
    columns = [legendre[0], *standard[..., others].double().unbind(-1), torch.log1p(-x)]
    return torch.stack((*columns, *legendre[1:]), -1)


def _raw(value: Tensor, scale: str, low: float, high: float) -> Tensor:
    """Undo :func:`~presage.models.inputs.to_scale` for one feature."""
    if scale == "log":
        return value.exp() + min(low, 0.0)
    return low + (high - low) * torch.sigmoid(value) if scale == "logit" else value


class CurvePool(LeastSquares):
    """Least squares of one feature on fixed functions of the others.

    `fitted` has ``names`` and ``rotation``; the encoder's settings are `regress`, the feature that
    is fitted, and `place`, the one that the polynomials are of. `outputs` is the numbers that a set
    becomes.
    """

    def __init__(self, fitted: Mapping[str, Any], encoder: Any) -> None:
        rotation = torch.tensor(fitted["rotation"], dtype=torch.float64)
        super().__init__(len(rotation), _RIDGE, _LEAST_VARIANCE)
        self.fitted, self.response, self.place = fitted, encoder.regress, encoder.place
        self.number = list(fitted["names"]).index(self.response)
        self.register_buffer("rotation", rotation, persistent=False)
        self.outputs = self.columns + sum(_ZOOMS.values())

    @classmethod
    def fit(cls, events: Tensor, inputs: Mapping[str, Any], encoder: Any) -> dict[str, Any]:
        """Return what makes the functions orthonormal over events ``(*, F)``, as nested lists."""
        names, response, place = list(inputs["names"]), encoder.regress, encoder.place
        for name in (response, place):
            if name not in names or response == place:
                raise LabelError(f"no feature {name!r} for a curve{nearest(name, names)}")
        low, high = (inputs[end][names.index(place)] for end in ("lower", "upper"))
        if low is None or high is None or not 0 <= low < high < 1:
            raise LabelError(f"a curve in {place} needs bounds with 0 <= low < high < 1")
        flat = events.reshape(-1, events.shape[-1])
        step = max(1, len(flat) // _PLACES)
        scaled = to_scale(flat[::step].double(), inputs)
        shift, width = (torch.tensor(inputs[k], dtype=torch.float64) for k in ("shift", "width"))
        functions = curve_functions((scaled - shift) / width, inputs, response, place)
        upper = torch.linalg.qr(functions / len(functions) ** 0.5).R
        upper = upper * upper.diagonal().sign()[:, None]
        return {"rotation": torch.linalg.inv(upper).tolist()}

    def forward(self, standard: Tensor) -> Tensor:
        """Return what is averaged, ``(*, columns)``, of standardised features ``(*, F)``."""
        functions = curve_functions(standard, self.fitted, self.response, self.place)
        u = (functions @ self.get_buffer("rotation").to(functions)).to(standard.dtype)
        return self.averaged(u, standard[..., self.number, None])

    def finish(self, mean: Tensor) -> Tensor:
        """Return coefficients, zooms of them, mean u u^T - 1 and ln of the scatter."""
        beta, pairs, scatter = self.solved(mean)
        smooth = beta[..., self.size - _DEGREE :] * self.fitted["width"][self.number]
        zooms = [(factor * smooth[..., :count]).asinh() for factor, count in _ZOOMS.items()]
        one = (self.get_buffer("row") == self.get_buffer("column")).to(pairs)
        uneven = (pairs - one).clamp(-_FARTHEST, _FARTHEST)
        return torch.cat((beta, *zooms, uneven, scatter), -1).to(mean.dtype)
