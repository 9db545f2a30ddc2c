"""One shard: a plain netCDF-4 file of contiguous, aligned, uncompressed arrays.

Any netCDF reader opens it. Because every array is one run of native bytes at a known
offset, it can also be memory-mapped, and then a minibatch costs no more than the copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np
import xarray as xr
import xxhash
from xarray.backends import H5NetCDFStore

from presage.foreign import file_size, unpacks_too_far
from presage.labels import Array, Schema
from presage.labels.errors import few
from presage.progress import Bar
from presage.store.files import Sink, StoreError, reading
from presage.store.hdf5 import Content, RefusedError
from presage.store.mapping import map_file
from presage.store.opening import opened

_ALIGNMENT = 4096  # bytes: a page, so that float32 rows never straddle one more than they must
_CHUNK = 8 << 20  # bytes hashed at a time
_SLOW = 2 << 30  # bytes from which hashing shows a progress bar


# A file that could not be opened lacks it, and prints a traceback when it is collected.
h5netcdf.File._writable = False


def write_shard(
    sink: Sink, arrays: Mapping[str, Array], schema: Schema, attributes: Mapping[str, Any]
) -> None:
    """Write checked arrays, as ``schema.stored()`` names them, as one netCDF file.

    `attributes` are those of the whole: recipe, key, range.
    """
    layout = schema.stored()
    with new_file(sink) as file:
        for name, (dims, _) in layout.items():
            for dim, length in zip(dims, arrays[name].shape, strict=True):
                if dim not in file.dimensions:
                    file.dimensions[dim] = length
        for coordinate in schema.coordinates:
            _write_variable(file, coordinate.name, coordinate.variable())
        for name, (dims, variable) in layout.items():
            attrs = variable.attributes()
            flat = name.removesuffix("_count")
            if flat in schema.ragged and name != flat:
                attrs["sample_dimension"] = flat
            _write_variable(file, name, xr.Variable(dims, arrays[name], attrs))
        beside = " ".join(c.name for c in schema.coordinates if c.along != c.name)
        named = {"coordinates": beside} if beside else {}  # CF's way to tell them from variables
        for name, value in {"Conventions": "CF-1.10", **named, **attributes}.items():
            file.attrs[name] = value


def write_dataset(
    sink: Sink, dataset: xr.Dataset, encoding: Mapping[str, Any] | None = None
) -> None:
    """Write any labelled dataset as one netCDF file; `encoding` is xarray's."""
    with new_file(sink) as file:
        dataset.dump_to_store(H5NetCDFStore(file), encoding=encoding)


@contextmanager
def open_dataset(path: Path, **options: Any) -> Iterator[xr.Dataset]:
    """Open a netCDF-4 file of the store with xarray.

    Raises
    ------
    StoreError
        It cannot be read.
    """
    with opened(path) as content, xr.open_dataset(netcdf_of(content), **options) as dataset:
        yield dataset


def read_dataset(path: Path) -> xr.Dataset:
    """Read a whole netCDF file; one whose arrays are far larger than the file is refused."""
    with open_dataset(path) as dataset:
        check_unpacked(path, dataset.nbytes)
        return dataset.load()


def read_header(path: Path) -> xr.Dataset:
    """Return what a shard says of its variables, and its fixed coordinates; they stay unread."""
    with open_dataset(path, decode_cf=False) as stored:
        # Those of other names than their dimension too.
        header = stored.set_coords(str(stored.attrs.get("coordinates", "")).split())
        for name in header.coords:
            header.variables[name].load()
        return header


def netcdf_of(content: Content, group: str | None = None) -> H5NetCDFStore:
    """Return one group of an open file for xarray to open."""
    if content.soft_links:  # which h5netcdf follows, also in circles
        raise RefusedError(f"has soft links, as netCDF has not: {few(content.soft_links)}")
    file = h5netcdf.File(content.file, decode_vlen_strings=True, phony_dims="access")
    return H5NetCDFStore(file, group=group)


@contextmanager
def open_classic(path: Path, **options: Any) -> Iterator[xr.Dataset]:
    """Open a classic netCDF file with xarray; mapped, no array reaches beyond the file's end.

    Raises
    ------
    StoreError
        It cannot be read, or its arrays, which may be the same bytes, are far larger than the file.
    """
    from scipy.io import netcdf_file  # takes a tenth of a second, which no other command waits for

    with reading(path):
        try:
            with netcdf_file(path, mmap=True) as header:
                size = sum(v.data.nbytes for v in header.variables.values())
        except MemoryError:
            raise StoreError(
                f"{path.name} declares far more than it holds; copy it again"
            ) from None
        check_unpacked(path, size)
        with xr.open_dataset(path, engine="scipy", mmap=True, **options) as dataset:
            yield dataset


def new_file(sink: Sink) -> h5netcdf.File:
    """Return a netCDF file to write, its arrays aligned."""
    return h5netcdf.File(sink, "w", alignment_threshold=_ALIGNMENT, alignment_interval=_ALIGNMENT)


def _write_variable(file: h5netcdf.File, name: str, variable: xr.Variable) -> None:
    for dim, length in variable.sizes.items():
        if dim not in file.dimensions:
            file.dimensions[str(dim)] = length
    values = variable.values
    dtype = h5py.string_dtype() if values.dtype == object else values.dtype
    target = file.create_variable(name, tuple(map(str, variable.dims)), dtype=dtype)
    target[...] = values
    for attribute, value in variable.attrs.items():
        target.attrs[str(attribute)] = value


def map_shard(path: Path, names: tuple[str, ...]) -> dict[str, Array]:
    """Memory-map the named arrays of a shard, read-only: one mapping, and views of it.

    An array that is chunked, compressed or of foreign byte order is read whole instead (archives
    made by other tools).
    """
    with opened(path) as content:
        mapped = map_file(path)
        for name in names:
            if name not in content.arrays:
                raise StoreError(f"{path.name} has no array {name!r}: the file was altered")
        return {name: _map_array(path, content.arrays[name], mapped) for name in names}


def _map_array(path: Path, dataset: h5py.Dataset, mapped: Array) -> Array:
    if dataset.size == 0:
        return np.empty(dataset.shape, dataset.dtype)
    offset = dataset.id.get_offset()
    plain = dataset.chunks is None and dataset.compression is None
    if not plain or offset is None or not dataset.dtype.isnative:
        check_unpacked(path, dataset.nbytes)
        return np.asarray(dataset[...]).astype(dataset.dtype.newbyteorder("="), copy=False)
    end = offset + dataset.nbytes
    if end > mapped.size:
        raise StoreError(
            f"{path.name} is truncated: {dataset.name} ends beyond its {mapped.size} bytes"
        )
    return np.reshape(mapped[offset:end].view(dataset.dtype), dataset.shape)


def check_unpacked(path: Path, size: int) -> None:
    """Refuse a file whose arrays are far larger than the file."""
    if wrong := unpacks_too_far(size, path.stat().st_size):
        raise StoreError(f"{path.name}: {wrong}")


def hash_array(array: Array) -> str:
    """Return the XXH3-128 hash of an array's bytes."""
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return xxhash.xxh3_128_hexdigest(flat.data if flat.size else b"")


def file_hash(path: Path) -> str:
    """Return the XXH3-128 hash of a whole file; a large one shows a bar."""
    digest, size = xxhash.xxh3_128(), file_size(path)
    view = memoryview(buffer := bytearray(min(_CHUNK, size + 1)))
    with (
        path.open("rb", buffering=0) as file,
        Bar(total=size, unit="B", unit_scale=True, desc=f"checking {path.name}",
            disable=size < _SLOW) as bar,
    ):  # fmt: skip
        while count := file.readinto(buffer):
            digest.update(view[:count])
            bar.update(count)
    return str(digest.hexdigest())
