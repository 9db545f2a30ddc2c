"""Training and sampling of every model beside the same network elsewhere.

Ours train through :func:`presage.fit`, with everything that it does; set-up counts on no
side. All use the same threads and batches, and events that stay in memory. Sampling is one
event for each of 65 536 labels in the network's coordinates.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from benchmarks import flows
from benchmarks.core import Result, installed, paired, seconds, side_by_side
from benchmarks.data import labelled_events
from benchmarks.reaching import time_to_accuracy
from presage.fitting import fit
from presage.models import FittedDensity, model
from presage.models.fitted_density import ROWS
from presage.models.prepared import prepare_columns
from presage.recipe import Recipe
from presage.studies.events.resonance import Resonance

_EVENTS = {"small": 16_384, "full": 65_536}
_ROUNDS = {"small": 3, "full": 7}
_ROWS = 65_536
_HIDDEN, _BINS, _COMPONENTS = (64, 64), 16, 12

#: Model → its settings, and peer → function that makes the same network. FEDHEX's network
#: is the MAF, so that model has its activation.
_FLOW = {"hidden": _HIDDEN}
MODELS: dict[str, tuple[dict[str, Any], dict[str, Callable[[], flows.TorchPeer]]]] = {
    "maf": (
        {"hidden": (128,), "layers": 10, "activation": "ReLU"},
        {
            "zuko": lambda: flows.zuko("flows.MAF", (128,), nn.ReLU, transforms=10),
            "nflows": lambda: flows.nflows_masked((128,), 10, lambda: torch.relu),
        },
    ),
    "spline_flow": (
        {**_FLOW, "layers": 1, "bins": _BINS},
        {
            "zuko": lambda: flows.zuko("flows.NSF", _HIDDEN, nn.SiLU, transforms=1, bins=_BINS),
            "nflows": lambda: flows.nflows_masked(_HIDDEN, 1, nn.SiLU, _BINS),
        },
    ),
    "realnvp": (
        {**_FLOW, "layers": 8},
        {
            "zuko": lambda: flows.zuko("flows.RealNVP", _HIDDEN, nn.SiLU, transforms=8),
            "nflows": lambda: flows.nflows_coupling(_HIDDEN, 8, nn.SiLU),
        },
    ),
    "coupling_spline": (
        {**_FLOW, "layers": 4, "bins": _BINS},
        {
            "zuko": lambda: flows.zuko("coupling", _HIDDEN, nn.SiLU, transforms=4, bins=_BINS),
            "nflows": lambda: flows.nflows_coupling(_HIDDEN, 4, nn.SiLU, _BINS),
        },
    ),
    "mixture_density": (
        {"hidden": _HIDDEN, "components": _COMPONENTS},
        {"zuko": lambda: flows.zuko("mixtures.GMM", _HIDDEN, nn.SiLU, components=_COMPONENTS)},
    ),
}


def run(size: str, folder: Path) -> list[Result]:
    """Measure all models at batches of 1024 and 8192, then the time to an accuracy."""
    data = _data(_EVENTS[size])
    results = []
    default = torch.get_num_threads()
    for threads in (1, default) if size == "full" and default > 1 else (1,):
        torch.set_num_threads(threads)
        fedhex = _fedhex(folder, data, threads)
        try:
            for name in MODELS:
                own = fedhex if name == "maf" else None
                for batch in (1024, 8192):
                    results += _training(name, data, batch, threads, size, own)
                results += _sampling(name, data, threads, size, own)
        finally:
            if fedhex:
                fedhex.close()
    torch.set_num_threads(default)
    return results + time_to_accuracy(size, folder)


def _data(events: int) -> xr.Dataset:
    simulator = Resonance.on_grid(9, 10, weights="equal")
    labels = simulator.label_table[np.arange(events) % len(simulator.label_table)]
    return labelled_events(simulator, labels, np.random.default_rng(0))


def _fedhex(folder: Path, data: xr.Dataset, threads: int) -> flows.TensorFlowPeer | None:
    if flows.VARIABLE not in os.environ:
        return None
    return flows.TensorFlowPeer(folder, prepare_columns(data).arrays, threads)


def _training(
    name: str, data: xr.Dataset, batch: int, threads: int, size: str, fedhex: Any
) -> list[Result]:
    settings, _ = MODELS[name]
    x, c = (torch.from_numpy(a) for a in prepare_columns(data).arrays.values())

    def ours() -> float:
        fitted = fit(model(name, **settings), data, epochs=2, batch_size=batch, validation=0.0,
                     device="cpu", progress=False)  # fmt: skip
        return data.sizes["event"] / float(fitted.history["seconds"][-1])

    contenders = {"presage": ours}
    for peer, made in _peers(name).items():
        contenders[peer] = lambda made=made: made.train(x, c, batch)
    if fedhex:
        contenders["FEDHEX in TensorFlow"] = lambda: fedhex.ask("train", batch=batch, epochs=1)[
            "rate"
        ]
    what = f"models/{name}, training, batch {batch}, threads {threads}"
    return _results(what, contenders, size, fedhex is not None or name != "maf")


def _sampling(name: str, data: xr.Dataset, threads: int, size: str, fedhex: Any) -> list[Result]:
    settings, _ = MODELS[name]
    prepared = prepare_columns(data)
    spec = model(name, **settings)
    network = spec.build(prepared.declaration).eval()
    c = torch.from_numpy(np.resize(prepared.arrays["condition"], (_ROWS, flows.CONTEXT)))
    flow = FittedDensity(
        Recipe("untrained", 1, {}),
        spec,
        network,
        prepared.declaration,
        prepared.state,
        xr.Dataset(),
    )
    labels = {p.name: np.resize(data[p.name].values, _ROWS) for p in flow.scale.parameters}
    rng = np.random.default_rng(1)

    @torch.inference_mode()
    def draw() -> None:
        numbers = torch.randn(_ROWS, network.numbers)
        for own, given in zip(numbers.split(ROWS), c.split(ROWS), strict=True):
            network.draw(given, own)

    contenders = {"presage": lambda: _ROWS / seconds(draw)}
    for peer, made in _peers(name).items():
        contenders[peer] = lambda made=made: made.sample(c)
    if fedhex:
        contenders["FEDHEX in TensorFlow"] = lambda: fedhex.ask("sample", rows=_ROWS)["rate"]
    what = f"models/{name}, sampling, threads {threads}"
    results = _results(what, contenders, size, fedhex is not None or name != "maf")
    whole = statistics.median(
        _ROWS / seconds(lambda: flow.draw(labels, rng)) for _ in range(_ROUNDS[size])
    )
    return [*results, Result(f"{what}, in GeV", whole, "events/s")]


def _peers(name: str) -> dict[str, flows.TorchPeer]:
    """Return those peers that are installed."""
    return {peer: make() for peer, make in MODELS[name][1].items() if installed(peer)}


def _results(
    what: str, contenders: dict[str, Callable[[], float]], size: str, tensorflow: bool
) -> list[Result]:
    """Measure and compare; a peer that is not installed is named."""
    rates = side_by_side(contenders, _ROUNDS[size])
    ours = statistics.median(rates["presage"])
    results = [Result(what, ours, "events/s")]
    for peer in contenders:
        if peer == "presage":
            continue
        ratio = paired(rates["presage"], rates[peer])
        note = f"{statistics.median(rates[peer]):.4g} events/s there"
        results.append(Result(f"{what} / {peer}", ratio, "×", 1.0, peer=peer, note=note))
    if not installed("nflows") and "mixture" not in what:
        results.append(Result(f"{what} / nflows", None, "×", note="pip install nflows"))
    if not tensorflow:
        note = f"give {flows.VARIABLE} an interpreter that has it, see benchmarks/peers.txt"
        results.append(Result(f"{what} / FEDHEX in TensorFlow", None, "×", note=note))
    return results
