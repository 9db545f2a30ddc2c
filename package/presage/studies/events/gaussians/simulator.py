"""The simulator of Gaussian clouds, and their exact density."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from presage.emulation.grid import LabelledSimulator, Labels
from presage.labels import Arrays, LabelError, Parameter, Variable, nearest
from presage.studies.events.gaussians.clouds import (
    COVARIANCES,
    VARIATIONS,
    Covariance,
    Diag,
    Repeat,
    Variation,
)
from presage.studies.events.gaussians.layouts import LAYOUTS, Grid, Layout, UnitCube

Floats = NDArray[np.float64]
_Piece = TypeVar("_Piece")
_GRID, _REPEAT = Grid(), Repeat()


@dataclass(frozen=True)
class Gaussians(LabelledSimulator):
    """Gaussian or skew-normal clouds, one at each label.

    An event is x = c + F L w: c the centre of its label's cloud, F its factors on the widths, L
    the root of the covariance and w standard normal. With a skew, w keeps its sign with
    probability Phi(a.w) and changes it otherwise, which makes x Azzalini's multivariate
    skew-normal (Azzalini and Capitanio, J. R. Stat. Soc. B 61 (1999) 579, section 2) with the
    density 2 phi(x) Phi(a.w).

    Parameters
    ----------
    labels
        The layout's by default; others between and beyond them, within the axes' ranges.
    weights
        ``"equal"`` or one number per label.
    layout
        A :class:`Layout`, or its name: line, grid, unit_cube, circle.
    covariance
        A :class:`Covariance`; half a step along each variable by default.
    variation
        A :class:`Variation`, or its name: repeat, radial_mod, diag_mod.
    skew
        Slants alpha, one for each variable in units of its standard deviation; none by
        default. The centre is then the cloud's location and no longer its mean: see
        :meth:`moments`.

    Raises
    ------
    LabelError
        The parts do not suit one another, or an unknown name.

    Examples
    --------
    >>> from presage.studies.events.gaussians import Circle, RadialMod
    >>> source = Gaussians.on(Circle(8), variation=RadialMod(0.1), skew=(4.0, 0.0))
    >>> [p.name for p in source.parameters], [v.name for v in source.variables]
    (['angle_label'], ['x', 'y'])
    """

    labels: Labels = ()
    layout: Layout = _GRID
    covariance: Covariance | None = None
    variation: Variation = _REPEAT
    skew: tuple[float, ...] = ()

    name: ClassVar[str] = "gaussians"
    version: ClassVar[int] = 1
    thread_safe: ClassVar[bool] = True

    def __post_init__(self) -> None:
        layout = _piece(self.layout, LAYOUTS, "layout")
        cloud = Diag(layout.sigma) if self.covariance is None else self.covariance
        for name, value in (
            ("layout", layout),
            ("covariance", _piece(cloud, COVARIANCES, "covariance")),
            ("variation", _piece(self.variation, VARIATIONS, "variation")),
            ("skew", tuple(map(float, self.skew))),
            ("labels", self.labels or layout.labels),
        ):
            object.__setattr__(self, name, value)
        self._check_parts()
        super().__post_init__()

    def _check_parts(self) -> None:
        dimension = self.layout.dimension
        if len(self._root) != dimension:
            raise LabelError(
                f"a {type(self.layout).__name__} has {dimension} variables, its covariance "
                f"has {len(self._root)}"
            )
        rates = self.variation.factors(np.zeros(1)).shape[1]
        if rates not in (1, dimension):
            raise LabelError(f"{self.variation} is for {rates} variables, here are {dimension}")
        if self.skew and (len(self.skew) != dimension or not np.isfinite(self.skew).all()):
            raise LabelError(f"skew is {dimension} finite numbers or none, got {self.skew}")

    @classmethod
    def on(cls, layout: Layout | str, covariance: Covariance | None = None, **fields: Any) -> Self:
        """Return clouds on a layout's labels; `fields` as in the class."""
        return cls(layout=layout, covariance=covariance, **fields)  # type: ignore[arg-type]

    @classmethod
    def on_grid(
        cls, *numbers: int, covariance: Covariance | None = None, weights: Any = "equal"
    ) -> Self:
        """Return clouds in the unit square, cube..., with so many labels along each axis."""
        return cls.on(UnitCube(numbers or (10, 10)), covariance, weights=weights)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The layout's labels."""
        return self.layout.parameters

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The layout's positions."""
        return self.layout.variables

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        """Draw one event for each label."""
        centres, factors = self._place(theta)
        white = rng.standard_normal((self.layout.dimension, len(centres)), dtype=np.float32)
        if self.skew:
            keep = rng.standard_normal(len(centres), dtype=np.float32)
            white *= np.copysign(np.float32(1), self._slant.astype(np.float32) @ white - keep)
        events = self._root.astype(np.float32) @ white
        if factors is not None:
            events *= factors.T
        events += centres.T
        return {v.name: column for v, column in zip(self.variables, events, strict=True)}

    def log_prob(self, theta: Arrays, events: Arrays) -> Floats:
        """Return the exact natural logarithm of the density, ``[event]``.

        Parameters
        ----------
        theta
            Parameter name → ``[event]``.
        events
            Variable name → ``[event]``.
        """
        centres, factors = self._place(theta)
        offset = _side_by_side(events, self.variables) - centres
        if factors is not None:
            offset = offset / factors
        white = np.linalg.solve(self._root, offset.T)
        total = -0.5 * np.square(white).sum(axis=0) - np.log(np.diagonal(self._root)).sum()
        total -= 0.5 * self.layout.dimension * math.log(2 * math.pi)
        if factors is not None:
            total -= np.broadcast_to(np.log(factors), offset.shape).sum(axis=1)
        if self.skew:
            total += math.log(2) + log_ndtr(self._slant @ white)
        return np.asarray(total)

    def moments(self, labels: Sequence[Sequence[float]]) -> tuple[Floats, Floats]:
        """Return the exact means ``[label, D]`` and covariances ``[label, D, D]``.

        With delta = a/sqrt(1 + a.a), the skewed w has the mean sqrt(2/pi) delta and the
        covariance 1 - (2/pi) delta delta^T.
        """
        table = np.array(labels, dtype=np.float64).reshape(-1, len(self.parameters))
        widths = np.broadcast_to(
            self.variation.factors(self.layout.steps(table)), (len(table), self.layout.dimension)
        )
        shift = np.zeros(self.layout.dimension)
        if self.skew:
            slant = self._slant
            shift = math.sqrt(2 / math.pi) * slant / math.sqrt(1 + slant @ slant)
        cloud = self._root @ (np.eye(len(shift)) - np.outer(shift, shift)) @ self._root.T
        means = self.layout.centres(table) + widths * (self._root @ shift)
        return means, widths[:, :, None] * cloud * widths[:, None, :]

    @property
    def _root(self) -> Floats:
        """Root of the covariance before it varies ``[D, D]``."""
        cloud = self.covariance
        return cloud.root if cloud is not None else np.zeros((0, 0))

    @property
    def _slant(self) -> Floats:
        """The slants in terms of w: a.w = sum_j alpha_j (L w)_j/sigma_j, ``[D]``."""
        root = self._root
        return np.asarray((np.array(self.skew) / np.linalg.norm(root, axis=1)) @ root)

    def _place(self, theta: Arrays) -> tuple[Floats, Floats | None]:
        """Return centres ``[event, D]`` and factors on the widths of each event's cloud."""
        labels = _side_by_side(theta, self.parameters)
        return self.layout.centres(labels), self._factors(labels)

    def _factors(self, labels: Floats) -> Floats | None:
        """Return factors ``[label, D]`` or ``[label, 1]``; None where nothing varies."""
        if isinstance(self.variation, Repeat):
            return None
        return self.variation.factors(self.layout.steps(labels))


def _piece(value: Any, known: Mapping[str, type[_Piece]], what: str) -> _Piece:
    """Return a part that is given as such, by its name, or as a recipe spells it."""
    if not isinstance(value, (str, Mapping)):
        return cast(_Piece, value)
    classes = {kind.__name__: kind for kind in known.values()}
    settings = dict(value) if isinstance(value, Mapping) else {"class": value}
    name = str(settings.pop("class", ""))
    if name not in known and name not in classes:
        raise LabelError(f"no {what} {name!r}{nearest(name, known)}")
    try:
        return {**known, **classes}[name](**settings)
    except TypeError as error:
        raise LabelError(f"no {what} {name!r} is made of {settings}: {error}") from None


def _side_by_side(columns: Arrays, named: Sequence[Variable]) -> Floats:
    """Return columns as ``[event, column]``, each of them contiguous."""
    return np.stack([np.asarray(columns[v.name], dtype=np.float64) for v in named]).T
