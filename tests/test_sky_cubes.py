"""Users' cubes and maps of the sky: the same cube out of every format, and what is refused."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

from presage.generate import simulate
from presage.inputs import InputError, InputWarning
from presage.labels import LabelError
from presage.store import Store, StoreError
from presage.studies.sky.cubes import SkyCubes
from presage.studies.sky.spheres import SkyMaps

FREQUENCY = 500.0 + 2.0 * np.arange(5)  # MHz
PIXEL = 0.25  # degrees
CUBES = np.random.default_rng(1).normal(size=(3, 5, 4, 6))  # sample, frequency, y, x; mK
DIMS = ("sample", "frequency", "y", "x")
SAID: dict[str, Any] = {
    "dims": DIMS, "frequencies": FREQUENCY, "frequency_unit": "MHz", "unit": "mK", "pixel": PIXEL,
}  # fmt: skip


def labelled(dims: tuple[str, ...] = DIMS, unit: float = 1.0, **units: str) -> xr.Dataset:
    """The cubes as xarray has them, with the axes in another order."""
    step = {"deg": 1.0, "arcmin": 60.0}[units.get("angle", "deg")] * PIXEL
    scale = {"MHz": 1.0, "GHz": 1e-3}[units.get("frequency", "MHz")]
    found = xr.Dataset(
        {"map": (DIMS, CUBES * unit, {"units": units.get("map", "mK")})},
        {
            "frequency": ("frequency", FREQUENCY * scale, {"units": units.get("frequency", "MHz")}),
            "y": ("y", step * np.arange(4), {"units": units.get("angle", "deg")}),
            "x": ("x", -step * np.arange(6), {"units": units.get("angle", "deg")}),
        },
    )
    return found.transpose(*dims)


def hdf5(path: Path, cubes: np.ndarray = CUBES, **more: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("sky/map", data=cubes, **more)
    return path


def header(**changed: Any) -> fits.Header:
    cards = {
        "CTYPE1": "RA---TAN", "CRVAL1": 10.0, "CDELT1": -PIXEL, "CRPIX1": 3.0,
        "CTYPE2": "DEC--TAN", "CRVAL2": -30.0, "CDELT2": PIXEL, "CRPIX2": 2.0,
        "CTYPE3": "FREQ", "CRVAL3": 500e6, "CDELT3": 2e6, "CRPIX3": 1.0, "BUNIT": "K",
    }  # fmt: skip
    return fits.Header({name: v for name, v in {**cards, **changed}.items() if v is not None})


def bare(path: Path) -> SkyCubes:
    turned = CUBES[:, ::-1].transpose(2, 3, 1, 0) * 1e-3
    with h5py.File(path / "bare.h5", "w") as file:
        file["maps"] = turned
        file["nu"] = FREQUENCY[::-1] * 1e3
        file["nu"].attrs["units"] = "kHz"
    settings = {"unit": "K", "pixel": PIXEL, "memory": 1 << 20}
    return SkyCubes(path / "bare.h5", dims="y, x, frequency, sample", frequency="nu", **settings)


def packed(path: Path) -> SkyCubes:
    """Whole numbers of 16 bits in netCDF-4, in chunks, compressed."""
    encoding = {"dtype": "i2", "scale_factor": 1e-3, "add_offset": 0.5, "_FillValue": -32768}
    labelled(("sample", "x", "y", "frequency")).to_netcdf(
        path / "packed.nc", engine="h5netcdf",
        encoding={"map": {**encoding, "zlib": True, "chunksizes": (1, 6, 4, 5)}},
    )  # fmt: skip
    return SkyCubes(path / "packed.nc")


def netcdf4(path: Path) -> SkyCubes:
    found = labelled(("frequency", "x", "sample", "y"), 1e3, map="uK", frequency="GHz")
    found.rename(frequency="freq").to_netcdf(path / "a.nc", engine="h5netcdf")
    return SkyCubes(path / "a.nc", role="foreground", array="map")


def classic(path: Path) -> SkyCubes:
    found = labelled(("y", "x", "frequency", "sample"), angle="arcmin").isel(
        frequency=slice(None, None, -1)
    )
    found.to_netcdf(path / "a.nc", engine="scipy")
    return SkyCubes([path / "a.nc"])


def fits_files(path: Path) -> SkyCubes:
    """A file a cube, polarisation an axis of length 1; numbers in names count."""
    for sample, name in enumerate(("sky_2", "sky_10", "sky_11")):
        cube = CUBES[sample][None] * 1e-3
        fits.PrimaryHDU(cube, header(CTYPE4="STOKES")).writeto(path / f"{name}.fits")
    (path / "notes.txt").write_text("hello")
    return SkyCubes(path)


def compressed(path: Path) -> SkyCubes:
    for sample, cube in enumerate(CUBES):
        hdu = fits.CompImageHDU(cube.T, header(
            CTYPE1="FREQ", CRVAL1=500.0, CDELT1=2.0, CUNIT1="MHz", CRPIX1=1.0, CTYPE3="RA---CAR",
            CRVAL3=0.0, CDELT3=None, CD3_3=PIXEL, BUNIT="mK",
        ), compression_type="GZIP_2", quantize_level=0)  # fmt: skip
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path / f"{sample}.fits")
    return SkyCubes(path / "*.fits")


def scaled(path: Path) -> SkyCubes:
    for sample, cube in enumerate(CUBES):
        hdu = fits.PrimaryHDU(cube.copy(), header(BUNIT="mK"))
        hdu.scale("int16", bzero=0.5, bscale=1e-3)
        hdu.writeto(path / f"{sample}.fits")
    return SkyCubes(path)


#: Format → reader of the cubes, and how far its numbers may be rounded.
FORMATS: dict[str, tuple[Callable[[Path], SkyCubes], float]] = {
    "bare HDF5": (bare, 1e-12),
    "netCDF-4": (netcdf4, 1e-12),
    "packed netCDF-4": (packed, 6e-4),
    "classic netCDF": (classic, 1e-12),
    "FITS": (fits_files, 1e-12),
    "compressed FITS": (compressed, 1e-12),
    "scaled FITS": (scaled, 6e-4),
}


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same_cubes(tmp_path: Path, kind: str) -> None:
    made, rounding = FORMATS[kind]
    (tmp_path / "files").mkdir()
    source = made(tmp_path / "files")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = simulate(source, store=Store(tmp_path / "store"), progress=False)
    array = found[source.role]
    assert array.dims == DIMS
    assert array.attrs["units"] == "mK"
    assert array.dtype == np.float64
    np.testing.assert_allclose(array, CUBES, atol=rounding)
    np.testing.assert_allclose(found["frequency"], FREQUENCY)
    for dim in "yx":
        np.testing.assert_allclose(np.diff(found[dim]), PIXEL)
        np.testing.assert_allclose(found[dim].mean(), 0, atol=1e-12)
    told = " ".join(str(w.message) for w in caught)
    assert ("frequencies are not ascending and are sorted" in told) == (
        "bare" in kind or "cl" in kind
    )
    assert ("1 file(s) beside" in told) == (kind == "FITS")
    assert found.attrs.get("presage_left_out", "") == "; ".join(str(w.message) for w in caught)


def test_content_is_identity_and_gaps_are_said(tmp_path: Path) -> None:
    holed = CUBES.copy()
    holed[:, 1], holed[:, 3], holed[0, 0, 0, 0] = np.nan, 0.0, np.nan
    odd = {**SAID, "frequencies": [500, 502, 505, 506, 508], "role": "signal", "array": "sky/map"}
    first = SkyCubes(hdf5(tmp_path / "a.h5", holed), **odd)
    (tmp_path / "elsewhere").mkdir()
    again = SkyCubes(hdf5(tmp_path / "elsewhere" / "a.h5", holed), **odd)
    assert first.recipe().key == again.recipe().key
    with pytest.warns(InputWarning) as caught:
        found = simulate(first, store=Store(tmp_path / "store"), progress=False)["signal"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, holed, rtol=1e-6)
    said = [str(w.message) for w in caught]
    assert said == [
        "a.h5: frequencies are irregular: 2 of 4 steps are not 2 MHz",
        "73 of 360 values are NaN and are kept as gaps",
        "1 of 5 channels have no value: 502 MHz",
        "1 of 5 channels are 0 throughout: 506 MHz",
    ]
    hdf5(first.inputs[0].path, CUBES)
    with pytest.raises(InputError, match="was changed since it was named"):
        list(first.chunks())


def test_a_map_of_one_channel_is_a_cube(tmp_path: Path) -> None:
    source = SkyCubes(hdf5(tmp_path / "a.h5", CUBES[:, :1]), **{**SAID, "frequencies": [500]})
    assert source.coordinates[0].values == (500.0,)
    assert next(source.chunks())["sky"].shape == (3, 1, 4, 6)


def test_one_cube_at_a_time_fits_into_memory(tmp_path: Path) -> None:
    cubes = np.ones((6, 4, 64, 128))
    said = {**SAID, "frequencies": FREQUENCY[:4], "memory": 1 << 20}
    source = SkyCubes(hdf5(tmp_path / "a.h5", cubes), **said)
    assert [len(chunk["sky"]) for chunk in source.chunks()] == [4, 2]


def linked(path: Path) -> Path:
    hdf5(path / "other.h5")
    with h5py.File(path / "a.h5", "w") as file:
        file["sky"] = h5py.ExternalLink("other.h5", "sky")
    return path / "a.h5"


def virtual(path: Path) -> Path:
    layout = h5py.VirtualLayout(CUBES.shape, "f8")
    layout[:] = h5py.VirtualSource(hdf5(path / "other.h5"), "sky/map", CUBES.shape)
    with h5py.File(path / "a.h5", "w") as file:
        file.create_virtual_dataset("map", layout)
    return path / "a.h5"


def external(path: Path) -> Path:
    (path / "raw").write_bytes(CUBES.tobytes())
    return hdf5(path / "a.h5", None, shape=CUBES.shape, dtype="f8", external=str(path / "raw"))


def bomb(path: Path) -> Path:
    return hdf5(path / "a.h5", None, shape=(1 << 14,) * 3, dtype="f8", chunks=(64,) * 3)


def huge_chunk(path: Path) -> Path:
    more = {"maxshape": (None,) * 4, "chunks": (16, 64, 64, 64), "compression": "gzip"}
    return hdf5(path / "a.h5", **more)


def two(path: Path) -> Path:
    with h5py.File(hdf5(path / "a.h5"), "a") as file:
        file["sky/mask"] = CUBES
    return path / "a.h5"


def cut(path: Path) -> Path:
    fits.PrimaryHDU(CUBES[0], header()).writeto(path / "a.fits")
    with (path / "a.fits").open("rb+") as file:
        file.truncate(2880)
    return path / "a.fits"


def zipped(path: Path) -> Path:
    (path / "a.fits.gz").write_bytes(gzip.compress(b"SIMPLE  ="))
    return path / "a.fits.gz"


def text(path: Path) -> Path:
    (path / "a.h5").write_text("hello")
    return path / "a.h5"


def damaged(path: Path) -> Path:
    content = hdf5(path / "a.h5").read_bytes()
    (path / "a.h5").write_bytes(content[: len(content) // 2])
    return path / "a.h5"


def image(**changed: Any) -> Callable[[Path], Path]:
    def made(path: Path) -> Path:
        fits.PrimaryHDU(CUBES[0], header(**changed)).writeto(path / "a.fits")
        return path / "a.fits"

    return made


def plain(path: Path) -> Path:
    return hdf5(path / "a.h5")


def netcdf(edit: Callable[[xr.Dataset], xr.Dataset]) -> Callable[[Path], Path]:
    def made(path: Path) -> Path:
        edit(labelled()).to_netcdf(path / "a.nc", engine="h5netcdf")
        return path / "a.nc"

    return made


def several(**changed: Any) -> Callable[[Path], Path]:
    def made(path: Path) -> Path:
        for name, more in (("a", {}), ("b", changed), ("c", {})):
            fits.PrimaryHDU(CUBES[0], header(**more)).writeto(path / f"{name}.fits")
        return path

    return made


#: What is given, with which settings, and what is said.
ERRORS: dict[str, tuple[Callable[[Path], Any], dict[str, Any], str]] = {
    "no file": (lambda path: path / "none.h5", {}, "there is no file of .h5, .* at "),
    "empty folder": (lambda path: path, {}, "there is no file of .h5, .hdf5"),
    "role": (plain, {"role": "noisy"}, "role='noisy' is not known; did you mean 'noise'"),
    "text": (text, {}, "no HDF5, netCDF or FITS file: it begins with b'hello'"),
    "packed whole": (zipped, {}, "compressed as a whole: unpack it first"),
    "damaged": (damaged, SAID, "cannot be read"),
    "cut": (cut, {}, "a.fits is truncated: 2880 bytes of 5760"),
    "external link": (linked, {"array": "sky/map"}, "leads to another file by its link 'sky'"),
    "linked, not named": (linked, SAID, "leads to another file by its link 'sky'"),
    "virtual": (virtual, SAID, "a.h5 has the values of 'map' in other files"),
    "external storage": (external, SAID, "has the values of 'sky/map' in other files"),
    "bomb": (bomb, SAID, "declares .* bytes of arrays"),
    "chunk": (huge_chunk, {**SAID, "memory": 1 << 20}, "chunks of 33554432 bytes are larger"),
    "memory": (
        lambda path: hdf5(path / "a.h5", np.ones((1, 5, 200, 200))),
        {**SAID, "memory": 1 << 20}, r"a cube of \(5, 200, 200\) takes 1600000 bytes",
    ),
    "two cubes": (two, SAID, r"several cubes: sky/map \(3, 5, 4, 6\), sky/mask"),
    "other array": (two, {"array": "sky/masc"}, "'sky/masc' of .* did you mean 'sky/mask'"),
    "complex": (lambda path: hdf5(path / "a.h5", CUBES + 1j), SAID, "complex numbers, which"),
    "no names": (plain, {}, r"of lengths \(3, 5, 4, 6\), have no names; say in the order"),
    "too few names": (plain, {**SAID, "dims": DIMS[1:]}, "are 4, and dims= names 3"),
    "unknown name": (plain, {**SAID, "dims": ("sample", "nu", "y", "x")}, "called .'sample', 'nu'"),
    "twice": (plain, {**SAID, "dims": ("y", "frequency", "y", "x")}, "are called"),
    "contradiction": (
        netcdf(lambda d: d), {"dims": ("sample", "y", "frequency", "x")}, "dims= says .*; which",
    ),
    "no frequencies": (plain, {**SAID, "frequencies": ()}, "does not say its frequencies"),
    "their number": (plain, {**SAID, "frequencies": (1.0, 2.0)}, "5 channels, and 2 frequencies"),
    "their name": (plain, {**SAID, "frequency": "nu"}, "has no array 'nu'"),
    "name in FITS": (image(), {"frequency": "nu"}, "names an array of HDF5 or netCDF-4"),
    "their unit": (plain, {**SAID, "frequency_unit": ""}, "unit; frequency_unit= is one of Hz"),
    "wrong unit": (plain, {**SAID, "frequency_unit": "mHz"}, "'mHz' is not read, only Hz, kHz"),
    "one frequency": (plain, {**SAID, "frequencies": (1, 2, 2, 3, 4)}, "of one frequency: 2"),
    "negative": (plain, {**SAID, "frequencies": (-1, 0, 1, 2, 3)}, "should be positive"),
    "other frequencies": (image(), {"frequencies": FREQUENCY}, "other frequencies than"),
    "velocity": (image(CTYPE3="VRAD", CUNIT3="m/s"), {}, "are called .'vrad'"),
    "said velocity": (
        image(CTYPE3="VRAD", CUNIT3="m/s"), {"dims": DIMS[1:]}, "'m/s' is not read, only Hz",
    ),
    "no unit": (image(BUNIT=None), {}, "temperature does not say its unit; unit= is one of K"),
    "flux": (image(BUNIT="Jy/beam"), {}, "'Jy/beam' is not read, .* become temperatures with the"),
    "thermodynamic": (image(BUNIT="K_CMB"), {}, "'K_CMB' is not read"),
    "two units": (image(), {"unit": "mK"}, "is in K, and unit= says mK; leave it out"),
    "no pixel": (image(CDELT2=None), {}, "how large its pixels are; give pixel="),
    "other pixel": (image(), {"pixel": 0.3}, "pixels of 0.25 deg, and pixel= says 0.3"),
    "uneven": (
        netcdf(lambda d: d.isel(x=[0, 1, 3, 4])), {}, "pixels along x are not evenly spaced",
    ),
    "infinite": (lambda path: hdf5(path / "a.h5", CUBES / 0), SAID, "values that are not finite"),
    "other bands": (
        several(CRVAL3=510e6), {}, "1 of 3 files are unlike a.fits: b.fits has the band 510 to 518",
    ),
    "other pixels": (several(CDELT1=-0.3, CDELT2=0.3), {}, "b.fits has pixels of 0.3 and not 0.25"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("case", ERRORS)
def test_what_is_wrong_is_named(tmp_path: Path, case: str) -> None:
    made, settings, expected = ERRORS[case]
    (tmp_path / "files").mkdir()
    with pytest.raises((LabelError, StoreError, InputError), match=expected):
        simulate(
            SkyCubes(made(tmp_path / "files"), **settings),
            store=Store(tmp_path / "store"),
            progress=False,
        )


# -- HEALPix -----------------------------------------------------------------------------------

SIDE = 16


def sphere(nest: bool = False) -> np.ndarray:
    """A dipole towards (40, 20) degrees, 1 mK there."""
    healpy = pytest.importorskip("healpy")
    x, y, z = healpy.pix2vec(SIDE, np.arange(12 * SIDE**2), nest=nest)
    lon, lat = np.deg2rad((40, 20))
    values: np.ndarray = (x * np.cos(lon) + y * np.sin(lon)) * np.cos(lat) + z * np.sin(lat)
    return values


def maps(path: Path, columns: list[np.ndarray], names: tuple[str, ...] = (), **cards: Any) -> Path:
    rows = [c.reshape(-1, 1024) for c in columns]
    table = fits.BinTableHDU.from_columns([
        fits.Column(names[n] if names else f"C{n}", "1024D", unit="K", array=row)
        for n, row in enumerate(rows)
    ])  # fmt: skip
    known = {"PIXTYPE": "HEALPIX", "NSIDE": SIDE, "ORDERING": "RING"}
    for name, value in {**known, **cards}.items():
        table.header[name] = value
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    return path


MAPS: dict[str, Any] = {"frequencies": (502.0, 500.0), "frequency_unit": "MHz"}
PATCH: dict[str, Any] = {"centers": ((40, 20), (-140, -20), (130, 20)), "pixels": 9, "pixel": 2.0}


@pytest.mark.filterwarnings("ignore:frequencies= *. frequencies are not asc")
def test_patches_of_a_sphere(tmp_path: Path) -> None:
    """A dipole is the cosine of the distance from its pole, in both orders and on every patch."""
    for number in (2, 10):  # two skies of two maps, one file for each map of the other order
        nest = number == 10
        column = sphere(nest) * 1e-3
        order = {"ORDERING": "NESTED" if nest else "RING"}
        maps(tmp_path / f"m_{number}.fits", [column, 3 * column], **order)
    found = simulate(
        SkyMaps(tmp_path, **MAPS, **PATCH), store=Store(tmp_path / "s"), progress=False
    )
    assert found["sky"].dims == DIMS
    assert found["sky"].shape == (6, 2, 9, 9)
    assert found["longitude"].values.tolist() == [40, -140, 130] * 2
    assert found["frequency"].values.tolist() == [500, 502]
    lower = found["sky"].sel(frequency=502.0)  # the first map
    offset = np.tan(np.deg2rad(2.0 * np.arange(-4, 5)))
    pole = 1 / np.sqrt(1 + offset[:, None] ** 2 + offset**2)
    side = np.cos(np.deg2rad(20)) ** 2 * 0 + np.sin(np.deg2rad(20)) ** 2
    for sky in (lower[:3], lower[3:]):
        np.testing.assert_allclose(sky[0], pole, atol=5e-3)
        np.testing.assert_allclose(sky[1], -pole, atol=5e-3)
        np.testing.assert_allclose(sky[2, 4, 4], side, atol=5e-3)  # 90 degrees to the east
        assert sky[2, 4, 0] > sky[2, 4, 8]  # x grows to the east, away from the pole
        assert sky[2, 8, 4] > sky[2, 0, 4]  # and y to the north
    np.testing.assert_allclose(found["sky"].sel(frequency=500.0), 3 * lower, rtol=1e-12)


@pytest.mark.filterwarnings("ignore:frequencies= *. frequencies are not asc")
def test_spheres_are_kept_in_their_order(tmp_path: Path) -> None:
    column = sphere(nest=True)
    column[7] = -1.6375e30
    path = maps(
        tmp_path / "a.fits", [column, column, column], ("A", "Q_POL", "B"), ORDERING="NESTED"
    )
    (tmp_path / "b.fits").write_bytes(path.read_bytes())
    source = SkyMaps((path, tmp_path / "b.fits"), array="A", role="noise", **MAPS)
    with pytest.warns(InputWarning, match="2 of 6144 values are NaN and are kept as gaps"):
        found = simulate(source, store=Store(tmp_path / "s"), progress=False)["noise"]
    assert found.dims == ("sample", "frequency", "nested_pixel")
    np.testing.assert_allclose(found[0, 0, 8:], 1e3 * column[8:], rtol=1e-6)
    assert np.isnan(found[0, :, 7]).all()


def made_maps(number: int = 2, **cards: Any) -> Callable[[Path], Path]:
    return lambda path: maps(path / "a.fits", [np.ones(12 * SIDE**2)] * number, **cards)


MAP_ERRORS: dict[str, tuple[Callable[[Path], Any], dict[str, Any], str]] = {
    "no frequencies": (made_maps(), {"frequencies": ()}, "maps do not say their frequencies"),
    "number": (made_maps(3), {}, "3 maps, which are no whole number of skies of 2 frequencies"),
    "order": (made_maps(ORDERING=""), {}, "in which order .*ordering='ring' or 'nested'"),
    "two orders": (made_maps(), {"ordering": "nested"}, "is ring, and ordering= says nested"),
    "unknown order": (made_maps(), {"ordering": "nest"}, "did you mean 'nested'"),
    "part": (made_maps(NSIDE=32), {}, "'C0' holds 3072 of .*, and a whole sphere of NSIDE 32"),
    "column": (made_maps(), {"array": "C7"}, "no column 'C7'; did you mean"),
    "no map": (image(), {}, "is no map of HEALPix: no NSIDE in its header"),
    "latitude": (made_maps(), {"centers": ((0, 91),), "pixel": 1}, "are .longitude, latitude."),
    "no pixel": (made_maps(), {"centers": ((0, 0),)}, "a size pixel= in degrees"),
    "polarised": (
        lambda path: maps(path / "a.fits", [np.ones(12 * SIDE**2)] * 2, ("I", "Q_STOKES")), {},
        "holds polarisation too .I, Q_STOKES.",
    ),
    "memory": (made_maps(NSIDE=512), {"memory": 1 << 20}, r"\(3145728,\) takes 25165824 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("case", MAP_ERRORS)
def test_what_is_wrong_with_maps_is_named(tmp_path: Path, case: str) -> None:
    made, settings, expected = MAP_ERRORS[case]
    with pytest.raises((LabelError, StoreError), match=expected):
        list(SkyMaps(made(tmp_path), **{**MAPS, **settings}).chunks())
