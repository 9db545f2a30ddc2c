"""A step: one parameterised notebook, and the key that says when it has to run again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from presage.pipeline.parameters import by_name, declarations, defaults, settings_class
from presage.plugins import PluginError, resolve
from presage.recipe import Recipe
from presage.store import Store
from presage.studies import Study
from presage.studies.settings import PRESET, StudySettings
from presage.typed import Declared, ParameterError, declared_of

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
        """Read a notebook."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            cells = [c for c in content["cells"] if c["cell_type"] == "code"]
            code = ["".join(c["source"]) for c in cells]
            tagged = [_TAG in c["metadata"].get("tags", ()) for c in cells]
        except FileNotFoundError:
            raise PipelineError(f"there is no notebook {path}") from None
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
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
    """Read a study's notebooks in order and check that they agree on shared parameters."""
    folder = folder or study.folder or shipped("notebooks") / study.name
    read = tuple(Notebook.read(folder / f"{name}.ipynb") for name in study.notebooks)
    first: dict[str, tuple[str, Declared]] = {}
    for notebook in read:
        for name, declared in notebook.declared.items():
            other, known = first.setdefault(name, (notebook.name, declared))
            if replace(known, help="") != replace(declared, help=""):
                raise ParameterError(
                    f"{name} is '{known.kind} = {known.default!r}' in {other} and "
                    f"'{declared.kind} = {declared.default!r}' in {notebook.name}; make them equal"
                )
    return read


def known_parameters(notebooks: Sequence[Notebook]) -> dict[str, Declared]:
    """Return name → type, default, help and choices of all that notebooks may be given.

    See :func:`presage.pipeline.parameters.by_name`.
    """
    return by_name(d for notebook in notebooks for d in notebook.declared.values())


def versions(study: Study) -> dict[str, int]:
    """Return the versions of the study's producers, which every step's key holds."""
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


@dataclass(frozen=True)
class Values:
    """The values of a run: parameters, settings made of them, and what they start from."""

    of: Mapping[str, Any]  # parameter → value or settings
    inputs: Mapping[str, str]  # name → recipe key

    @classmethod
    def of_run(
        cls, study: Study, notebooks: Sequence[Notebook], given: Mapping[str, Any], store: Store
    ) -> Values:
        """Make all settings of a run, which check themselves and each other."""
        declared = {name: d for notebook in notebooks for name, d in notebook.declared.items()}
        found = {**defaults(declared), **{n: v for n, v in given.items() if n in declared}}
        made: list[StudySettings] = []
        for name, one in declared.items():
            if one.settings:
                kind = settings_class(one)
                own = {**one.default, **given.get(name, {})}
                own |= {"store": store} if "store" in kind.__dataclass_fields__ else {}
                found[name] = kind.preset(found.get(PRESET, ""), own, *made)
                made.append(found[name])
        for settings in made:
            settings.check(found)
        inputs = {name: key for settings in made for name, key in settings.inputs().items()}
        for name, one in declared.items():
            if one.kind.is_path and found[name] and not inputs:
                raise PipelineError(
                    f"{study.name} reads {name} and nothing says what its steps follow from; make "
                    "it a field of a StudySettings with inputs()"
                )
        return cls(found, inputs)

    def resolved(self, names: Collection[str], paths: bool = True) -> dict[str, Any]:
        """Return name → value of these parameters, all fields of settings among them."""
        found = {}
        for name in names:
            value = self.of[name]
            if isinstance(value, StudySettings):
                hidden = [
                    n for n, d in declared_of(type(value)).items() if d.kind.is_path and not paths
                ]
                found[name] = {n: v for n, v in value.values().items() if n not in hidden}
            else:
                found[name] = value
        return found


def step_key(
    study: Study,
    notebook: Notebook,
    values: Values,
    earlier: Sequence[str],
    producers: Mapping[str, int],
) -> str:
    """Return what a step follows from, as a key of 64 digits.

    That is the notebook's code and the values of all its parameters (of a preset the values, not
    the name), the keys of the steps before it, the producers' :func:`versions`, and what the run
    starts from: users' files stand there by content, so where they lie is no part of the key.
    """
    names = [name for name, d in notebook.declared.items() if not d.kind.is_path]
    fields = {
        "code": notebook.hash,
        "parameters": values.resolved([n for n in names if n != PRESET], paths=False),
        "inputs": dict(values.inputs),
        "earlier": list(earlier),
        "producers": dict(producers),
    }
    return Recipe(f"step.{study.name}", 3, fields).key
