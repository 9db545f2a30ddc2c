"""Neural posterior estimation of the `sbi` package on sets of events, trained and sampled.

Run by an interpreter that has sbi (`PRESAGE_BENCH_SBI`), never imported: it is given a folder
with arrays and settings, and leaves arrays there. The posterior is a neural spline flow on
the package's embedding for sets (a perceptron for each event, the mean over the set, the
number of events, and a second perceptron). Sets smaller than the stored ones are filled up
with NaN, as that embedding asks for, so that one network serves all sizes.

``theta.npy [n, P]``, ``events.npy [n, repeat, E, F]``, ``observed_N.npy [k, N, F]`` and
``settings.json`` become ``draws_N.npz`` (theta [k, draw, P], log_prob [k, draw]) and
``timing.json``.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sbi.inference import NPE
from sbi.neural_nets import posterior_nn
from sbi.neural_nets.embedding_nets import FCEmbedding, PermutationInvariantEmbedding
from sbi.utils import BoxUniform

#: Rounds in which draws beyond the prior are made again, and draws made at once.
_ROUNDS, _AT_ONCE = 50, 2_000
#: Densities worked out at once: the package embeds the set once for each of them.
_DENSITIES = 100


class Timed(NPE):
    """NPE that also stops when its processor time is up."""

    deadline = float("inf")

    def _converged(self, epoch: int, stop_after_epochs: int) -> bool:
        done = super()._converged(epoch, stop_after_epochs)
        if time.process_time() > self.deadline and not done:
            self._neural_net.load_state_dict(self._best_model_state_dict)
            return True
        return done


def sets_of(events: np.ndarray, sizes: list[int]) -> torch.Tensor:
    """Return sets ``(n repeat, E, F)``, cut to the sizes in turn and filled up with NaN."""
    flat = np.array(events.reshape(-1, *events.shape[2:]), dtype=np.float32)
    for place, size in enumerate(sizes):
        flat[place :: len(sizes), size:] = np.nan
    return torch.from_numpy(flat)


def network(settings: dict[str, Any], features: int) -> Any:
    """Return what builds the density estimator."""
    width = settings["width"]
    each = FCEmbedding(features, output_dim=width, num_layers=2, num_hiddens=width)
    embedding = PermutationInvariantEmbedding(
        each, width, aggregation_fn=settings["pooling"], num_layers=2, num_hiddens=128,
        output_dim=settings["embedded"],
    )  # fmt: skip
    return posterior_nn(
        settings["flow"], z_score_x="none", embedding_net=embedding, hidden_features=64
    )


def train(folder: Path, settings: dict[str, Any], prior: BoxUniform) -> tuple[Any, dict[str, Any]]:
    """Return the trained estimator, and what the training took."""
    events = np.load(folder / "events.npy", mmap_mode="r")
    theta = np.load(folder / "theta.npy").astype(np.float32)
    x = sets_of(events, settings["sizes"])
    repeated = torch.from_numpy(np.repeat(theta, events.shape[1], axis=0))
    trainer = Timed(
        prior, density_estimator=network(settings, x.shape[-1]), show_progress_bars=False
    )
    trainer.append_simulations(repeated, x, exclude_invalid_x=False)
    began = time.process_time(), time.perf_counter()
    trainer.deadline = began[0] + settings["budget"]
    estimator = trainer.train(
        training_batch_size=settings["batch"],
        learning_rate=settings["rate"],
        stop_after_epochs=settings["patience"],
    )
    took = {
        "cpu": time.process_time() - began[0],
        "wall": time.perf_counter() - began[1],
        "epochs": trainer.summary["epochs_trained"][-1],
        "validation_loss": float(trainer.summary["best_validation_loss"][-1]),
    }
    return estimator.eval(), took


def draw(
    estimator: Any, observed: torch.Tensor, prior: BoxUniform, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return `n` draws within the prior and their log density there; NaN where it has too few."""
    inside: list[torch.Tensor] = []
    had = tried = 0
    with torch.no_grad():
        for _ in range(_ROUNDS):
            theta = estimator.sample((min(n, _AT_ONCE),), condition=observed)[:, 0]
            kept = theta[torch.isfinite(prior.log_prob(theta))]
            inside.append(kept)
            had, tried = had + len(kept), tried + len(theta)
            if had >= n:
                break
        theta = torch.cat(inside)[:n]
        if len(theta) < n:
            return np.full((n, theta.shape[1]), np.nan), np.full(n, np.nan)
        pieces = [
            estimator.log_prob(t[:, None], condition=observed) for t in theta.split(_DENSITIES)
        ]
        log_prob = torch.cat(pieces)[:, 0]
    return theta.double().numpy(), log_prob.double().numpy() - np.log(had / tried)


def main(folder: Path) -> None:
    """Train, then answer for all observations of all sizes."""
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(settings["seed"])
    prior = BoxUniform(torch.tensor(settings["low"]), torch.tensor(settings["high"]))
    estimator, took = train(folder, settings, prior)
    speed = []
    for size in settings["observed"]:
        sets = np.load(folder / f"observed_{size}.npy").astype(np.float32)
        whole = np.full((len(sets), settings["events"], sets.shape[-1]), np.nan, np.float32)
        whole[:, :size] = sets
        began = time.process_time()
        found = [
            draw(estimator, one[None], prior, settings["draws"]) for one in torch.tensor(whole)
        ]
        speed.append(len(sets) * settings["draws"] / (time.process_time() - began))
        theta, log_prob = (np.stack(part) for part in zip(*found, strict=True))
        np.savez(folder / f"draws_{size}.npz", theta=theta, log_prob=log_prob)
    took["draws_per_second"] = float(np.median(speed))
    (folder / "timing.json").write_text(json.dumps(took), encoding="utf-8")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]))
