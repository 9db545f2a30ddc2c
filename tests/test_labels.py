"""Labels: declarations survive the file, and wrong arrays meet clear errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from presage.labels import (
    COMPONENT,
    Coordinate,
    LabelError,
    Parameter,
    Schema,
    Variable,
    check_arrays,
    from_complex,
    nearest,
    require,
    squared,
    to_complex,
)
from presage.recipe import Recipe

MASS = Variable("phi_mass", (), "float32", "GeV", "mass of phi", lower=0.0, follows="phi_label")
LABEL = Parameter("phi_label", unit="GeV", low=95.0, high=5410.0)
CUBE = Variable("cube", ("frequency", "y"), "float32", "mK")
HITS = Variable("hit", ("hits", "xyz"), "float64", "mm")
NUMBER = Variable("charge", (), "int8", upper=2.0)
BANDS = Coordinate("frequency", (500.0, 550.0, 600.0), "MHz")
XYZ = Coordinate("xyz", ("x", "y", "z"))
SCHEMA = Schema("event", (LABEL, MASS, CUBE, HITS, NUMBER), (BANDS, XYZ), ragged=("hits",))


def arrays(**change: Any) -> dict[str, Any]:
    """Two events that fit SCHEMA, some of them replaced; None removes."""
    good = {
        "phi_label": np.array([100.0, 200.0]),
        "phi_mass": np.array([99.0, 201.0]),
        "cube": np.zeros((2, 3, 5)),
        "hit": np.zeros((3, 3)),
        "hits_count": np.array([1, 2]),
        "charge": np.array([-1, 1]),
    }
    return {k: v for k, v in {**good, **change}.items() if v is not None}


def dataset() -> xr.Dataset:
    layout = SCHEMA.stored()
    checked = check_arrays(arrays(), SCHEMA, 2, "toy")
    return xr.Dataset(
        {n: (dims, checked[n], v.attributes()) for n, (dims, v) in layout.items()},
        coords={c.name: c.variable() for c in SCHEMA.coordinates},
    )


def test_a_good_block_comes_back_in_declared_types() -> None:
    checked = check_arrays(arrays(), SCHEMA, 2, "toy")
    assert set(checked) == set(SCHEMA.stored())
    for name, (_, variable) in SCHEMA.stored().items():
        assert checked[name].dtype == variable.dtype
        assert checked[name].flags.c_contiguous


def test_an_empty_block_is_a_block() -> None:
    empty = {n: np.asarray(a)[:0] for n, a in arrays().items()}
    assert len(check_arrays(empty, SCHEMA, 0, "toy")["phi_mass"]) == 0


WRONG_ARRAYS: list[tuple[dict[str, Any], str]] = [
    ({"phi_mas": np.zeros(2)}, "toy returned undeclared 'phi_mas'; did you mean 'phi_mass'"),
    ({"phi_mass": None}, "toy did not return the declared variable 'phi_mass'"),
    ({"hits_count": None}, "did not return the declared variable 'hits_count'"),
    ({"phi_mass": np.zeros(3)}, r"'phi_mass' should be \[event=2\], got shape \(3,\)"),
    ({"phi_mass": np.zeros((2, 1))}, r"should be \[event=2\], got shape \(2, 1\)"),
    ({"cube": np.zeros((2, 5, 3))}, r"\[event=2, frequency=3, y=any\], got shape \(2, 5, 3\)"),
    ({"hit": np.zeros((4, 3))}, r"'hit' should be \[hits=3, xyz=3\], got shape \(4, 3\)"),
    ({"hits_count": np.array([-1, 4])}, "'hits_count' reaches -1, below its bound 0"),
    ({"phi_mass": np.array([1.0, np.nan])}, "'phi_mass' holds 1 values that are not finite"),
    ({"cube": np.full((2, 3, 5), np.inf)}, "'cube' holds 30 values that are not finite"),
    ({"phi_mass": np.array([-0.5, 1.0])}, "'phi_mass' reaches -0.5, below its bound 0.0"),
    ({"charge": np.array([1, 3])}, "'charge' reaches 3, above its bound 2.0"),
    ({"charge": np.array([0.5, 1.0])}, "'charge' has dtype float64, declared int8"),
    ({"charge": np.array([1, 300])}, "'charge' holds values beyond int8"),
    (
        {"phi_mass": np.array([1, 2**24 + 1])},
        r"'phi_mass' holds whole numbers that float32 rounds \(16777217 to 16777216\).*'int64'",
    ),
    ({"phi_mass": np.array([1j, 2.0])}, "'phi_mass' has dtype complex128, declared float32"),
    ({"phi_mass": np.array(["a", "b"])}, "'phi_mass' has dtype <U1, declared float32"),
    ({"phi_mass": np.array([1e300, 1.0])}, "'phi_mass' holds 1 values that are not finite"),
]


@pytest.mark.parametrize(("change", "text"), WRONG_ARRAYS)
def test_wrong_arrays_are_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises(LabelError, match=text):
        check_arrays(arrays(**change), SCHEMA, 2, "toy")


WRONG_DECLARATIONS: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: Variable("phi mass"), LabelError, "an identifier such as 'phi_mass', not 'phi mass'"),
    (lambda: Variable(""), LabelError, "identifier"),
    (lambda: Variable("x", dtype="flaot32"), TypeError, "flaot32"),
    (lambda: Variable("x", lower=1.0, upper=1.0), LabelError, "x: lower 1.0 is not below upper"),
    (lambda: Schema("event", (MASS, MASS)), LabelError, "must differ; twice: phi_mass"),
    (
        lambda: Schema("event", (Variable("x", ("a", "hits")),), ragged=("hits",)),
        LabelError,
        "x: ragged dimension 'hits' must be first",
    ),
    (lambda: SCHEMA["phi_mas"], LabelError, "no variable 'phi_mas'; did you mean 'phi_mass'"),
]


@pytest.mark.parametrize(("make", "error", "text"), WRONG_DECLARATIONS)
def test_wrong_declarations_are_refused(
    make: Callable[[], object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        make()


WRONG_DATASETS: list[tuple[Callable[[xr.Dataset], xr.Dataset], str]] = [
    (lambda d: d.rename(phi_mass="phi_mas"), "no variable 'phi_mass'; did you mean 'phi_mas'"),
    (lambda d: d.rename(event="sample"), r"should have dims \('event',\), got \('sample',\)"),
    (lambda d: d.isel(event=0), r"should have dims \('event',\), got \(\)"),
    (
        lambda d: d.assign(phi_mass=d.phi_mass.assign_attrs(units="MeV")),
        "'phi_mass' should be in 'GeV', got 'MeV'; convert it first",
    ),
    (
        lambda d: d.assign(phi_mass=d.phi_mass.drop_attrs()),
        "'phi_mass' should be in 'GeV', got '1'",
    ),
]


@pytest.mark.parametrize(("spoil", "text"), WRONG_DATASETS)
def test_wrong_datasets_are_refused(spoil: Callable[[xr.Dataset], xr.Dataset], text: str) -> None:
    require(dataset(), [MASS, CUBE], "event")
    with pytest.raises(LabelError, match=text):
        require(spoil(dataset()), [MASS], "event")


def test_require_reads_names_not_positions() -> None:
    require(dataset().transpose(..., "event"), [MASS, CUBE], "event")


units = st.sampled_from(["1", "GeV", "mK"])
bounds = st.one_of(st.none(), st.floats(-1e6, 1e6))
variables = st.builds(
    Variable,
    name=st.sampled_from(["phi_mass", "x"]),
    dtype=st.sampled_from(["float32", "float64", "int64"]),
    unit=units,
    long_name=st.sampled_from(["mass of phi", "a b"]),
    lower=bounds,
    follows=st.sampled_from([None, "phi_label"]),
    missing=st.sampled_from([None, -999.0]),
)
angles = st.builds(
    Variable,
    name=st.just("phi"),
    long_name=st.just("angle"),
    lower=st.sampled_from([None, 0.0]),
    period=st.floats(0.1, 360.0),
    missing=st.sampled_from([None, -9.0]),
)
labels = st.builds(
    Parameter,
    name=st.just("m"),
    long_name=st.just("mass"),
    dtype=st.just("float64"),
    low=st.sampled_from([None, -1.0]),
    high=st.just(2.0),
    period=st.sampled_from([None, 6.0]),
    tolerance=st.floats(0.0, 0.4),
).filter(lambda p: p.low is not None)


@given(variable=variables | angles | labels)
def test_a_declaration_is_read_back_from_its_attributes(variable: Variable) -> None:
    array = xr.DataArray(
        np.zeros(2, variable.dtype), dims="event", name=variable.name, attrs=variable.attributes()
    )
    assert Variable.of(array, sample="event") == variable


def test_a_declaration_survives_netcdf(tmp_path) -> None:  # type: ignore[no-untyped-def]
    dataset().to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as read:
        for variable in (MASS, CUBE, NUMBER):
            again = Variable.of(read[variable.name], sample="event")
            assert again.attributes() == variable.attributes()
            assert (again.dims, again.dtype) == (variable.dims, variable.dtype)
        assert read["phi_label"].attrs["role"] == "parameter"
        assert read["phi_label"].attrs["prior_range"].tolist() == [95.0, 5410.0]
        assert read["frequency"].attrs["units"] == "MHz"
        assert read["xyz"].values.tolist() == ["x", "y", "z"]


def test_nan_for_a_missing_value_is_a_gap() -> None:
    assert Variable("x", missing=float("nan")) == Variable("x", gaps=True)


#: Keys that these declarations have had since 0.1: a new field may not change them.
GOLDEN = [
    (Variable("mass", lower=0.0, follows="m", unit="GeV"), "fed98d66b6486c9f"),
    (Parameter("m", dtype="float64", unit="GeV", low=1.0, high=9.0), "1934c966021d6188"),
    (Parameter("angle", dtype="float64", period=6.0), "69a5f79438ad1fc3"),
    (Coordinate("f", (1.0, 2.0)), "c73aa28afe75b545"),
]


@pytest.mark.parametrize(("declared", "key"), GOLDEN)
def test_declarations_at_their_defaults_keep_their_keys(declared: object, key: str) -> None:
    assert Recipe("golden", 1, {"x": declared}).key.startswith(key)


def test_a_declaration_that_means_something_else_has_another_key() -> None:
    kinds = [
        Variable("x"),
        Variable("x", period=6.0),
        Variable("x", missing=-999.0),
        Parameter("x"),
        Parameter("x", tolerance=1e-3),
    ]
    assert len({Recipe("golden", 1, {"x": kind}).key for kind in kinds}) == len(kinds)


@pytest.mark.parametrize(
    ("unit", "square"),
    [("mK", "mK2"), ("mK sr", "(mK sr)2"), ("m/s", "(m/s)2"), ("cm2", "(cm2)2"), ("1", "1")],
)
def test_the_unit_of_squares(unit: str, square: str) -> None:
    assert squared(unit) == square


def test_titles_name_the_unit_where_there_is_one() -> None:
    assert MASS.title == "mass of phi [GeV]"
    assert Variable("x").title == "x"


def test_the_layout_puts_ragged_values_flat() -> None:
    layout = {name: dims for name, (dims, _) in SCHEMA.stored().items()}
    assert layout["hits_count"] == ("event",)
    assert layout["hit"] == ("hits", "xyz")
    assert layout["cube"] == ("event", "frequency", "y")
    assert SCHEMA.parameters == (LABEL,)
    assert SCHEMA.sizes() == {"frequency": 3, "xyz": 3}


@pytest.mark.parametrize(
    ("name", "known", "text"),
    [
        ("ploc", ["plot", "store"], "; did you mean 'plot'?"),
        ("zzz", ["b", "a"], "; there is a, b"),
        ("zzz", [], "; there is none"),
    ],
)
def test_the_nearest_name_is_suggested(name: str, known: list[str], text: str) -> None:
    assert nearest(name, known) == text


@given(order=st.permutations(["sample", "frequency", "component"]), single=st.booleans())
def test_complex_values_split_and_join_exactly(order: list[str], single: bool) -> None:
    rng = np.random.default_rng(0)
    parts = xr.DataArray(
        rng.normal(size=(4, 3, 2)).astype("float32" if single else "float64"),
        dims=("sample", "frequency", "component"),
        coords={"component": COMPONENT.variable(), "frequency": BANDS.variable()},
        attrs={"units": "mK"},
    ).transpose(*order)
    joined = to_complex(parts)
    assert joined.dtype == ("complex64" if single else "complex128")
    back = from_complex(joined)
    assert back.dims[-1] == "component"
    assert back.attrs == parts.attrs
    np.testing.assert_array_equal(back.transpose(*order).values, parts.values)


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (xr.DataArray([1.0], dims="x"), "needs a dimension 'component', got"),
        (
            xr.DataArray([1.0, 2.0], dims="component", coords={"component": ["imag", "real"]}),
            r"should be \['real', 'imag'\], got \['imag', 'real'\]",
        ),
        (xr.DataArray([1.0, 2.0], dims="component"), r"should be \['real', 'imag'\]"),
    ],
)
def test_other_components_are_refused(array: xr.DataArray, text: str) -> None:
    with pytest.raises(LabelError, match=text):
        to_complex(array)
