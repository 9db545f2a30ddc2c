"""Checkpoints: everything a run needs to go on as if nothing had happened.

A checkpoint is two files in the recipe's workspace: ``step-N.safetensors`` (weights, their
average, the best weights) and, written after it, ``step-N.pt`` (optimiser state, random
generators, progress), read by ``torch.load(weights_only=True)``. Each is written under
another name, flushed and renamed. Older ones go once the newer is complete, so a run that
is killed at any moment leaves at least one whole checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, cast

import safetensors.torch
import torch
from torch import Tensor

from presage.fitting.errors import FitError
from presage.recipe import Recipe
from presage.store import Store
from presage.store.files import Sink, reading, replace, sweep

Groups = dict[str, dict[str, Tensor]]


class Checkpoints:
    """The checkpoints of one recipe.

    Parameters
    ----------
    store, recipe
        Whose workspace they are in.
    """

    def __init__(self, store: Store, recipe: Recipe) -> None:
        self._folder = store.workspace(recipe)
        sweep(self._folder)

    def save(self, position: int, weights: Groups, rest: Mapping[str, Any]) -> None:
        """Write the checkpoint of a position, in steps since the beginning, then remove older ones.

        `weights` are group ("network", "average", "best") → name → tensor; the `rest` (optimiser,
        random states, progress) are plain values and tensors.
        """
        name = self._folder / f"step-{position:012d}"
        flat = {f"{group}/{n}": t for group, tensors in weights.items() for n, t in tensors.items()}
        replace(name.with_suffix(".safetensors"), lambda sink: write_tensors(sink, flat))
        replace(name.with_suffix(".pt"), lambda sink: torch.save(dict(rest), cast(IO[bytes], sink)))
        for old in self._folder.glob("step-*"):
            if old.stem != name.name:
                old.unlink(missing_ok=True)

    def load(self) -> tuple[Groups, dict[str, Any]] | None:
        """Return the newest complete checkpoint, None when there is none."""
        for rest in sorted(self._folder.glob("step-*.pt"), reverse=True):
            weights = rest.with_suffix(".safetensors")
            if weights.exists():
                return _read(weights, rest)
        return None


def write_tensors(sink: Sink, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors, on whatever device they are, as safetensors."""
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    sink.write(safetensors.torch.save(plain))


def read_groups(path: Path) -> Groups:
    """Read tensors back, grouped by what stands before the first ``/``."""
    groups: Groups = {}
    with reading(path):
        tensors = safetensors.torch.load_file(path)
    for name, tensor in tensors.items():
        group, _, rest = name.partition("/")
        groups.setdefault(group, {})[rest] = tensor
    return groups


def _read(weights: Path, rest: Path) -> tuple[Groups, dict[str, Any]]:
    try:
        return read_groups(weights), torch.load(rest, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  # every reader has errors of its own
        # torch's own words would advise to load the file unsafely.
        raise FitError(
            f"the checkpoint {rest} cannot be read ({type(error).__name__}); "
            f"remove {rest.parent} to begin anew"
        ) from None
