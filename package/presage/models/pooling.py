"""Sums over the events of sets, in parts: means, and softmax-weighted means.

The softmax keeps its largest score so far, as streaming attention does, so that parts of a
set can be merged in any order: Milakov & Gimelshein 2018, arXiv:1805.02867.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Pooled(NamedTuple):
    """Running sums over the events of sets."""

    events: Tensor  # number of events so far, ``(*)``
    total: Tensor  # sums of inputs and phi, ``(*, I + H)``
    peak: Tensor  # largest score so far and the sum of exp(score - peak), ``(*, S)``
    weight: Tensor
    weighted: Tensor  # sum of exp(score - peak) phi, ``(*, S, H)``

    def merge(self, other: Pooled) -> Pooled:
        """Return the sums over both parts."""
        peak = torch.maximum(self.peak, other.peak)
        # A part without events has peak -inf; exp(-inf - -inf) would be NaN.
        safe = torch.where(peak.isfinite(), peak, torch.zeros_like(peak))
        one, two = (self.peak - safe).exp(), (other.peak - safe).exp()
        return Pooled(
            self.events + other.events,
            self.total + other.total,
            peak,
            self.weight * one + other.weight * two,
            self.weighted * one[..., None] + other.weighted * two[..., None],
        )


def pool(inputs: Tensor, phi: Tensor, scores: Tensor, mask: Tensor | None = None) -> Pooled:
    """Return the sums over sets of ``(*, E, I)``, ``(*, E, H)`` and ``(*, E, S)``.

    The mask ``(*, E)`` is True where there is an event.
    """
    if mask is None:
        count = inputs.new_full(inputs.shape[:-2], float(inputs.shape[-2]))
        peak = scores.amax(-2)
        weights = (scores - peak[..., None, :]).exp()
        total = torch.cat((inputs.sum(-2), phi.sum(-2)), -1)
        return Pooled(count, total, peak, weights.sum(-2), weights.transpose(-1, -2) @ phi)
    there = mask[..., None]
    scores = scores.masked_fill(~there, -math.inf)
    peak = scores.amax(-2)
    safe = torch.where(peak.isfinite(), peak, torch.zeros_like(peak))
    weights = (scores - safe[..., None, :]).exp()
    kept = there.to(phi.dtype)
    total = torch.cat(((inputs * kept).sum(-2), (phi * kept).sum(-2)), -1)
    weighted = weights.transpose(-1, -2) @ phi
    return Pooled(mask.sum(-1).to(phi.dtype), total, peak, weights.sum(-2), weighted)
