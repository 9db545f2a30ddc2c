"""Trained posteriors of parameters in a box: draws, and the density of given parameters.

The network's density lives on the real line, which a link takes to the box of the parameters.
Where a prior is zero inside the box nobody can be: such draws are made again, and the density is
divided by the share that stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from presage.labels import LabelError
from presage.models.box import Box
from presage.models.fitted import FitError
from presage.models.fitted_encoder import FittedSets, SetLabels, check_finite
from presage.models.threads import one_thread
from presage.rng import generator

#: Where in the box a prior is not zero: theta ``(*, P)`` → ``(*)``; None is everywhere.
Support = Callable[[Tensor], Tensor] | None

#: Draws that the flow makes at once.
_ROWS = 1 << 14
#: Times that draws where the prior is zero are made again.
_ROUNDS = 20
#: Draws from which the share of an estimate that is inside is found.
_PROBES = 4096
#: Name of the generators: part of what stored draws are.
_STREAM = "presage.studies.pdf.inference"


@dataclass(frozen=True, eq=False, repr=False)
class FittedPosterior(FittedSets):
    """A trained posterior of parameters, given features of an observation.

    Features are labelled ``[..., number]``, as :meth:`FittedEncoder.encode` returns them.

    Examples
    --------
    ``posterior.sample(encoder.encode(events), 1000)`` has ``theta`` ``[..., draw, parameter]``.
    """

    @cached_property
    def box(self) -> Box:
        """The box of the parameters and its link to the real line."""
        return Box.of(self.declaration, self.model)

    @one_thread()
    def sample(
        self, features: xr.DataArray, n: int, *, seed: int = 0, support: Support = None
    ) -> xr.Dataset:
        """Draw from the posterior of each observation.

        Parameters
        ----------
        features
            ``[..., number]``.
        n
            Draws for each.
        seed
            The same seed gives the same draws.
        support
            Where in the box the prior is not zero.

        Returns
        -------
        xarray.Dataset
            ``theta`` ``[..., draw, parameter]``, ``log_prob`` ``[..., draw]`` (natural logarithm
            of the estimate's density in theta's units) and ``acceptance`` ``[...]``: the share of
            the flow's draws that was inside the support.

        Raises
        ------
        LabelError
            Other features, or `n` below 1.
        FitError
            Hardly any draw is inside the support, or the network has no finite answer.
        """
        if n < 1:
            raise LabelError(f"n is the number of draws, at least 1; got {n}")
        rows, labels = self._rows(features)
        found = []
        for number, summary in enumerate(rows):
            rng = generator(_STREAM, seed, number)
            found.append(self.draws(summary, n, rng, support))
        theta, log_prob, share = (torch.stack(part).numpy() for part in zip(*found, strict=True))
        named = {"parameter": self.declaration["parameter"]}
        title = "natural logarithm of the estimate's density"
        parts = (
            labels.array(
                theta, ("draw", "parameter"), "theta", "draw of the posterior estimate", named
            ),
            labels.array(log_prob, ("draw",), "log_prob", title),
            labels.array(share, (), "acceptance", "physical share of the flow's draws"),
        )
        return xr.Dataset({str(part.name): part for part in parts})

    @one_thread()
    def log_prob(
        self, theta: xr.DataArray, features: xr.DataArray, *, support: Support = None
    ) -> xr.DataArray:
        """Return the natural logarithm of the estimate's density, in theta's own units.

        Parameters
        ----------
        theta
            ``[..., parameter]``; dimensions shared with `features` go along with them.
        features
            ``[..., number]``.
        support
            Where in the box the prior is not zero.

        Returns
        -------
        xarray.DataArray
            ``[dimensions of features, other dimensions of theta]``; -inf outside the support.

        Raises
        ------
        LabelError
            Other features or other parameters.
        """
        rows, labels = self._rows(features)
        values, own = self._theta_of(theta, labels)
        found = [
            self.density(summary, values[i if len(values) > 1 else 0], support)
            for i, summary in enumerate(rows)
        ]
        flat = torch.stack(found).numpy()
        shape = tuple(theta.sizes[d] for d in own)
        coords = {k: c for k, c in theta.coords.items() if set(c.dims) <= set(own)}
        title = "natural logarithm of the estimate's density"
        return labels.array(flat.reshape(len(flat), *shape), own, "log_prob", title, coords)

    # -- tensors -------------------------------------------------------------------------------

    def draws(
        self, summary: Tensor, n: int, rng: np.random.Generator, support: Support = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return theta ``(n, P)`` inside the support, their log density ``(n,)``, and the share.

        Raises
        ------
        FitError
            As :meth:`sample`.
        """
        found: list[Tensor] = []
        had = tried = 0
        for _ in range(_ROUNDS):
            z = self._line_draws(summary, n, rng)
            kept = z[self._usable(self.box.theta(z), support)]
            found.append(kept)
            had, tried = had + len(kept), tried + n
            if had >= n:
                break
        if had < n:
            raise FitError(
                f"of {tried} draws for this set {had} are physical; the estimate has hardly "
                "anything to do with such a set"
            )
        z, share = torch.cat(found)[:n], had / tried
        log_prob = self._line_density(summary, z) - math.log(share)
        check_finite(log_prob)
        return self.box.theta(z), log_prob, torch.tensor(share, dtype=torch.float64)

    def density(self, summary: Tensor, theta: Tensor, support: Support = None) -> Tensor:
        """Return the log density of theta ``(n, P)``, ``(n,)``."""
        usable = self._usable(theta, support)
        inner = torch.where(self.box.inside(theta)[:, None], theta, self.box.low)
        density = self._line_density(summary, self.box.line(inner))
        share = 1.0
        if support is not None:
            z = self._line_draws(summary, _PROBES, generator(f"{_STREAM}.acceptance", 0, 0))
            usable_draws = self._usable(self.box.theta(z), support)
            share = max(float(usable_draws.double().mean()), 1e-12)
        return torch.where(usable, density - math.log(share), -math.inf)

    def _usable(self, theta: Tensor, support: Support) -> Tensor:
        """Say where the prior is not zero, ``(n,)``."""
        inside = self.box.inside(theta)
        if support is None:
            return inside
        return inside & support(torch.where(inside[:, None], theta, self.box.low))

    def given(self, features: Tensor) -> Any:
        """Return the :class:`~presage.models.posterior.Given` of features ``(*, K)``.

        Its ``draw(normal)`` and ``log_prob(z)`` are on the real line, see :attr:`box`.
        """
        with torch.inference_mode():
            return self.network(features)

    def _line_draws(self, summary: Tensor, n: int, rng: np.random.Generator) -> Tensor:
        normal = rng.standard_normal((n, len(self.box.low)), dtype=np.float32)
        given = self.given(summary[None])
        with torch.inference_mode():
            parts = [
                given.draw(part)
                for part in torch.split(torch.from_numpy(normal).to(summary.dtype), _ROWS)
            ]
        # Finite on the line, so that nobody stands on the edge of the box.
        return self.box.finite(torch.cat(parts).double()).clone()

    def _line_density(self, summary: Tensor, z: Tensor) -> Tensor:
        given = self.given(summary[None])
        with torch.inference_mode():
            parts = [
                given.log_prob(part.to(summary.dtype)).double() - self.box.log_slope(part)
                for part in torch.split(z, _ROWS)
            ]
        return torch.cat(parts).clone()

    def _rows(self, features: xr.DataArray) -> tuple[Tensor, SetLabels]:
        """Return features ``(N, K)`` and their labels."""
        labels, wanted = SetLabels.of(features, ("number",)), len(self.declaration["mean"])
        if features.sizes.get("number") != wanted:
            raise LabelError(
                f"features are [..., number] with {wanted} numbers, as the encoder gives them; "
                f"got {dict(features.sizes)}"
            )
        values = features.transpose(*labels.dims, "number").values.reshape(-1, wanted)
        return torch.tensor(values, dtype=self.dtype), labels

    def _theta_of(self, theta: xr.DataArray, labels: SetLabels) -> tuple[Tensor, tuple[str, ...]]:
        """Return theta ``(sets or 1, rows, P)`` and its dimensions that do not count sets."""
        names = [str(name) for name in self.declaration["parameter"]]
        if not isinstance(theta, xr.DataArray) or "parameter" not in theta.dims:
            raise LabelError("theta should be a labelled array with a dimension 'parameter'")
        found = (
            [str(n) for n in theta["parameter"].values] if "parameter" in theta.coords else names
        )
        if sorted(found) != sorted(names) or theta.sizes["parameter"] != len(names):
            raise LabelError(
                f"theta has the parameters {', '.join(found)}; this posterior is of "
                f"{', '.join(names)}: of another problem?"
            )
        theta = theta.sel(parameter=names) if "parameter" in theta.coords else theta
        own = tuple(str(d) for d in theta.dims if d not in (*labels.dims, "parameter"))
        shared = tuple(d for d in labels.dims if d in theta.dims)
        if shared and shared != labels.dims:
            raise LabelError(
                f"theta has {shared} of the dimensions {labels.dims} of events: all or none"
            )
        values = theta.transpose(*shared, *own, "parameter").values.astype(np.float64)
        sets = math.prod(theta.sizes[d] for d in shared)
        return torch.from_numpy(values.reshape(sets, -1, len(names)).copy()), own
