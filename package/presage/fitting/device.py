"""On what a run takes place: Fabric, one process or many, and reproducible arithmetic."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from presage.fitting.errors import FitError
from presage.fitting.schedules import check_named, options_of
from presage.fitting.settings import named

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def make_fabric(device: str, precision: str, logger: Any, name: str) -> Fabric:
    """Return a launched Fabric: all processes of a ``torchrun``, else this one alone.

    A logger is None, a name in :data:`LOGGERS` with or without options, or one of Fabric; in the
    logs the run is called `name`.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment

    kind, _, index = resolved(device).partition(":")
    loggers = [] if logger is None else [_logger(logger, name)]
    common: dict[str, Any] = {"accelerator": kind, "precision": precision, "loggers": loggers}
    if "TORCHELASTIC_RUN_ID" in os.environ:
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // local
        fabric = Fabric(devices=local, num_nodes=nodes, strategy="ddp", **common)
    else:
        devices: Any = [int(index or 0)] if kind == "cuda" else 1
        # Named, so that a batch system's variables do not make one process wait for others.
        fabric = Fabric(devices=devices, plugins=[LightningEnvironment()], **common)
    fabric.launch()
    return fabric


def resolved(device: str) -> str:
    """Return the device that a name stands for, as torch calls it.

    Raises
    ------
    FitError
        It is none, or not here.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if device == "auto":
        return "cuda" if cuda else "mps" if mps else "cpu"
    kind, _, index = device.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and not index.isdigit()):
        raise FitError(f"device is 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps', got {device!r}")
    if (kind == "cuda" and not cuda) or (kind == "mps" and not mps):
        raise FitError(f"there is no {kind} device here; use device='auto'")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise FitError(f"there are {torch.cuda.device_count()} cuda devices, got {device!r}")
    return device


@contextmanager
def reproducible(device: torch.device, seed: int) -> Iterator[None]:
    """Seed torch for a while and make it deterministic, then leave it as it was."""
    devices = [device] if device.type == "cuda" else []
    flags = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    fill = memory.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        try:
            torch.use_deterministic_algorithms(True, warn_only=True)
            torch.backends.cudnn.benchmark = False
            memory.fill_uninitialized_memory = False  # costs time, and we read none
            yield
        finally:
            torch.use_deterministic_algorithms(flags[0], warn_only=warn_only)
            torch.backends.cudnn.benchmark = flags[1]
            memory.fill_uninitialized_memory = fill


@contextmanager
def set_aside(device: torch.device, seed: int) -> Iterator[None]:
    """Let random numbers be drawn from a seed of their own, without moving on the others."""
    kept = rng_states(device)
    # Not torch.manual_seed, which writes down stack traces for devices that are not in use.
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    try:
        yield
    finally:
        set_rng_states(kept, device)


def rng_states(device: torch.device) -> dict[str, Tensor]:
    """Return the states of the generators that a network draws from."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_rng_states(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Set the generators back to what :func:`rng_states` returned."""
    torch.set_rng_state(states["cpu"].cpu())
    if "cuda" in states and device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"].cpu(), device)


def _csv(name: str, *, folder: str = "logs") -> Any:
    from lightning_fabric.loggers.csv_logs import CSVLogger

    return CSVLogger(folder, name=name)


def _tensorboard(name: str, *, folder: str = "logs") -> Any:
    from lightning_fabric.loggers.tensorboard import TensorBoardLogger

    return TensorBoardLogger(folder, name=name)


def _wandb(name: str, *, project: str = "presage", folder: str = "logs") -> Any:
    from lightning.pytorch.loggers import WandbLogger

    return WandbLogger(name=name, project=project, save_dir=folder)


#: Name → function of the run's name and options.
LOGGERS = {"csv": _csv, "tensorboard": _tensorboard, "wandb": _wandb}
_NEEDS = {"tensorboard": "tensorboard", "wandb": "lightning wandb"}


def _logger(logger: Any, name: str) -> Any:
    if not isinstance(logger, (str, Mapping)):
        return logger
    options = named(logger)
    check_named("logger", options, options_of(LOGGERS))
    kind = options.pop("name")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an existing folder of logs is nothing to warn of
            return LOGGERS[kind](name, **options)
    except ImportError as error:
        raise FitError(
            f"the logger {kind!r} needs more packages ({error}); pip install {_NEEDS[kind]}"
        ) from error
