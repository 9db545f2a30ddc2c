"""The same flows elsewhere: zuko alone, nflows, and FEDHEX's in a TensorFlow of its own.

A peer is trained by a bare loop over tensors that stay in memory, with torch's fused Adam.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

#: Which interpreter has TensorFlow.
VARIABLE = "PRESAGE_BENCH_TENSORFLOW"
#: Variables and condition features of the benchmark's events.
FEATURES, CONTEXT = 2, 2


class TorchPeer:
    """A flow of some library: log p and samples.

    Parameters
    ----------
    network, log_prob, sample
        The module, (x, c) → log p, and c → one event for each row.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        log_prob: Callable[[Tensor, Tensor], Tensor],
        sample: Callable[[Tensor], Tensor],
    ) -> None:
        self.network, self.log_prob, self._sample = network, log_prob, sample
        self.optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=True)

    def train(self, x: Tensor, c: Tensor, batch: int) -> float:
        """Return events a second of one epoch."""
        self.network.train()
        began = time.perf_counter()
        order = torch.randperm(len(x))
        for first in range(0, len(x), batch):
            rows = order[first : first + batch]
            (-self.log_prob(x[rows], c[rows])).mean().backward()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        return len(x) / (time.perf_counter() - began)

    def sample(self, c: Tensor) -> float:
        """Return events a second."""
        self.network.eval()
        began = time.perf_counter()
        with torch.inference_mode():
            self._sample(c)
        return len(c) / (time.perf_counter() - began)


def _zuko(flow: Any) -> TorchPeer:
    return TorchPeer(flow, lambda x, c: flow(c).log_prob(x), lambda c: flow(c).sample())


def zuko_maf(hidden: tuple[int, ...], layers: int, activation: Any) -> TorchPeer:
    """zuko's MAF."""
    import zuko

    return _zuko(
        zuko.flows.MAF(
            FEATURES, CONTEXT, transforms=layers, hidden_features=hidden, activation=activation
        )
    )


def zuko_spline(hidden: tuple[int, ...], layers: int, activation: Any, bins: int) -> TorchPeer:
    """zuko's autoregressive spline flow."""
    import zuko

    options = {"hidden_features": hidden, "activation": activation}
    return _zuko(zuko.flows.NSF(FEATURES, CONTEXT, bins=bins, transforms=layers, **options))


def zuko_realnvp(hidden: tuple[int, ...], layers: int, activation: Any) -> TorchPeer:
    """zuko's RealNVP."""
    import zuko

    options = {"hidden_features": hidden, "activation": activation}
    return _zuko(zuko.flows.RealNVP(FEATURES, CONTEXT, transforms=layers, **options))


def zuko_coupling(hidden: tuple[int, ...], layers: int, activation: Any, bins: int) -> TorchPeer:
    """zuko's couplings with its splines."""
    import zuko

    options = {
        "hidden_features": hidden,
        "activation": activation,
        "univariate": zuko.transforms.MonotonicRQSTransform,
        "shapes": [(bins,), (bins,), (bins - 1,)],
    }
    return _zuko(zuko.flows.coupling.NICE(FEATURES, CONTEXT, transforms=layers, **options))


def zuko_mixture(hidden: tuple[int, ...], components: int, activation: Any) -> TorchPeer:
    """zuko's Gaussian mixture with full covariances."""
    import zuko

    options = {"hidden_features": hidden, "activation": activation}
    return _zuko(zuko.mixtures.GMM(FEATURES, CONTEXT, components=components, **options))


def _nflows(make: Callable[[int], list[Any]], layers: int) -> TorchPeer:
    from nflows.distributions.normal import StandardNormal
    from nflows.flows.base import Flow
    from nflows.transforms.base import CompositeTransform

    maps = [part for index in range(layers) for part in make(index)]
    flow = Flow(CompositeTransform(maps), StandardNormal([FEATURES]))
    return TorchPeer(
        flow, lambda x, c: flow.log_prob(x, context=c), lambda c: flow.sample(1, context=c)
    )


def _masked(hidden: tuple[int, ...], activation: Any) -> dict[str, Any]:
    # One hidden layer stands before the blocks.
    return {
        "features": FEATURES,
        "hidden_features": hidden[0],
        "context_features": CONTEXT,
        "num_blocks": len(hidden) - 1,
        "use_residual_blocks": False,
        "activation": activation(),
    }


def nflows_maf(hidden: tuple[int, ...], layers: int, activation: Any) -> TorchPeer:
    """nflows' masked affine autoregressive transforms, the order reversed between them."""
    from nflows.transforms.autoregressive import MaskedAffineAutoregressiveTransform as Masked
    from nflows.transforms.permutations import ReversePermutation

    options = _masked(hidden, activation)
    return _nflows(lambda _: [Masked(**options), ReversePermutation(FEATURES)], layers)


def nflows_spline(hidden: tuple[int, ...], layers: int, activation: Any, bins: int) -> TorchPeer:
    """nflows' masked rational-quadratic transforms with linear tails."""
    from nflows.transforms import autoregressive

    kind = autoregressive.MaskedPiecewiseRationalQuadraticAutoregressiveTransform
    options = _masked(hidden, activation) | {"num_bins": bins, "tails": "linear", "tail_bound": 5.0}
    return _nflows(lambda _: [kind(**options)], layers)


def _nflows_coupling(kind: Any, hidden: tuple[int, ...], activation: Any, **options: Any) -> Any:
    from nflows.nn.nets import MLP

    class Conditioner(torch.nn.Module):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__()
            self.body = MLP([inputs + CONTEXT], [outputs], list(hidden), activation())

        def forward(self, x: Tensor, context: Tensor) -> Tensor:
            return self.body(torch.cat((x, context), -1))

    def make(index: int) -> list[Any]:
        mask = [1, 0] if index % 2 else [0, 1]
        return [kind(mask, Conditioner, **options)]

    return make


def nflows_realnvp(hidden: tuple[int, ...], layers: int, activation: Any) -> TorchPeer:
    """nflows' affine couplings."""
    from nflows.transforms.coupling import AffineCouplingTransform

    return _nflows(_nflows_coupling(AffineCouplingTransform, hidden, activation), layers)


def nflows_coupling(hidden: tuple[int, ...], layers: int, activation: Any, bins: int) -> TorchPeer:
    """nflows' rational-quadratic couplings with linear tails."""
    from nflows.transforms.coupling import PiecewiseRationalQuadraticCouplingTransform as Kind

    options = {"num_bins": bins, "tails": "linear", "tail_bound": 5.0}
    return _nflows(_nflows_coupling(Kind, hidden, activation, **options), layers)


class TensorFlowPeer:
    """FEDHEX's network in an interpreter that has TensorFlow, see `fedhex_tensorflow.py`.

    Parameters
    ----------
    folder
        Where arrays go to and fro.
    arrays
        ``target`` and ``condition``.
    threads
        How many it may use.
    """

    def __init__(self, folder: Path, arrays: dict[str, np.ndarray], threads: int) -> None:
        self.folder = folder
        np.savez(folder / "events.npz", **arrays)
        script = Path(__file__).with_name("fedhex_tensorflow.py")
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        self._process = subprocess.Popen(
            [os.environ[VARIABLE], str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env=environment, encoding="utf-8"
        )  # fmt: skip
        self.versions = self.ask("open", data=str(folder / "events.npz"), threads=threads)

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """Send a request and return its answer."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"do": do, **request}) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("answer "):
                found: dict[str, Any] = json.loads(line.removeprefix("answer "))
                return found
        raise RuntimeError(f"{os.environ[VARIABLE]} ended: has it tensorflow, tfp and tf_keras?")

    def draw(self, labels: np.ndarray) -> np.ndarray:
        """Return one event for each row of labels."""
        np.save(self.folder / "labels.npy", labels)
        to = self.folder / "drawn.npy"
        self.ask("draw", labels=str(self.folder / "labels.npy"), to=str(to))
        return np.asarray(np.load(to))

    def close(self) -> None:
        """End the interpreter."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(30)
