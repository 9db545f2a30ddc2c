"""The training loop.

What happens at a step is written out in :meth:`Loop._step`; everything else here decides
when to look at losses, validate, save and stop.
"""

from __future__ import annotations

import math
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from presage.fitting.checkpoint import Checkpoints, read
from presage.fitting.compiling import compiled
from presage.fitting.device import rng_states, set_aside, set_rng_states
from presage.fitting.errors import FitError, NonFiniteLossError
from presage.fitting.meter import Meter
from presage.fitting.schedules import make_schedule
from presage.fitting.settings import Settings
from presage.fitting.source import Piece, TensorBatch, TrainingBatches, divide
from presage.fitting.state import Average, Progress, snapshot
from presage.models.prepared import WEIGHT
from presage.progress import Bar

if TYPE_CHECKING:
    from lightning_fabric import Fabric

#: Share of the time that checkpoints at epoch edges may take.
_SHARE = 0.02


@dataclass
class Habits:
    """What does not change the result."""

    checkpoints: Checkpoints | None  # where they go; None for none
    every: int | None  # steps between checkpoints besides those at epoch edges
    progress: bool  # whether to show a bar
    title: str  # what the bar is called
    compile: bool = False  # whether the loss is compiled


def loss_name(network: nn.Module) -> str:
    """Return the method to train by: the loss that a user gave, which may call the own one."""
    return "given_loss" if hasattr(network, "given_loss") else "loss"


class Loop:
    """One run.

    Parameters
    ----------
    network
        On the device; trained in place.
    source
        Its batches.
    settings, seed, habits
        See there.
    fabric
        Device, precision and the other processes.
    """

    def __init__(
        self,
        network: nn.Module,
        source: TrainingBatches,
        settings: Settings,
        seed: int,
        fabric: Fabric,
        habits: Habits,
    ) -> None:
        self.network, self.source, self.settings = network, source, settings
        self.seed, self.fabric, self.habits = seed, fabric, habits
        self.state = Progress()
        self.best: dict[str, Tensor] = {}
        self.average = Average(network, settings.ema) if settings.ema else None
        self.optimizer = settings.make_optimizer(network)
        self._parameters = [p for p in network.parameters() if p.requires_grad]
        self._plain_loss: Any = getattr(network, loss_name(network))
        self._loss, self._segment = self._wrapped()
        if habits.compile:
            self._loss = compiled(self._loss, settings, fabric.world_size, self._segment)
        total = settings.epochs * source.steps
        self._factor = make_schedule(settings.schedule, total, settings.warmup)
        self.meter = Meter(settings.batch_size, fabric.device, settings.dtype, self._stop)
        self._kept_weights: dict[tuple[int, bool, int], Tensor] = {}
        self._saving = 0.0
        self._begun = time.monotonic()

    def _wrapped(self) -> tuple[Any, Any]:
        """Return the network's losses as functions; among many processes those of DDP."""
        if self.settings.accumulate > 1 and hasattr(self.network, "segment_loss"):
            raise FitError(
                "accumulate splits a batch into parts, and this network already splits it into "
                "segments (it has segment_loss); give accumulate=1"
            )
        if self.fabric.world_size == 1:
            self._module = None
            return self._plain_loss, getattr(self.network, "segment_loss", None)
        self._module = self.fabric.setup_module(self.network)
        names = [n for n in (loss_name(self.network), "segment_loss") if hasattr(self.network, n)]
        for name in names:
            self._module.mark_forward_method(name)
        loss = getattr(self._module, names[0])
        return loss, getattr(self._module, names[-1]) if names[1:] else None

    # -- the loop ----------------------------------------------------------------------

    def run(self) -> dict[str, Tensor]:
        """Train to the end and return the weights that are the result."""
        self._resume()
        total = self.settings.epochs * self.source.steps
        with Bar(
            total=total,
            initial=self.position,
            desc=self.habits.title,
            unit="step",
            disable=not self.habits.progress or self.fabric.global_rank > 0,
        ) as self._bar:
            while self.state.epoch < self.settings.epochs and not self._exhausted:
                self._epoch()
        for logger in self.fabric.loggers:
            logger.finalize("success")
        if self.settings.keep == "best":
            return self._best()
        with self.average.applied() if self.average else nullcontext():
            return snapshot(self.network)

    def _best(self) -> dict[str, Tensor]:
        if not self.best:
            raise FitError(
                "keep='best', but the validation loss was never finite; look at the samples that "
                "validation holds out, or take keep='last'"
            )
        return self.best

    def _epoch(self) -> None:
        state = self.state
        self._clock = time.monotonic() - state.seconds
        self.network.train()
        more = state.epoch + 1 < self.settings.epochs
        for piece in self.source.epoch(state.epoch, state.step, more):
            self._step(piece)
            if self.meter.end(state.step):
                self._bar.set_postfix(loss=f"{self.meter.recent:.4g}", refresh=False)
            state.step += 1
            self._bar.update()
            if self.habits.every and self.position % self.habits.every == 0:
                self._save()
        self._close_epoch()

    def _step(self, piece: Piece) -> None:
        rate = self.settings.learning_rate * self._factor(self.position)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        if self._segment is not None:
            self._segments(piece)
            return
        parts = divide(piece.batch, piece.own, self.settings.accumulate)
        for part in parts[:-1]:
            with self._unsynchronised():
                self._backward(part, piece)
        self._backward(parts[-1], piece)
        self._update()

    def _backward(self, batch: TensorBatch, piece: Piece) -> None:
        with self.fabric.autocast():
            losses = _weighted(self._loss(batch), batch)
        self._descend(losses, piece)

    def _descend(self, losses: Tensor, piece: Piece) -> None:
        """Add the gradient of this process's share of the batch's mean loss."""
        losses = losses.to(self.settings.dtype)
        torch.autograd.backward(losses, self._weights(len(losses), piece))
        self.meter.add(losses if piece.own else losses[:0])

    def _weights(self, count: int, piece: Piece) -> Tensor:
        """Return what each sample counts for; kept, since nearly all batches are alike."""
        key = count, piece.own > 0, piece.total
        if key not in self._kept_weights:
            # Processes are averaged over, so what counts among all weighs W times here.
            weight = self.fabric.world_size / piece.total if piece.own else 0.0
            options: Any = {"dtype": self.settings.dtype, "device": self.fabric.device}
            self._kept_weights[key] = torch.full((count,), weight, **options)
        return self._kept_weights[key]

    def _update(self) -> None:
        if self.settings.clip is not None:
            clip_grad_norm_(self._parameters, self.settings.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.state.updates += 1
        if self.average is not None:
            self.average.update(self.state.updates)

    def _segments(self, piece: Piece) -> None:
        """Take one optimiser step for each segment: truncated back-propagation."""
        carry = None
        while True:
            with self.fabric.autocast():
                losses, carry = self._segment(piece.batch, carry)
            self._descend(losses, piece)
            self._update()
            if carry is None:
                return
            self.meter.end(self.state.step)

    def _unsynchronised(self) -> Any:
        if self._module is None:
            return nullcontext()
        return self.fabric.no_backward_sync(self._module)

    # -- at the edge of an epoch ---------------------------------------------------------

    def _close_epoch(self) -> None:
        state = self.state
        self._look()
        last = self._factor(self.position - 1) * self.settings.learning_rate
        loss = self._mean(self.meter.sums, self.meter.samples)
        validation_loss = self._validate() if self.settings.validation else math.nan
        state.seconds = time.monotonic() - self._clock
        line = state.record(loss, validation_loss, last)
        if state.improves(validation_loss) and self.settings.keep == "best":
            with self.average.applied() if self.average else nullcontext():
                self.best = snapshot(self.network)
        if self.fabric.loggers:
            self.fabric.log_dict(line, step=state.epoch)
        self.meter.reset()
        ended = self._exhausted or state.epoch == self.settings.epochs
        cheap = self._saving <= _SHARE * (time.monotonic() - self._begun)
        if self.habits.checkpoints and not ended and self.fabric.broadcast(cheap):
            self._save()

    @property
    def position(self) -> int:
        """Steps since the beginning."""
        return self.state.epoch * self.source.steps + self.state.step

    @property
    def _exhausted(self) -> bool:
        patience = self.settings.patience
        return patience is not None and self.state.epoch - self.state.best_epoch >= patience

    @torch.no_grad()
    def _validate(self) -> float:
        sums, samples = [], 0
        self.network.eval()
        with (
            set_aside(self.fabric.device, self.seed),
            self.average.applied() if self.average else nullcontext(),
        ):
            for batch in self.source.validation():
                with self.fabric.autocast():
                    losses = _weighted(self._plain_loss(batch), batch)
                sums.append(float(losses.cpu().double().sum()))
                samples += len(losses)
        return self._mean(sums, samples)

    def _mean(self, sums: list[float], samples: int) -> float:
        total = math.fsum(sums)
        if self.fabric.world_size > 1:
            both = torch.tensor([total, samples], dtype=torch.float64, device=self.fabric.device)
            summed = cast("Tensor", self.fabric.all_reduce(both, reduce_op="sum"))
            total, samples = summed.tolist()
        return total / samples

    # -- checkpoints ---------------------------------------------------------------------

    def _save(self) -> None:
        begun = time.monotonic()
        self._look()
        state = self.state
        if state.step:
            state.seconds = begun - self._clock
        own = rng_states(self.fabric.device)
        gathered = {name: self._gathered(tensor) for name, tensor in own.items()}
        losses = self._gathered(self.meter.state())
        ranks = range(self.fabric.world_size)
        rngs = [{name: states[rank] for name, states in gathered.items()} for rank in ranks]
        if self.habits.checkpoints and self.fabric.global_rank == 0:
            self.habits.checkpoints.save(
                {
                    "network": self.network.state_dict(),
                    "best": self.best,
                    "average": self.average.shadow if self.average else {},
                    "optimizer": self.optimizer.state_dict(),
                    "rng": rngs,
                    "losses": losses,
                    "progress": state.as_dict(),
                }
            )
        self._saving += time.monotonic() - begun

    def _gathered(self, tensor: Tensor) -> list[Tensor]:
        """Return what every process has under this name."""
        if self.fabric.world_size == 1:
            return [tensor]
        tensor = tensor.to(self.fabric.device)
        every = [torch.empty_like(tensor) for _ in range(self.fabric.world_size)]
        torch.distributed.all_gather(every, tensor)
        return [states.cpu() for states in every]

    def _resume(self) -> None:
        if self.habits.checkpoints is None:
            return
        rank = self.fabric.global_rank
        path = self.fabric.broadcast(self.habits.checkpoints.newest() if rank == 0 else None)
        if path is None:
            return
        saved = read(path)
        self.network.load_state_dict(saved["network"])
        self.best = saved["best"]
        if self.average:
            self.average.load(saved["average"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.state = Progress(**saved["progress"])
        if len(saved["rng"]) == self.fabric.world_size:
            set_rng_states(saved["rng"][rank], self.fabric.device)
            self.meter.load(saved["losses"][rank : rank + 1])
        else:  # another number of processes: one of them takes the sums of all
            self.meter.load(saved["losses"] if rank == 0 else [])
        if self.habits.progress and rank == 0:
            at = f"epoch {self.state.epoch}, step {self.state.step}"
            Bar.write(f"{self.habits.title}: going on at {at}", file=sys.stderr)

    # -- what must not happen ------------------------------------------------------------

    @torch.no_grad()
    def _look(self) -> None:
        """Check losses and weights, so that nothing broken is saved or returned."""
        self.meter.look()
        norms = torch.stack(torch._foreach_norm([p.detach() for p in self._parameters]))
        if not bool(torch.isfinite(norms).all()):
            step = self.state.step - 1
            self._refuse("the weights became not finite", step, np.arange(0))

    def _stop(self, step: int, bad: np.ndarray, count: int) -> None:
        what = f"{len(bad)} of {count} losses were not finite"
        self._refuse(what, step, bad)

    def _refuse(self, what: str, step: int, bad: np.ndarray) -> None:
        epoch = self.state.epoch
        numbers = self.source.numbers(epoch, step)
        offending = numbers[bad]
        named = f"samples {_some(offending)}" if len(bad) else f"its samples: {_some(numbers)}"
        if len(bad) == len(numbers) and step > 0:
            before = self.source.numbers(epoch, step - 1)
            named += f"; all of them, so look also at the step before: {_some(before)}"
        kept = "; the last good checkpoint is kept" if self.habits.checkpoints else ""
        raise NonFiniteLossError(
            f"{what} at epoch {epoch}, step {step} (counted from 0): {named}. "
            f"Look at these samples, lower learning_rate, or set clip=1.0{kept}",
            epoch,
            step,
            numbers.tolist(),
            offending.tolist(),
        )


def _weighted(losses: Tensor, batch: TensorBatch) -> Tensor:
    """Return the losses of samples by what each counts for; weights are 1 on average."""
    return losses * batch[WEIGHT] if WEIGHT in batch else losses


def _some(numbers: np.ndarray, most: int = 16) -> str:
    more = f" and {len(numbers) - most} more" if len(numbers) > most else ""
    return ", ".join(str(n) for n in numbers[:most]) + more
