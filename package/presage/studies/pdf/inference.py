"""From a set of events to draws of its posterior: encoder and flow as one labelled object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from presage.fitting import FitError
from presage.labels import LabelError
from presage.labels.caller import warn_caller
from presage.models.fitted_encoder import FittedEncoder, SetLabels
from presage.models.fitted_posterior import FittedPosterior, Support
from presage.models.set_verdict import judged
from presage.models.threads import one_thread
from presage.studies.pdf.observed import observed_sets
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
    encoder: FittedEncoder
    posterior: FittedPosterior

    def __post_init__(self) -> None:
        for name, kind in (("encoder", FittedEncoder), ("posterior", FittedPosterior)):
            fitted = getattr(self, name)
            if not isinstance(fitted, kind):
                raise FitError(f"{name} is a {type(fitted).__name__}, not a {kind.__name__}")
            self._check(name, fitted.declaration)
        given = self.encoder.sets.features
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

    @property
    def _support(self) -> Support:
        """Where the prior is not zero; None where that is all of the box."""
        everywhere = type(self.problem).physical is Problem.physical
        return None if everywhere else self.problem.physical

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
        sets, labels = self._sets(events)
        p_value = self.encoder.p_values(sets, labels)
        drawn = self.posterior.drawn(self._summaries(sets), labels, n, seed, self._support)
        keys = {"problem": self.problem.name, "encoder": self.encoder.key,
                "posterior": self.posterior.key}  # fmt: skip
        return drawn.assign(p_value=p_value).assign_coords(self._parameter_coords()).assign_attrs(
            kind="estimate", **keys
        )  # fmt: skip

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
        sets, labels = self._sets(events)
        judged(self.encoder, sets)
        return self.posterior.densities(theta, self._summaries(sets), labels, self._support)

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
        sets, labels = self._sets(events, self.encoder)
        judged(self.encoder, sets)
        values = self.encoder.points(sets, self._only_size)
        coords = self._parameter_coords()
        return labels.array(values, ("parameter",), "theta", "point estimate", coords)

    def features(self, events: xr.DataArray) -> xr.DataArray:
        """Return what the posterior is conditioned on, ``[..., number]``."""
        sets, labels = self._sets(events)
        title = "pooled features, log10 of the number of events last"
        return labels.array(self._summaries(sets).numpy(), ("number",), "features", title)

    @one_thread()
    def p_value(self, events: xr.DataArray) -> xr.DataArray:
        """Return how likely a set of the training is to look as unusual as each set, ``[...]``.

        As :meth:`FittedEncoder.p_value`, of events that the problem has checked.
        """
        return self.encoder.p_values(*self._sets(events))

    # -- sets ----------------------------------------------------------------------------------

    def _sets(
        self, events: xr.DataArray, user: FittedEncoder | FittedPosterior | None = None
    ) -> tuple[list[Tensor], SetLabels]:
        """Return the sets one by one ``(E, F)``, and their labels; warn of untrained sizes."""
        sets, labels = observed_sets(self.problem, events)
        low, high = (user or self.posterior).sizes
        strange = [n for n in map(len, sets) if not 0.99 * low <= n <= 1.01 * high]
        if strange:
            warn_caller(
                f"{len(strange)} of {len(sets)} sets have sizes that the model was not "
                f"trained with ({strange[0]} events; trained: {low} to {high}): look at the "
                "importance efficiency, or train with such sets",
                UntrainedSizeWarning,
            )
        return sets, labels

    @property
    def _only_size(self) -> int:
        """The one size that was trained with: what another would do, nobody has learnt."""
        low, high = self.posterior.sizes
        return low if low == high else 0

    def _summaries(self, sets: list[Tensor]) -> Tensor:
        """Return what the posterior is conditioned on, ``(N, K)``."""
        return torch.stack(list(self.encoder.summaries(sets, self._only_size)))

    def _parameter_coords(self) -> dict[str, Any]:
        wanted = ("parameter", "parameter_low", "parameter_high", "parameter_title")
        known = {c.name: c for c in self.problem.coordinates}
        return {name: known[name].variable() for name in wanted}


def _shown(ranges: list[tuple[str, float, float]]) -> str:
    return ", ".join(f"{name} in [{low:g}, {high:g}]" for name, low, high in ranges)
