"""Pools of cleaned cubes: what is linear is computed once for every member, in float64.

A projection P on a fixed basis, and a Wiener filter, are linear: P(g + s + n) = Pg + Ps + Pn. The
three are stored in float32, where they are all about as large as the signal, and training adds
them. In that order nothing cancels: cleaning the sum in float32 would leave its rounding, which
foregrounds 1e5 times brighter make as large as the signal's hundredth part.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from presage.labels import Arrays, Coordinate, LabelError, Variable, nearest
from presage.labels.variables import OPTIONAL
from presage.lineage import sample_dim
from presage.simulator import Derived
from presage.transforms.pca import PCA
from presage.transforms.wiener import Wiener


@dataclass(frozen=True, eq=False)
class CleanedSky(Derived):
    """Every cube of a pool, cleaned; of a basis also what it removed.

    Variables are ``cleaned``, with the dims of the pool's cubes, and with a basis of principal
    components ``amplitude``, where the channels are replaced by ``mode``. Both are float32 and
    linear: those of foreground, signal and noise add up to those of the sky.

    Parameters
    ----------
    data
        One pool, with one variable that has the channels; foregrounds in float64.
    basis
        A stored basis, or a stored Wiener filter.
    modes
        How many components of a basis are removed; a filter has none.
    scatter
        Every cube is multiplied by a factor of its own, of this standard deviation in its
        logarithm: foregrounds brighter and fainter than simulated teach a network caution.

    Raises
    ------
    LabelError
        No basis, more modes than it has, or cubes that it does not belong to.
    """

    basis: xr.Dataset
    modes: int = 0
    scatter: float = field(default=0.0, metadata=OPTIONAL)

    name: ClassVar[str] = "cleaned_sky"
    block_size: ClassVar[int] = 8
    parts: ClassVar[tuple[type, ...]] = (PCA, Wiener)
    tolerance: ClassVar[float] = 1e-5
    thread_safe: ClassVar[bool] = True

    def __post_init__(self) -> None:
        most = self.basis.sizes.get("mode", 0)
        if (not 1 <= self.modes <= most) if self._is_basis else self.modes:
            raise LabelError(
                f"modes is how many components are removed, from 1 to {most} of this basis, and "
                f"0 for a Wiener filter; got {self.modes}"
            )
        self._cleaner.channels.check(self._cleaner.channels.of(self._cube, self._cleaner.dim))

    @property
    def _is_basis(self) -> bool:
        return "eigenvectors" in self.basis

    @cached_property
    def _cleaner(self) -> PCA | Wiener:
        return PCA(self.basis) if self._is_basis else Wiener(self.basis)

    @cached_property
    def _cube(self) -> xr.DataArray:
        """The first cube of the pool."""
        found = [a for a in self.data.data_vars.values() if self._cleaner.dim in a.dims]
        if len(found) != 1:
            known = map(str, (d for a in self.data.data_vars.values() for d in a.dims))
            raise LabelError(
                f"a pool has one variable with dimension {self._cleaner.dim!r}, got "
                f"{len(found)}{nearest(self._cleaner.dim, known)}"
            )
        return found[0].isel({sample_dim(self.data): slice(0, 1)})

    @property
    def variables(self) -> tuple[Variable, ...]:
        """``cleaned``, and with a basis ``amplitude``."""
        cube = Variable.of(self._cube, sample_dim(self.data))
        title = f"cleaned {cube.long_name}"
        gaps = cube.gaps or any(bool(a.isnull().any()) for a in self.basis.data_vars.values())
        cleaned = Variable("cleaned", cube.dims, "float32", cube.unit, title, gaps=gaps)
        if not self.modes:
            return (cleaned,)
        dims = tuple("mode" if d == self._cleaner.dim else d for d in cube.dims)
        text = "amplitude of what was removed"
        return (cleaned, Variable("amplitude", dims, "float32", cube.unit, text))

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """Those of the pool, and the modes."""
        sample = sample_dim(self.data)
        own = [
            Coordinate(
                str(name),
                tuple(c.values.tolist()),
                str(c.attrs.get("units", "1")),
                str(c.attrs.get("long_name", name)),
                str(c.dims[0]),
            )
            for name, c in self._cube.coords.items()
            if c.dims != (sample,) and c.ndim == 1
        ]
        modes = Coordinate("mode", tuple(range(self.modes)), long_name="principal component")
        return (*own, modes) if self.modes else tuple(own)

    def convert(self, samples: xr.Dataset, rng: np.random.Generator) -> Arrays:
        """Return the cleaned cubes, and the amplitudes."""
        cubes = samples[str(self._cube.name)]
        if self.scatter:
            sample = sample_dim(self.data)
            z = xr.DataArray(rng.standard_normal(samples.sizes[sample]), dims=sample)
            cubes = (cubes * np.exp(self.scatter * z)).assign_attrs(cubes.attrs)
        cleaner: Any = self._cleaner
        sample = sample_dim(self.data)
        order = (sample, *self.variables[0].dims)
        if not self.modes:
            return {"cleaned": cleaner.clean(cubes).transpose(*order).values}
        cleaned = cleaner.clean(cubes, self.modes).transpose(*order).values
        removed = cleaner.modes_of(cubes, self.modes)
        order = (sample, *self.variables[1].dims)
        return {"cleaned": cleaned, "amplitude": removed.transpose(*order).values}
