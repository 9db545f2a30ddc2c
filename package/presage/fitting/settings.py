"""The settings of a training run: those that change its result, checked where they are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from presage.fitting.errors import FitError
from presage.fitting.schedules import check_named, check_schedule
from presage.labels import nearest
from presage.labels.variables import OPTIONAL
from presage.recipe import settings_of
from presage.typed import frozen

#: Precisions that keep the weights in float32 or better.
PRECISIONS = ("32-true", "64-true", "bf16-mixed")
KEEPS = ("last", "best")
#: "block" reads long runs and shuffles within them, for data larger than memory; "aligned"
#: does so by the simulator's blocks, as samples come on the fly.
SHUFFLES = ("auto", "full", "block", "aligned")


#: Name → torch's class, and those of its options that may be given; the rest is torch's usual.
OPTIMIZERS: dict[str, tuple[Callable[..., Optimizer], tuple[str, ...]]] = {
    "adam": (Adam, ("betas", "eps", "weight_decay")),
    "adamw": (AdamW, ("betas", "eps", "weight_decay")),
    "sgd": (SGD, ("momentum", "weight_decay")),
}


@dataclass(frozen=True)
class Settings:
    """What a run's result depends on, besides model, data and seed.

    The parameters are those of :func:`presage.fit`, the defaults those of models that
    recommend nothing; bare names are spelled out to mappings ``{"name": ...}`` here, so that a
    recipe does not depend on the way they were given.

    Raises
    ------
    FitError
        A value has no meaning; the message says what would.
    """

    epochs: int = 60
    batch_size: int = 1024
    learning_rate: float = 1e-3
    optimizer: Any = "adam"
    schedule: Any = "one_cycle"
    warmup: int = 0
    validation: Any = 0.05
    ema: float | None = None
    clip: float | None = None
    accumulate: int = 1
    patience: int | None = None
    keep: str = "last"
    shuffle: str = "auto"
    precision: str = "32-true"
    resample: int | None = field(default=None, metadata=OPTIONAL)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate"):
            object.__setattr__(self, name, _count(name, getattr(self, name), 1))
        object.__setattr__(self, "warmup", _count("warmup", self.warmup, 0))
        if self.resample is not None:
            object.__setattr__(self, "resample", _count("resample", self.resample, 0))
        if self.patience is not None:
            object.__setattr__(self, "patience", _count("patience", self.patience, 1))
        for name in ("learning_rate", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise FitError(f"{name} must be above 0, got {value!r}")
            object.__setattr__(self, name, None if value is None else float(value))
        self._check_names()
        self._check_validation()

    def _check_names(self) -> None:
        for name in ("optimizer", "schedule"):
            object.__setattr__(self, name, named(getattr(self, name)))
        check_named("optimizer", self.optimizer, {n: known for n, (_, known) in OPTIMIZERS.items()})
        check_schedule(self.schedule)
        choices = {"precision": PRECISIONS, "keep": KEEPS, "shuffle": SHUFFLES}
        for name, table in choices.items():
            value = getattr(self, name)
            if value not in table:
                raise FitError(f"no {name} {value!r}{nearest(str(value), table)}")
        if self.ema is not None and not 0 < self.ema < 1:
            raise FitError(f"ema is a decay such as 0.999, between 0 and 1, got {self.ema!r}")
        if self.accumulate > self.batch_size:
            raise FitError(
                f"accumulate splits each batch: {self.batch_size} samples do not make "
                f"{self.accumulate} parts"
            )

    def _check_validation(self) -> None:
        object.__setattr__(self, "validation", validation_rule(self.validation))
        if self.validation:
            return
        for name, on in (("patience", self.patience is not None), ("keep", self.keep == "best")):
            if on:
                value = getattr(self, name)
                raise FitError(f"{name}={value!r} needs a validation loss; give validation=0.05")

    def identity(self) -> dict[str, Any]:
        """Return what stands in the recipe."""
        return settings_of(self)

    def make_optimizer(self, network: nn.Module) -> Optimizer:
        """Return the optimiser of a network's parameters, fused where torch can."""
        parameters = [p for p in network.parameters() if p.requires_grad]
        if not parameters:
            raise FitError("the network has no parameter to train")
        fused = all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in parameters)
        options = {name: frozen(value) for name, value in self.optimizer.items()}
        make, _ = OPTIMIZERS[options.pop("name")]
        return make(parameters, self.learning_rate, fused=fused, **options)

    @property
    def dtype(self) -> torch.dtype:
        """The type of weights and resident arrays."""
        return torch.float64 if self.precision == "64-true" else torch.float32


def named(value: str | Mapping[str, Any]) -> dict[str, Any]:
    """Return ``{"name": value}`` for a bare name, a mapping as a plain dict."""
    return {"name": value} if isinstance(value, str) else dict(value)


def validation_rule(value: Any) -> dict[str, Any]:
    """Return how the validation part is chosen, empty for none.

    Parameters
    ----------
    value
        A fraction of the samples, a range ``(start, stop)`` of positions, or a mapping
        ``{"fraction": ..., "seed": ...}`` or ``{"start": ..., "stop": ...}``.
    """
    if isinstance(value, Mapping):
        rule = dict(value)
    elif isinstance(value, (tuple, list)) and len(value) == 2:
        rule = {"start": value[0], "stop": value[1]}
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        rule = {"fraction": value}
    else:
        rule = {"": None}
    if set(rule) == {"start", "stop"} and 0 <= rule["start"] < rule["stop"]:
        return {"start": int(rule["start"]), "stop": int(rule["stop"])}
    fraction = rule.get("fraction")
    if rule and set(rule) <= {"fraction", "seed"} and fraction is not None and 0 <= fraction < 1:
        seed = _count("seed", rule.get("seed", 0), 0)
        return {"fraction": float(fraction), "seed": seed} if fraction else {}
    if not rule:
        return {}
    raise FitError(
        "validation is a fraction such as 0.05, a range (start, stop) of samples, or "
        f'{{"fraction": 0.05, "seed": 1}}; got {value!r}'
    )


def _count(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or int(value) != value or value < least:
        raise FitError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return int(value)
