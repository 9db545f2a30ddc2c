"""Random numbers of one block as tensors, on the processor or on a GPU.

On the processor they are NumPy's Philox numbers of the block, to the last bit. On CUDA a
generator of the device is seeded from them, which gives other numbers: the device is then
part of the recipe.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from presage.labels import LabelError, nearest

#: Devices that simulate; Apple's has no float64.
DEVICES = ("cpu", "cuda")


def resolve_device(name: str) -> str:
    """Return ``"cpu"`` or ``"cuda"``; ``"auto"`` takes CUDA where there is one."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name not in DEVICES:
        raise LabelError(f"no device {name!r}{nearest(name, ('auto', *DEVICES))}")
    if name == "cuda" and not torch.cuda.is_available():
        raise LabelError("device='cuda', but torch finds no CUDA device here; give 'cpu' or 'auto'")
    return name


class Draws:
    """Numbers of one block.

    Parameters
    ----------
    rng
        The block's generator; on the processor simulators may draw from it directly too.
    device
        Where tensors go.
    """

    def __init__(self, rng: np.random.Generator, device: str = "cpu") -> None:
        self.rng, self.device = rng, device
        self._cuda: torch.Generator | None = None
        if device != "cpu":
            self._cuda = torch.Generator(device)
            self._cuda.manual_seed(int(rng.integers(2**63)))

    def uniform(self, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
        """Return uniform numbers in [0, 1)."""
        if self._cuda is not None:
            return torch.rand(shape, generator=self._cuda, device=self.device, dtype=dtype)
        kind = np.float32 if dtype == torch.float32 else np.float64
        return torch.from_numpy(self.rng.random(shape, dtype=kind))

    def normal(self, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
        """Return standard normal numbers."""
        if self._cuda is not None:
            return torch.randn(shape, generator=self._cuda, device=self.device, dtype=dtype)
        kind = np.float32 if dtype == torch.float32 else np.float64
        return torch.from_numpy(self.rng.standard_normal(shape, dtype=kind))

    def beta(self, alpha: Tensor, beta: Tensor) -> Tensor:
        """Return Beta(alpha, beta) numbers in float64, one for each element of the two tensors."""
        if self._cuda is None:
            return torch.from_numpy(np.asarray(self.rng.beta(alpha.numpy(), beta.numpy())))
        up = torch._standard_gamma(alpha.to(torch.float64), generator=self._cuda)
        return up / (up + torch._standard_gamma(beta.to(torch.float64), generator=self._cuda))

    def poisson(self, mean: Tensor) -> Tensor:
        """Return Poisson numbers as integers, one for each mean."""
        if self._cuda is None:
            return torch.from_numpy(np.asarray(self.rng.poisson(mean.numpy())))
        return torch.poisson(mean, generator=self._cuda).to(torch.int64)
