"""Gaussian clouds whose centre follows the label: densities known exactly.

A *layout* says where the labels are and where the centre of a label's cloud is; a
*covariance* says what the cloud looks like and how that varies with the label. Both are
small objects, so that a new one is one class. With an exact log p, a trained flow is judged
by the mean of log p_flow - log p_true on the same events, without any sampling noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from presage.labels import Arrays, LabelError, Parameter, Variable
from presage.studies.events.grid import LabelledSimulator, inner_nodes, mesh

Floats = NDArray[np.float64]
_AXES = "xyz"


class Covariance(Protocol):
    """What a cloud looks like at a label."""

    @property
    def dimension(self) -> int:
        """Number of variables, D."""

    def at(self, labels: Floats) -> Floats:
        """Return covariances ``[label, D, D]``, or ``[1, D, D]`` where all are the same."""


@dataclass(frozen=True)
class Diag:
    """The same independent widths at every label.

    Parameters
    ----------
    sigma
        Standard deviation along each variable.
    """

    sigma: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", tuple(float(s) for s in self.sigma))
        if not self.sigma or not all(s > 0 and math.isfinite(s) for s in self.sigma):
            raise LabelError(f"standard deviations should be positive, got {self.sigma}")

    @property
    def dimension(self) -> int:
        """Number of variables, D."""
        return len(self.sigma)

    def at(self, labels: Floats) -> Floats:
        """Return the covariance ``[1, D, D]``."""
        return np.diag(np.square(self.sigma))[None]


@dataclass(frozen=True)
class Full:
    """The same correlated cloud at every label.

    Parameters
    ----------
    variances
        Diagonal of the covariance, D numbers.
    off_diagonals
        Its upper triangle row by row, D (D - 1)/2 numbers.
    """

    variances: tuple[float, ...]
    off_diagonals: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "variances", tuple(map(float, self.variances)))
        object.__setattr__(self, "off_diagonals", tuple(map(float, self.off_diagonals)))
        size = self.dimension
        if len(self.off_diagonals) != size * (size - 1) // 2:
            raise LabelError(
                f"{size} variances need {size * (size - 1) // 2} off-diagonals, "
                f"got {len(self.off_diagonals)}"
            )
        smallest = float(np.linalg.eigvalsh(self.at(np.zeros((1, size)))[0])[0])
        if not smallest > 0:
            raise LabelError(f"the covariance is not positive definite: an eigenvalue {smallest}")

    @property
    def dimension(self) -> int:
        """Number of variables, D."""
        return len(self.variances)

    def at(self, labels: Floats) -> Floats:
        """Return the covariance ``[1, D, D]``."""
        matrix = np.zeros((self.dimension, self.dimension))
        matrix[np.triu_indices(self.dimension, 1)] = self.off_diagonals
        return (matrix + matrix.T + np.diag(self.variances))[None]


def _unit_grid(*numbers: int) -> tuple[tuple[float, ...], ...]:
    return mesh(*(inner_nodes(number).tolist() for number in numbers))


_DEFAULT_GRID = _unit_grid(10, 10)
_DEFAULT_CLOUD = Diag((1 / 22, 1 / 22))


@dataclass(frozen=True)
class GridGaussians(LabelledSimulator):
    """Gaussian clouds centred on their labels.

    Parameters
    ----------
    labels
        Centres, D numbers each; by default 10 x 10 on the inner nodes of the unit square.
    weights
        ``"equal"`` or one number per label.
    covariance
        :class:`Diag`, :class:`Full` or any :class:`Covariance`; it gives the number of
        variables.
    """

    labels: tuple[tuple[float, ...], ...] = _DEFAULT_GRID
    covariance: Covariance = _DEFAULT_CLOUD

    name: ClassVar[str] = "grid_gaussians"
    version: ClassVar[int] = 1
    thread_safe: ClassVar[bool] = True

    @classmethod
    def on_grid(
        cls, *numbers: int, covariance: Covariance | None = None, weights: Any = "equal"
    ) -> Self:
        """Return clouds on the inner nodes of the unit square, cube...

        Parameters
        ----------
        numbers
            Labels along each axis; 10 x 10 when none is given.
        covariance
            By default half the distance between labels, along each axis.
        weights
            As in the class.
        """
        numbers = numbers or (10, 10)
        cloud = covariance or Diag(tuple(1 / (2 * (number + 1)) for number in numbers))
        return cls(labels=_unit_grid(*numbers), weights=weights, covariance=cloud)

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes: x, y, z, or x0, x1... where there are more."""
        return axis_names(self.covariance.dimension)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Label of each axis: ``x_label``, ``y_label``..."""
        return tuple(
            Parameter(f"{axis}_label", dtype="float64", long_name=f"label {axis}", low=0, high=1)
            for axis in self.axes
        )

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Position of an event along each axis: ``x``, ``y``..."""
        return tuple(
            Variable(axis, long_name=f"position {axis}", follows=f"{axis}_label")
            for axis in self.axes
        )

    def centre(self, labels: Floats) -> Floats:
        """Return the centres ``[label, D]`` of labels ``[label, parameter]``."""
        return labels

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        """Draw one event for each label."""
        labels = self._labels(theta)
        root = np.linalg.cholesky(self.covariance.at(labels))
        normal = rng.standard_normal((len(labels), self.covariance.dimension))
        events = self.centre(labels) + np.einsum("nij,nj->ni", root, normal)
        return {axis: events[:, i].astype(np.float32) for i, axis in enumerate(self.axes)}

    def log_prob(self, theta: Arrays, events: Arrays) -> Floats:
        """Return the exact natural logarithm of the density, ``[event]``.

        Parameters
        ----------
        theta
            Parameter name → ``[event]``.
        events
            Variable name → ``[event]``.
        """
        labels = self._labels(theta)
        offset = _side_by_side(events, self.axes) - self.centre(labels)
        root = np.linalg.cholesky(self.covariance.at(labels))
        white = np.linalg.solve(root, offset[..., None])[..., 0]
        log_root = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        norm = 0.5 * self.covariance.dimension * math.log(2 * math.pi)
        return np.asarray(-0.5 * np.square(white).sum(axis=1) - log_root - norm)

    def _labels(self, theta: Arrays) -> Floats:
        return _side_by_side(theta, [parameter.name for parameter in self.parameters])


def axis_names(dimension: int) -> tuple[str, ...]:
    """Return x, y, z for up to three axes, else x0, x1..."""
    if dimension <= len(_AXES):
        return tuple(_AXES[:dimension])
    return tuple(f"x{i}" for i in range(dimension))


def _side_by_side(columns: Arrays, names: Sequence[str]) -> Floats:
    return np.stack([np.asarray(columns[name], dtype=np.float64) for name in names], axis=1)
