"""What trained models do: densities, encoders, posteriors, maps, and a specification's own kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import xarray as xr
from torch import Tensor, nn

import fit_toys
import presage as ps
from presage.fitting import FitError, fit, load
from presage.labels import LabelError, Variable
from presage.models import (
    Fitted,
    FittedDensity,
    FittedEncoder,
    FittedMap,
    MixtureDensity,
    Prepared,
    SetEncoder,
)
from presage.models.event_law import RangeWarning
from presage.plugins import PluginError
from presage.store import Store
from presage.studies.events.gaussians import Gaussians
from presage.studies.pdf import Gaussian

QUICK = {"epochs": 2, "batch_size": 64, "validation": 0.0, "progress": False}


@pytest.fixture(scope="module")
def events(store) -> xr.Dataset:
    return ps.simulate(Gaussians.on_grid(4), n=4000, store=store, progress=False)


@pytest.fixture(scope="module")
def flow(events, store) -> FittedDensity:
    return fit(MixtureDensity(hidden=(8,), components=2), events, store=store, **QUICK)


# -- densities ------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [700, (300, 33_000)])
def test_a_draw_in_memory_is_the_one_that_a_store_keeps(flow, store, n) -> None:
    labels = [(0.4,), (0.6,)]
    stored = ps.sample(flow, labels=labels, n=n, seed=3, store=store, progress=False)
    drawn = flow.sample(labels, n, seed=3)
    assert drawn.sizes == stored.sizes
    for name in stored.data_vars:
        np.testing.assert_array_equal(drawn[name].values, stored[name].values)
        assert drawn[name].dtype == stored[name].dtype
        np.testing.assert_equal(drawn[name].attrs, stored[name].attrs)
    longer = flow.sample(labels, 40_000, seed=3)
    if n == 700:  # the beginning of a longer draw
        np.testing.assert_array_equal(longer["x"][:1400], drawn["x"])


def test_a_flow_that_no_store_holds_draws_in_memory(flow) -> None:
    loose = replace(flow, saved=False)
    labels = {name: [0.4] for name in (p.name for p in flow.parameters)}
    drawn = ps.sample(loose, labels=labels, n=50, progress=False)
    assert drawn.identical(loose.sample(labels, 50))
    assert "presage_key" not in drawn.attrs
    assert drawn.attrs["model"] == flow.key


def test_log_prob_is_labelled(flow, events) -> None:
    few = ps.take(events, slice(0, 20))
    found = flow.log_prob(few)
    assert found.dims == ("event",)
    assert found.attrs["units"] == "1"
    assert found.attrs["long_name"].startswith("natural logarithm of the density")
    np.testing.assert_array_equal(found["event"], few["event"])


@pytest.mark.parametrize(
    ("labels", "n", "message"),
    [
        (None, 5, r"at which labels\? Give tuples of \(\w+\)"),
        ([], 5, "at least one label is needed, got none"),
        ([(np.nan,)], 5, "labels must be finite numbers"),
        ([(0.4, 0.6)], 5, "a label is"),
        ([(0.4,)], 0, "n is at least 1 event a label"),
        ([(0.4,)], [1, 2], "n is at least 1 event a label, one number or 1 of them"),
    ],
)
def test_what_cannot_be_drawn(flow, labels, n, message) -> None:
    with pytest.raises(LabelError, match=message):
        flow.sample(labels, n)


def test_labels_beyond_the_training_are_said(flow) -> None:
    with pytest.warns(RangeWarning, match="outside the trained range"):
        flow.sample([(99.0,)], 5)


# -- encoders -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def encoder_and_sets() -> tuple[FittedEncoder, xr.DataArray]:
    sets = ps.on_the_fly(Gaussian(n_events=12), 64)
    spec = SetEncoder(hidden=(8,), seeds=1, head=(8,), smallest=4)
    return fit(spec, sets, **QUICK), sets["events"].isel(repeat=0).load()


def test_an_encoder_takes_labelled_sets(encoder_and_sets) -> None:
    encoder, events = encoder_and_sets
    found = encoder.encode(events)
    assert found.dims == ("sample", "number")
    np.testing.assert_array_equal(found["sample"], events["sample"])
    turned = events.isel(feature=[1, 0]).transpose("feature", "event", "sample")
    assert encoder.encode(turned).identical(found)
    np.testing.assert_array_equal(encoder.encode(events[3]), found[3])
    short = events.where(events["event"] < 7)  # filled up with NaN
    np.testing.assert_allclose(encoder.encode(short)[..., -1], np.log10(7), rtol=1e-6)
    np.testing.assert_array_equal(encoder.encode(short), encoder.encode(events[:, :7]))
    point = encoder.point(events)
    assert point.dims == ("sample", "parameter")
    low, high = (np.array(encoder.declaration[end]) for end in ("low", "high"))
    assert ((point >= low) & (point <= high)).all()
    p_value = encoder.p_value(events)
    assert p_value.dims == ("sample",)
    assert float(p_value.min()) > 0
    assert p_value.attrs["note"].startswith("counted among")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.values, "should be a labelled xarray.DataArray"),
        (lambda e: e.assign_coords(feature=["x", "q2"]), "with the features x, y; got .* x, q2"),
        (lambda e: e.isel(feature=[0]), "with the features x, y"),
        (lambda e: e.rename(event="row"), "expected a dimension 'event'"),
        (lambda e: e.where(e["event"] != 3), "events hold NaN"),
        (lambda e: e[:0], "there is no set of events along"),
    ],
)
def test_what_is_no_set_is_refused(encoder_and_sets, change, message) -> None:
    encoder, events = encoder_and_sets
    with pytest.raises(LabelError, match=message):
        encoder.encode(change(events))


# -- maps -----------------------------------------------------------------------------------


class Heads(nn.Module):
    """A line for each channel, and the square of what it misses."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(1, 2)

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        mean, log_square = self.line(batch["dirty"][..., None]).unbind(-1)
        return {"clean": mean, "square": log_square.exp()}

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        made = self(batch)
        far = (made["clean"] - batch["truth"]).square()
        return (far + (made["square"] - far.detach()).square()).flatten(1).mean(1)


class Follower(nn.Module):
    """A recurrent network that carries its state."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRU(1, 3, batch_first=True)
        self.head = nn.Linear(3, 1)

    def forward(self, batch: Mapping[str, Tensor], carry: Tensor | None = None) -> Any:
        hidden, carry = self.cell(batch["dirty"].flatten(1)[..., None], carry)
        made = self.head(hidden).view_as(batch["dirty"])
        return {"clean": made, "square": made.square()}, carry

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        return (self(batch)[0]["clean"] - batch["truth"]).square().flatten(1).mean(1)


@dataclass(frozen=True)
class Cleaner:
    """Settings of a map of spectra."""

    recurrent: bool = False

    name: ClassVar[str] = "cleaner"
    version: ClassVar[int] = 1
    fitted: ClassVar[type[Fitted]] = FittedMap

    def prepare(self, dataset: xr.Dataset) -> Prepared:
        known = [Variable.of(dataset[name], "sky") for name in ("dirty", "truth")]
        clean = replace(known[1], name="clean", long_name="cleaned signal")
        square = replace(clean, name="square", unit="mK2", long_name="squared error")
        declaration = {
            "variables": [asdict(v) for v in known],
            "takes": ["dirty"],
            "gives": [asdict(v) for v in (clean, square)],
            "sample": "sky",
        }
        arrays = {name: dataset[name].values for name in ("dirty", "truth")}
        return Prepared(arrays, {}, declaration)

    def build(self, declaration: Mapping[str, Any]) -> nn.Module:
        return Follower() if self.recurrent else Heads()


@pytest.fixture(scope="module")
def skies() -> xr.Dataset:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(100, 7)).astype(np.float32)
    about = {"units": "mK"}
    return xr.Dataset(
        {
            "dirty": (("sky", "frequency"), 3 * truth + 1, about),
            "truth": (("sky", "frequency"), truth, about),
        },
        coords={"frequency": ("frequency", np.linspace(500, 600, 7), {"units": "MHz"})},
        attrs={"presage_sample": "sky"},
    )


def test_a_map_with_two_heads(skies) -> None:
    unet = fit(Cleaner(), skies, **{**QUICK, "batch_size": 10, "epochs": 60}, learning_rate=0.02)
    made = unet.apply(skies.drop_vars("truth").transpose("frequency", "sky"), batch_size=33)
    assert set(made.data_vars) == {"clean", "square"}
    assert made["clean"].dims == ("sky", "frequency")
    assert (made["clean"].attrs["units"], made["square"].attrs["units"]) == ("mK", "mK2")
    np.testing.assert_array_equal(made["frequency"], skies["frequency"])
    assert float(abs(made["clean"] - skies["truth"]).max()) < 0.3
    with pytest.raises(LabelError, match="dirty"):
        unet.apply(skies.drop_vars("dirty"))


@pytest.mark.parametrize("length", [1, 3, 7, 50])
def test_a_recurrent_map_carries_its_state_from_part_to_part(skies, length) -> None:
    student = fit(Cleaner(recurrent=True), skies, **{**QUICK, "epochs": 1})
    whole = student.apply(skies, along="frequency", length=7)
    parts = student.apply(skies, along="frequency", length=length, batch_size=30)
    xr.testing.assert_allclose(parts, whole, atol=1e-6)
    with pytest.raises(LabelError, match="did you mean 'frequency'"):
        student.apply(skies, along="frequenzy", length=3)


# -- specifications of one's own --------------------------------------------------------------


def test_a_specification_that_names_no_kind_gives_its_network(tmp_path: Path) -> None:
    store = Store(tmp_path)
    fitted = fit(fit_toys.Toy(), fit_toys.stored(store), store=store, **QUICK)
    assert type(fitted) is Fitted
    assert fitted.network.training is False
    with pytest.raises(FitError, match=r"load\(..., models=\{'toy': MyModel\}\)"):
        load(fitted.key, store)
    for own in (fit_toys.Toy, "fit_toys:Toy"):
        again = load(fitted.key, store, models={"toy": own})
        assert again.difference(fitted) == 0


def test_models_of_ones_own_by_address() -> None:
    assert ps.models.model("fit_toys:Toy", hidden=3) == fit_toys.Toy(hidden=3)
    with pytest.raises(LabelError, match="no setting 'hiden'; did you mean 'hidden'"):
        ps.models.model("fit_toys:Toy", hiden=3)
    with pytest.raises(PluginError, match="is no specification of a model"):
        ps.models.model("fit_toys:Network")
    with pytest.raises(PluginError, match="no model 'spline_flo'; did you mean 'spline_flow'"):
        ps.models.model("spline_flo")


def test_models_of_installed_packages(monkeypatch, tmp_path: Path) -> None:
    from presage import plugins

    def offered(group: str) -> dict[str, str]:
        return {"toy": "fit_toys:Toy"} if group == plugins.MODELS else {}

    monkeypatch.setattr(plugins, "installed", offered)
    store = Store(tmp_path)
    fitted = fit(ps.models.model("toy"), fit_toys.stored(store), store=store, **QUICK)
    assert load(fitted.key, store).difference(fitted) == 0
