"""Other ways to read shuffled minibatches: each writes its own format and yields batches of x.

A peer is a function (rows, batch size, folder) → function that opens an endless sequence of
epochs, each a stream of arrays or tensors ``[row, 1000, 3]``. Peers read a part of the data
that fits every cache, which is to their advantage.
"""

from __future__ import annotations

import io
import logging
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

Epoch = Callable[[], Iterator[Any]]


def _shuffled(rows: int, size: int) -> Iterator[np.ndarray]:
    """Yield the rows of each whole batch."""
    order = np.random.default_rng(0).permutation(rows)
    for first in range(0, rows - size + 1, size):
        yield order[first : first + size]


def datasets_torch(rows: np.ndarray, size: int, folder: Path) -> Epoch:
    """Hugging Face datasets, Arrow on disk, torch format, shuffled indices a batch at a time."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ["HF_DATASETS_CACHE"] = str(folder / "hf-cache")
    import datasets
    import pyarrow as pa

    datasets.disable_progress_bars()
    flat = rows.reshape(len(rows), -1)
    column = pa.FixedSizeListArray.from_arrays(pa.array(flat.reshape(-1)), flat.shape[1])
    datasets.Dataset(pa.table({"x": column})).save_to_disk(str(folder / "hf"))
    stored = datasets.load_from_disk(str(folder / "hf")).with_format("torch")

    def epoch() -> Iterator[Any]:
        for some in _shuffled(len(rows), size):
            yield stored[np.sort(some).tolist()]["x"]

    return epoch


def webdataset(rows: np.ndarray, size: int, folder: Path) -> Epoch:
    """WebDataset: one tar of .npy files, a shuffle buffer of 1000."""
    import webdataset as wds

    path = folder / "shard-000000.tar"
    with tarfile.open(path, "w") as tar:
        for i, row in enumerate(rows):
            held = io.BytesIO()
            np.save(held, row)
            member = tarfile.TarInfo(f"{i:08d}.x.npy")
            member.size = held.tell()
            held.seek(0)
            tar.addfile(member, held)

    def epoch() -> Iterator[Any]:
        chain = wds.WebDataset(str(path), shardshuffle=False, empty_check=False)
        for (batch,) in chain.shuffle(1000).decode().to_tuple("x.npy").batched(size, partial=False):
            yield batch

    return epoch


def litdata(rows: np.ndarray, size: int, folder: Path) -> Epoch:
    """litdata: optimised chunks of 64 MB, its own loader, no worker processes."""
    from litdata import StreamingDataLoader, StreamingDataset
    from litdata.streaming.cache import Cache

    logging.getLogger("litdata").setLevel(logging.ERROR)
    target = str(folder / "litdata")
    Path(target).mkdir()
    cache = Cache(target, chunk_bytes=64 << 20)
    for i, row in enumerate(rows):
        cache[i] = {"x": row}
    cache.done()
    cache.merge()
    stored = StreamingDataset(target, shuffle=True)

    def epoch() -> Iterator[Any]:
        for batch in StreamingDataLoader(stored, batch_size=size, num_workers=0, drop_last=True):
            yield batch["x"]

    return epoch


def zarr(rows: np.ndarray, size: int, folder: Path) -> Epoch:
    """zarr: uncompressed, one row a chunk (the best for single rows), orthogonal selection."""
    import zarr as library

    stored = library.create_array(
        str(folder / "zarr"), shape=rows.shape, dtype=rows.dtype,
        chunks=(1, *rows.shape[1:]), compressors=None,
    )  # fmt: skip
    stored[:] = rows

    def epoch() -> Iterator[Any]:
        for some in _shuffled(len(rows), size):
            yield stored.oindex[np.sort(some)]

    return epoch


def xarray_isel(rows: np.ndarray, size: int, folder: Path) -> Epoch:
    """xarray: `open_dataset` of a netCDF file and `isel` of sorted rows."""
    path = folder / "rows.nc"
    xr.Dataset({"x": (("sample", "time", "column"), rows)}).to_netcdf(path, engine="h5netcdf")
    stored = xr.open_dataset(path, engine="h5netcdf", cache=False)

    def epoch() -> Iterator[Any]:
        for some in _shuffled(len(rows), size):
            yield stored["x"].isel(sample=np.sort(some)).values

    return epoch


def data_loader(rows: np.ndarray, size: int, folder: Path, workers: int = 2) -> Epoch:
    """torch's DataLoader over a memory-mapped .npy, default collation, worker processes."""
    import torch
    from torch.utils.data import DataLoader, Dataset

    path = folder / "rows.npy"
    np.save(path, rows)

    class Rows(Dataset[Any]):
        def __init__(self) -> None:
            self.mapped = np.load(path, mmap_mode="r")

        def __len__(self) -> int:
            return len(self.mapped)

        def __getitem__(self, index: int) -> Any:
            return torch.from_numpy(np.array(self.mapped[index]))

    loader = DataLoader(
        Rows(), size, shuffle=True, drop_last=True, num_workers=workers,
        persistent_workers=workers > 0,
    )  # fmt: skip
    return lambda: iter(loader)


def data_loader_in_process(rows: np.ndarray, size: int, folder: Path) -> Epoch:
    """torch's DataLoader without workers."""
    return data_loader(rows, size, folder, workers=0)


def npz(rows: np.ndarray, size: int, folder: Path) -> Epoch:
    """The original's way: load a whole .npz each epoch, then index it."""
    path = folder / "rows.npz"
    np.savez(path, x=rows)

    def epoch() -> Iterator[Any]:
        loaded = np.load(path)["x"]
        for some in _shuffled(len(rows), size):
            yield loaded[some]

    return epoch


def pt_tuples(rows: np.ndarray, size: int, folder: Path) -> Epoch:
    """A .pt file of a list of tuples, loaded whole each epoch, batched by a DataLoader."""
    import torch
    from torch.utils.data import DataLoader

    path = folder / "rows.pt"
    torch.save([(torch.from_numpy(row.copy()), torch.tensor(0.0)) for row in rows], path)

    def epoch() -> Iterator[Any]:
        loaded = torch.load(path, weights_only=True)
        for x, _ in DataLoader(loaded, size, shuffle=True, drop_last=True):
            yield x

    return epoch


#: Name → (function, needed package, smallest ratio that ours must reach, whole epochs only).
#: The last are those that load everything first, which has to be counted.
PEERS: dict[str, tuple[Callable[..., Epoch], str, float | None, bool]] = {
    "HF datasets": (datasets_torch, "datasets", 20.0, False),
    "WebDataset": (webdataset, "webdataset", 20.0, False),
    "litdata": (litdata, "litdata", 20.0, False),
    "zarr": (zarr, "zarr", 20.0, False),
    "xarray isel": (xarray_isel, "xarray", 20.0, False),
    "DataLoader, 2 workers": (data_loader, "torch", 5.0, False),
    "DataLoader, no workers": (data_loader_in_process, "torch", None, False),
    "npz, whole": (npz, "numpy", None, True),
    ".pt list of tuples": (pt_tuples, "torch", None, True),
}
