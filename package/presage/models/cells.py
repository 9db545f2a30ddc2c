"""Probabilities of cells under a map to the standard normal, F(high) - F(low), in logarithms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from presage.transforms.event_scale import roles_of

#: Cells narrower than this are taken by their middle.
_NARROW = 0.05
#: Below, probabilities are worked on by their logarithms: torch's ndtr has few digits there, and
#: from -8.3 on it is 0.
_TAIL = -5.0


@dataclass(frozen=True)
class Roles:
    """Which columns of a network are points and cells, and which are not always there."""

    points: tuple[int, ...]
    cells: tuple[int, ...]
    rests: tuple[int, ...]  # among the points; each is there or not

    @classmethod
    def of(cls, declaration: Mapping[str, Any]) -> Roles | None:
        """Return those of a declaration, None where its network takes points alone."""
        if not declaration.get("exact", False):
            return None
        roles = list(enumerate(roles_of(declaration)))
        return cls(
            tuple(k for k, role in roles if role != "cell"),
            tuple(k for k, role in roles if role == "cell"),
            tuple(k for k, role in roles if role == "rest"),
        )


def log_between(low: Tensor, high: Tensor) -> Tensor:
    """Return ln(Phi(high) - Phi(low)) for low < high, each ``(*)``."""
    width, middle = high - low, (high + low) / 2
    # Narrow cells by their middle, to fourth order: their ends are too close to be subtracted.
    narrow = width < _NARROW
    safe = width.clamp(min=1e-7)
    bend = (middle.square() - 1) * safe.square() / 24
    inner = safe.log() + log_normal(middle) + torch.where(narrow, bend, torch.zeros_like(bend))
    # The others in the lower tail, where the logarithms of both ends are apart.
    flipped = middle > 0
    a, b = torch.where(flipped, -high, low), torch.where(flipped, -low, high)
    above = torch.special.log_ndtr(b)
    gap = (torch.special.log_ndtr(a) - above).clamp(max=-1e-7)
    wide = above + torch.log(-torch.expm1(gap))
    return torch.where(narrow, inner, wide)


def normal_between(normal: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return normal numbers ``(*)`` that are kept between `low` and `high`, made of plain ones."""
    # In the lower tail, where probabilities are apart.
    sign = torch.where(low + high > 0, -1.0, 1.0).double()
    one, two = sign * low.double(), sign * high.double()
    below, above = torch.minimum(one, two), torch.maximum(one, two)
    start, end = torch.special.ndtr(below), torch.special.ndtr(above)
    share = torch.special.ndtr(sign * normal.double())
    kept = torch.special.ndtri(start + (end - start) * share)
    kept = torch.where(above < _TAIL, _in_tail(share, below, above), kept).clamp(below, above)
    found: Tensor = (sign * kept).to(normal.dtype)
    return found


def _in_tail(share: Tensor, below: Tensor, above: Tensor) -> Tensor:
    """Return where `share` of the probability between two places lies below, by its logarithm."""
    end = torch.special.log_ndtr(above)
    start = (torch.special.log_ndtr(below) - end).exp()
    wanted = end + (start + (1 - start) * share).log()
    # Close: ln Phi(x) is -x^2 / 2 and what varies slowly. Newton's steps do the rest.
    x: Tensor = -(above.square() + 2 * (end - wanted)).sqrt()
    for _ in range(3):
        log_ndtr: Tensor = torch.special.log_ndtr(x)
        x = x - (log_ndtr - wanted) * (log_ndtr - log_normal(x)).exp()
    return x


def log_normal(x: Tensor) -> Tensor:
    """Return the logarithm of the standard normal density, ``(*)``."""
    return -0.5 * x.square() - 0.5 * math.log(2 * math.pi)
