"""The record of a step: what ran, with which parameters, and what it made.

``<runs>/<study>/<key of the step, 16 digits>/`` holds the executed notebook, its figures
and ``record.json``. A step is up to date when its record says that it is done and the
store still holds every product that it names.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from presage.pipeline.scratch import LOCK
from presage.pipeline.steps import PipelineError
from presage.store import Store
from presage.store.files import replace

FILE = "record.json"
_MAPPINGS = ("parameters", "given", "producers", "inputs", "products", "figures")


@dataclass(frozen=True)
class Record:
    """What is known of one executed step."""

    study: str  # which notebook, and what it followed from
    step: str
    key: str
    state: str  # ``done``, ``failed`` or ``interrupted``
    #: Values of all parameters that the notebook declares.
    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: What the whole run was given: preset, file and command line merged. ``--from`` starts from
    #: these.
    given: Mapping[str, Any] = field(default_factory=dict)
    earlier: tuple[str, ...] = ()  # keys of the steps before it
    producers: Mapping[str, int] = field(default_factory=dict)  # versions of the study's producers
    #: Name → recipe key of what the run started from: a simulator, users' files by content.
    inputs: Mapping[str, str] = field(default_factory=dict)
    products: Mapping[str, str] = field(default_factory=dict)  # recorded name → key in the store
    #: Recorded name → file beside the record.
    figures: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0  # how long it took
    created: str = ""  # when it ended (UTC, ISO 8601)
    error: str = ""  # of a failed step, its last line

    def write(self, folder: Path) -> None:
        """Write the record into a step's folder; it appears whole or not at all."""
        text = json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"
        replace(folder / FILE, lambda sink: sink.write(text.encode()))


def read(folder: Path) -> Record | None:
    """Return the record in a step's folder, None where there is none that can be read."""
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        plain = {name: dict(content.get(name, {})) for name in _MAPPINGS}
        return Record(**{**content, **plain, "earlier": tuple(content.get("earlier", ()))})
    except (OSError, TypeError, AttributeError, ValueError, RecursionError):
        return None


def is_up_to_date(folder: Path, step: str, store: Store) -> Record | None:
    """Return the record of a step that need not run again, else None."""
    found = read(folder)
    if found is None or found.state != "done" or not (folder / f"{step}.ipynb").exists():
        return None
    if any(not (folder / name).exists() for name in found.figures.values()):
        return None
    held = {entry.key for entry in store.list() if entry.state == "complete"}
    return found if held >= set(found.products.values()) else None


def settle(temporary: Path, folder: Path) -> None:
    """Put a finished step's folder in its place; an older one of the same key gives way."""
    (temporary / LOCK).unlink(missing_ok=True)
    old = folder.with_name(f".old-{uuid.uuid4().hex[:12]}")
    if folder.exists():
        folder.rename(old)
    try:
        temporary.rename(folder)
    except OSError:  # another process settled the same step in between; its result is as good
        shutil.rmtree(temporary, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def find(runs: Path, prefix: str, study: str) -> Record:
    """Return the record of an earlier run by the key of one of its steps or products."""
    read_all = [read(path.parent) for path in sorted((runs / study).glob(f"[!.]*/{FILE}"))]
    matching = [
        r
        for r in read_all
        if r is not None
        and prefix
        and any(key.startswith(prefix) for key in (r.key, *r.products.values()))
    ]
    if not matching:
        raise PipelineError(
            f"no step or product of {study} with key {prefix!r} in {runs / study}; "
            "the folders there are named by their steps' keys"
        )
    if any(r.given != matching[0].given for r in matching):
        keys = ", ".join(f"{r.key[:16]} ({r.step})" for r in matching)
        raise PipelineError(f"{prefix!r} is ambiguous: {keys}; give more digits")
    return matching[0]
