"""Recipes: what a dataset is made from, and the address that follows from it.

A recipe is written as canonical JSON (sorted keys, no spaces, every number tagged with
its type, floats as hexadecimal, arrays by dtype, shape and hash of their bytes). The
SHA-256 of that text is the dataset's key, so any change of any field is another dataset.
How *many* samples are wanted is no part of it: sample i is a function of (recipe, i).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from typing import Any

import numpy as np

#: Version of this file's rules; part of every key.
SCHEMA = 1
_LEVELS = 64  # of lists and maps within one another: far from where Python stops recursing
_KINDS = {
    "version": int, "fields": dict, "seed": int, "scheme": str, "dtype": dict,
    "key": str, "start": int, "stop": int, "selection": str,
}  # fmt: skip


class RecipeError(ValueError):
    """A value cannot stand in a recipe."""


def encode(value: Any, where: str = "recipe", levels: int = _LEVELS) -> Any:
    """Return `value` in type-tagged JSON terms.

    Parameters
    ----------
    value
        ``None``, bool, int, finite float, str, sequences and mappings of them with string
        keys, NumPy scalars and arrays, dataclasses.
    where
        Path for the error message.
    levels
        How deep sequences and mappings may lie within one another.

    Raises
    ------
    RecipeError
        NaN, infinities, callables and other objects have no fixed meaning; or too many levels.
    """
    if not levels:
        raise RecipeError(f"{where[:60]} is nested deeper than {_LEVELS} levels")
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return {"int": str(int(value))}
    if isinstance(value, (float, np.floating)):
        if not math.isfinite(value):
            raise RecipeError(f"{where}: {value!r} has no place in a recipe; give a finite number")
        return {"float": float(value).hex()}
    if isinstance(value, np.ndarray):
        return _encode_array(value, where)
    if is_dataclass(value) and not isinstance(value, type):
        return {"fields": [type(value).__name__, encode(settings_of(value), where, levels - 1)]}
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise RecipeError(f"{where}: keys must be text, got {key!r}")
        return {"map": {k: encode(v, f"{where}.{k}", levels - 1) for k, v in value.items()}}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [encode(v, f"{where}[{i}]", levels - 1) for i, v in enumerate(value)]
    raise RecipeError(
        f"{where}: {type(value).__name__} cannot stand in a recipe; "
        "use numbers, text, tuples, mappings, arrays or frozen dataclasses"
    )


def settings_of(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that stand in a recipe, name → value.

    A field with ``metadata={"optional_in_recipe": True}`` is left out while it holds its
    default: added later, it changes no key of a dataset made before.
    """
    given = [(f, getattr(value, f.name)) for f in fields(value) if f.init]
    return {
        f.name: v for f, v in given if not (f.metadata.get("optional_in_recipe") and v == f.default)
    }


def _encode_array(value: np.ndarray[Any, Any], where: str) -> Any:
    if value.dtype.kind not in "biufUc":
        raise RecipeError(f"{where}: arrays of {value.dtype} cannot stand in a recipe")
    if value.dtype.kind in "fc" and not np.isfinite(value).all():
        raise RecipeError(f"{where}: the array holds values that are not finite")
    little = np.ascontiguousarray(value.astype(value.dtype.newbyteorder("<")))
    digest = hashlib.sha256(little.tobytes()).hexdigest()
    return {"array": [little.dtype.str, [int(n) for n in value.shape], digest]}


def decode(value: Any, levels: int = _LEVELS) -> Any:
    """Invert :func:`encode`; sequences come back as tuples, arrays and dataclasses as tagged maps.

    Raises
    ------
    RecipeError
        Text that :func:`encode` does not write.
    """
    if not levels:
        raise RecipeError(f"not a recipe: it is nested deeper than {_LEVELS} levels")
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, list):
        return tuple(decode(item, levels - 1) for item in value)
    if isinstance(value, dict) and len(value) == 1:
        ((tag, inner),) = value.items()
        if tag == "int":
            return int(inner)
        if tag == "float":
            return float.fromhex(inner)
        if tag == "map":
            return {key: decode(item, levels - 1) for key, item in inner.items()}
        if tag == "fields":
            return {"class": inner[0], **decode(inner[1], levels - 1)}
        if tag == "array":
            return {"array": tuple(inner)}
    raise RecipeError(f"not a value of a recipe: {value!r:.80}")


@dataclass(frozen=True)
class Parent:
    """Which samples of another dataset went in.

    Parameters
    ----------
    key
        Key of the parent's recipe.
    start, stop
        Range of sample indices; for a product without samples both are 0.
    selection
        Hash of the sample indices where they are not the whole range, else empty.
    """

    key: str
    start: int = 0
    stop: int = 0
    selection: str = ""


@dataclass(frozen=True)
class Recipe:
    """Everything a dataset follows from.

    Parameters
    ----------
    producer
        Name of the simulator, model or analysis.
    version
        Raised by its author whenever its results change.
    fields
        Its settings.
    seed
        Seed of its random numbers.
    scheme
        How random numbers are assigned to samples, the size of a block included.
    dtype
        Name → stored type.
    parents
        The datasets it was made from.

    Examples
    --------
    >>> a = Recipe("toy", 1, {"width": 1.0})
    >>> b = Recipe("toy", 1, {"width": 1})
    >>> a.key == b.key
    False
    """

    producer: str
    version: int
    fields: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    scheme: str = ""
    dtype: Mapping[str, str] = field(default_factory=dict)
    parents: tuple[Parent, ...] = ()

    def __post_init__(self) -> None:
        plain = self.producer.replace("-", "_").replace(".", "_")
        if not plain.isidentifier() or not self.producer.isascii():
            raise RecipeError(
                f"a producer's name is letters, digits, '-', '_' and '.', got {self.producer!r}"
            )
        _ = self.json  # refuse unencodable fields where they were given, not at first use

    @cached_property
    def json(self) -> str:
        """Canonical JSON."""
        parts = {
            "schema": SCHEMA,
            "producer": self.producer,
            "version": encode(self.version),
            "fields": encode(self.fields, "fields"),
            "seed": encode(self.seed),
            "scheme": self.scheme,
            "dtype": encode(self.dtype),
            "parents": [encode(parent) for parent in self.parents],
        }
        return json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    @cached_property
    def key(self) -> str:
        """SHA-256 of the canonical JSON, 64 hexadecimal digits."""
        return hashlib.sha256(self.json.encode()).hexdigest()

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self.key == other.key

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Read a recipe back from its canonical JSON.

        Raises
        ------
        RecipeError
            The text is no recipe, or is of a newer schema.
        """
        try:
            parts = json.loads(text)
            schema = parts["schema"]
            if schema != SCHEMA:
                raise RecipeError(
                    f"the recipe is of schema {schema}, this presage reads {SCHEMA}; update presage"
                )
            parents = (decode(parent) for parent in parts["parents"])
            recipe = cls(
                producer=parts["producer"],
                version=decode(parts["version"]),
                fields=decode(parts["fields"]),
                seed=decode(parts["seed"]),
                scheme=parts["scheme"],
                dtype=decode(parts["dtype"]),
                parents=tuple(
                    Parent(p["key"], p["start"], p["stop"], p["selection"]) for p in parents
                ),
            )
            _check_kinds(recipe, *recipe.parents)
            # Arrays and dataclasses do not survive decoding as such; the text is the identity.
            recipe.__dict__["json"] = json.dumps(parts, sort_keys=True, separators=(",", ":"))
            return recipe
        except RecipeError:
            raise
        except (LookupError, TypeError, AttributeError, ValueError, OverflowError,
                RecursionError) as error:  # fmt: skip
            raise RecipeError(f"not a recipe: {error!r}; expected presage's recipe.json") from error


def _check_kinds(*parts: Recipe | Parent) -> None:
    for name, value in (item for part in parts for item in vars(part).items()):
        kind = _KINDS.get(name)
        if kind is not None and type(value) is not kind:
            raise RecipeError(f"not a recipe: {name} is {kind.__name__}, got {value!r:.40}")
