"""Simulators whose labels form a grid, and how grids are laid out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from presage.labels import Arrays, LabelError, Parameter
from presage.labels.equality import positions
from presage.labels.schedule import check_weights
from presage.labels.schedule import schedule as schedule
from presage.simulator import Simulator

Labels = tuple[tuple[float, ...], ...]


def mesh(*axes: Sequence[float]) -> Labels:
    """Return all combinations of the axes' values, the last axis running fastest."""
    return tuple(tuple(map(float, point)) for point in product(*axes))


def inner_nodes(number: int, low: float = 0.0, high: float = 1.0) -> NDArray[np.float64]:
    """Return ``low + k (high - low)/(number + 1)`` for k = 1..number."""
    step = (high - low) / (number + 1)
    return np.asarray(low + step * np.arange(1, number + 1), dtype=np.float64)


@dataclass(frozen=True)
class LabelledSimulator(Simulator):
    """A simulator of events at a list of labels.

    Parameters
    ----------
    labels
        One tuple of parameter values per label.
    weights
        ``"equal"``, one relative frequency per label, or a name that the simulator knows.

    Raises
    ------
    LabelError
        No labels, a label given twice, one of the wrong length, not finite or beyond a
        parameter's bounds.
    """

    labels: Labels = ()
    weights: str | tuple[float, ...] = "equal"

    sample_dim: ClassVar[str] = "event"
    block_size: ClassVar[int] = 32768

    def __post_init__(self) -> None:
        labels = tuple(tuple(map(float, np.atleast_1d(label))) for label in self.labels)
        object.__setattr__(self, "labels", labels)
        if not isinstance(self.weights, str):
            object.__setattr__(self, "weights", tuple(map(float, self.weights)))
        names = [parameter.name for parameter in self.parameters]
        if not labels:
            raise LabelError(f"{self.name} needs at least one label ({', '.join(names)})")
        for label in labels:
            if len(label) != len(names) or not np.isfinite(label).all():
                raise LabelError(
                    f"a label of {self.name} is {len(names)} finite numbers "
                    f"({', '.join(names)}), got {label}"
                )
            for value, parameter in zip(label, self.parameters, strict=True):
                _check_inside(value, parameter)
        first = positions(self.label_table, self.label_table, self.parameters)
        for label, earlier in zip(labels, first.tolist(), strict=True):
            if label is not labels[earlier]:
                raise LabelError(
                    f"{self.name}: a label is given twice, as {labels[earlier]} and {label}"
                )
        _ = self._weights  # wrong weights are an error here, not at the first event

    @classmethod
    def at(cls, labels: Sequence[Sequence[float]], weights: Any = "equal", **fields: Any) -> Self:
        """Return a simulator of events at these labels.

        Parameters
        ----------
        labels
            One tuple of parameter values per label.
        weights
            As in the class.
        fields
            Further fields of the simulator.
        """
        if not labels:  # which some take for all of their own
            raise LabelError(f"{cls.name} needs at least one label")
        return cls(labels=tuple(map(tuple, labels)), weights=weights, **fields)

    def at_labels(self, labels: Sequence[Sequence[float]]) -> Self:
        """Return the same simulator at other labels, equally weighted."""
        return replace(self, labels=tuple(map(tuple, labels)), weights="equal")

    def named_weights(self, name: str) -> NDArray[np.float64]:
        """Return the weights ``[label]`` that a name stands for."""
        raise LabelError(
            f"{self.name} knows no weights {name!r}; give 'equal' or one number per label"
        )

    @cached_property
    def label_table(self) -> NDArray[np.float64]:
        """Labels as an array ``[label, parameter]``."""
        return np.array(self.labels, dtype=np.float64)

    @cached_property
    def _weights(self) -> NDArray[np.float64] | None:
        if self.weights == "equal":
            return None
        given = self.named_weights(self.weights) if isinstance(self.weights, str) else self.weights
        weights = np.asarray(given, dtype=np.float64)
        check_weights(len(self.labels), weights)
        return weights

    def theta(self, rng: np.random.Generator, start: int, stop: int) -> Arrays:
        """Return the labels of events ``[start, stop)`` by the schedule; `rng` is not used."""
        numbers = schedule(start, stop, len(self.labels), self._weights)
        return self._columns(numbers)

    def draw(self, rng: np.random.Generator, n: int) -> Arrays:
        """Draw `n` labels at random, with their weights."""
        weights = np.ones(len(self.labels)) if self._weights is None else self._weights
        return self._columns(rng.choice(len(self.labels), size=n, p=weights / weights.sum()))

    def _columns(self, numbers: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        columns = self.label_table.T
        return {
            parameter.name: np.take(column, numbers, mode="clip")
            for parameter, column in zip(self.parameters, columns, strict=True)
        }


def _check_inside(value: float, parameter: Parameter) -> None:
    lower, upper = parameter.bounds
    low = -math.inf if lower is None else lower
    high = math.inf if upper is None else upper
    # In the type it is stored in, to which the bound is rounded as well.
    kind = np.dtype(parameter.dtype).type if np.dtype(parameter.dtype).kind == "f" else float
    if not kind(low) <= kind(value) <= kind(high):
        raise LabelError(f"{parameter.name} should lie between {low} and {high}, got {value}")
