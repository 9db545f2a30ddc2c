"""The network of a set encoder: phi of each event, pooling, and the point estimate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from presage.models.density import decorrelated, hidden_layers
from presage.models.edges import excess
from presage.models.inputs import FeatureMap
from presage.models.pooling import Pooled, pool

#: Values of phi that are worked on at once when nothing else is said.
_CHUNK_VALUES = 1 << 22


class SetNetwork(nn.Module):
    """phi, pooling and the head of a :class:`~presage.models.SetEncoder`; see the module.

    The declaration has ``inputs``, ``low`` and ``high``.
    """

    def __init__(self, spec: Any, declaration: Mapping[str, Any]) -> None:
        super().__init__()
        self.spec = spec
        self.moments = bool(declaration.get("moments"))  # of version 1: mean products
        self.towards_edges = float(declaration.get("towards_edges", 0.0))
        parameters = len(declaration["low"])
        self.inputs = FeatureMap(declaration["inputs"], spec.products)
        width = spec.hidden[-1]
        self.phi = hidden_layers(self.inputs.outputs, spec.hidden, spec.activation)
        self.score = nn.Linear(width, max(spec.seeds, 1), bias=False)
        values = torch.randn(spec.seeds, width, spec.values) / math.sqrt(width)
        self.values = nn.Parameter(values)
        self.regression = spec.pooling(declaration["inputs"], spec) if spec.regress else None
        extra = self.regression.outputs if self.regression else 0
        self.pooled = self.inputs.outputs + width + spec.seeds * spec.values + extra + 1
        self.body = hidden_layers(self.pooled, spec.head, spec.activation)
        self.point_head = nn.Linear(spec.head[-1], parameters)
        triangle = parameters * (parameters + 1) // 2
        self.shape_head = (
            nn.Linear(spec.head[-1], triangle) if spec.objective == "gaussian" else None
        )
        for name in ("low", "high"):
            self.register_buffer(name, torch.tensor(declaration[name]))
        self.features = self.pooled + parameters

    # -- pooling -----------------------------------------------------------------------------

    def events(self, events: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return inputs ``(*, E, I)``, phi ``(*, E, H)`` and scores ``(*, E, S)`` of events.

        What a regression averages follows the inputs.
        """
        inputs = self.inputs(events)
        phi = self.phi(inputs)
        if self.regression is not None:
            standard = inputs[..., : events.shape[-1]]
            inputs = torch.cat((inputs, self.regression(standard)), -1)
        return inputs, phi, self.score(phi)[..., : self.spec.seeds]

    def sums(self, events: Tensor, mask: Tensor | None = None) -> Pooled:
        """Return the sums over a part of sets ``(*, E, F)``; `mask` ``(*, E)``: what is there."""
        if mask is not None:  # what fills the gaps must be harmless, not merely weighted with 0
            events = torch.where(mask[..., None], events, self.inputs.harmless.to(events))
        return pool(*self.events(events), mask)

    def finish(self, pooled: Pooled) -> Tensor:
        """Return the pooled features ``(*, K)``, log10 N last; means of no event are 0."""
        mean = pooled.total / pooled.events.clamp(min=1)[..., None]
        curve: list[Tensor] = []
        if self.regression is not None:
            sizes = [self.inputs.outputs, self.regression.columns, self.spec.hidden[-1]]
            inputs, columns, phi = torch.split(mean, sizes, -1)
            mean, curve = torch.cat((inputs, phi), -1), [self.regression.finish(columns)]
        parts = [mean]
        if self.moments:
            outputs = self.inputs.outputs
            parts = [self.inputs.moments(mean[..., :outputs]), mean[..., outputs:]]
        if self.spec.seeds:
            least = torch.finfo(pooled.weight.dtype).tiny
            attended = pooled.weighted / pooled.weight.clamp(min=least)[..., None]
            parts.append(torch.einsum("...sh,shv->...sv", attended, self.values).flatten(-2))
        return torch.cat((*parts, *curve, pooled.events.clamp(min=0.1).log10()[..., None]), -1)

    def encode(self, events: Tensor, mask: Tensor | None = None, chunk: int = 0) -> Tensor:
        """Return the pooled features of sets ``(*, E, F)``, ``(*, K)``; log10 N is -1 for none.

        Events and mask are as in :meth:`sums`; `chunk` events are taken at a time, for 0 what fits
        about 100 MB.
        """
        if events.shape[-2] == 0:  # a place for an event, and nothing in it
            events = events.new_zeros(*events.shape[:-2], 1, events.shape[-1])
            mask = torch.zeros(events.shape[:-1], dtype=torch.bool, device=events.device)
        total, sets = events.shape[-2], max(1, math.prod(events.shape[:-2]))
        size = chunk or max(1, _CHUNK_VALUES // (sets * self.spec.hidden[-1]))
        if torch.is_grad_enabled() and not chunk:
            size = total
        pooled: Pooled | None = None
        for start in range(0, total, size):
            part = None if mask is None else mask[..., start : start + size]
            one = self.sums(events[..., start : start + size, :], part)
            pooled = one if pooled is None else pooled.merge(one)
        return self.finish(cast(Pooled, pooled))

    # -- estimates ---------------------------------------------------------------------------

    def hidden(self, pooled: Tensor) -> Tensor:
        """Return the last hidden layer ``(*, H)``, of which the point estimate is linear."""
        return cast(Tensor, self.body(pooled))

    def point(self, pooled: Tensor) -> Tensor:
        """Return the point estimate in unit-box coordinates, ``(*, P)``."""
        return cast(Tensor, self.point_head(self.hidden(pooled)))

    def summary(self, pooled: Tensor) -> Tensor:
        """Return what posteriors are conditioned on: point estimate, pooled features, log10 N."""
        return torch.cat((self.point(pooled), pooled), -1)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the loss of each sample, ``(B,)``; a random part of a random set of each."""
        events, mask = self._choose(batch["events"], batch.get("event_mask"))
        pooled = self.encode(events, mask)
        hidden = self.hidden(pooled)
        low, span = self.get_buffer("low"), self.get_buffer("high") - self.get_buffer("low")
        unit = ((batch["theta"] - low) / span).to(pooled.dtype)
        far = unit - self.point_head(hidden)
        if self.shape_head is None:
            losses = cast(Tensor, far.square().mean(-1))
        else:
            losses = _normal_loss(far, self.shape_head(hidden), pooled[..., -1])
        # As if all theta were from the prior: a point estimate is the mean of its posterior.
        return losses / excess(unit, self.towards_edges) if self.towards_edges else losses

    def _choose(self, events: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return one set for each sample, with a random number of its events."""
        if events.dim() == 4:
            own = torch.arange(len(events), device=events.device)
            picked = torch.randint(events.shape[1], (len(events),), device=events.device)
            events = events[own, picked]
            mask = None if mask is None else (mask[own, picked] if mask.dim() == 3 else mask)
        total = events.shape[-2]
        if mask is not None or self.spec.resample == "none" or total <= self.spec.smallest:
            return events, mask
        most = max(self.spec.smallest, min(total, self.spec.at_once // len(events)))
        span = math.log(most / self.spec.smallest)
        count = round(self.spec.smallest * math.exp(span * float(torch.rand(()))))
        if self.spec.resample == "bootstrap":
            chosen = torch.randint(total, (count,), device=events.device)
        else:
            chosen = torch.randperm(total, device=events.device)[:count]
        return events.index_select(-2, chosen), None


def _normal_loss(far: Tensor, raw: Tensor, log10_count: Tensor) -> Tensor:
    """Return -log N of residuals, from a triangle; widths begin as 0.3 / sqrt(N)."""
    parameters = far.shape[-1]
    start = math.log(0.3) - 0.5 * math.log(10) * log10_count[..., None]
    # Softly bounded: no set makes a width vanish.
    widths = raw[..., :parameters]
    shift = widths / (1 + widths.abs() / 5)
    normal = decorrelated(far * (-start).exp(), raw[..., parameters:]) * (-shift).exp()
    return 0.5 * normal.square().sum(-1) + (shift + start).sum(-1)
