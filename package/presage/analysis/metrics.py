"""The figures of merit: how far generated events are from reference events at one label.

One table, :data:`METRICS`, holds them all: what each is called, over what it goes, how it
is computed from a :class:`presage.analysis.samples.Pair`, and what it is on average for two
samples of one distribution. By that law a study without a second Monte Carlo sample can
still say where the floor is. Those without a function here are computed from histograms
(:mod:`presage.analysis.binned`) or by a classifier (:mod:`presage.analysis.two_sample`).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from presage.analysis import distances, laws
from presage.analysis import weighted_distances as weighted
from presage.analysis.labelled import Floats
from presage.analysis.samples import Pair, Sample, over
from presage.labels import LabelError, check_name
from presage.labels.names import RESERVED
from presage.plugins import declared


@dataclass(frozen=True)
class Metric:
    """A figure of merit.

    Parameters
    ----------
    dims
        After source and label.
    long_name, short_name
        For axes, and for menus and tables.
    meaning, formula
        One sentence, and how it is computed; F are distribution functions, r and g a bin's
        events in the reference and in the source, of m and n in all.
    of
        Computes it from a pair of samples.
    by_chance
        Its average for `n` events of the reference's own distribution; the average size of
        one that has a sign.
    best
        The value of two equal distributions; None where more is always better.
    signed
        Whether values go to both sides of the best one.
    """

    dims: tuple[str, ...]
    long_name: str
    short_name: str
    meaning: str
    formula: str
    of: Callable[[Pair], Floats] | None = None
    by_chance: Callable[[Sample, float], Floats] | None = None
    best: float | None = 0.0
    signed: bool = False

    def attributes(self) -> dict[str, str | float]:
        """Return what goes with its numbers: attributes of a netCDF variable."""
        best = {} if self.best is None else {"best": self.best}
        words = {n: getattr(self, n) for n in ("long_name", "short_name", "meaning", "formula")}
        return {**words, "units": "1", **best, "signed": int(self.signed)}


def _law(name: str) -> Callable[[Sample, float], Floats]:
    def by_chance(reference: Sample, n: float) -> Floats:
        return np.array([law[name] for law in reference.by_chance(n)])

    return by_chance


def _moment(which: int) -> Callable[[Pair], Floats]:
    def shift(pair: Pair) -> Floats:
        other, reference = pair.other.moments, pair.reference.moments
        return over(other[which] - reference[which], reference[1])

    return shift


def _each(
    distance: Callable[[Floats, Floats], float], with_weights: Callable[..., float]
) -> Callable[[Pair], Floats]:
    def of(pair: Pair) -> Floats:
        return np.array(pair.each(distance, with_weights))

    return of


def _correlation_by_chance(reference: Sample, n: float) -> Floats:
    spread = distances.HALF_NORMAL * math.sqrt(1 / n + 1 / reference.size)
    columns = combinations(reference.resampled.T, 2)
    return spread * np.array([laws.correlation_by_chance(x, y) for x, y in columns])


def _beyond_by_chance(reference: Sample, n: float) -> Floats:  # noqa: ARG001 (one signature)
    return np.full(len(reference.columns), 2 / (len(reference) + 1))


def _equivalent(pair: Pair) -> Floats:
    return pair.sizes((pair.wasserstein / pair.reference.typical_wasserstein) ** 2)


def _equivalent_by_cdf(pair: Pair) -> Floats:
    p = np.array(distances.QUANTILES)
    squared = (pair.cdf_error**2 / (p * (1 - p))).mean(axis=1) / laws.typical_cdf_error()
    return pair.sizes(np.where(pair.reference.widths > 0, squared, np.nan))


def _cap(reference: Sample, n: float) -> Floats:
    return np.array([float(min(n, m)) for m in reference.sizes])


_EACH, _ALL = ("variable",), ("variable", "quantile")

#: Name → metric. The order is that of the product.
METRICS: Mapping[str, Metric] = {
    "w1_over_std": Metric(
        _EACH,
        "Wasserstein distance / standard deviation",
        "W₁ / std",
        "How far events have to be moved, on average, to make one distribution the other, in "
        "standard deviations of the reference.",
        "∫ |F_source − F_reference| dx / std",
        lambda pair: pair.wasserstein,
        _law("w1_over_std"),
    ),
    "w1_over_sigma68": Metric(
        _EACH,
        "Wasserstein distance / half the 68 % interval",
        "W₁ / σ68",
        "The same distance in units of the peak's width, which tails do not widen.",
        "∫ |F_source − F_reference| dx / half the central 68 % interval",
        lambda p: over(p.wasserstein * p.reference.widths, p.reference.narrow_widths),
        _law("w1_over_sigma68"),
    ),
    "mean_shift": Metric(
        _EACH,
        "shift of the trimmed mean / trimmed standard deviation",
        "Δmean / std",
        "Shift of the mean of the inner 99 %, in standard deviations.",
        "(mean_source − mean_reference) / std",
        _moment(0),
        _law("mean_shift"),
        signed=True,
    ),
    "std_shift": Metric(
        _EACH,
        "relative change of the trimmed standard deviation",
        "Δstd / std",
        "Relative change of the standard deviation of the inner 99 %.",
        "std_source / std_reference − 1",
        _moment(1),
        _law("std_shift"),
        signed=True,
    ),
    "cdf_error": Metric(
        _ALL,
        "CDF minus reference CDF at its quantiles",
        "max |ΔCDF|",
        "Largest difference of the distribution functions at quantiles of the reference.",
        "max |F_source(x_q) − q|",
        lambda pair: pair.cdf_error,
        _law("cdf_error"),
        signed=True,
    ),
    "ks": Metric(
        _EACH,
        "Kolmogorov-Smirnov distance",
        "KS distance",
        "Largest difference of the distribution functions anywhere.",
        "max |F_source − F_reference|",
        _each(distances.kolmogorov, weighted.kolmogorov),
        _law("ks"),
    ),
    "beyond_range": Metric(
        _EACH,
        "share of events beyond the range of the reference",
        "beyond range",
        "Share of the events below the lowest or above the highest of the reference.",
        "events beyond / n",
        _each(distances.beyond_range, weighted.beyond_range),
        _beyond_by_chance,
    ),
    "correlation_shift": Metric(
        ("pair",),
        "shift of the trimmed correlation",
        "Δ correlation",
        "Change of the correlation of two variables, the outermost events left out.",
        "ρ_source − ρ_reference",
        lambda p: p.other.correlations - p.reference.correlations,
        _correlation_by_chance,
        signed=True,
    ),
    "bin_difference": Metric(
        _EACH,
        "mean absolute relative bin difference, noise included",
        "mean |bin diff.|",
        "Mean relative difference of the bins, weighted by events; noise is in it.",
        "mean |(g/n) / (r/m) − 1|",
    ),
    "bin_residual": Metric(
        _EACH,
        "rms relative bin residual, noise subtracted, inner bins",
        "bin residual",
        "Relative error of the density, root mean square over the inner bins; the noise that "
        "chance gives is subtracted.",
        "√max(0, mean of ((g/n) / (r/m) − 1)² − its variance)",
    ),
    "bin_residual_outer": Metric(
        _EACH,
        "rms relative bin residual, outermost bins",
        "outer-bin resid.",
        "The same in the two outermost bins.",
        "√max(0, mean of ((g/n) / (r/m) − 1)² − its variance)",
    ),
    "chi2_per_ndf": Metric(
        _EACH,
        "chi-squared per degree of freedom",
        "χ² / ndf",
        "Two-sample chi-squared per degree of freedom; it grows with the number of events.",
        "Σ (√(n/m) r − √(m/n) g)² / (r + g) / ndf",
        best=1.0,
    ),
    "chi2_per_ndf_10k": Metric(
        _EACH,
        "chi-squared per degree of freedom at 10 000 events, at least 1",
        "χ² / ndf at 10k",
        "Chi-squared as it would be with 10 000 events on each side.",
        "1 + (χ²/ndf − 1) · 5000 (1/n + 1/m)",
        best=1.0,
    ),
    "pull_mean": Metric(
        _EACH,
        "mean pull of the bins",
        "mean pull",
        "Mean over bins of the difference in units of its statistical error.",
        "mean (g/n − r/m) / σ",
        signed=True,
    ),
    "pull_width": Metric(
        _EACH,
        "rms pull of the bins",
        "rms pull",
        "Root mean square over bins of the difference in units of its statistical error.",
        "√ mean ((g/n − r/m) / σ)²",
        best=1.0,
    ),
    "equivalent_events": Metric(
        _EACH,
        "Monte Carlo events of the same Wasserstein distance",
        "equiv. events",
        "How many simulated events are typically as far from the truth, by Wasserstein distance.",
        "N such that N events have this W₁ by chance; at most n",
        _equivalent,
        _cap,
        best=None,
    ),
    "equivalent_events_cdf": Metric(
        _EACH,
        "Monte Carlo events of the same CDF error",
        "equiv. ev., CDF",
        "How many simulated events are typically as far from the truth, by distribution function.",
        "N such that N events have this CDF error by chance; at most n",
        _equivalent_by_cdf,
        _cap,
        best=None,
    ),
    "auc": Metric(
        (),
        "area under a classifier's ROC curve, held-out events",
        "classifier AUC",
        "How well a classifier, trained to tell source and reference apart, does on new "
        "events; 0.5 is guessing.",
        "area under the ROC curve",
        best=0.5,
    ),
    "auc_error": Metric(
        (),
        "standard error of the AUC",
        "error of AUC",
        "Standard error of the AUC.",
        "√((n + m + 1) / (12 n m)), of a rank statistic",
    ),
}
#: Metrics of which more is better, and what the sizes they give are measured by.
SIZES = {"equivalent_events": "W1", "equivalent_events_cdf": "CDF error"}


def chosen(names: Iterable[str] | None) -> list[str]:
    """Return the metrics asked for in the order of :data:`METRICS`, by default all."""
    if names is None:
        return list(METRICS)
    wanted = [names] if isinstance(names, str) else list(names)
    for name in wanted:
        check_name("metric", name, METRICS)
    return [name for name in METRICS if name in wanted]


def measure(
    reference: Sample, other: Sample, table: Mapping[str, Metric] = METRICS
) -> dict[str, Floats]:
    """Compare samples at a label: metric → ``[variable]``, ``[variable, quantile]`` or ``[pair]``.

    Metrics of histograms and of the classifier are left out; NaN where a variable of the reference
    is constant.
    """
    pair = Pair(reference, other)
    return {n: m.of(pair) for n, m in table.items() if m.of is not None}


def chance(reference: Sample, n: float, table: Mapping[str, Metric] = METRICS) -> dict[str, Floats]:
    """Return what :func:`measure` gives on average for `n` events of the same distribution.

    Signed metrics are given as expected absolute values; of equivalent events the cap,
    which half of all samples reach.
    """
    found = {name: metric.by_chance for name, metric in table.items()}
    return {name: law(reference, n) for name, law in found.items() if law is not None}


def own_metrics(given: Any) -> tuple[dict[str, Metric], list[dict[str, Any]]]:
    """Return name → metric of a user's own figures of merit, and what recipes hold of them.

    One or several, each a function, or ``"module:function"``, of the reference's events and
    those that are judged, both ``[event, variable]``, that returns a number for each variable;
    with :func:`presage.versioned` above it. Of events with weights it gets as many as they are
    worth, drawn by weight, so that they count alike; one with an argument ``weights`` gets all
    of them, and there the weights of both, each ``[event]``. Its name, its docstring and its
    attribute ``best`` (the value of equal distributions, 0 without one) are what tables and
    figures say. There is no law of chance: the floor is that of a second sample, or not known.
    """
    table: dict[str, Metric] = {}
    identities = []
    for thing in (given,) if isinstance(given, str) or callable(given) else given:
        function, identity = declared(thing, "a figure of merit")
        name = identity["name"]
        if name in RESERVED or name in table:
            raise LabelError(f"a figure of merit cannot be called {name!r}: the name is taken")
        said = " ".join((function.__doc__ or name).split())
        table[name] = Metric(
            _EACH, said.partition(". ")[0].rstrip("."), name.replace("_", " "), said, "",
            partial(_of_events, function), best=getattr(function, "best", 0.0),
        )  # fmt: skip
        identities.append(identity)
    return table, identities


def _of_events(function: Callable[..., Any], pair: Pair) -> Floats:
    """Return what a user's own function says of two samples, a number for each variable."""
    samples = (pair.reference, pair.other)
    if "weights" in inspect.signature(function).parameters:
        weights = [np.ones(len(s)) if s.weights is None else s.weights for s in samples]
        given = function(*(s.events for s in samples), weights=tuple(weights))
    else:
        given = function(*(s.resampled for s in samples))
    found = np.asarray(given, dtype=np.float64)
    if found.shape != (len(pair.reference.columns),):
        raise LabelError(
            f"{getattr(function, '__name__', function)} should return a number for each of the "
            f"{len(pair.reference.columns)} variables, got shape {found.shape}"
        )
    return found
