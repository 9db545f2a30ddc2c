"""Last-layer Laplace of the encoder's point estimate: what the last weights do not know.

The point estimate is linear in the encoder's last hidden layer, so with normal noise its last
layer is a Bayesian linear regression, for which the Laplace approximation is no approximation.
With hidden vectors h (a 1 appended), targets u (theta in unit-box coordinates), a prior
N(0, 1/alpha) of the weights and noise N(0, 1/beta),

    S^-1 = alpha + beta H^T H,    m = beta S H^T u,
    var(u | h) = 1/beta + h^T S h.

alpha and beta maximise the evidence, by the fixed point of MacKay with gamma the number of
well-determined weights: alpha = gamma / m^T m, beta = (n - gamma) / |u - H m|^2.

What it is: 1/beta is the mean square of the estimate's error over all training sets, the same
for every set of that size; h^T S h is what a finite training set leaves unknown about the
last layer. What it is not: a posterior of theta. It does not know that one observation says
more than another, nor the edges of the prior, nor what the earlier layers have not learned.

Sources: MacKay 1992, "Bayesian interpolation", Neural Computation 4, 415; Daxberger et al.
2021, arXiv:2106.14806.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from presage.labels import Floats, LabelError, unitless
from presage.models.edges import pair_weight, share_of
from presage.models.fitted_encoder import FittedEncoder
from presage.studies.pdf.inference import Inference

_ROUNDS, _CLOSE = 200, 1e-8


@dataclass(frozen=True, eq=False)
class LastLayer:
    """The regression of one parameter on hidden vectors."""

    mean: Floats  # weights ``(H + 1,)``, the constant last
    covariance: Floats  # S ``(H + 1, H + 1)``
    noise: float  # variance 1/beta
    precision: float  # alpha

    @classmethod
    def fit(cls, hidden: Floats, target: Floats) -> LastLayer:
        """Return the regression with the prior and noise that maximise the evidence.

        Hidden vectors are ``(n, H + 1)``, their targets ``(n,)``.
        """
        rows, weights = hidden.shape
        if rows <= weights:
            raise LabelError(f"{rows} sets do not determine {weights} weights; give more sets")
        values, vectors = np.linalg.eigh(hidden.T @ hidden)
        values = values.clip(min=0)
        turned = vectors.T @ (hidden.T @ target)
        squares = float(target @ target)
        alpha, beta = 1.0, rows / max(squares, 1e-12)
        for _ in range(_ROUNDS):
            mean = beta * turned / (alpha + beta * values)
            known = float((beta * values / (alpha + beta * values)).sum())
            far = squares - 2 * float(mean @ turned) + float(values @ mean**2)
            new = known / max(float(mean @ mean), 1e-12), (rows - known) / max(far, 1e-12)
            done = abs(np.log(new[0] / alpha)) + abs(np.log(new[1] / beta)) < _CLOSE
            alpha, beta = new
            if done:
                break
        spread = 1 / (alpha + beta * values)
        mean = beta * turned * spread
        return cls(vectors @ mean, (vectors * spread) @ vectors.T, 1 / beta, alpha)

    def predict(self, hidden: Floats) -> tuple[Floats, Floats]:
        """Return mean ``(n,)`` and the variance of the weights' part ``(n,)``."""
        return hidden @ self.mean, np.einsum("ni,ij,nj->n", hidden, self.covariance, hidden)


@dataclass(frozen=True, eq=False)
class LastLayerLaplace:
    """The last layer of an encoder as Bayesian regressions, one for each parameter."""

    inference: Inference  # whose encoder it is
    layers: tuple[LastLayer, ...]
    events: int  # of the sets that noise was measured with

    @classmethod
    def fit(cls, inference: Inference, features: xr.Dataset, events: int = 0) -> LastLayerLaplace:
        """Fit to cached features; no event is looked at again.

        Parameters
        ----------
        inference
            Whose encoder made the features.
        features
            Stored :class:`~presage.studies.pdf.features.PooledFeatures`.
        events
            Views of this size are used; the largest by default. Noise differs between sizes.
        """
        sizes = features["view_events"].values.astype(int)
        events = events or int(sizes.max())
        if events not in sizes:
            known = ", ".join(map(str, sorted(set(sizes.tolist()))))
            raise LabelError(f"there are no views of {events} events; there are {known}")
        # One view of each theta: views of one theta do not have independent errors.
        view = int(np.flatnonzero(sizes == events)[0])
        problem = inference.problem
        hidden = _hidden(inference.encoder, features["features"].isel(view=view).values)
        low, high = problem.low.cpu().numpy(), problem.high.cpu().numpy()
        unit = (features["theta"].transpose(..., "parameter").values - low) / (high - low)
        if share := share_of(features):
            hidden, unit = _weighed(hidden, unit, features["features"].isel(view=view), share)
        layers = tuple(LastLayer.fit(hidden, column) for column in unit.T)
        return cls(inference, layers, events)

    def predict(self, events: xr.DataArray) -> xr.Dataset:
        """Return the estimate and its two uncertainties for each set.

        Parameters
        ----------
        events
            As :meth:`Inference.sample` takes them.

        Returns
        -------
        xarray.Dataset
            ``estimate``, ``noise_sd`` (the usual error of the estimate), ``weight_sd`` (what
            the training left unknown about the last layer) and ``total_sd``, each
            ``[..., parameter]``, in theta's own units. See the module for what they are not.
        """
        features = self.inference.features(events)
        rows = features.values.reshape(-1, features.shape[-1])
        hidden = _hidden(self.inference.encoder, rows)
        both = [layer.predict(hidden) for layer in self.layers]
        mean, weights = (np.stack([pair[i] for pair in both], -1) for i in (0, 1))
        problem = self.inference.problem
        low, high = problem.low.cpu().numpy(), problem.high.cpu().numpy()
        noise = np.broadcast_to([layer.noise for layer in self.layers], weights.shape)
        values = {
            "estimate": low + (high - low) * mean,
            "noise_sd": (high - low) * np.sqrt(noise),
            "weight_sd": (high - low) * np.sqrt(weights),
            "total_sd": (high - low) * np.sqrt(noise + weights),
        }
        return _labelled(values, features, self.inference)


def _weighed(
    hidden: Floats, unit: Floats, summaries: xr.DataArray, share: float
) -> tuple[Floats, Floats]:
    """Return both times the roots of what pairs count for, see :mod:`presage.models.edges`."""
    point = summaries.transpose(..., "number").values[:, : unit.shape[-1]]
    weight = pair_weight(
        torch.as_tensor(unit), torch.tensor(point, dtype=torch.float64), share
    ).numpy()
    root = np.sqrt(weight / weight.mean())[:, None]
    return hidden * root, unit * root


def _hidden(encoder: FittedEncoder, summaries: NDArray[np.float32]) -> Floats:
    """Return the last hidden layer, a 1 appended, of what posteriors are conditioned on."""
    network = encoder.sets
    pooled = torch.tensor(summaries[:, network.features - network.pooled :])
    with torch.inference_mode():
        hidden = network.hidden(pooled.to(network.point_head.weight.dtype)).double().numpy()
    return np.concatenate((hidden, np.ones((len(hidden), 1))), -1)


_TITLES = {
    "estimate": "point estimate, Bayesian last layer",
    "noise_sd": "usual error of the point estimate",
    "weight_sd": "uncertainty of the last layer's weights",
    "total_sd": "root of the sum of both variances",
}


def _labelled(
    values: dict[str, Floats], features: xr.DataArray, inference: Inference
) -> xr.Dataset:
    dims = tuple(str(d) for d in features.dims if d != "number")
    shape = (*(features.sizes[d] for d in dims), -1)
    names = [r.name for r in inference.problem.prior]
    return xr.Dataset(
        {
            name: xr.Variable(
                (*dims, "parameter"),
                array.reshape(shape),
                unitless(_TITLES[name]),
            )
            for name, array in values.items()
        },
        coords={**features.coords, "parameter": names},
        attrs={"kind": "last-layer Laplace: no posterior", "encoder": inference.encoder.key},
    )
