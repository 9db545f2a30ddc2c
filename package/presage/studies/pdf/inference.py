"""From a set of events to draws of its posterior: encoder and flow as one labelled object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import xarray as xr

from presage.fitting import FitError
from presage.labels.caller import warn_caller
from presage.models.fitted_encoder import FittedEncoder, SetLabels
from presage.models.fitted_posterior import FittedPosterior, Support
from presage.models.threads import one_thread
from presage.studies.pdf.correction import PROBES, probed
from presage.studies.pdf.problem import Problem
from presage.studies.pdf.reference import parameter_coordinates


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
            self._check_model(name, fitted.declaration)
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

    def _check_model(self, name: str, declaration: Mapping[str, Any]) -> None:
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
    def sample(
        self, events: xr.DataArray, n: int, *, seed: int = 0, probe: bool = True
    ) -> xr.Dataset:
        """Draw from the posterior of each set.

        Parameters
        ----------
        events
            ``[..., event, feature]`` in any order; NaN in all features of an event where a
            shorter set ends.
        n, seed
            As of :meth:`FittedPosterior.sample`.
        probe
            Whether the exact weights of 200 draws are looked at.

        Returns
        -------
        xarray.Dataset
            ``theta``, ``log_prob`` and ``acceptance`` of :meth:`FittedPosterior.sample`,
            ``p_value`` ``[...]`` of :meth:`FittedEncoder.p_value`, and with a probe
            ``efficiency`` ``[...]``, the share of draws that importance weights leave.

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
        PoorEstimateWarning
            Weights leave less than 10 % of the draws: the answer is far from the posterior.
        """
        self._check(events, self.posterior.sizes)
        p_value = self.encoder.p_value(events)
        features = self._features(events)
        drawn = self.posterior.sample(features, n, seed=seed, support=self._support)
        if probe:
            few = drawn
            if n < PROBES:
                few = self.posterior.sample(features, PROBES, seed=seed, support=self._support)
            drawn["efficiency"] = probed(self.problem, few, events)
        keys = {"problem": self.problem.name, "encoder": self.encoder.key,
                "posterior": self.posterior.key}  # fmt: skip
        named = drawn.assign(p_value=p_value).assign_coords(parameter_coordinates(self.problem))
        return named.assign_attrs(kind="estimate", **keys)

    @one_thread()
    def log_prob(self, theta: xr.DataArray, events: xr.DataArray) -> xr.DataArray:
        """Return :meth:`FittedPosterior.log_prob` of theta given sets; errors as :meth:`sample`."""
        self._check(events, self.posterior.sizes)
        self.encoder.p_value(events)  # which warns
        return self.posterior.log_prob(theta, self._features(events), support=self._support)

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
        self._check(events, self.encoder.sizes)
        self.encoder.p_value(events)
        found = self.encoder.point(events, size=self._only_size)
        return found.assign_coords(parameter_coordinates(self.problem))

    def features(self, events: xr.DataArray) -> xr.DataArray:
        """Return what the posterior is conditioned on, ``[..., number]``."""
        self._check(events, self.posterior.sizes)
        return self._features(events)

    @one_thread()
    def p_value(self, events: xr.DataArray) -> xr.DataArray:
        """Return :meth:`FittedEncoder.p_value` of events that the problem has checked."""
        self._check(events, self.posterior.sizes)
        return self.encoder.p_value(events)

    def _check(self, events: xr.DataArray, trained: tuple[int, int]) -> None:
        """Refuse what the problem does not know; say when a size was not trained with."""
        each = SetLabels.of(events).each(events)
        sizes = [len(self.problem.check_events(one)) for one in each]
        low, high = trained
        strange = [n for n in sizes if not 0.99 * low <= n <= 1.01 * high]
        if strange:
            warn_caller(
                f"{len(strange)} of {len(sizes)} sets have sizes that the model was not "
                f"trained with ({strange[0]} events; trained: {low} to {high}): look at the "
                "importance efficiency, or train with such sets",
                UntrainedSizeWarning,
            )

    @property
    def _only_size(self) -> int:
        """The one size that was trained with: what another would do, nobody has learnt."""
        low, high = self.posterior.sizes
        return low if low == high else 0

    def _features(self, events: xr.DataArray) -> xr.DataArray:
        return self.encoder.encode(events, size=self._only_size)


def _shown(ranges: list[tuple[str, float, float]]) -> str:
    return ", ".join(f"{name} in [{low:g}, {high:g}]" for name, low, high in ranges)
