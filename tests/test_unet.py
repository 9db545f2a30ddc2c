"""The U-Net of cubes: by names, from the best linear answer on, with calibrated bands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

import presage as ps
from presage.batches import Paired
from presage.fitting import fit
from presage.labels import LabelError
from presage.models import UNet
from presage.models.unet import INPUTS
from presage.models.unet_network import LOSSES

F, N, MODES = 8, 8, 2
QUICK = {"epochs": 1, "batch_size": 8, "progress": False, "validation": 0.2, "device": "cpu"}
SMALL = UNet(widths=(4, 8), start=96, nodes=4)
MHZ = xr.Variable("frequency", np.linspace(500.0, 600.0, F), {"units": "MHz"})
SMOOTH = np.linalg.qr(np.stack([np.linspace(-1, 1, F) ** p for p in range(MODES)], 1))[0]


def white(rng, n, slope):
    """Return noise ``[n, F, N, N]`` whose power falls with the wave number across."""
    k = np.hypot.outer(np.fft.fftfreq(N) * N, np.fft.rfftfreq(N) * N)
    modes = np.fft.rfft2(rng.standard_normal((n, F, N, N)), norm="ortho")
    return np.fft.irfft2(modes * (1 + k) ** (-slope / 2), s=(N, N), norm="ortho")


def pool(values, **more):
    """Return a pool of cubes, cleaned of the smooth modes."""
    amplitude = np.einsum("fm,nfyx->nmyx", SMOOTH, values)
    arrays = {"cleaned": values - np.einsum("fm,nmyx->nfyx", SMOOTH, amplitude)}
    about = {"units": "mK"}
    found = {
        name: (("sample", "frequency", "y", "x"), array.astype(np.float32), about)
        for name, array in {**arrays, **more}.items()
    }
    found["amplitude"] = (("sample", "mode", "y", "x"), amplitude.astype(np.float32), about)
    return xr.Dataset(found, {"frequency": MHZ}, attrs={"presage_sample": "sample"})


@pytest.fixture(scope="module")
def pools(store):
    rng = np.random.default_rng(1)
    signal = white(rng, 150, 1.0)
    sky = 300 * np.einsum("fm,nmyx->nfyx", SMOOTH, white(rng, 150, 3.0)[:, :MODES])
    sky += 0.5 * white(rng, 150, 3.0)[:, :1] * np.sin(np.arange(F))[:, None, None]
    made = {"signal": pool(signal, signal=signal), "sky": pool(sky)}
    made["noise"] = pool(0.2 * rng.standard_normal((100, F, N, N)))
    return {name: store.adopt(one, name, "sample") for name, one in made.items()}


@pytest.fixture(scope="module")
def pairs(pools):
    columns = {n: [f"{p}.{n}" for p in pools] for n in ("cleaned", "amplitude")}
    return Paired(pools, {**columns, "signal": "signal.signal"}, samples=160, seed=1)


@pytest.fixture(scope="module")
def fitted(pairs, store):
    return fit(SMALL, pairs, **QUICK, ema=0.9, clip=1.0, accumulate=2, store=store)


def visibilities(rng, n):
    """Return complex cubes whose baselines are no ring."""
    dims = ("sample", "frequency", "component", "baseline", "right_ascension")
    values = rng.standard_normal((n, F, 2, 4, N)).astype(np.float32)
    coords = {"frequency": MHZ, "component": ["real", "imag"]}
    arrays = {"cleaned": (dims, values), "signal": (dims, 0.5 * values)}
    return xr.Dataset(arrays, coords, attrs={"presage_sample": "sample"})


def network_of(model, dataset):
    """Return a network as training finds it, and a batch."""
    prepared = model.prepare(dataset)
    network = model.build(prepared.declaration)
    network.start_from(prepared.state)
    names = [v["name"] for v in prepared.declaration["variables"]]
    few = dataset.isel({dataset.attrs["presage_sample"]: slice(0, 4)})
    return network, {n: torch.as_tensor(np.array(few[n].values)) for n in names}


ACROSS = UNet("cleaned", widths=(4,), start=20, nodes=3, periodic=("right_ascension",))
MODELS = {
    **{name: (replace(SMALL, inputs=name), "pairs") for name in INPUTS},
    **{loss: (replace(SMALL, loss=loss), "pairs") for loss in LOSSES},
    "deviation": (replace(SMALL, bands="deviation"), "pairs"),
    "frozen": (replace(SMALL, linear_step=0.0), "pairs"),
    "no rings": (replace(SMALL, periodic=(), flips=("y",), pooled=("y", "x")), "pairs"),
    "complex": (ACROSS, "complex"),
    "spectra": (replace(ACROSS, periodic=()), "spectra"),
}


@pytest.fixture(params=MODELS)
def started(request, pairs):
    model, what = MODELS[request.param]
    cubes = visibilities(np.random.default_rng(3), 24)
    spectra = cubes.isel(component=0, baseline=0, right_ascension=0, drop=True)
    dataset = {"pairs": pairs.dataset, "complex": cubes, "spectra": spectra}[what]
    return network_of(model, dataset)


# -- laws -----------------------------------------------------------------------------------


def test_every_weight_learns_and_each_sample_has_a_loss(started):
    network, batch = started
    losses = network.train().loss(batch)
    assert losses.shape == (4,)
    losses.sum().backward()
    for name, weight in network.named_parameters():  # none is unused, as DDP wants it
        assert weight.grad is not None, name
    for name in ("added.weight", "bands.2.weight"):
        assert float(network.get_parameter(name).grad.abs().sum()) > 0, name


def test_the_bands_teach_the_signal_nothing(started):
    network, batch = started
    torch.nn.init.normal_(network.bands[-1].weight)
    _, band = network._heads(batch)
    assert (band > 0).all()
    band.sum().backward()
    learning = {n for n, p in network.named_parameters() if p.grad is not None}
    assert learning == {n for n in dict(network.named_parameters()) if n.startswith("bands")}


def test_it_begins_at_the_linear_answer_and_its_error(started):
    network, batch = started
    with torch.no_grad():
        made = network.eval()(batch)
    target = network.target
    rest = made[target.name] - batch[target.name]
    assert float(rest.square().mean()) < float(batch[target.name].square().mean())
    twice = network({n: 2 * a for n, a in batch.items()})[target.name]
    shift = network({n: 0 * a for n, a in batch.items()})[target.name]
    torch.testing.assert_close(twice - shift, 2 * (made[target.name] - shift), atol=1e-3, rtol=1e-3)


def test_convolutions_alone_run_in_bfloat16(started):
    network, batch = started
    torch.nn.init.normal_(network.added.weight, std=0.01)
    exact = network.eval().loss(batch)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network.loss(batch)
        features = network.trunk.first(torch.zeros(1, network.trunk.first.layer.in_channels,
                                                   *network.layout.sizes))  # fmt: skip
    assert rough.dtype == torch.float32
    assert features.dtype == torch.bfloat16
    torch.testing.assert_close(rough, exact, atol=0.02, rtol=0.02)


def test_samples_are_moved_in_training_alone_and_all_variables_alike(pairs):
    network, batch = network_of(SMALL, pairs.dataset)
    assert torch.equal(network.eval().loss(batch), network.loss(batch))
    torch.manual_seed(1)
    moved = network._moved(batch)
    assert not torch.equal(moved["signal"], batch["signal"])
    for name, array in moved.items():  # the sum is cleaned + modes x amplitude + ...
        assert torch.equal(array.flatten(2).sort().values, batch[name].flatten(2).sort().values)
    whole = moved["cleaned"] + torch.einsum(
        "fm,nmyx->nfyx", torch.as_tensor(SMOOTH).float(), moved["amplitude"]
    )
    back = torch.einsum("fm,nfyx->nmyx", torch.as_tensor(SMOOTH).float(), whole)
    torch.testing.assert_close(back, moved["amplitude"], atol=1e-2, rtol=1e-4)


def test_rings_have_no_beginning(pairs):
    network, batch = network_of(SMALL, pairs.dataset)
    torch.nn.init.normal_(network.added.weight, std=0.1)
    made = network.eval()(batch)
    rolled = network({n: a.roll((2, 4), (-2, -1)) for n, a in batch.items()})
    for name, array in made.items():
        torch.testing.assert_close(rolled[name], array.roll((2, 4), (-2, -1)), atol=1e-4, rtol=1e-4)


# -- the linear answer ----------------------------------------------------------------------


def test_the_start_is_the_wiener_filter(pairs):
    network, _ = network_of(replace(SMALL, start=160), pairs.dataset)
    fresh = pairs.dataset.isel(sample=slice(0, 160))
    arrays = {n: torch.as_tensor(np.array(fresh[n].values)) for n in ("cleaned", "amplitude")}
    with torch.no_grad():
        rest = network.eval()(arrays)["signal"].numpy() - fresh["signal"].values
    k = np.hypot.outer(np.fft.fftfreq(N) * N, np.fft.rfftfreq(N) * N)
    ring, twist = np.eye(F), np.outer(np.sin(np.arange(F)), np.sin(np.arange(F)))
    expected = np.empty(k.shape)
    for at, k_here in np.ndenumerate(k):
        signal = ring / (1 + k_here)
        sky = (300**2 * SMOOTH @ SMOOTH.T + 0.25 * twist) / (1 + k_here) ** 3 + 0.04 * ring
        expected[at] = np.trace(signal - signal @ np.linalg.solve(signal + sky, signal)) / F
    power = (np.abs(np.fft.rfft2(rest, norm="ortho")) ** 2).mean((0, 1))
    ratio = power[k > 0] / expected[k > 0]
    assert 0.9 < ratio.mean() < 1.06
    assert (ratio < 1.3).all()


@pytest.mark.parametrize("loss", ["whitened", "delay_spectrum"])
def test_losses_that_weigh_begin_at_one(loss, pairs):
    network, _ = network_of(replace(SMALL, start=160, loss=loss), pairs.dataset)
    names = ("cleaned", "amplitude", "signal")
    batch = {n: torch.as_tensor(np.array(pairs.dataset[n].values)) for n in names}
    with torch.no_grad():
        made, _ = network.eval()._heads(batch)
        wanted = network.target.into(batch["signal"]) / network._wide("target_width")
        loss = float(network.loss_of_rest(network, wanted - made).mean())
    assert 0.8 < loss < 1.15


# -- trained --------------------------------------------------------------------------------


def test_bands_hold_two_thirds(fitted, pairs):
    few = pairs.dataset.isel(sample=slice(0, 32))
    made = fitted.apply(few)
    inside = np.abs(made["signal"] - few["signal"]) < made["signal_error"]
    assert 0.63 < float(inside.mean()) < 0.73
    for name in ("signal", "signal_error"):
        assert made[name].dims == ("sample", "frequency", "y", "x")
        assert made[name].attrs["units"] == "mK"
        assert made[name].attrs["long_name"]
    assert made["frequency"].attrs["units"] == "MHz"


def test_the_store_gives_the_same_network_and_order_does_not_matter(fitted, pairs, store):
    few = pairs.dataset.isel(sample=slice(0, 3))
    made = fitted.apply(few)
    loaded = ps.load(fitted.key, store)
    assert fitted.difference(loaded) == 0
    other = few.transpose("x", "frequency", "mode", "sample", "y").isel(sample=[2, 1, 0])
    for name in ("signal", "signal_error"):
        np.testing.assert_allclose(loaded.apply(other)[name][::-1], made[name], atol=1e-4)


def test_bad_input_is_named(fitted, pairs):
    few = pairs.dataset.isel(sample=slice(0, 2)).load()
    lower = few["frequency"].assign_attrs(units="GHz")
    wrong = {
        "another order": few.isel(frequency=slice(None, None, -1)),
        "missing": few.assign_coords(frequency=few["frequency"] + 50),
        "convert it": few.assign_coords(frequency=lower),
        "8 points of 'x'": few.isel(x=slice(0, 4)),
        "no variable 'amplitude'": few.drop_vars("amplitude"),
    }
    for words, dataset in wrong.items():
        with pytest.raises(LabelError, match=words):
            fitted.apply(dataset)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"inputs": "cleaned+amplitudes"}, "did you mean"),
        ({"loss": "mae"}, "no loss"),
        ({"bands": "variance"}, "no bands"),
        ({"widths": ()}, "at least 1"),
        ({"widths": (4,) * 5}, "cannot be halved"),
        ({"along": "frequencies"}, "no dimension 'frequencies'"),
        ({"periodic": ("z",)}, "no dimension 'z'"),
        ({"target": "truth"}, "no variable 'truth'"),
        ({"cleaned": "amplitude"}, "should have the dims"),
    ],
)
def test_bad_settings_are_named(settings, words, pairs):
    with pytest.raises(LabelError, match=words):
        replace(SMALL, **settings).prepare(pairs.dataset)


def test_gaps_are_refused(pools):
    one = pools["signal"].load()
    gaps = one.assign(cleaned=one["cleaned"].where(one["frequency"] < 590))
    with pytest.raises(LabelError, match="not finite"):
        SMALL.prepare(gaps)
