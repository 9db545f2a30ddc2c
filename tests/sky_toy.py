"""A product of cleaned skies, small, as the study `sky` makes it, in a store of its own."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from presage.batches import Paired
from presage.fitting import fit
from presage.generate import simulate
from presage.store import Store
from presage.studies.sky.covariance import exact_filter
from presage.studies.sky.measure import measure
from presage.studies.sky.rivals import RIVALS, Examples, Filter
from presage.studies.sky.skies import sky
from presage.transforms import PCABasis
from presage.transforms.pca import PCA


def made(root: Path, channels: int = 16, pixels: int = 16, n: int = 24) -> tuple[Store, xr.Dataset]:
    """Return a store with the product, and it: rivals, filters, and one in a network's place."""
    seen = sky("leakage", channels=channels, pixels=pixels, pixel=1.0).with_noise(0.04)
    store, parts = Store(root), seen.simulators().items()
    train, held_out = ({k: simulate(s, n, seed=seed, store=store, progress=False) for k, s in parts}
                       for seed in (0, 2))  # fmt: skip
    columns = {"sky": [f"{name}.{name}" for name in train]}
    basis = PCA(fit(PCABasis("sky"), Paired(train, columns), store=store, progress=False))
    exact, other = (Filter(exact_filter(one)) for one in (seen, seen.held_out()))

    def network(observed: xr.DataArray) -> xr.Dataset:
        found = exact.clean(observed)
        return found.assign(signal=0.97 * found["signal"])

    rivals = {name: make(Examples(seen, train, basis, 4)).clean for name, make in RIVALS.items()}
    found = measure(
        seen, held_out, {**rivals, "wiener_other": other.clean, "network": network},
        limit=exact_filter(seen), basis=basis, modes=4, store=store, name="leakage", shown=2,
        progress=False,
    )  # fmt: skip
    return store, found.dataset.load()
