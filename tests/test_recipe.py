"""Keys: stable, sensitive to every field, readable back."""

from __future__ import annotations

import dataclasses
import json
import math
import string
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from presage.recipe import Parent, Recipe, RecipeError, decode, encode

PLAIN = Recipe(
    "toy-sky.v2",
    1,
    {
        "width": 1.0,
        "counts": (1, 2),
        "nested": {"half": np.float32(0.5), "none": None, "yes": True},
        "table": np.arange(3, dtype=np.int64),
        "name": "ω",
    },
    seed=4,
    scheme="philox/4096",
    dtype={"x": "float32"},
    parents=(Parent("ab", 0, 3),),
)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=4), inner, max_size=3),
    ),
    max_leaves=8,
)
parents = st.builds(
    Parent,
    st.text(string.hexdigits, max_size=4),
    st.integers(0, 9),
    st.integers(0, 9),
    st.text(max_size=2),
)
recipes = st.builds(
    Recipe,
    producer=st.sampled_from(["toy", "fit-flow", "a.b"]),
    version=st.integers(0, 3),
    fields=st.dictionaries(st.text(max_size=4), values, max_size=4),
    seed=st.integers(0, 2**70),
    scheme=st.text(max_size=3),
    dtype=st.dictionaries(st.text(max_size=3), st.just("float32"), max_size=2),
    parents=st.lists(parents, max_size=2).map(tuple),
)


def typed(value: Any) -> Any:
    """A value with its types, so that 1, 1.0 and True differ, and 0.0 from -0.0."""
    if isinstance(value, float):
        return ("float", value, math.copysign(1.0, value))
    if isinstance(value, tuple):
        return tuple(typed(item) for item in value)
    if isinstance(value, dict):
        return {name: typed(item) for name, item in value.items()}
    return (type(value).__name__, value)


def parts(recipe: Recipe) -> dict[str, Any]:
    return {f.name: typed(getattr(recipe, f.name)) for f in dataclasses.fields(recipe)}


def test_the_golden_key() -> None:
    # A change here orphans every store in the world: raise recipe.SCHEMA and say so.
    assert PLAIN.key == "0b358711b6faab839adcc5420a11ee05a0ad5a7068305cbe1dbbdc42bcf20355"


@given(recipe=recipes)
def test_a_recipe_reads_back_with_types_and_key(recipe: Recipe) -> None:
    again = Recipe.from_json(recipe.json)
    assert parts(again) == parts(recipe)
    assert (again.key, again.json, hash(again)) == (recipe.key, recipe.json, hash(recipe))
    assert again == recipe
    assert dataclasses.replace(again).key == recipe.key  # nothing hides behind the text


@given(one=recipes, other=recipes)
def test_keys_are_equal_only_for_equal_recipes(one: Recipe, other: Recipe) -> None:
    assert (one.key == other.key) == (parts(one) == parts(other))


@given(recipe=recipes, data=st.data())
def test_any_change_of_any_field_changes_the_key(recipe: Recipe, data: st.DataObject) -> None:
    field = data.draw(st.sampled_from([f.name for f in dataclasses.fields(Recipe)]))
    other = dataclasses.replace(recipe, **{field: getattr(data.draw(recipes), field)})
    same = typed(getattr(other, field)) == typed(getattr(recipe, field))
    assert (other.key == recipe.key) == same


@given(value=values, data=st.data())
def test_a_change_deep_inside_a_value_changes_it(value: Any, data: st.DataObject) -> None:
    other = data.draw(values)
    assert (encode(value) == encode(other)) == (typed(value) == typed(other))
    assert typed(decode(encode(value))) == typed(value)


@given(fields=st.dictionaries(st.text(max_size=3), scalars, min_size=2, max_size=5))
def test_the_order_of_fields_is_free(fields: dict[str, Any]) -> None:
    turned = dict(reversed(fields.items()))
    assert Recipe("toy", 1, fields).key == Recipe("toy", 1, turned).key


@dataclass(frozen=True)
class Wide:
    width: float = 1.0


@dataclass(frozen=True)
class Tall:
    width: float = 1.0


DIFFERENT: list[tuple[Any, Any]] = [
    (1, 1.0),
    (1, True),
    (0, False),
    (1, "1"),
    (0.0, -0.0),
    (0.1, np.float32(0.1)),
    (None, "None"),
    ((), {}),
    ((1,), 1),
    ({"a": 1}, {"a": 1, "b": None}),
    (1.0, math.nextafter(1.0, 2.0)),
    (2**63, 2**63 + 1),
    (np.arange(3), np.arange(3.0)),
    (np.arange(3), np.arange(3, dtype="int32")),
    (np.zeros((2, 3)), np.zeros((3, 2))),
    (np.zeros(2), (0.0, 0.0)),
    (np.array([0.0]), np.array([-0.0])),
    (Wide(), Wide(2.0)),
    (Wide(), Tall()),
    (Wide(), {"width": 1.0}),
    ({"int": "1"}, 1),
    ({"float": (1.0).hex()}, 1.0),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_types_are_part_of_the_identity(one: Any, other: Any) -> None:
    assert Recipe("toy", 1, {"x": one}).key != Recipe("toy", 1, {"x": other}).key


SAME: list[tuple[Any, Any]] = [
    ((1, 2), [1, 2]),
    (1, np.int32(1)),
    (0.5, np.float32(0.5)),
    (True, np.True_),
    ("a", np.str_("a")),
    (np.arange(4, dtype="<i4"), np.arange(4, dtype=">i4")),
    (np.arange(6).reshape(2, 3).T, np.ascontiguousarray(np.arange(6).reshape(2, 3).T)),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spelling_is_not(one: Any, other: Any) -> None:
    assert Recipe("toy", 1, {"x": one}).key == Recipe("toy", 1, {"x": other}).key


def test_canonical_json_is_ascii_and_sorted() -> None:
    assert PLAIN.json.isascii()
    assert PLAIN.json == json.dumps(json.loads(PLAIN.json), sort_keys=True, separators=(",", ":"))


def nested(levels: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(levels):
        inner = [inner]
    return inner


REFUSED: list[tuple[Any, str]] = [
    (math.nan, "fields.x: nan has no place in a recipe; give a finite number"),
    (-math.inf, "fields.x: -inf has no place"),
    (np.float32("nan"), "has no place in a recipe"),
    ((1.0, math.nan), r"fields.x\[1\]: nan"),
    ({"deep": [math.inf]}, r"fields.x.deep\[0\]: inf"),
    (np.array([1.0, np.nan]), "fields.x: the array holds values that are not finite"),
    (np.array(["a", None], dtype=object), "arrays of object cannot stand"),
    (np.array(["2020"], dtype="datetime64[Y]"), "arrays of datetime64"),
    (lambda x: x, "fields.x: function cannot stand in a recipe; use numbers, text"),
    (math.sin, "builtin_function_or_method cannot stand"),
    (Wide, "type cannot stand"),
    ({1, 2}, "set cannot stand"),
    (b"bytes", "bytes cannot stand"),
    (1j, "complex cannot stand"),
    (object(), "object cannot stand"),
    ({1: "a"}, "fields.x: keys must be text, got 1"),
    (nested(80), "is nested deeper than 64 levels"),
    (nested(10_000), "is nested deeper than 64 levels"),
]


@pytest.mark.parametrize(("value", "text"), REFUSED)
def test_values_without_fixed_meaning_are_refused(value: Any, text: str) -> None:
    with pytest.raises(RecipeError, match=text):
        Recipe("toy", 1, {"x": value})


@pytest.mark.parametrize("name", ["", "a/b", "../up", "1st", "two words", "ω"])
def test_producers_are_plain_names(name: str) -> None:
    with pytest.raises(RecipeError, match="a producer's name is letters"):
        Recipe(name, 1)


BROKEN: list[tuple[str, str]] = [
    ("", "not a recipe"),
    ("{", "not a recipe"),
    ("[]", "not a recipe"),
    ("{}", "not a recipe: KeyError"),
    (PLAIN.json.replace('"schema":1', '"schema":2'), "schema 2, this presage reads 1; update"),
    (PLAIN.json.replace('"seed":{"int":"4"}', '"seed":4'), "not a value of a recipe: 4"),
    (PLAIN.json.replace('"seed":{"int":"4"}', '"seed":{"int":"x"}'), "not a recipe"),
    (PLAIN.json.replace("0x1.0000000000000p+0", "wide"), "not a recipe"),
    (PLAIN.json.replace('"float"', '"double"'), "not a value of a recipe"),
    (PLAIN.json.replace('"selection":"",', ""), "not a recipe"),
    (PLAIN.json.replace('"producer":"toy-sky.v2"', '"producer":"../x"'), "a producer's name"),
    (PLAIN.json.replace("0x1.0000000000000p+0", "0x1p+99999"), "not a recipe: OverflowError"),
    (PLAIN.json.replace('"scheme":"philox/4096"', '"scheme":7'), "scheme is str, got 7"),
    (PLAIN.json.replace('"selection":""', '"selection":null'), "selection is str, got None"),
    (PLAIN.json.replace('"counts":[', '"counts":[' + 99 * "[" + 99 * "]" + ","), "nested"),
    ("[" * 100_000, "not a recipe: RecursionError"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_other_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe.from_json(text)


@given(position=st.integers(0, len(PLAIN.json) - 1), letter=st.sampled_from(string.printable))
def test_an_edited_recipe_is_refused_or_is_another_one(position: int, letter: str) -> None:
    text = PLAIN.json[:position] + letter + PLAIN.json[position + 1 :]
    try:
        recipe = Recipe.from_json(text)
    except RecipeError:
        return
    assert (recipe.key == PLAIN.key) == (json.loads(text) == json.loads(PLAIN.json))
