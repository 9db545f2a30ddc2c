"""Figures of merit as functions: two labelled datasets in, one labelled dataset out.

:func:`figures_of_merit` measures what it is asked for by name, any of
:data:`presage.analysis.metrics.METRICS`; pulls and bounds have functions of their own. Each
takes the reference's events and those that are judged, and returns its numbers for both
``source="events"`` and ``source="floor"``, the same numbers of a second Monte Carlo sample:
the one given as ``floor``, else its expectation (``attrs["floor"]`` says which).

>>> from presage.analysis.merit import figures_of_merit
>>> from presage.studies.events import Resonance
>>> import presage, tempfile
>>> store = presage.Store(tempfile.mkdtemp())
>>> truth, events = (
...     presage.simulate(Resonance.on_grid(2, 2, "equal"), 8000, seed=seed, store=store)
...     for seed in (0, 1)
... )
>>> found = figures_of_merit(truth, events, ["w1_over_std"])["w1_over_std"]
>>> found.dims
('source', 'label', 'variable')
>>> bool((found.sel(source="events") < 3 * found.sel(source="floor")).all())
True
"""

from __future__ import annotations

from collections.abc import Iterable

import xarray as xr

from presage.analysis.compare import compare
from presage.analysis.labelled import FEWEST
from presage.analysis.metrics import METRICS, chosen
from presage.analysis.pull_histogram import pull_histogram

__all__ = ["beyond_bounds", "figures_of_merit", "pulls"]


def figures_of_merit(
    reference: xr.Dataset,
    events: xr.Dataset,
    metrics: Iterable[str] | None = None,
    *,
    floor: xr.Dataset | None = None,
    bins: int = 40,
    seed: int = 0,
    minimum: int = FEWEST,
) -> xr.Dataset:
    """Measure how far events are from reference events, at every label of the reference.

    Parameters
    ----------
    reference
        Monte Carlo events, the truth.
    events
        What is judged; any number of events.
    metrics
        Names of :data:`presage.analysis.metrics.METRICS`; by default all but the
        classifier's, which takes seconds a label.
    floor
        A second, independent Monte Carlo sample.
    bins
        Of the histograms, between the 0.5 and 99.5 % quantiles of the reference.
    seed
        Of the classifier.
    minimum
        Fewest events at a label.

    Returns
    -------
    xarray.Dataset
        One variable a metric, ``[source, label, …]``, dimensionless, with its long name;
        sources are ``events`` and ``floor``. Labels have their values as coordinates.
    """
    names = chosen(metrics if metrics is not None else set(METRICS) - {"auc", "auc_error"})
    product = _compared(reference, events, floor, bins, seed, names, minimum)
    return _kept(product, names)


def pulls(
    reference: xr.Dataset,
    events: xr.Dataset,
    *,
    floor: xr.Dataset | None = None,
    bins: int = 40,
    minimum: int = FEWEST,
) -> xr.Dataset:
    """Return the histogram of all bins' pulls, and mean and width of each label's.

    Returns
    -------
    xarray.Dataset
        As :func:`presage.analysis.pull_histogram.pull_histogram`, with ``pull_mean`` and
        ``pull_width[source, label, variable]``.
    """
    names = ["pull_mean", "pull_width"]
    product = _compared(reference, events, floor, bins, 0, names, minimum)
    return xr.merge([pull_histogram(product), _kept(product, names)], combine_attrs="override")


def beyond_bounds(
    reference: xr.Dataset,
    events: xr.Dataset,
    *,
    floor: xr.Dataset | None = None,
    minimum: int = FEWEST,
) -> xr.Dataset:
    """Return the shares of events beyond the declared physical bounds of each variable.

    Without a second sample the floor is zero: no simulated event lies there.
    """
    product = _compared(reference, events, floor, 1, 0, [], minimum)
    names = ("below_bound", "above_bound")
    found = _kept(product, names)
    size = product["events"].sel(source=["events", "floor"])
    shares = {name: found[name] / size.clip(min=1) for name in names}
    texts = {name: f"share of events {name.split('_')[0]} the physical bound" for name in names}
    return found.assign({n: shares[n].assign_attrs(long_name=texts[n], units="1") for n in names})


def _compared(
    reference: xr.Dataset,
    events: xr.Dataset,
    floor: xr.Dataset | None,
    bins: int,
    seed: int,
    names: list[str],
    minimum: int,
) -> xr.Dataset:
    return compare(
        reference,
        {"events": events},
        floor=floor,
        bins=bins,
        seed=seed,
        metrics=names,
        minimum=minimum,
        classifier="auc" in names,
    )


def _kept(product: xr.Dataset, names: Iterable[str]) -> xr.Dataset:
    kept = product[list(names)].sel(source=["events", "floor"])
    return kept.drop_vars(["held_out", "region"], errors="ignore").assign_attrs(
        floor=product.attrs["floor"], floor_is=product.attrs["floor_is"]
    )
