"""Checkpoints: everything a run needs to go on as if nothing had happened.

A checkpoint is a file in the recipe's workspace, ``epoch-E-step-S-HASH.pt``: weights, their
average, the best weights, optimiser state, random generators, progress, read by
``torch.load(weights_only=True)``. Its name holds the XXH3-128 hash of its bytes, so damage to
any of them shows. The last two are kept: where one is damaged, or half-written when the run is
killed, the one before is whole.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import xxhash

from presage.fitting.errors import FitError
from presage.labels.caller import warn_caller
from presage.store import StoreWarning
from presage.store.files import replace
from presage.store.netcdf import file_hash

_KEPT = 2


class Checkpoints:
    """The checkpoints of one run.

    Parameters
    ----------
    folder
        The workspace they are in.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, state: Mapping[str, Any]) -> None:
        """Write plain values and tensors, ``progress`` among them, then remove older ones."""
        buffer, progress = io.BytesIO(), state["progress"]
        torch.save(dict(state), buffer)
        content = buffer.getbuffer()
        place = f"epoch-{progress['epoch']:06d}-step-{progress['step']:09d}"
        name = f"{place}-{xxhash.xxh3_128_hexdigest(content)}.pt"
        replace(self._folder / name, lambda sink: sink.write(content))
        for old in self._newest_first()[_KEPT:]:
            old.unlink(missing_ok=True)

    def newest(self) -> Path | None:
        """Return the newest sound checkpoint; of newer ones the damaged are removed, aloud."""
        for path in self._newest_first():
            try:
                if path.stem.endswith(f"-{file_hash(path)}"):
                    return path
            except PermissionError:  # somebody else's, and nothing is known against it
                raise
            except OSError as error:  # of the disk, or of too many open files: it may be whole
                said = f"is passed over: it cannot be read ({error.strerror})"
            else:
                path.unlink(missing_ok=True)
                said = "was removed: its content does not match the hash in its name"
            warn_caller(
                f"the checkpoint {path} {said}. The training goes on from the one before, or "
                "begins anew where there is none",
                StoreWarning,
            )
        return None

    def _newest_first(self) -> list[Path]:
        return sorted(self._folder.glob("*.pt"), reverse=True)


def read(path: Path) -> dict[str, Any]:
    """Return the state that a checkpoint holds."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  # every reader has errors of its own
        # torch's own words would advise to load the file unsafely.
        raise FitError(
            f"the checkpoint {path} cannot be read ({type(error).__name__}); remove it to go on "
            "from the one before"
        ) from None
    return state
