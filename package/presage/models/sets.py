"""Sets of events of any size: a network for each event, pooling, and a point estimate.

Every event goes through the same perceptron phi. A set becomes the mean of phi and of the
inputs themselves, and for each learned seed the mean of phi weighted by a softmax over the
set (the attention pooling of the Set Transformer, whose value matrices are applied after
pooling, which is the same); log N is added, for precision goes with the number of events.
The mean of products of the inputs makes moments exact: for a normal distribution they are
all there is to know.

Means and softmax are summed chunk by chunk with a running maximum, so that a set of 1e5
events needs no more memory than one chunk, and the result depends on order and chunks only
by rounding.

Sources: Deep Sets, Zaheer et al. 2017, arXiv:1703.06114; PointNet, Qi et al. 2016,
arXiv:1612.00593; Set Transformer (PMA), Lee et al. 2018, arXiv:1810.00825.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, cast

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from presage.labels import LabelError, Variable
from presage.lineage import sample_dim, take
from presage.models.density import ACTIVATIONS, check_perceptron, perceptron
from presage.models.inputs import FeatureMap, fit_features
from presage.models.pooling import Pooled, pool
from presage.models.prepared import Prepared

#: What is minimised: squares in unit-box coordinates, or a normal density with full covariance.
OBJECTIVES = ("mse", "gaussian")
RESAMPLES = ("subset", "bootstrap", "none")
#: Values of phi that are worked on at once when nothing else is said.
_CHUNK_VALUES = 1 << 22


class SetNetwork(nn.Module):
    """phi, pooling and the head; see the module.

    Parameters
    ----------
    spec
        Widths and the rest.
    declaration
        What :meth:`SetEncoder.prepare` declared.
    """

    def __init__(self, spec: SetEncoder, declaration: Mapping[str, Any]) -> None:
        super().__init__()
        self.spec = spec
        parameters = len(declaration["low"])
        self.inputs = FeatureMap(declaration["inputs"], spec.products)
        width = spec.hidden[-1]
        self.phi = nn.Sequential(
            perceptron(self.inputs.outputs, width, spec.hidden[:-1], spec.activation)
            if len(spec.hidden) > 1
            else perceptron(self.inputs.outputs, width, (), spec.activation),
            ACTIVATIONS[spec.activation](),
        )
        self.score = nn.Linear(width, max(spec.seeds, 1), bias=False)
        values = torch.randn(spec.seeds, width, spec.values) / math.sqrt(width)
        self.values = nn.Parameter(values)
        self.pooled = self.inputs.outputs + width + spec.seeds * spec.values + 1
        self.body = nn.Sequential(
            perceptron(self.pooled, spec.head[-1], spec.head[:-1], spec.activation),
            ACTIVATIONS[spec.activation](),
        )
        self.point_head = nn.Linear(spec.head[-1], parameters)
        triangle = parameters * (parameters + 1) // 2
        self.shape_head = nn.Linear(spec.head[-1], triangle) if spec.with_widths else None
        for name in ("low", "high"):
            self.register_buffer(name, torch.tensor(declaration[name]))
        self.features = self.pooled + parameters

    # -- pooling -----------------------------------------------------------------------------

    def events(self, events: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return inputs ``(*, E, I)``, phi ``(*, E, H)`` and scores ``(*, E, S)`` of events."""
        inputs = self.inputs(events)
        phi = self.phi(inputs)
        return inputs, phi, self.score(phi)[..., : self.spec.seeds]

    def sums(self, events: Tensor, mask: Tensor | None = None) -> Pooled:
        """Return the sums over a part of sets ``(*, E, F)``; `mask` ``(*, E)``: what is there."""
        if mask is not None:  # what fills the gaps must be harmless, not merely weighted with 0
            events = torch.where(mask[..., None], events, self.inputs.harmless.to(events))
        return pool(*self.events(events), mask)

    def finish(self, pooled: Pooled) -> Tensor:
        """Return the pooled features ``(*, K)``, log10 N last."""
        mean = pooled.total / pooled.events[..., None]
        parts = [mean]
        if self.spec.seeds:
            attended = pooled.weighted / pooled.weight[..., None]
            parts.append(torch.einsum("...sh,shv->...sv", attended, self.values).flatten(-2))
        return torch.cat((*parts, pooled.events.log10()[..., None]), -1)

    def encode(self, events: Tensor, mask: Tensor | None = None, chunk: int = 0) -> Tensor:
        """Return the pooled features of sets ``(*, E, F)`` of at least one event, ``(*, K)``.

        Parameters
        ----------
        events, mask
            As in :meth:`sums`.
        chunk
            Events at a time; 0 takes what fits about 100 MB.
        """
        total, sets = events.shape[-2], max(1, math.prod(events.shape[:-2]))
        size = chunk or max(1, _CHUNK_VALUES // (sets * self.spec.hidden[-1]))
        if torch.is_grad_enabled() and not chunk:
            size = total
        pooled: Pooled | None = None
        for start in range(0, total, size):
            part = None if mask is None else mask[..., start : start + size]
            one = self.sums(events[..., start : start + size, :], part)
            pooled = one if pooled is None else pooled.merge(one)
        return self.finish(cast(Pooled, pooled))

    # -- estimates ---------------------------------------------------------------------------

    def hidden(self, pooled: Tensor) -> Tensor:
        """Return the last hidden layer ``(*, H)``, of which the point estimate is linear."""
        return cast(Tensor, self.body(pooled))

    def point(self, pooled: Tensor) -> Tensor:
        """Return the point estimate in unit-box coordinates, ``(*, P)``."""
        return cast(Tensor, self.point_head(self.hidden(pooled)))

    def summary(self, pooled: Tensor) -> Tensor:
        """Return what posteriors are conditioned on: point estimate, pooled features, log10 N."""
        return torch.cat((self.point(pooled), pooled), -1)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the loss of each sample, ``(B,)``; a random part of a random set of each."""
        events, mask = self._choose(batch["events"], batch.get("event_mask"))
        pooled = self.encode(events, mask)
        hidden = self.hidden(pooled)
        low, span = self.get_buffer("low"), self.get_buffer("high") - self.get_buffer("low")
        unit = ((batch["theta"] - low) / span).to(pooled.dtype)
        far = unit - self.point_head(hidden)
        if self.shape_head is None:
            return cast(Tensor, far.square().mean(-1))
        return _normal_loss(far, self.shape_head(hidden), pooled[..., -1])

    def _choose(self, events: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return one set for each sample, with a random number of its events."""
        if events.dim() == 4:
            own = torch.arange(len(events), device=events.device)
            picked = torch.randint(events.shape[1], (len(events),), device=events.device)
            events = events[own, picked]
            mask = None if mask is None else (mask[own, picked] if mask.dim() == 3 else mask)
        total = events.shape[-2]
        if mask is not None or self.spec.resample == "none" or total <= self.spec.smallest:
            return events, mask
        most = max(self.spec.smallest, min(total, self.spec.at_once // len(events)))
        span = math.log(most / self.spec.smallest)
        count = round(self.spec.smallest * math.exp(span * float(torch.rand(()))))
        if self.spec.resample == "bootstrap":
            chosen = torch.randint(total, (count,), device=events.device)
        else:
            chosen = torch.randperm(total, device=events.device)[:count]
        return events.index_select(-2, chosen), None


def _normal_loss(far: Tensor, raw: Tensor, log10_count: Tensor) -> Tensor:
    """Return -log N of residuals, from a triangle; widths begin as 0.3 / sqrt(N)."""
    parameters = far.shape[-1]
    start = math.log(0.3) - 0.5 * math.log(10) * log10_count[..., None]
    # Softly bounded: no set makes a width vanish.
    widths = raw[..., :parameters]
    shift = widths / (1 + widths.abs() / 5)
    scaled = far * (-start).exp()
    rows = []
    slopes = raw[..., parameters:]
    for i in range(parameters):
        row = slopes[..., i * (i - 1) // 2 : i * (i + 1) // 2]
        rows.append(scaled[..., i] - (row * scaled[..., :i]).sum(-1))
    normal = torch.stack(rows, -1) * (-shift).exp()
    return 0.5 * normal.square().sum(-1) + (shift + start).sum(-1)


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
    objective: str = "mse"
    resample: str = "subset"
    smallest: int = 10
    at_once: int = 1 << 18
    first: int = 256

    name: ClassVar[str] = "set_encoder"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        for name in ("hidden", "head"):
            object.__setattr__(self, name, tuple(int(width) for width in getattr(self, name)))
            check_perceptron(self.name, getattr(self, name), self.activation)
        for name, known in (("objective", OBJECTIVES), ("resample", RESAMPLES)):
            if getattr(self, name) not in known:
                raise LabelError(
                    f"{name} is one of {', '.join(known)}, got {getattr(self, name)!r}"
                )
        least = {"seeds": 0, "values": 1, "smallest": 1, "at_once": 1, "first": 1}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise LabelError(f"{name} is at least {bound}, got {getattr(self, name)}")

    @property
    def with_widths(self) -> bool:
        """Whether the loss has widths."""
        return self.objective == "gaussian"

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
        sample = sample_dim(dataset)
        events, theta = (Variable.of(dataset[name], sample) for name in ("events", "theta"))
        declaration = {
            "variables": [_plain(events)],
            "parameters": [_plain(theta)],
            "sample": sample,
            "inputs": inputs,
            "parameter": [str(name) for name in dataset["parameter"].values],
            "low": dataset["parameter_low"].values.astype(float).tolist(),
            "high": dataset["parameter_high"].values.astype(float).tolist(),
            "trained_events": [self._smallest_set(dataset), _largest_set(dataset)],
        }
        state = {name: np.asarray(inputs[name]) for name in ("shift", "width")}
        arrays: Any = None  # sets stream from where they are stored
        return Prepared(arrays, state, declaration)

    def _smallest_set(self, dataset: xr.Dataset) -> int:
        return min(self.smallest, _largest_set(dataset))

    def build(self, declaration: Mapping[str, Any]) -> SetNetwork:
        """Return an untrained network for what `declaration` says."""
        return SetNetwork(self, declaration)


def check_sets(dataset: xr.Dataset) -> None:
    """Refuse a dataset that is not one of sets of events.

    Raises
    ------
    LabelError
        The message says what is missing.
    """
    wanted = ("theta", "events", "parameter", "parameter_low", "parameter_high", "feature")
    for name in (*wanted, "feature_scale", "feature_lower", "feature_upper"):
        if name not in dataset.variables:
            raise LabelError(
                f"sets of events have {name!r}; this dataset has "
                f"{', '.join(map(str, dataset.variables))}"
            )


def _largest_set(dataset: xr.Dataset) -> int:
    if "event_count" in dataset:
        return int(dataset["event_count"].max())
    return int(dataset.sizes["event"])


def _plain(variable: Variable) -> dict[str, Any]:
    # One range for every parameter of `theta` means nothing: the ranges stand on their own.
    return asdict(variable)
