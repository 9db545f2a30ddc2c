"""Posterior of parameters in a box, from pooled features of sets: location, scale, and a flow.

Posteriors are far narrower than the prior, so a flow alone spends its training on finding
them. Here z, the place of theta in the box, is first standardised,

    d_i = (z_i - m_i) / w_i(N),    r_i = exp(-s_i) (d_i - sum_{j<i} t_ij d_j),

and a conditional spline flow then has only the shape of r to learn:

    p(theta) = p_flow(r) prod_i exp(-s_i) / w_i · |dz/dtheta|.

Under a flat prior a posterior is a likelihood cut off at the edges of the box. So is this
density: with T_i the flow's map of r_i to a normal number, and a_i, b_i its values at the edges,

    p(r) = prod_i N(T_i(r_i)) T_i'(r_i) / (Phi(b_i) - Phi(a_i)).

Location and scale are then as smooth at an edge, and in a corner, as in the middle of the box,
where most of the training is. A link that takes the box to the whole line (the probit)
stretches every posterior by how near the edge it is, which a network has to learn for each
combination of edges.

m = linear start + network, s and t (the modified Cholesky factors of the precision,
Pourahmadi 1999, Biometrika 86, 677) are network outputs. The linear start and w(N), a power
of N, are least squares over the training views. Features are whitened.

Sources: neural posterior estimation, Papamakarios & Murray 2016, arXiv:1605.06376;
neural splines, Durkan et al. 2019, arXiv:1906.04032.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from presage.labels import LabelError, Variable, check_name
from presage.lineage import RECIPE, recipe_of, sample_dim
from presage.models.box import COORDINATES, LINKS, Box
from presage.models.cells import log_between, log_normal, normal_between
from presage.models.density import check_perceptrons, hidden_layers
from presage.models.edges import pair_weight, share_of
from presage.models.fitted_posterior import FittedPosterior
from presage.models.flow import FlowNetwork, SplineFlow
from presage.models.prepared import Prepared
from presage.models.standardise import Standardised, fit_start

#: Where nothing is cut off, in r.
_FAR = 1e4


class Given(NamedTuple):
    """The density of z ``(*, P)``, on the real line, given features; they were read once.

    One row of features does for many z.
    """

    standardised: Standardised
    context: Tensor
    flow: FlowNetwork
    box: Box

    def log_prob(self, z: Tensor) -> Tensor:
        """Return the log density of z ``(*, P)``, ``(*)``."""
        r, log_det = self.standardised.forward(z)
        context = self.context.expand(*r.shape[:-1], -1)
        if not self.box.truncated:
            return log_det - self.flow.loss({"condition": context, "target": r})
        maps = self.flow.each_map(context, r)(list(range(r.shape[-1])))
        normal, steepness = maps.call_and_ladj(r)
        low, high = (maps(edge) for edge in self._edges(z))
        each = log_normal(normal) + steepness - log_between(low, high)
        total: Tensor = each.sum(-1) + log_det
        return total

    def draw(self, normal: Tensor) -> Tensor:
        """Return z ``(*, P)`` of standard normal numbers ``(*, P)``."""
        context = self.context.expand(*normal.shape[:-1], -1)
        if not self.box.truncated:
            return self.standardised.inverse(self.flow.draw(context, normal))
        r = torch.zeros_like(normal)
        for i in range(normal.shape[-1]):
            z = self.standardised.inverse(r)  # right in those before
            column = self.flow.map_of(i, context, r)
            low, high = (column(edge[..., i : i + 1]) for edge in self._edges(z))
            found = column.inv(normal_between(normal[..., i : i + 1], low, high))
            r = torch.cat((r[..., :i], found, r[..., i + 1 :]), -1)
        return self.box.finite(self.standardised.inverse(r))

    def _edges(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return r of the edges, each given the z before it, and no farther than matters."""
        ends = cast(tuple[Tensor, Tensor], self.box.edges(z))
        low, high = (self.standardised.edges(z, end) for end in ends)
        return low.clamp(min=-_FAR), high.clamp(max=_FAR)


class PosteriorNetwork(nn.Module):
    """The network of a :class:`PosteriorFlow`; see the module."""

    def __init__(self, spec: PosteriorFlow, declaration: Mapping[str, Any]) -> None:
        super().__init__()
        self.spec, self.parameters_count = spec, len(declaration["low"])
        for name in ("mean", "whiten", "start", "offset", "width", "power"):
            self.register_buffer(name, torch.tensor(declaration[name]))
        inputs, count = len(declaration["whiten"][0]), self.parameters_count
        self.body = hidden_layers(inputs, spec.hidden, spec.activation)
        outputs = 2 * count + count * (count - 1) // 2
        self.shape = nn.Linear(spec.hidden[-1], outputs)
        nn.init.zeros_(self.shape.weight)
        nn.init.zeros_(self.shape.bias)
        self.context = nn.Linear(spec.hidden[-1], spec.context)
        flow = SplineFlow(spec.flow_hidden, spec.layers, spec.activation, spec.bins)
        self.flow = flow.build({"variables": [{}] * count, "parameters": [{}] * spec.context})
        self.box = Box.of(declaration, spec)

    def forward(self, features: Tensor) -> Given:
        """Return the density of z given features ``(*, K)``."""
        own = self.get_buffer
        white = (features - own("mean")) @ own("whiten")
        hidden = self.body(white)
        count = self.parameters_count
        shift, scales, slopes = self.shape(hidden).tensor_split((count, 2 * count), -1)
        width = own("width") * (features[..., -1:] * own("power")).exp()
        location = white @ own("start") + own("offset") + width * shift
        # Softly bounded: no set makes a width vanish.
        scales = scales / (1 + scales.abs() / 8)
        standardised = Standardised(location, width, scales, slopes)
        return Given(standardised, self.context(hidden), self.flow, self.box)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return -log p of each theta, averaged over its views and weighed, ``(B,)``.

        While training a random part of the views, the same of every theta in the batch.
        """
        features, z, weight = batch["features"], batch["z"], batch.get("weight")
        views = features.shape[1]
        if self.training and 0 < self.spec.views < views:
            chosen = torch.randperm(views, device=z.device)[: self.spec.views]
            features = features.index_select(1, chosen)
            weight = None if weight is None else weight.index_select(1, chosen)
        rows = features.shape[:2]
        target = z[:, None].expand(*rows, -1)
        given = self.forward(features.flatten(0, 1))
        log_prob = given.log_prob(target.flatten(0, 1)).view(rows)
        return -(log_prob if weight is None else log_prob * weight).mean(1)


@dataclass(frozen=True)
class PosteriorFlow:
    """A posterior from features of sets: learned location and scale, and a spline flow.

    Parameters
    ----------
    hidden
        Widths of the network that reads the whitened features.
    link
        ``"truncated"``: the density is cut off at the edges of the box. ``"probit"`` and
        ``"logit"`` take the box to the real line.
    context
        Numbers that condition the flow.
    flow_hidden, layers, bins
        Of the :class:`~presage.models.SplineFlow`.
    views
        Views of each theta in one step of training; 0 for all.
    straight
        Coordinates that the parameters are untangled in, a name in
        :data:`presage.models.box.COORDINATES`; empty for none.
    activation
        Name in :data:`presage.models.density.ACTIVATIONS`.
    """

    hidden: tuple[int, ...] = (256, 256)
    link: str = "truncated"
    context: int = 32
    flow_hidden: tuple[int, ...] = (64,)
    layers: int = 1
    bins: int = 8
    views: int = 8
    activation: str = "SiLU"
    straight: str = ""

    name: ClassVar[str] = "posterior_flow"
    fitted: ClassVar[type[FittedPosterior]] = FittedPosterior
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_perceptrons(self, "hidden", "flow_hidden")
        check_name("link", self.link, LINKS)
        if self.straight:
            check_name("straight coordinates", self.straight, COORDINATES)
            if self.link != "truncated":
                raise LabelError(f'straight coordinates need link="truncated", got {self.link!r}')
        if self.link == "truncated" and self.layers != 1:
            raise LabelError(f"a truncated flow has one layer, got layers={self.layers}")
        if self.context < 1 or self.views < 0:
            raise LabelError(
                f"context is at least 1 and views at least 0, got {self.context}, {self.views}"
            )

    def prepare(self, dataset: xr.Dataset) -> Prepared:
        """Fit whitening and linear start, and put theta on the real line.

        Parameters
        ----------
        dataset
            With ``features`` ``[sample, view, number]``, the last number log10 N, and
            ``theta`` ``[sample, parameter]``; the coordinates ``parameter_low`` and
            ``parameter_high``, and ``parameter_edges`` where theta is not from the prior alone
            (the features then begin with a point estimate).

        Raises
        ------
        LabelError
            A variable or a coordinate is missing.
        """
        for name in ("features", "theta", "parameter", "parameter_low", "parameter_high"):
            if name not in dataset.variables:
                raise LabelError(f"posterior_flow needs {name!r}; see PooledFeatures")
        low, high = (dataset[f"parameter_{n}"].values.astype(float) for n in ("low", "high"))
        box = Box(torch.as_tensor(low), torch.as_tensor(high), self.link, self.straight)
        features = dataset["features"].values
        # A copy: stored ones are read-only.
        theta = np.array(dataset["theta"].values, dtype=np.float64)
        z = box.line(torch.as_tensor(theta)).float().numpy()
        sample = sample_dim(dataset)
        fitted = fit_start(features, z[:, None])
        known = (Variable.of(dataset[name], sample) for name in ("features", "theta"))
        count, stored = features[..., -1], RECIPE in dataset.attrs  # log10 of the events
        columns, labels = (asdict(variable) for variable in known)
        declaration = {
            "variables": [columns],
            "parameters": [labels],
            "sample": sample,
            "parameter": [str(name) for name in dataset["parameter"].values],
            "low": low.tolist(),
            "high": high.tolist(),
            "trained_events": [round(10 ** float(end)) for end in (count.min(), count.max())],
            "made_from": [p.key for p in recipe_of(dataset).parents] if stored else [],
            **{name: array.tolist() for name, array in fitted.items()},
        }
        arrays = {"features": features, "z": z}
        if share := share_of(dataset):
            unit = (torch.as_tensor(theta) - box.low) / box.span
            point = torch.as_tensor(features[..., : len(low)].astype(np.float64))
            arrays["weight"] = pair_weight(unit[:, None], point, share).float().numpy()
        return Prepared(arrays, fitted, declaration)

    def build(self, declaration: Mapping[str, Any]) -> PosteriorNetwork:
        """Return an untrained network for what `declaration` says."""
        return PosteriorNetwork(self, declaration)
