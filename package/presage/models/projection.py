"""A basis of principal components as a torch module: d - U (U^H d), inside a model or on a GPU.

What autocast and TF32 do to other products would be ruinous here: with foregrounds 1e5 times
brighter than the signal, TF32 leaves an error of 19 signals, bfloat16 of 140. So the products are
float64 whatever the input is, or, where a device has none or is slow at it, float32 in full and
in two passes, the second of which removes what rounding left of the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
import xarray as xr
from torch import Tensor, nn

from presage.labels import LabelError, nearest
from presage.transforms.channels import COMPONENT, Channels
from presage.transforms.pca import PCA

_KINDS = {"float64": torch.float64, "float32": torch.float32}


class Projection(nn.Module):
    """Removes the first components of a basis from batches.

    Parameters
    ----------
    basis
        The basis; its vectors are a buffer, ``vectors`` ``[channel, mode]``, and stay float64.
    modes
        How many components are removed.
    like
        Labelled array whose batches these are: its dims say which axis is which, its channels are
        those of the basis or it is refused. Batches are real, complex, or real with a dimension
        ``component``, as it is.
    precision
        ``"float64"``, or ``"float32"`` in two passes.

    Raises
    ------
    LabelError
        Other channels than the basis has, or more modes.
    """

    vectors: Tensor

    def __init__(
        self,
        basis: PCA | xr.Dataset,
        modes: int,
        like: xr.DataArray,
        precision: Literal["float64", "float32"] = "float64",
    ) -> None:
        super().__init__()
        pca = basis if isinstance(basis, PCA) else PCA(basis)
        pca.channels.check(Channels.of(like, pca.dim))
        vectors = pca.vectors(modes)
        if len(vectors) < like.sizes[pca.dim]:
            raise LabelError(
                f"{like.sizes[pca.dim] - len(vectors)} channels of the basis are dead; cut them off"
            )
        if precision not in _KINDS:
            raise LabelError(f"no precision {precision!r}{nearest(precision, _KINDS)}")
        self.dims, self.dim, self.precision = tuple(map(str, like.dims)), pca.dim, precision
        self.register_buffer("vectors", torch.from_numpy(vectors))

    def forward(self, batch: Tensor) -> Tensor:
        """Return the cleaned batch ``[*dims]``, in the type that came."""
        return self._applied(batch, self._cleaned)

    def amplitudes(self, batch: Tensor) -> Tensor:
        """Return U^H d ``[*dims]``, the channels replaced by modes."""
        return self._applied(batch, lambda d, u: u.mH @ d)

    def extra_repr(self) -> str:
        """Say what is removed."""
        channels, modes = self.vectors.shape
        return f"{self.dim!r}, {modes} of {channels} modes, {self.precision}"

    def _applied(self, batch: Tensor, product: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        if batch.ndim != len(self.dims):
            raise LabelError(f"expected a batch {self.dims}, got {tuple(batch.shape)}")
        kind, parts = _KINDS[self.precision], COMPONENT in self.dims
        at = self.dims.index(COMPONENT) if parts else 0
        values = torch.complex(*batch.to(kind).unbind(at)) if parts else batch
        axis = [d for d in self.dims if d != COMPONENT].index(self.dim)
        before, after = values.shape[:axis], values.shape[axis + 1 :]
        vectors = self.vectors.to(kind.to_complex() if self.vectors.is_complex() else kind)
        with _exact(batch.device):
            flat = values.to(vectors.dtype).reshape(before.numel(), -1, after.numel())
            made = product(flat, vectors).reshape(*before, -1, *after)
        made = torch.stack((made.real, made.imag), at) if parts else made
        return made.to(batch.dtype)

    def _cleaned(self, values: Tensor, vectors: Tensor) -> Tensor:
        for _ in range(1 if self.precision == "float64" else 2):
            values = values - vectors @ (vectors.mH @ values)
        return values

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Projection:
        """Move to where a model goes, but never to fewer digits."""
        exact = self.vectors
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.vectors = exact.to(self.vectors.device)
        return self


@contextmanager
def _exact(device: torch.device) -> Iterator[None]:
    """Switch autocast and TF32 off for a while."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
