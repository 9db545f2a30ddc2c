"""Sets of events of any size: a network for each event, pooling, and a point estimate.

Every event goes through the same perceptron phi. A set becomes the mean of phi and of the
inputs themselves, and for each learned seed the mean of phi weighted by a softmax over the
set (the attention pooling of the Set Transformer, whose value matrices are applied after
pooling, which is the same); log N is added, for precision goes with the number of events.
The means of products of the inputs give standard deviations and correlations: with the means, for
a normal distribution, they are all there is to know.

Means and softmax are summed chunk by chunk with a running maximum, so that a set of 1e5
events needs no more memory than one chunk, and the result depends on order and chunks only
by rounding.

Sources: Deep Sets, Zaheer et al. 2017, arXiv:1703.06114; PointNet, Qi et al. 2016,
arXiv:1612.00593; Set Transformer (PMA), Lee et al. 2018, arXiv:1810.00825.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import xarray as xr

from presage.labels import LabelError, Variable
from presage.lineage import sample_dim, take
from presage.models.density import check_perceptrons
from presage.models.edges import share_of
from presage.models.fitted_encoder import FittedEncoder
from presage.models.inputs import fit_features
from presage.models.prepared import Prepared
from presage.models.set_network import SetNetwork
from presage.plugins import resolve
from presage.transforms.weights import check_unweighted

#: What is minimised: squares in unit-box coordinates, or a normal density with full covariance.
OBJECTIVES = ("mse", "gaussian")
RESAMPLES = ("subset", "bootstrap", "none")
#: Regression as pooling, on learned or on fixed functions: name → ``"module:Class"``, a
#: :class:`~presage.models.regression.LeastSquares` with ``fit(events, inputs, encoder)``, which
#: returns what is added to the declaration's inputs.
POOLINGS = {
    "learned": "presage.models.regression:RegressionPool",
    "curve": "presage.studies.pdf.curve_pool:CurvePool",
}


@dataclass(frozen=True)
class SetEncoder:
    """An encoder of sets of events with a point estimate of the parameters.

    Parameters
    ----------
    hidden
        Widths of the network of one event.
    seeds, values
        Attention pools, and numbers that each gives.
    head
        Widths of the network from pooled features to the estimate.
    activation
        Name in :data:`presage.models.density.ACTIVATIONS`.
    products
        Whether second-order products of the standardised inputs are inputs too.
    regress
        A feature that is fitted to `functions` learned functions of the others in each set,
        see :mod:`presage.models.regression`: for sets of measured values, not for events
        whose places say everything. Empty for none.
    functions
        See `regress`.
    place
        A feature within (0, 1): `regress` is fitted to fixed functions of it, and of the
        others, instead of learned ones, see :data:`POOLINGS`. Empty for none.
    objective
        ``"mse"``: mean squares in unit-box coordinates. ``"gaussian"``: the negative logarithm
        of a normal density with full covariance, which weighs every parameter by how well it
        can be known; MSE looks at the badly known ones alone.
    resample
        ``"subset"``: each step sees a random number of events, log-uniform between `smallest`
        and all, drawn without replacement: an exact set of that size. ``"bootstrap"`` draws
        with replacement: such sets hold repeats and are not independent draws; their scatter
        about theta is that of n events and that of the E stored ones added, so widths learned
        from them are too large, by sqrt(1 + n/E). ``"none"`` takes sets as they are.
    smallest
        See `resample`.
    at_once
        The most events of one training step, all sets of a batch together: larger sets are
        seen in parts, so that memory stays bounded (about 1 GB for the default).
    first
        Samples that the standardisation is fitted on; the first ones.
    """

    hidden: tuple[int, ...] = (64, 64)
    seeds: int = 4
    values: int = 8
    head: tuple[int, ...] = (128, 128)
    activation: str = "SiLU"
    products: bool = True
    regress: str = ""
    functions: int = 10
    place: str = ""
    objective: str = "mse"
    resample: str = "subset"
    smallest: int = 10
    at_once: int = 1 << 18
    first: int = 256

    name: ClassVar[str] = "set_encoder"
    fitted: ClassVar[type[FittedEncoder]] = FittedEncoder
    version: ClassVar[int] = 2
    #: Versions whose stored models can still be read.
    readable: ClassVar[tuple[int, ...]] = (1,)

    def __post_init__(self) -> None:
        check_perceptrons(self, "hidden", "head")
        for name, known in (("objective", OBJECTIVES), ("resample", RESAMPLES)):
            if getattr(self, name) not in known:
                raise LabelError(
                    f"{name} is one of {', '.join(known)}, got {getattr(self, name)!r}"
                )
        if self.place and not self.regress:
            raise LabelError(f"place={self.place!r} says where regress was measured: give regress")
        least = {"seeds": 0, "functions": 1, "values": 1, "smallest": 1, "at_once": 1, "first": 1}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise LabelError(f"{name} is at least {bound}, got {getattr(self, name)}")

    @property
    def pooling(self) -> Any:
        """The class that pools by regression; None without `regress`."""
        return resolve(POOLINGS["curve" if self.place else "learned"]) if self.regress else None

    def prepare(self, dataset: xr.Dataset) -> Prepared:
        """Fit the standardisation on the first sets; the rest stays where it is stored.

        Parameters
        ----------
        dataset
            With ``theta`` ``[sample, parameter]`` and ``events``
            ``[sample, repeat, event, feature]``, and the coordinates ``parameter_low``,
            ``parameter_high``, ``feature_scale``, ``feature_lower``, ``feature_upper``.

        Raises
        ------
        LabelError
            A variable or a coordinate is missing.
        """
        check_sets(dataset)
        few = take(dataset, slice(0, self.first))["events"]
        inputs = fit_features(few)
        if self.regress:
            values = few.transpose(..., "feature").values.astype(np.float64)
            inputs |= self.pooling.fit(torch.from_numpy(values), inputs, self)
        sample = sample_dim(dataset)
        events, theta = (Variable.of(dataset[name], sample) for name in ("events", "theta"))
        ragged = dataset.get("event_count")
        largest = dataset.sizes["event"] if ragged is None else int(ragged.max())
        # One range for every parameter of `theta` means nothing: the ranges stand on their own.
        declaration = {
            "variables": [asdict(events)],
            "parameters": [asdict(theta)],
            "sample": sample,
            "inputs": inputs,
            "moments": True,
            "parameter": [str(name) for name in dataset["parameter"].values],
            "low": dataset["parameter_low"].values.astype(float).tolist(),
            "high": dataset["parameter_high"].values.astype(float).tolist(),
            "trained_events": [min(self.smallest, largest), largest],
        }
        if share := share_of(dataset):
            declaration["towards_edges"] = share
        state = {name: np.asarray(inputs[name]) for name in ("shift", "width")}
        arrays: Any = None  # sets stream from where they are stored
        return Prepared(arrays, state, declaration)

    def build(self, declaration: Mapping[str, Any]) -> SetNetwork:
        """Return an untrained network for what `declaration` says."""
        return SetNetwork(self, declaration)


def check_sets(dataset: xr.Dataset) -> None:
    """Refuse a dataset that is not one of sets of events, and one with weights."""
    check_unweighted(dataset, "a model of sets")
    wanted = ("theta", "events", "parameter", "parameter_low", "parameter_high", "feature")
    for name in (*wanted, "feature_scale", "feature_lower", "feature_upper"):
        if name not in dataset.variables:
            raise LabelError(
                f"sets of events have {name!r}; this dataset has "
                f"{', '.join(map(str, dataset.variables))}"
            )
