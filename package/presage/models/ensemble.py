"""Seed ensembles: networks that differ in their initial weights alone, used as one density.

    p(x | c) = (1/K) sum_k p_k(x | c)

averages out what training by a random start left to chance, and the members' disagreement
shows where there was much of it. The members see the same batches, each goes down the
gradient of its own -log p, and all are trained in one fit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from presage.labels import LabelError, check_name
from presage.models.coupling import CouplingSpline, RealNVP
from presage.models.density import DensityNetwork, Settle, pick
from presage.models.fitted_density import DensityModel
from presage.models.flow import MAF, SplineFlow
from presage.models.mixture import MixtureDensity
from presage.models.table import with_settings
from presage.recipe import settings_of

#: Name → specification of what stands on its own.
SINGLE: dict[str, type[Any]] = {
    kind.name: kind for kind in (SplineFlow, MAF, RealNVP, CouplingSpline, MixtureDensity)
}


def single(name: str, settings: Mapping[str, Any]) -> Any:
    """Return the specification of a member by its name."""
    check_name("model", name, SINGLE)
    return with_settings(SINGLE[name], name, settings)


class EnsembleNetwork(DensityNetwork):
    """Networks of the same shape, at least one, as one."""

    def __init__(self, members: list[DensityNetwork]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.numbers = members[0].numbers + 1

    def each_log_prob(self, condition: Tensor | None, target: Tensor) -> Tensor:
        """Return the members' log p of each row, ``(K, B)``."""
        return torch.stack([member.log_prob(condition, target) for member in self._each()])

    def log_prob(self, condition: Tensor | None, target: Tensor) -> Tensor:
        """Return log p of each row, ``(B,)``."""
        each = self.each_log_prob(condition, target)
        return each.logsumexp(0) - math.log(len(each))

    def log_prob_of(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return log p of each row of a batch, ``(B,)``."""
        each = torch.stack([member.log_prob_of(batch) for member in self._each()])
        return each.logsumexp(0) - math.log(len(each))

    def draw(self, condition: Tensor | None, numbers: Tensor) -> Tensor:
        """Return one event ``(B, D)`` for each row of `numbers`; the last picks its member."""
        return self._draw(condition, numbers, None)

    def draw_settled(self, condition: Tensor | None, numbers: Tensor, settle: Settle) -> Tensor:
        """Return the same, the columns settled one after the other."""
        return self._draw(condition, numbers, settle)

    def _draw(self, condition: Tensor | None, numbers: Tensor, settle: Settle | None) -> Tensor:
        equal = numbers.new_full((len(self.members),), 1 / len(self.members))
        picked = pick(equal, numbers[:, -1])
        rows = [(picked == k).nonzero()[:, 0] for k in range(len(self.members))]
        parts = []
        for member, own in zip(self._each(), rows, strict=True):
            given = (None if condition is None else condition[own], numbers[own, :-1])
            drawn = (
                member.draw(*given)
                if settle is None
                else member.draw_settled(*given, settle.at(own))
            )
            parts.append(drawn)
        return torch.cat(parts)[torch.cat(rows).argsort()]

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the members' mean -log p of each row, ``(B,)``.

        Its gradient is that of their sum: each member learns as it would alone.
        """
        each = torch.stack([member.loss(batch) for member in self._each()])
        total = each.sum(0)
        return total + (each.mean(0) - total).detach()

    def _each(self) -> list[DensityNetwork]:
        return [member for member in self.members if isinstance(member, DensityNetwork)]


@dataclass(frozen=True, repr=False)
class Ensemble(DensityModel):
    """Several networks of one model with their own initial weights, averaged as densities.

    Parameters
    ----------
    model
        Name of the members' model.
    members
        How many.
    settings
        Settings of the members' model; those left out have its defaults.
    """

    model: str = "spline_flow"
    members: int = 4
    settings: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "ensemble"
    #: Rises with that of any member.
    version: ClassVar[int] = 1 + sum(kind.version - 1 for kind in SINGLE.values())
    #: Versions whose stored models can still be read.
    readable: ClassVar[tuple[int, ...]] = (1, 6, 11)

    def __post_init__(self) -> None:
        if self.members < 1:
            raise LabelError(f"an ensemble needs members, got members={self.members}")
        member = single(self.model, self.settings)
        # All of them, so that a recipe does not depend on which were spelled out.
        object.__setattr__(self, "settings", settings_of(member))

    def __repr__(self) -> str:
        usual = SINGLE[self.model]()
        own = {n: value for n, value in self.settings.items() if value != getattr(usual, n)}
        return f"Ensemble(model={self.model!r}, members={self.members}, settings={own})"

    def __hash__(self) -> int:
        return hash((self.members, self.member))

    @property
    def member(self) -> Any:
        """The specification of a member."""
        return SINGLE[self.model](**self.settings)

    @property
    def takes_cells(self) -> bool:
        """Whether its members do."""
        return bool(getattr(self.member, "takes_cells", False))

    def build(self, declaration: Mapping[str, Any]) -> EnsembleNetwork:
        """Return untrained members for what `declaration` says."""
        return EnsembleNetwork([self.member.build(declaration) for _ in range(self.members)])
