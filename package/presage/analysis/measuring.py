"""All metrics of all sources, label by label: the engine below a comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import xarray as xr

from presage.analysis import distances
from presage.analysis.bin_statistics import counted
from presage.analysis.binned import binned, binned_chance
from presage.analysis.histograms import pair_names
from presage.analysis.labelled import Floats, Grouped
from presage.analysis.metrics import Metric, chance, measure
from presage.analysis.samples import Sample
from presage.transforms.sorting import in_order


class Measured:
    """The unbinned metrics of sources, the reference first, and labels while they are filled in."""

    def __init__(self, sources: Sequence[str], truth: Grouped, table: Mapping[str, Metric]) -> None:
        self.sources = sources
        self.table = table
        self.sizes = {
            "variable": len(truth.variables),
            "pair": len(pair_names(truth.variables)),
            "quantile": len(distances.QUANTILES),
        }
        shape = (len(sources), len(truth.table))
        self.values = {
            name: np.full((*shape, *(self.sizes[d] for d in metric.dims)), np.nan)
            for name, metric in table.items()
        }

    def add(self, label: int, samples: Mapping[str, Sample], model: str) -> None:
        """Fill in one label; the floor by its law where there is no sample of it."""
        reference = samples["reference"]
        for s, source in enumerate(self.sources[1:], start=1):
            if source in samples:
                found = measure(reference, samples[source], self.table)
            else:
                found = chance(reference, samples[model].size, self.table)
            for name, value in found.items():
                self.values[name][s, label] = value

    def test(
        self, label: int, samples: Mapping[str, Sample], seed: int, subsample: int | None
    ) -> Iterator[str]:
        """Run the classifier where both samples have enough events; yield each source when done.

        Copies of an event are counted once.
        """
        from presage.analysis.two_sample import MINIMUM, classifier_auc, effective  # loads torch
        from presage.models.threads import one_thread

        found = {name: self.values.get(name) for name in ("auc", "auc_error")}
        worth = {name: effective(sample.resampled) for name, sample in samples.items()}
        if worth["reference"] < MINIMUM:
            return

        def judged(source: str) -> tuple[float, float]:
            if worth.get(source, 0) < MINIMUM:
                return (np.nan if source in samples else 0.5), np.nan
            events = samples["reference"].resampled, samples[source].resampled
            auc = classifier_auc(*events, seed=seed, subsample=subsample)
            return auc.value, auc.error

        with one_thread(others=True):  # each test is of small operations: cores get a test each
            for s, pair in enumerate(in_order(judged, self.sources[1:]), start=1):
                for array, number in zip(found.values(), pair, strict=True):
                    if array is not None:
                        array[s, label] = number
                yield self.sources[s]

    def arrays(self) -> dict[str, tuple[tuple[str, ...], Floats, dict[str, str | float]]]:
        """Return the metrics as labelled arrays."""
        return {
            name: (
                ("source", "label", *self.table[name].dims),
                values,
                self.table[name].attributes(),
            )
            for name, values in self.values.items()
        }


def with_binned(product: xr.Dataset, model: str, measured: bool) -> xr.Dataset:
    """Fill in the metrics of the histograms that `product` has room for."""
    bins = counted(product)
    reference = bins.sel(source="reference", drop=True)
    results = []
    for source in product["source"].values:
        other = bins.sel(source=source, drop=True)
        if source == "floor" and not measured:
            found = binned_chance(reference, bins["events"].sel(source=model, drop=True))
        else:
            found = binned(reference, other)
        results.append(found * np.nan if source == "reference" else found)
    joined = xr.concat(results, dim="source", coords="minimal", compat="override")
    for name in (n for n in joined.data_vars if n in product):
        values = joined[name].transpose("source", "label", "variable").values
        product[name] = (("source", "label", "variable"), values, product[name].attrs)
    return product
