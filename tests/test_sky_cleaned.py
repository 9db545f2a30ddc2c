"""Cleaned pools: linear, precise to float32's storage, of a stored basis or filter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

import presage as ps
from presage.batches import Paired
from presage.cli.main import main
from presage.labels import LabelError, to_complex
from presage.store import Store
from presage.studies.sky import CleanedSky, read_original_basis, sky, write_original_basis
from presage.transforms import PCA, LearnedWiener, PCABasis, Wiener

SIZES = {"signal": 24, "foreground": 16, "noise": 16}


def pools(name: str, store: Store) -> dict[str, xr.Dataset]:
    """The three pools of a small sky."""
    parts = sky(name, channels=16, pixels=8).with_noise(0.05).simulators()
    return {
        part: ps.simulate(simulator, SIZES[part], store=store, progress=False)
        for part, simulator in parts.items()
    }


def paired(parts: dict[str, xr.Dataset]) -> Paired:
    rest = ["foreground.foreground", "noise.noise"]
    columns = {"signal": "signal.signal", "contaminant": rest, "sky": [*rest, "signal.signal"]}
    return Paired(parts, columns, samples=60)


def values(data: xr.DataArray) -> np.ndarray:
    joined = to_complex(data) if "component" in data.dims else data
    return joined.transpose("frequency", ...).values


@pytest.mark.parametrize("name", ["hard", "visibilities"])
def test_cached_projections_add_up_to_the_cleaned_sky(name: str, tmp_path: Path) -> None:
    store = Store(tmp_path)
    parts = pools(name, store)
    basis = ps.fit(PCABasis("sky"), paired(parts), store=store, progress=False)
    cleaned = {
        part: ps.simulate(CleanedSky(pool, basis, 4), store=store, progress=False)
        for part, pool in parts.items()
    }
    first = {part: pool[part].isel(sample=slice(0, 3)) for part, pool in parts.items()}
    total = sum(values(part).astype(np.clongdouble) for part in first.values())
    vectors = values(basis["eigenvectors"].isel(mode=slice(4))).astype(np.clongdouble)
    flat = total.reshape(len(total), -1)
    oracle = flat - vectors @ (vectors.conj().T @ flat)
    added = sum(values(c["cleaned"].isel(sample=slice(0, 3))) for c in cleaned.values())
    width = np.abs(values(first["signal"])).std()
    assert np.abs(values(first["foreground"])).max() > 1e4 * width
    assert np.abs(added.reshape(oracle.shape) - oracle).std() < 1e-5 * width
    amplitude = cleaned["signal"]["amplitude"]
    assert amplitude.dims == tuple("mode" if d == "frequency" else d for d in first["signal"].dims)
    again = PCA(basis).modes_of(first["signal"], 4)
    np.testing.assert_allclose(amplitude.isel(sample=slice(0, 3)), again, atol=1e-5 * width)
    for made in cleaned.values():
        assert made["cleaned"].attrs["units"] == first["signal"].attrs["units"]
        assert made["frequency"].identical(parts["signal"]["frequency"])


def test_a_learned_filter_cleans_pools(tmp_path: Path) -> None:
    store = Store(tmp_path)
    parts = pools("hard", store)
    stored = ps.fit(LearnedWiener(), paired(parts), store=store, progress=False)
    cleaned = [
        ps.simulate(CleanedSky(pool, stored), 8, store=store, progress=False)["cleaned"].values
        for pool in parts.values()
    ]
    total = sum(pool[part].isel(sample=slice(0, 8)).astype(float) for part, pool in parts.items())
    whole = Wiener(stored).clean(total).values
    np.testing.assert_allclose(sum(cleaned), whole, atol=1e-5 * whole.std())


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    parts = pools("easy", store)
    pool = parts["signal"]
    basis = ps.fit(PCABasis("signal"), pool, store=store, progress=False)
    for modes in (0, 17, -1):
        with pytest.raises(LabelError, match="from 1 to 16 of this basis"):
            CleanedSky(pool, basis, modes)
    stored = ps.fit(LearnedWiener(), paired(parts), store=store, progress=False)
    with pytest.raises(LabelError, match="0 for a Wiener filter; got 3"):
        CleanedSky(pool, stored, 3)
    with pytest.raises(LabelError, match="one variable with dimension 'frequency', got 0"):
        CleanedSky(pool.rename(frequency="channel"), basis, 2)
    other = sky("easy", channels=16, pixels=8, low=400.0).simulators()["signal"]
    far = ps.simulate(other, 8, store=store, progress=False)
    with pytest.raises(LabelError, match="channels along 'frequency' are not those fitted"):
        CleanedSky(far, basis, 2)
    pixels = sky("easy", channels=16, pixels=8, pixel=0.5).simulators()["signal"]
    wide = CleanedSky(ps.simulate(pixels, 8, store=store, progress=False), stored)
    with pytest.raises(LabelError, match="another pixel size"):
        ps.simulate(wide, store=store, progress=False)


def bright() -> xr.DataArray:
    """Real maps ``[frequency, pixel]`` of ten channels."""
    rng = np.random.default_rng(3)
    frequency = xr.Variable("frequency", np.linspace(500.0, 600.0, 10), {"units": "MHz"})
    sky = (frequency.values[:, None] / 550) ** -rng.normal(2.5, 0.2, 400)
    return xr.DataArray(
        1e3 * sky + rng.normal(size=sky.shape), {"frequency": frequency}, ("frequency", "pixel"),
        attrs={"units": "mK"},
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_the_original_reads_and_writes_the_same_basis(kind: str, tmp_path: Path) -> None:
    data = bright()
    basis = PCA.fit(data, centred=True)
    path = write_original_basis(basis, 3, tmp_path)
    assert path.name == "pca_components_nfg3.pt"
    held = torch.load(path, weights_only=True)
    assert held["fg_components"].shape == (10, 3)
    assert held["signal_components"].shape == (10, 7)
    rows = torch.from_numpy(data.values.T).float() - held["mean_per_freq"]  # as it cleans
    theirs = rows - rows @ held["fg_components"] @ held["fg_components"].T
    sample = data if kind == "real" else data + 0j
    again = PCA(read_original_basis(path, like=sample))
    ours = again.clean(sample, 3, subtract_mean=True)
    np.testing.assert_allclose(ours.values.T, theirs.numpy(), atol=1e-3)
    vectors = again.vectors(10)
    np.testing.assert_allclose(vectors.conj().T @ vectors, np.eye(10), atol=1e-14)


def test_files_that_are_no_basis_are_refused(tmp_path: Path) -> None:
    data = bright()
    path = write_original_basis(PCA.fit(data), 3, tmp_path)
    with pytest.raises(LabelError, match="a basis of 9 channels"):
        read_original_basis(path, like=data.isel(frequency=slice(9)))
    held = torch.load(path, weights_only=True)
    for change, text in (
        ({"fg_components": held["fg_components"] * 2}, "not orthonormal"),
        ({"mean_per_freq": held["mean_per_freq"][1:]}, "basis of 10 channels"),
    ):
        torch.save(held | change, tmp_path / "other.pt")
        with pytest.raises(LabelError, match=text):
            read_original_basis(tmp_path / "other.pt", like=data)
    torch.save({"fg_components": held["fg_components"]}, tmp_path / "less.pt")
    with pytest.raises(LabelError, match="'signal_components' is missing"):
        read_original_basis(tmp_path / "less.pt", like=data)
    (tmp_path / "text.pt").write_text("no tensors")
    with pytest.raises(LabelError, match="only tensors are read"):
        read_original_basis(tmp_path / "text.pt", like=data)
    twisted = data * np.exp(1j * np.arange(10))[:, None]
    with pytest.raises(LabelError, match="the original has real ones"):
        write_original_basis(PCA.fit(twisted), 3, tmp_path)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit):
        main(words)
    return "".join(capsys.readouterr())


def test_the_command_fits_and_validates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path)
    keys = {name: p.attrs["presage_key"][:16] for name, p in pools("easy", store).items()}
    rest, place = f"{keys['foreground']}+{keys['noise']}", ("--store", str(tmp_path))
    basis = run(capsys, "fit", "pca", f"{rest}+{keys['signal']}", *place).split()[0]
    assert store.find(basis).producer == "pca_basis"
    assert [p.selection != "" for p in store.find(basis).parents] == [True, True, True]
    columns = f"signal={keys['signal']}.signal", f"contaminant={rest}"
    stored = run(capsys, "fit", "wiener", *columns, "--shrink", "false", *place).split()[0]
    assert store.find(stored).fields["settings"]["shrink"] is False
    parts, picture = [f"{name}={key}" for name, key in keys.items()], tmp_path / "check.png"
    words = ("validate", "pca", basis, *parts, "--modes", "4", "--out", str(picture), *place)
    said = run(capsys, *words)
    assert "met 1e-05 of the signal" in said.partition("added")[2].splitlines()[0]
    assert picture.read_bytes()[1:4] == b"PNG"
    wide = sky("easy", channels=16, pixels=8, pixel=0.5).simulators()["noise"]
    other = ps.simulate(wide, 8, store=store, progress=False).attrs["presage_key"]
    for words, text in (
        (("validate", "pca", basis, parts[0], f"noise={other}"), "has other values of 'y' than"),
        (("fit", "pca", keys["signal"] + ".sgnal"), "did you mean 'signal'"),
        (("fit", "pcs", keys["signal"]), "did you mean 'pca'"),
        (("fit", "pca", "abc"), "no dataset with key 'abc'"),
        (("fit", "wiener", f"signal={keys['signal']}"), "no variable 'contaminant'"),
        (("validate", "pca", basis, f"s={keys['signal']}"), "there is no 'signal' among s"),
        (("validate", "wiener", stored, *parts), "there is no check of 'wiener'"),
    ):
        assert text in run(capsys, *words, *place)


def test_scattered_foregrounds_are_each_brighter_or_fainter_as_a_whole(tmp_path: Path) -> None:
    store = Store(tmp_path)
    parts = pools("leakage", store)
    basis = ps.fit(PCABasis("sky"), paired(parts), store=store, progress=False)
    plain, scattered = (
        ps.simulate(CleanedSky(parts["foreground"], basis, 3, scatter), store=store, progress=False)
        for scatter in (0.0, 0.5)
    )
    factor = np.sqrt((scattered**2).mean(["y", "x"]) / (plain**2).mean(["y", "x"]))
    whole = factor["amplitude"].isel(mode=0)
    np.testing.assert_allclose(factor["amplitude"], whole.broadcast_like(factor["amplitude"]), 1e-4)
    np.testing.assert_allclose(factor["cleaned"].mean("frequency"), whole, 1e-3)
    assert 0.2 < float(np.log(whole).std()) < 0.9
