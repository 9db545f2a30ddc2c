"""The same flows elsewhere: zuko alone, nflows, and FEDHEX's in a TensorFlow of its own.

A peer is trained by a bare loop over tensors that stay in memory, with torch's fused Adam.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from operator import attrgetter
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


def zuko(kind: str, hidden: tuple[int, ...], activation: Any, **options: Any) -> TorchPeer:
    """zuko's: ``"flows.NSF"`` or another one, with its own options; ``"coupling"`` has its splines.

    That one takes `bins` for them.
    """
    import zuko as library

    if kind == "coupling":
        kind, bins = "flows.coupling.NICE", options.pop("bins")
        options["univariate"] = library.transforms.MonotonicRQSTransform
        options["shapes"] = [(bins,), (bins,), (bins - 1,)]
    make = attrgetter(kind)(library)
    flow = make(FEATURES, CONTEXT, hidden_features=hidden, activation=activation, **options)
    return TorchPeer(flow, lambda x, c: flow(c).log_prob(x), lambda c: flow(c).sample())


def _nflows(make: Callable[[int], list[Any]], layers: int) -> TorchPeer:
    from nflows.distributions.normal import StandardNormal
    from nflows.flows.base import Flow
    from nflows.transforms.base import CompositeTransform

    maps = [part for index in range(layers) for part in make(index)]
    flow = Flow(CompositeTransform(maps), StandardNormal([FEATURES]))
    return TorchPeer(
        flow, lambda x, c: flow.log_prob(x, context=c), lambda c: flow.sample(1, context=c)
    )


def _spline(bins: int) -> dict[str, Any]:
    return {"num_bins": bins, "tails": "linear", "tail_bound": 5.0}


def nflows_masked(
    hidden: tuple[int, ...], layers: int, activation: Any, bins: int = 0
) -> TorchPeer:
    """nflows' masked transforms, the order reversed between them.

    Affine, or with `bins` rational-quadratic with linear tails.
    """
    from nflows.transforms import autoregressive
    from nflows.transforms.permutations import ReversePermutation

    kind = autoregressive.MaskedAffineAutoregressiveTransform
    if bins:
        kind = autoregressive.MaskedPiecewiseRationalQuadraticAutoregressiveTransform
    options = {
        "features": FEATURES,
        "hidden_features": hidden[0],  # One hidden layer stands before the blocks.
        "context_features": CONTEXT,
        "num_blocks": len(hidden) - 1,
        "use_residual_blocks": False,
        "activation": activation(),
        **(_spline(bins) if bins else {}),
    }
    between = [ReversePermutation(FEATURES)] if layers > 1 else []
    return _nflows(lambda _: [kind(**options), *between], layers)


def nflows_coupling(
    hidden: tuple[int, ...], layers: int, activation: Any, bins: int = 0
) -> TorchPeer:
    """nflows' couplings: affine, or with `bins` rational-quadratic with linear tails."""
    from nflows.nn.nets import MLP
    from nflows.transforms import coupling

    kind, options = coupling.AffineCouplingTransform, dict[str, Any]()
    if bins:
        kind, options = coupling.PiecewiseRationalQuadraticCouplingTransform, _spline(bins)

    class Conditioner(torch.nn.Module):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__()
            self.body = MLP([inputs + CONTEXT], [outputs], list(hidden), activation())

        def forward(self, x: Tensor, context: Tensor) -> Tensor:
            return self.body(torch.cat((x, context), -1))

    return _nflows(
        lambda index: [kind([1, 0] if index % 2 else [0, 1], Conditioner, **options)], layers
    )


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
