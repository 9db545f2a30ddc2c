"""A step: one parameterised notebook, and the key that says when it has to run again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from presage.pipeline.parameters import Declared, ParameterError, declarations
from presage.plugins import PluginError, resolve
from presage.recipe import Recipe
from presage.store import Store
from presage.studies import Study

_PACKAGE = Path(__file__).resolve().parents[1]
_TAG = "parameters"


class PipelineError(RuntimeError):
    """A study cannot run, or a step of it failed."""


def shipped(name: str) -> Path:
    """Return the folder ``notebooks`` or ``dashboards``: of the wheel, else of the checkout."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parents[1] / name


@dataclass(frozen=True)
class Notebook:
    """A notebook as it stands on disk, outputs left out."""

    name: str  # file name without ``.ipynb``
    path: Path  # where it lies
    code: tuple[str, ...]  # text of its code cells
    declared: Mapping[str, Declared]  # its parameters

    @classmethod
    def read(cls, path: Path) -> Notebook:
        """Read a notebook.

        Raises
        ------
        PipelineError
            It is missing or no notebook.
        ParameterError
            Its parameters cell cannot be read.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            cells = [c for c in content["cells"] if c["cell_type"] == "code"]
            code = ["".join(c["source"]) for c in cells]
            tagged = [_TAG in c["metadata"].get("tags", ()) for c in cells]
        except FileNotFoundError:
            raise PipelineError(f"there is no notebook {path}") from None
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise PipelineError(f"{path} is not a notebook of format 4: {error!r}") from None
        if sum(tagged) > 1:
            raise PipelineError(f"{path} has {sum(tagged)} cells tagged '{_TAG}'; keep one")
        source = next((c for c, is_tagged in zip(code, tagged, strict=True) if is_tagged), "")
        where = f"the parameters cell of {path.name}"
        return cls(path.stem, path, tuple(code), declarations(source, where))

    @property
    def hash(self) -> str:
        """Hash of the code: prose and outputs may change without a new run."""
        return hashlib.sha256(json.dumps(self.code).encode()).hexdigest()


def notebooks_of(study: Study, folder: Path | None = None) -> tuple[Notebook, ...]:
    """Read a study's notebooks in order and check that they agree on shared parameters.

    Raises
    ------
    PipelineError
        One is missing.
    ParameterError
        Two notebooks declare one parameter with other types or defaults: they would then
        speak of different datasets.
    """
    folder = folder or study.folder or shipped("notebooks") / study.name
    read = tuple(Notebook.read(folder / f"{name}.ipynb") for name in study.notebooks)
    first: dict[str, tuple[str, Declared]] = {}
    for notebook in read:
        for name, declared in notebook.declared.items():
            other, known = first.setdefault(name, (notebook.name, declared))
            if (known.kind, known.default) != (declared.kind, declared.default):
                raise ParameterError(
                    f"{name} is '{known.kind} = {known.default!r}' in {other} and "
                    f"'{declared.kind} = {declared.default!r}' in {notebook.name}; make them equal"
                )
    return read


def known_parameters(notebooks: Sequence[Notebook]) -> dict[str, Declared]:
    """Return every parameter that a notebook of the study declares."""
    return {name: d for notebook in notebooks for name, d in notebook.declared.items()}


def versions(study: Study) -> dict[str, int]:
    """Return the versions of the study's producers, which every step's key holds.

    Raises
    ------
    PipelineError
        A producer cannot be imported or has no integer version.
    """
    found = {}
    for name, address in study.producers.items():
        try:
            producer = resolve(address)
        except PluginError as error:
            raise PipelineError(
                f"{study.name} names a producer {address} that cannot be loaded: {error}"
            ) from error
        version = getattr(producer, "version", producer)
        if not isinstance(version, int):
            raise PipelineError(f"producer {address} has no integer version, got {version!r}")
        found[name] = version
    return found


def inputs_of(
    study: Study, known: Mapping[str, Declared], parameters: Mapping[str, Any], store: Store
) -> dict[str, str]:
    """Return name → recipe key of what a run with these parameters starts from, as it is now.

    The study's own function says it, and refuses parameters that make no sense; it is given all
    parameters of all notebooks, defaults included.

    Raises
    ------
    PipelineError
        A path is given and the study does not say what is read from it.
    """
    if study.inputs:
        return dict(resolve(study.inputs)(parameters, store))
    for name, value in parameters.items():
        if value and known[name].kind.is_path:
            raise PipelineError(
                f"{study.name} reads {name} and does not say what its steps follow from; give it "
                "Study(inputs='module:function')"
            )
    return {}


def step_key(
    study: Study,
    notebook: Notebook,
    parameters: Mapping[str, Any],
    earlier: Sequence[str],
    producers: Mapping[str, int],
    inputs: Mapping[str, str] | None = None,
) -> str:
    """Return what a step follows from, as a key of 64 digits.

    That is the notebook's code and the values of all its parameters, the keys of the steps before
    it, the producers' :func:`versions`, and what the run starts from (:func:`inputs_of`): users'
    files stand there by content, so where they lie is no part of the key.
    """
    paths = [name for name, d in notebook.declared.items() if d.kind.is_path]
    fields = {
        "code": notebook.hash,
        "parameters": {n: value for n, value in parameters.items() if n not in paths},
        "inputs": dict(inputs or {}),
        "earlier": list(earlier),
        "producers": dict(producers),
    }
    return Recipe(f"step.{study.name}", 2, fields).key
