"""Users' maps of the whole sphere, in HEALPix FITS files: cut into flat patches, or kept.

A network sees flat skies, so a sphere is looked at through tangent planes: the pixel of a patch at
angles (x, y) from its centre c lies in the direction c + tan(x) e_east + tan(y) e_north, scaled to
length 1, and takes the value interpolated between its four neighbours. HEALPix numbers its pixels
in two orders that look alike, RING and NESTED; which it is, is read from the header or asked for.

Source: Gorski et al. 2005, ApJ 622, 759.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from presage.extras import extra
from presage.inputs import FileInput, LeftOut, check_settings
from presage.labels import Array, Coordinate, Floats, LabelError, Variable, nearest
from presage.store.files import reading
from presage.studies.sky.cube_files import fits_file
from presage.studies.sky.cube_layout import FREQUENCY, TEMPERATURE, Tally, ascending, factor
from presage.studies.sky.cubes import ROLES, SkyFiles, check_memory
from presage.studies.sky.geometry import angles, frequencies

_ORDERINGS = {"RING": "ring", "NEST": "nested", "NESTED": "nested"}
_UNSEEN = -1.6e30  # and below: HEALPix' number for no value, -1.6375e30


@dataclass(frozen=True)
class Map:
    """One map in a file."""

    file: FileInput
    extension: int
    column: int
    side: int
    ordering: str  # "ring" or "nested"
    scale: float  # to mK


@dataclass(frozen=True)
class SkyMaps(SkyFiles):
    """HEALPix maps of the whole sphere, one for each frequency, as patches or as they are.

    The maps are the files' columns, file by file; each run of as many as there are `frequencies`
    is one sky. ``presage generate sky_maps --files FOLDER --frequencies '[500, 501]'`` Settings are
    those of :class:`SkyFiles`, of which `frequencies` has to be given and `pixel` is a patch's, and

    Parameters
    ----------
    ordering
        ``ring`` or ``nested``, where the header does not say.
    centers
        (longitude, latitude) of each patch in degrees, in the coordinates of the map. Without,
        the spheres are kept, along a dimension ``ring_pixel`` or ``nested_pixel``.
    pixels
        Along y (to the north) and along x (to the east) of a patch.

    Raises
    ------
    InputError
        There is no such file.
    LabelError
        Wrong settings; what is in the files is not looked at before it is needed.
    """

    ordering: str = ""
    centers: tuple[tuple[float, float], ...] = ()
    pixels: int = 64

    name: ClassVar[str] = "sky_maps"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_settings(self, LabelError, ordering=("", "ring", "nested"))
        centers = tuple((float(lon), float(lat)) for lon, lat in self.centers)
        object.__setattr__(self, "centers", centers)
        if not self.frequencies:
            raise LabelError("maps do not say their frequencies; give frequencies=, one for each")
        if any(abs(lat) > 90 for _, lat in centers):
            raise LabelError(f"centers= are (longitude, latitude) in degrees, got {centers}")
        if centers and not (self.pixel > 0 and self.pixels >= 2 and self._width < 90):
            raise LabelError(
                "a patch has 2 pixels= or more of a size pixel= in degrees, less than 90 degrees "
                f"together, got {self.pixels} of {self.pixel:g}"
            )

    @property
    def _width(self) -> float:
        return self.pixels * self.pixel

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The cubes in mK, NaN where a map has no value; of patches where their middles lie."""
        if not self.centers:
            return (self.cube(f"{self._maps[0].ordering}_pixel"),)
        return (
            self.cube("y", "x"),
            Variable("longitude", (), "float64", "deg", "longitude of the middle", period=360.0),
            Variable("latitude", (), "float64", "deg", "latitude of the middle"),
        )

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """Frequency in ascending MHz; of patches angles from the middle in degrees."""
        found = [frequencies(self._band[0])]
        if self.centers:
            found += angles((self.pixels,) * 2, (self.pixel,) * 2)
        return tuple(found)

    @property
    def lengths(self) -> Mapping[str, int]:
        """Pixels of a sphere that is kept."""
        first = self._maps[0]
        return {} if self.centers else {f"{first.ordering}_pixel": 12 * first.side**2}

    @cached_property
    def _band(self) -> tuple[Floats, Array, list[str]]:
        """Frequencies in ascending MHz, the maps in that order, and what is to be said."""
        each = factor("", self.frequency_unit, FREQUENCY, "frequency_unit", "frequencies=")
        values = np.asarray(self.frequencies) * each
        order, notes = ascending(values, "frequencies=")
        return values[order], order, notes

    @cached_property
    def _maps(self) -> tuple[Map, ...]:
        """The maps, file by file, from headers alone; all are of one size and order."""
        maps = [found for file in self.inputs for found in self._maps_of(file)]
        if len(maps) % len(self.frequencies):
            raise LabelError(
                f"the {len(self.inputs)} files hold {len(maps)} maps, which are no whole number of "
                f"skies of {len(self.frequencies)} frequencies"
            )
        for found in maps:
            if found.side != maps[0].side or (
                not self.centers and found.ordering != maps[0].ordering
            ):
                raise LabelError(
                    f"{found.file.name} has NSIDE {found.side}, {found.ordering}, and "
                    f"{maps[0].file.name} {maps[0].side}, {maps[0].ordering}; make them alike"
                )
        return tuple(maps)

    def _maps_of(self, file: FileInput) -> Iterator[Map]:
        """Yield the maps of one file."""
        where = file.name
        with reading(file.path), fits_file(file.path, mapped=True) as hdus:
            tables = [n for n, hdu in enumerate(hdus) if "NSIDE" in hdu.header]
            if not tables:
                raise LabelError(f"{where} is no map of HEALPix: no NSIDE in its header")
            hdu = hdus[tables[0]]
            header, names = hdu.header, list(hdu.columns.names)
            side, ordering = int(header["NSIDE"]), self._ordering(header, where)
            check_memory((12 * side**2,), self.memory, where)
            if self.array and self.array not in names:
                raise LabelError(
                    f"{where} has no column {self.array!r}{nearest(self.array, names)}"
                )
            polarised = [name for name in names if name.upper()[:2] in ("Q_", "Q-", "U_", "U-")]
            if polarised and not self.array:
                raise LabelError(
                    f"{where} holds polarisation too ({', '.join(names)}); say what to read with "
                    "array="
                )
            for number, column in enumerate(hdu.columns):
                if self.array not in ("", column.name):
                    continue
                kind = hdu.data.dtype[number]
                pixels = int(header["NAXIS2"]) * math.prod(kind.shape)
                if pixels != 12 * side**2 or kind.base.kind not in "iuf":
                    raise LabelError(
                        f"{where}: {column.name!r} holds {pixels} of {kind.base}, and a whole "
                        f"sphere of NSIDE {side} has {12 * side**2} pixels; maps of a part of it "
                        "are not read"
                    )
                unit = str(column.unit or "").strip()
                scale = factor(unit, self.unit, TEMPERATURE, "unit", f"{where}, temperature")
                yield Map(file, tables[0], number, side, ordering, scale)

    def _ordering(self, header: Any, where: str) -> str:
        """Return in which order the pixels are numbered: ring or nested."""
        said = str(header.get("ORDERING", "")).strip().upper()
        found = _ORDERINGS.get(said, "")
        if not (found or self.ordering):
            raise LabelError(
                f"{where} does not say in which order its pixels are (ORDERING {said!r}); "
                "ordering='ring' or 'nested'"
            )
        if found and self.ordering not in ("", found):
            raise LabelError(
                f"{where} is {found}, and ordering= says {self.ordering}; leave it out"
            )
        return found or self.ordering

    def chunks(self) -> Generator[dict[str, Array], None, LeftOut]:
        """Yield skies in mK: some patches ``[sample, frequency, y, x]``, or one whole sphere.

        Returns
        -------
        LeftOut
            What was sorted or has no value, of which there was a warning.

        Raises
        ------
        InputError
            A file was changed since it was named.
        LabelError, StoreError
            A file is damaged, lacks what was not said, or is unlike the others.
        """
        for file in self.inputs:
            file.check_unchanged()
        frequency, order, notes = self._band
        tally, channels = Tally(), len(frequency)
        across = (self.pixels,) * 2 if self.centers else (12 * self._maps[0].side ** 2,)
        check_memory((channels, *across), self.memory, "frequencies and pixels")
        step = max(1, self.memory // (8 * channels * int(np.prod(across))))
        for start in range(0, len(self._maps), channels):
            maps = [self._maps[start + place] for place in order]
            for first in range(0, max(1, len(self.centers)), step):
                centers = np.array(self.centers[first : first + step]).reshape(-1, 2)
                skies = self._skies(maps, centers)
                tally.add(skies)
                labels = {"longitude": centers[:, 0], "latitude": centers[:, 1]}
                cubes = {self.role: skies.astype(ROLES[self.role], copy=False)}
                yield {**cubes, **(labels if self.centers else {})}
        return self.left_out(notes, tally, frequency)

    def _skies(self, maps: list[Map], centers: Floats) -> Array:
        """Return patches ``[sample, frequency, y, x]``, or one sphere ``[1, frequency, pixel]``."""
        if not len(centers):
            return np.stack([_values(found) for found in maps])[None]
        with extra("healpix", "a patch of a HEALPix map"):
            import healpy
        x, y, z = directions(centers, self.pixels, self.pixel)
        theta, phi = np.arccos(np.clip(z, -1, 1)), np.arctan2(y, x)
        skies = np.empty((len(centers), len(maps), self.pixels, self.pixels))
        for number, found in enumerate(maps):
            nest = found.ordering == "nested"
            skies[:, number] = healpy.get_interp_val(_values(found), theta, phi, nest=nest)
        return skies


def directions(centers: Floats, pixels: int, pixel: float) -> Floats:
    """Return unit vectors ``[3, patch, y, x]`` of the pixels of gnomonic patches."""
    longitude, latitude = np.deg2rad(centers.T)
    zero = np.zeros_like(longitude)
    middle = np.stack([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude),
                       np.sin(latitude)])  # fmt: skip
    east = np.stack([-np.sin(longitude), np.cos(longitude), zero])
    north = np.cross(middle, east, axis=0)
    angle = np.tan(np.deg2rad(pixel * (np.arange(pixels) - 0.5 * (pixels - 1))))
    found = (
        middle[..., None, None]
        + angle[None, None, None, :] * east[..., None, None]
        + angle[None, None, :, None] * north[..., None, None]
    )
    return np.asarray(found / np.linalg.norm(found, axis=0))


def _values(found: Map) -> Array:
    """Read one map in mK ``[pixel]``, NaN where it has no value."""
    with reading(found.file.path), fits_file(found.file.path, mapped=True) as hdus:
        column = hdus[found.extension].data.field(found.column)
        values = np.array(column, dtype=np.float64).reshape(-1)
    values[values < _UNSEEN] = np.nan
    return values * found.scale
