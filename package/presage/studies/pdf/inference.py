"""From a set of events to draws of its posterior: encoder and flow as one labelled object."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from presage.fitting import FitError, Fitted
from presage.labels import LabelError
from presage.labels.caller import warn_caller
from presage.models.posterior import PosteriorNetwork
from presage.models.set_network import SetNetwork
from presage.models.set_verdict import judged
from presage.models.threads import one_thread
from presage.rng import generator
from presage.studies.pdf.estimate import Estimate
from presage.studies.pdf.observed import observed_sets, theta_of_sets
from presage.studies.pdf.problem import Problem


class UntrainedSizeWarning(UserWarning):
    """A set has fewer or more events than the model was trained with."""


@dataclass(frozen=True, eq=False)
class Inference:
    """The posterior that was learned, for any set of events of a problem.

    What it returns is an estimate: :mod:`presage.studies.pdf.correction` makes it exact where
    the density of events is known.

    Parameters
    ----------
    problem
        The problem that events are from.
    encoder
        A trained :class:`~presage.models.sets.SetEncoder`.
    posterior
        A trained :class:`~presage.models.posterior.PosteriorFlow`, on features of `encoder`.

    Raises
    ------
    FitError
        One of them is another kind of model, was trained for another problem, or the posterior
        was trained on features of another encoder.

    Examples
    --------
    ``Inference(problem, encoder, posterior).sample(events, 1000)`` is a dataset with ``theta``
    ``[draw, parameter]`` and ``log_prob`` ``[draw]``.
    """

    problem: Problem
    encoder: Fitted
    posterior: Fitted

    def __post_init__(self) -> None:
        for name, kind in (("encoder", SetNetwork), ("posterior", PosteriorNetwork)):
            fitted = getattr(self, name)
            if not isinstance(fitted.network, kind):
                raise FitError(
                    f"{name} is a {type(fitted.network).__name__}, not a {kind.__name__}"
                )
            self._check(name, fitted.declaration)
        given = self.encoder.network.features
        wanted = len(self.posterior.declaration["mean"])
        if given != wanted:
            raise FitError(
                f"the posterior was trained on {wanted} features, this encoder has {given}: "
                "give the encoder whose features it was trained on"
            )
        made_from = self.posterior.declaration["made_from"]
        if made_from and self.encoder.key not in made_from:
            raise FitError(
                f"the posterior's features were not made by the encoder {self.encoder.key[:16]}, "
                f"but from {', '.join(key[:16] for key in made_from)}: give that encoder, or "
                "train a posterior for this one"
            )

    def _check(self, name: str, declaration: Mapping[str, Any]) -> None:
        """Refuse a model of other parameters, ranges or features than the problem's."""
        prior, features = self.problem.prior, [f.name for f in self.problem.features]
        known = [(r.name, r.low, r.high) for r in prior]
        edges = zip(declaration["parameter"], declaration["low"], declaration["high"], strict=True)
        found = [(str(n), float(low), float(high)) for n, low, high in edges]
        if found != known:
            raise FitError(
                f"the {name} was trained for {_shown(found)}; {self.problem.name} has "
                f"{_shown(known)}: train it on this problem"
            )
        inputs = declaration.get("inputs", {}).get("names", features)
        if inputs != features:
            raise FitError(
                f"the {name} reads the features {', '.join(inputs)}; {self.problem.name} has "
                f"{', '.join(features)}: train it on this problem"
            )

    @cached_property
    def _estimate(self) -> Estimate:
        return Estimate(self.problem, self.posterior.network)

    # -- labelled ------------------------------------------------------------------------------

    @one_thread()
    def sample(self, events: xr.DataArray, n: int, *, seed: int = 0) -> xr.Dataset:
        """Draw from the posterior of each set.

        Parameters
        ----------
        events
            ``[..., event, feature]`` in any order; NaN in all features of an event where a
            shorter set ends. At most one further dimension.
        n
            Draws for each set.
        seed
            The same seed gives the same draws.

        Returns
        -------
        xarray.Dataset
            ``theta`` ``[..., draw, parameter]``, ``log_prob`` ``[..., draw]`` (natural logarithm
            of the estimate's density in theta's units), ``acceptance`` ``[...]``: the share of
            the flow's draws that was physical, 1 where all of the box is; and ``p_value``
            ``[...]``, see :meth:`p_value`.

        Raises
        ------
        LabelError
            Other features, an empty set, NaN, events outside the support, or `n` below 1.
        FitError
            Hardly any draw is physical.

        Warns
        -----
        UntrainedSizeWarning
            A set's size is outside of what the posterior was trained with.
        UnlikeTrainingWarning
            A set is unlike those of the training: the answer means little, however sure it is.
        """
        if n < 1:
            raise LabelError(f"n is the number of draws, at least 1; got {n}")
        sets, dims, coords = self._sets(events)
        p_value = self._judged(sets, events, dims, coords)
        found = []
        for number, summary in enumerate(self._summaries(sets)):
            rng = generator("presage.studies.pdf.inference", seed, number)
            found.append(self._estimate.draws(summary, n, rng))
        theta, log_prob, accepted = (torch.stack(part).numpy() for part in zip(*found, strict=True))
        shape = tuple(events.sizes[d] for d in dims)
        return xr.Dataset(
            {
                "theta": ((*dims, "draw", "parameter"), theta.reshape(*shape, n, -1)),
                "log_prob": ((*dims, "draw"), log_prob.reshape(*shape, n)),
                "acceptance": (dims, accepted.reshape(shape)),
                "p_value": p_value,
            },
            coords={**coords, **self._parameter_coords()},
            attrs={"kind": "estimate", **self._keys()},
        ).pipe(_titled)

    @one_thread()
    def log_prob(self, theta: xr.DataArray, events: xr.DataArray) -> xr.DataArray:
        """Return the natural logarithm of the estimate's density, in theta's own units.

        Parameters
        ----------
        theta
            ``[..., parameter]``; dimensions shared with `events` go along with them.
        events
            As in :meth:`sample`.

        Returns
        -------
        xarray.DataArray
            ``[dimensions of events' sets, other dimensions of theta]``; -inf where the prior is
            zero.

        Raises
        ------
        LabelError
            As :meth:`sample`; or other parameters.
        """
        sets, dims, coords = self._sets(events)
        judged(self.encoder, sets)
        values, names = theta_of_sets(self.problem, theta, dims)
        found = [
            self._estimate.density(summary, values[i if len(values) > 1 else 0])
            for i, summary in enumerate(self._summaries(sets))
        ]
        shape = (*(events.sizes[d] for d in dims), *(theta.sizes[d] for d in names))
        others = {k: c for k, c in theta.coords.items() if set(c.dims) <= set(names)}
        return xr.DataArray(
            torch.stack(found).numpy().reshape(shape),
            dims=(*dims, *names),
            coords={**coords, **others},
            name="log_prob",
            attrs={"long_name": "natural logarithm of the estimate's density", "units": "1"},
        )

    @one_thread()
    def point(self, events: xr.DataArray) -> xr.DataArray:
        """Return the encoder's point estimate ``[..., parameter]``, put into the prior's box.

        It was trained by squared distance and so estimates the posterior's mean; physical it
        need not be.

        Raises
        ------
        LabelError
            As :meth:`sample`.
        """
        sets, dims, coords = self._sets(events, self.encoder)
        judged(self.encoder, sets)
        count = len(self.problem.prior)
        unit = torch.stack([s[:count] for s in self._summaries(sets)]).double().clamp(0, 1)
        theta = self.problem.low.cpu() + (self.problem.high - self.problem.low).cpu() * unit
        return xr.DataArray(
            theta.numpy().reshape(*(events.sizes[d] for d in dims), count),
            dims=(*dims, "parameter"),
            coords={**coords, **self._parameter_coords()},
            name="theta",
            attrs={"long_name": "point estimate", "units": "1"},
        )

    def features(self, events: xr.DataArray) -> xr.DataArray:
        """Return what the posterior is conditioned on, ``[..., number]``."""
        sets, dims, coords = self._sets(events)
        values = torch.stack(list(self._summaries(sets))).numpy()
        return xr.DataArray(
            values.reshape(*(events.sizes[d] for d in dims), -1),
            dims=(*dims, "number"),
            coords=coords,
            name="features",
            attrs={"long_name": "pooled features, log10 of the number of events last"},
        )

    # -- what was never seen -------------------------------------------------------------------

    @one_thread()
    def p_value(self, events: xr.DataArray) -> xr.DataArray:
        """Return how likely a set of the training is to look as unusual as each set, ``[...]``.

        See :mod:`presage.models.set_law`. NaN for fewer events than were ever trained with, and
        for a model that knows no law of its training sets; ``attrs["note"]`` then says why.

        Raises
        ------
        LabelError
            As :meth:`sample`.

        Warns
        -----
        UnlikeTrainingWarning
            The smallest is below 1 % over the number of sets.
        """
        sets, dims, coords = self._sets(events)
        return self._judged(sets, events, dims, coords)

    def _judged(
        self, sets: list[Tensor], like: xr.DataArray, dims: tuple[str, ...], coords: Any
    ) -> xr.DataArray:
        """Return the p-value of each set, and warn of the smallest."""
        values, note = judged(self.encoder, sets)
        return xr.DataArray(
            values.reshape([like.sizes[d] for d in dims]),
            dims=dims,
            coords=coords,
            name="p_value",
            attrs={"long_name": "p-value of the set among those of the training", "units": "1",
                   "note": note},
        )  # fmt: skip

    # -- sets ----------------------------------------------------------------------------------

    def _sets(
        self, events: xr.DataArray, user: Fitted | None = None
    ) -> tuple[list[Tensor], tuple[str, ...], dict[str, Any]]:
        """Return the sets one by one ``(E, F)``, their dimensions and coordinates."""
        sets, dims, coords = observed_sets(self.problem, events)
        self._check_sizes([len(one) for one in sets], user or self.posterior)
        return sets, dims, coords

    @staticmethod
    def _check_sizes(sizes: list[int], user: Fitted) -> None:
        """Say when a size was not among those trained with."""
        low, high = user.declaration["trained_events"]
        strange = [n for n in sizes if not 0.99 * low <= n <= 1.01 * high]
        if strange:
            warn_caller(
                f"{len(strange)} of {len(sizes)} sets have sizes that the model was not "
                f"trained with ({strange[0]} events; trained: {low} to {high}): look at the "
                "importance efficiency, or train with such sets",
                UntrainedSizeWarning,
            )

    def _summaries(self, sets: list[Tensor]) -> Iterator[Tensor]:
        """Yield what the posterior is conditioned on, ``(K,)``, for each set."""
        network: Any = self.encoder.network
        dtype = network.point_head.weight.dtype
        low, high = self.posterior.declaration["trained_events"]
        for events in sets:
            with torch.inference_mode():
                pooled = network.encode(events.to(dtype)[None])
                if low == high:  # one size only: what another would do, nobody has learnt
                    pooled[..., -1] = math.log10(low)
                summary = network.summary(pooled)[0]
            self._estimate.check_finite(summary)
            yield summary

    # -- labels --------------------------------------------------------------------------------

    def _parameter_coords(self) -> dict[str, Any]:
        wanted = ("parameter", "parameter_low", "parameter_high", "parameter_title")
        known = {c.name: c for c in self.problem.coordinates}
        return {name: known[name].variable() for name in wanted}

    def _keys(self) -> dict[str, str]:
        return {
            "problem": self.problem.name,
            "encoder": self.encoder.key,
            "posterior": self.posterior.key,
        }


def _titled(draws: xr.Dataset) -> xr.Dataset:
    titles = {
        "theta": "draw of the posterior estimate",
        "log_prob": "natural logarithm of the estimate's density",
        "acceptance": "physical share of the flow's draws",
    }
    for name, title in titles.items():
        draws[name].attrs.update(long_name=title, units="1")
    return draws


def _shown(ranges: list[tuple[str, float, float]]) -> str:
    return ", ".join(f"{name} in [{low:g}, {high:g}]" for name, low, high in ranges)
