"""Sidecars: the mark that a file is done, and what it must hold.

A sidecar is published after its file. It lists size and hash of the file, hash, type and
shape of each array, the range of samples, and provenance (what is worth knowing but decides
nothing: time, machine, library versions). A seal over all of it shows later edits.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from presage.labels import Array
from presage.store.files import MISREAD, SMALL, StoreError, publish, small_text, text
from presage.store.netcdf import file_hash, hash_array

#: A sidecar's name is its file's name and this.
MARK = ".done.json"
#: Newer sidecars than this are refused with the advice to update.
FORMAT = 1


class NewerFormatError(StoreError):
    """A sidecar of a later presage."""


@dataclass(frozen=True)
class Sidecar:
    """What the store knows of one finished file."""

    file: str
    size: int
    hash: str
    key: str
    start: int = 0
    stop: int = 0
    arrays: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    flat: Mapping[str, int] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    def text(self) -> str:
        """Return the JSON with its seal."""
        return json.dumps({"seal": _seal(self), **vars(self)}, sort_keys=True, indent=1)


def sidecar_path(path: Path) -> Path:
    """Return where the sidecar of `path` stands."""
    return path.with_name(path.name + MARK)


def describe(arrays: Mapping[str, Array]) -> dict[str, dict[str, Any]]:
    """Return hash, type and shape of each array, text included."""
    found = {}
    for name, array in arrays.items():
        content = np.asarray(array)
        if content.dtype.kind in "OUST":
            text = "\0".join(str(value) for value in content.reshape(-1))
            content = np.frombuffer(text.encode() or b"\0", np.uint8)
        shape = [int(n) for n in array.shape]
        found[name] = {"hash": hash_array(content), "dtype": str(array.dtype), "shape": shape}
    return found


def make_sidecar(path: Path, provenance: Mapping[str, Any], key: str, **fields: Any) -> Sidecar:
    """Return the sidecar of a finished file of the dataset `key`."""
    return Sidecar(
        file=path.name,
        size=path.stat().st_size,
        hash=file_hash(path),
        key=key,
        provenance={**_surroundings(), "created": utc_now(), **provenance},
        **fields,
    )


def publish_sidecar(path: Path, sidecar: Sidecar) -> None:
    """Publish the sidecar of `path`; the first one wins."""
    content = sidecar.text()
    if len(content) > SMALL:
        raise StoreError(
            f"what is to be known of {path.name} takes {len(content)} bytes, {SMALL} may be: "
            "keep long provenance as a file of its own, with put_file"
        )
    publish(sidecar_path(path), text(content))


def read_sidecar(path: Path) -> Sidecar:
    """Read and check the sidecar at `path`."""
    try:
        parts = json.loads(small_text(path))
        seal = parts.pop("seal")
        if int(parts["format"]) > FORMAT:
            raise NewerFormatError(
                f"{path.name} was written by a newer presage (format {parts['format']}, "
                f"this one reads {FORMAT}); update presage"
            )
        sidecar = Sidecar(**parts)
        unchanged = seal == _seal(sidecar)
    except MISREAD as error:
        raise StoreError(f"{path.name} is no sidecar: {error}") from error
    if not unchanged:
        raise StoreError(f"{path.name} was edited: its seal does not match")
    return sidecar


def fingerprint() -> str:
    """Return a hash of what may change the last bits of a floating-point result."""
    parts = {k: v for k, v in _surroundings().items() if k != "host"}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


@lru_cache(maxsize=1)
def _surroundings() -> dict[str, Any]:
    versions = {}
    for name in ("presage", "numpy", "scipy", "torch", "xarray", "h5py"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "versions": versions,
        "processor": processor(),
        "threads": os.environ.get("OMP_NUM_THREADS", "") or str(os.cpu_count()),
    }


def processor() -> str:
    """Return what the processor is called."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")
    return f"{platform.machine()} {model}".strip()


def _seal(sidecar: Sidecar) -> str:
    return hashlib.sha256(json.dumps(vars(sidecar), sort_keys=True).encode()).hexdigest()


def utc_now() -> str:
    """Return the time, ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
