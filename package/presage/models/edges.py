"""Parameters drawn towards the edges of their box, and weights that leave posteriors as they are.

In six dimensions hardly any theta of a flat prior lies in a corner, and what a network says there
is a guess. So a share s of the theta may have places u in their ranges from the arcsine law, which
makes their density, over the prior's,

    e(u) = 1 - s + s prod_i 1 / (pi sqrt(u_i (1 - u_i))).

Which observations x a network learns from is free, as long as theta has its law under the prior
given x. Each pair therefore counts h(x) / e(u) with any h: here that of the place that a point
estimate gives x, so that weights are about one.
"""

from __future__ import annotations

import math

import xarray as xr
from torch import Tensor

#: How far beyond the edges the law of h reaches, in ranges: h must be smooth where u is uncertain.
_REACH = 0.06


def arcsine(uniform: Tensor) -> Tensor:
    """Return numbers of the arcsine law, Beta(1/2, 1/2), of uniform ones."""
    return (0.5 * math.pi * uniform).sin().square()


def excess(unit: Tensor, share: float, reach: float = 0.0) -> Tensor:
    """Return e, see the module, at places ``(*, P)`` in the unit box, ``(*,)``.

    With a `reach` the arcsine law is one of a range so much longer at both ends.
    """
    inner = unit.clamp(0, 1)
    norm = math.pi - 4 * math.asin(math.sqrt(reach / (1 + 2 * reach)))
    each = (inner + reach) * (1 - inner + reach)
    ratio = (-0.5 * each.clamp(min=1e-12).log() - math.log(norm)).sum(-1).exp()
    return 1 - share + share * ratio


def pair_weight(unit: Tensor, estimate: Tensor, share: float) -> Tensor:
    """Return what pairs of theta and an observation count for.

    Of places `unit` ``(*, P)`` of theta and what an `estimate` ``(*, P)`` of x says they are.
    """
    return excess(estimate, share, _REACH) / excess(unit, share)


def share_of(dataset: xr.Dataset) -> float:
    """Return which share of the theta of a dataset was drawn towards the edges."""
    found = dataset.coords.get("parameter_edges")
    return 0.0 if found is None else float(found[0])
