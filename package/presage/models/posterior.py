"""Posterior of parameters in a box, from pooled features of sets: location, scale, and a flow.

Posteriors are far narrower than the prior, so a flow alone spends its training on finding
them. Here z, theta on the real line (a link such as the probit takes the box there, so no
mass lies outside), is first standardised,

    d_i = (z_i - m_i) / w_i(N),    r_i = exp(-s_i) (d_i - sum_{j<i} t_ij d_j),

and a conditional spline flow then has only the shape of r to learn:

    p(theta) = p_flow(r) prod_i exp(-s_i) / w_i · |dz/dtheta|.

m = linear start + network, s and t (the modified Cholesky factors of the precision,
Pourahmadi 1999, Biometrika 86, 677) are network outputs. The linear start and w(N), a power
of N, are least squares over the training views. Features are whitened.

Sources: neural posterior estimation, Papamakarios & Murray 2016, arXiv:1605.06376;
neural splines, Durkan et al. 2019, arXiv:1906.04032.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from presage.labels import LabelError, Variable, check_name
from presage.lineage import RECIPE, recipe_of, sample_dim
from presage.models.box import LINKS, Box, coordinates
from presage.models.density import check_perceptrons, hidden_layers
from presage.models.fitted_posterior import FittedPosterior
from presage.models.flow import FlowNetwork, SplineFlow
from presage.models.prepared import Prepared
from presage.models.standardise import Standardised, fit_start


class Given(NamedTuple):
    """The density of z ``(*, P)``, on the real line, given features; they were read once.

    One row of features does for many z.
    """

    standardised: Standardised
    context: Tensor
    flow: FlowNetwork

    def log_prob(self, z: Tensor) -> Tensor:
        """Return the log density of z ``(*, P)``, ``(*)``."""
        r, log_det = self.standardised.forward(z)
        return self.flow.log_prob(self.context.expand(*r.shape[:-1], -1), r) + log_det

    def draw(self, normal: Tensor) -> Tensor:
        """Return z ``(*, P)`` of standard normal numbers ``(*, P)``."""
        r = self.flow.draw(self.context.expand(*normal.shape[:-1], -1), normal)
        return self.standardised.inverse(r)


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
        return Given(standardised, self.context(hidden), self.flow)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return -log p of each theta, averaged over its views, ``(B,)``.

        While training a random part of the views, the same of every theta in the batch.
        """
        features, z = batch["features"], batch["z"]
        views, draws = features.shape[1], z.shape[2]
        if self.training:
            z = z[:, :, int(torch.randint(draws, ()))]
        else:  # every draw of every view
            features = features.repeat(1, draws, 1) if z.shape[1] > 1 else features
            z = z.transpose(1, 2).flatten(1, 2)
        if self.training and 0 < self.spec.views < views:
            chosen = torch.randperm(views, device=z.device)[: self.spec.views]
            features = features.index_select(1, chosen)
            z = z.index_select(1, chosen) if z.shape[1] > 1 else z
        rows = features.shape[:2]
        target = z.expand(*rows, z.shape[-1])
        given = self.forward(features.flatten(0, 1))
        r, log_det = given.standardised.forward(target.flatten(0, 1))
        losses: Tensor = self.flow.loss({"condition": given.context, "target": r}) - log_det
        return losses.view(rows).mean(1)


@dataclass(frozen=True)
class PosteriorFlow:
    """A posterior from features of sets: learned location and scale, and a spline flow.

    Parameters
    ----------
    hidden
        Widths of the network that reads the whitened features.
    link
        How the box becomes the real line: ``"probit"`` or ``"logit"``.
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
    link: str = "probit"
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
        coordinates(self.straight)
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
            ``theta`` ``[sample, parameter]`` or ``[sample, view, draw, parameter]``; the
            coordinates ``parameter_low`` and ``parameter_high``.

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
        theta = np.array(
            dataset["theta"].values, dtype=np.float64
        )  # a copy: stored ones are read-only
        theta = theta[:, None, None] if theta.ndim == 2 else theta
        z = box.line(torch.as_tensor(theta)).float().numpy()
        sample = sample_dim(dataset)
        fitted = fit_start(features, z[:, :, 0])
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
        return Prepared({"features": features, "z": z}, fitted, declaration)

    def build(self, declaration: Mapping[str, Any]) -> PosteriorNetwork:
        """Return an untrained network for what `declaration` says."""
        return PosteriorNetwork(self, declaration)
