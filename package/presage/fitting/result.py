"""Trained models in the store: published whole, read back without unpickling anything."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import safetensors.torch
import torch
import xarray as xr
from torch import Tensor

import presage.plugins as plugins
from presage.labels import nearest
from presage.lineage import RECIPE, sample_dim
from presage.models.fitted import FitError, Fitted, Specification
from presage.models.table import MODELS, specification
from presage.recipe import Parent, Recipe, encode, settings_of
from presage.store import Store, parents_of
from presage.store.files import Sink, reading, text
from presage.store.netcdf import open_dataset, write_dataset

WEIGHTS, HISTORY, DECLARATION = "weights.safetensors", "history.nc", "declaration.json"
#: What its training data were like; models that were trained before there was any lack it.
SEEN = "seen.nc"
_PREFIX = "fit-"

F = TypeVar("F", bound=Fitted)


def content_key(dataset: xr.Dataset) -> str:
    """Return a hash of names, dims, units and values: the identity of unstored data."""
    digest = hashlib.sha256()
    for name in sorted(map(str, dataset.variables)):
        array = dataset[name]
        values = np.asarray(array.values)
        if values.dtype.kind == "O":
            values = values.astype("U")
        shape = [list(map(str, array.dims)), list(values.shape), values.dtype.str]
        digest.update(json.dumps([name, shape, str(array.attrs.get("units", "1"))]).encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def origins(store: Store | None) -> Callable[[xr.Dataset], Mapping[str, Parent]]:
    """Return what names the samples of a dataset; without a store by their content."""

    def found(dataset: xr.Dataset) -> Mapping[str, Parent]:
        if store is None and RECIPE not in dataset.attrs:
            return dict.fromkeys(map(str, dataset.data_vars), Parent(content_key(dataset)))
        return parents_of(dataset, store)

    return found


def publish(fitted: Fitted, store: Store) -> None:
    """Put a trained model into the store; the declaration, published last, says that it is done."""
    tensors: dict[str, Tensor] = {
        **{f"network/{n}": t for n, t in fitted.network.state_dict().items()},
        **{f"state/{n}": torch.from_numpy(np.array(a)) for n, a in fitted.state.items()},
    }
    declaration = json.dumps(fitted.declaration, indent=1, sort_keys=True, allow_nan=False)
    store.put_file(fitted.recipe, WEIGHTS, lambda sink: _write_tensors(sink, tensors))
    store.put_file(fitted.recipe, HISTORY, lambda sink: write_dataset(sink, fitted.history))
    publish_seen(fitted, store)
    store.put_file(fitted.recipe, DECLARATION, text(declaration + "\n"))


def publish_seen(fitted: Fitted, store: Store) -> None:
    """Put the law of what a model was trained on beside its weights."""
    seen = fitted.seen
    if seen is not None:
        store.put_file(fitted.recipe, SEEN, lambda sink: write_dataset(sink, seen))


def is_published(recipe: Recipe, store: Store) -> bool:
    """Say whether the store holds a finished model of this recipe."""
    return all(store.file(recipe, name) for name in (DECLARATION, WEIGHTS, HISTORY))


def load(
    key: Recipe | str,
    store: Store | None = None,
    *,
    models: Mapping[str, type[Any] | str] | None = None,
) -> Any:
    """Load a trained model from the store; nothing is unpickled.

    Parameters
    ----------
    key
        Its key, the beginning of it, its name or its recipe.
    store
        Where to look; by default ``$PRESAGE_STORE``, else ``./store``.
    models
        Name → specification or its ``"module:Class"``, for models of your own: neither one of
        :data:`presage.models.MODELS` nor one that an installed package offers.

    Returns
    -------
    Fitted
        Of the kind that its specification names, as :func:`presage.fit` returned it: a
        :class:`~presage.models.FittedDensity` for a flow.

    Raises
    ------
    StoreError
        There is no such key, or several begin so.
    FitError
        It is no trained model, is unfinished, or was trained by another version.
    """
    store = store or Store()
    recipe = key if isinstance(key, Recipe) else store.find(key)
    return read(recipe, _specification(recipe, models or {}), store)


def read(recipe: Recipe, model: Specification[F], store: Store) -> F:
    """Read the model of a recipe whose specification is known, and clear what is left of work."""
    names = (WEIGHTS, HISTORY, DECLARATION)
    paths = {name: path for name in names if (path := store.file(recipe, name)) is not None}
    missing = [name for name in names if name not in paths]
    if missing:
        raise FitError(
            f"the training of {recipe.producer} {recipe.key[:16]} is not finished "
            f"({', '.join(missing)} missing); run fit with the same settings to go on"
        )
    store.clear_workspace(recipe)  # of a run that was killed between publishing and this line
    with store.entry(recipe).in_use():
        declaration = json.loads(paths[DECLARATION].read_text(encoding="utf-8"))
        groups = _read_groups(paths[WEIGHTS])
        history, law = _read_dataset(paths[HISTORY]), store.file(recipe, SEEN)
        seen = None if law is None else _read_dataset(law)
    with torch.random.fork_rng(devices=[]):  # initial weights are drawn only to be replaced
        network = model.build(declaration)
    weights = groups.get("network", {})
    network.to(next((t.dtype for t in weights.values() if t.dtype == torch.float64), None))
    network.load_state_dict(weights)
    state = {name: tensor.numpy() for name, tensor in groups.get("state", {}).items()}
    kind = fitted_kind(model)
    return kind(recipe, model, network.eval(), declaration, state, history, True, seen)


def complete_declaration(declaration: Mapping[str, Any], dataset: xr.Dataset) -> dict[str, Any]:
    """Return a declaration as JSON would give it back, with the sample dimension."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(declaration), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise FitError(f"a declaration holds text, finite numbers, lists: {error}") from error
    plain.setdefault("sample", sample_dim(dataset))
    return plain


def producer(model: Any) -> str:
    """Return the producer's name in the recipes of a model."""
    return f"{_PREFIX}{model.name}"


def fitted_kind(model: Specification[F]) -> type[F]:
    """Return what training makes of a specification; one that names nothing gives a Fitted."""
    kind: Any = getattr(model, "fitted", Fitted)
    return cast("type[F]", kind)


def _specification(recipe: Recipe, own: Mapping[str, type[Any] | str]) -> Any:
    name = recipe.producer.removeprefix(_PREFIX)
    if not recipe.producer.startswith(_PREFIX):
        raise FitError(f"{recipe.producer} {recipe.key[:16]} is no trained model")
    known = {**plugins.installed(plugins.MODELS), **MODELS, **own}
    if name not in known:  # an address is no name: what a file says is not imported
        raise FitError(
            f"no model {name!r}{nearest(name, known)}; give load(..., models={{{name!r}: "
            "MyModel}), the class that was trained"
        )
    kind = known[name]
    if isinstance(kind, str):
        kind = specification(kind)
    if recipe.version not in (kind.version, *getattr(kind, "readable", ())):
        raise FitError(
            f"{recipe.producer} {recipe.key[:16]} was trained by version {recipe.version} of "
            f"{name}, this is version {kind.version}; train it again"
        )
    given = dict(recipe.fields["model"])
    fields_ = {f.name for f in fields(kind) if f.init}
    model = kind(**{n: v for n, v in given.items() if n in fields_})
    if encode(model_fields(model)) != encode(given):
        raise FitError(f"the settings of {name} in {recipe.key[:16]} do not rebuild it: {given}")
    return model


def model_fields(model: Any) -> dict[str, Any]:
    """Return the settings of a specification."""
    declared: bool = is_dataclass(model) and not isinstance(model, type)
    if not declared:
        kind = type(model).__name__
        if isinstance(model, type):
            kind = f"the class {model.__name__}: its settings are lacking, {model.__name__}()"
        raise TypeError(
            f"fit takes the specification of a model, such as presage.models.SplineFlow(bins=16), "
            f"got {kind}. For a torch module of your own make a frozen dataclass of its settings "
            "with name, version, prepare(dataset) and build(declaration), as those in "
            "presage.models; or train it over presage.Batches(dataset, ...).torch()"
        )
    found = settings_of(model)
    for name, value in found.items():
        if is_dataclass(value) or isinstance(value, np.ndarray):
            raise FitError(
                f"{model.name}: setting {name!r} is {type(value).__name__}; settings are numbers, "
                "text, tuples and mappings, so that a stored model can be rebuilt from them. "
                "Store data on their own and name them by key in `parents`"
            )
    return found


def _write_tensors(sink: Sink, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors, on whatever device they are, as safetensors."""
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    sink.write(safetensors.torch.save(plain))


def _read_groups(path: Path) -> dict[str, dict[str, Tensor]]:
    """Read tensors back, grouped by what stands before the first ``/``."""
    groups: dict[str, dict[str, Tensor]] = {}
    with reading(path):
        tensors = safetensors.torch.load_file(path)
    for name, tensor in tensors.items():
        group, _, rest = name.partition("/")
        groups.setdefault(group, {})[rest] = tensor
    return groups


def _read_dataset(path: Path) -> xr.Dataset:
    with open_dataset(path) as stored:
        return stored.load()
