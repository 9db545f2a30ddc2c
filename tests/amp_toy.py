"""A product of the study `amp` as its evaluation makes it, of clippers instead of networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from scipy.signal import resample

from presage.recipe import Recipe
from presage.store import Store
from presage.studies.amp.evaluation import System, _labelled
from presage.studies.amp.measures import MEASURES, decibel
from presage.studies.amp.tones import ToneGrid

RATE, PERIOD, SECONDS = 8000.0, 509, 0.25
LEVELS = np.array([-30.0, -12.0, 0.0])


def product(students: int = 2) -> xr.Dataset:
    """Return teacher, teacher at twice and eight times its rate, and softer clippers."""
    grid, rng = ToneGrid(RATE, PERIOD), np.random.default_rng(0)
    bins = grid.nearest(np.geomspace(100, 3000, 6))
    made = {"teacher": (1, 8.0), "teacher_2x": (2, 8.0), "teacher_8x": (8, 8.0)}
    made |= {f"student_nmr{k + 1}0": (1, 2.0 / (k + 1)) for k in range(students)}
    every = {name: System(name.replace("_", " "), None, factor)
             for name, (factor, _) in made.items()}  # fmt: skip
    level = 10 ** (LEVELS / 20)
    harmonic = grid.is_harmonic(bins)[:, np.newaxis]
    alias = ~harmonic & (np.arange(grid.top + 1) > 0)
    spectra, measured, sounds = [], [], []
    for factor, gain in made.values():
        sines = np.stack([grid.sines(bins, np.full(len(bins), a), 0 * bins, 0, factor)
                          for a in level], axis=1)  # fmt: skip
        energy = np.abs(grid.spectrum(np.tanh(gain * sines + 0.1))) ** 2
        ratio = decibel((energy * alias).sum(-1), (energy * harmonic).sum(-1)).T
        own = {name: ratio + rng.normal(-20, 3, ratio.shape) for name in MEASURES}
        own |= {"alias_ratio": ratio, "audible_aliases": ratio + 20}
        if gain == 8:
            own["harmonic_error"] = np.full(ratio.shape, -320.0)
        measured.append(own | {"drift": np.full(ratio.shape, -150.0)})
        spectra.append(decibel(4 * energy, 1.0).astype("f4").swapaxes(0, 1))
        time = np.arange(int(SECONDS * RATE * factor)) / (RATE * factor)
        heard = np.tanh(gain * np.sin(2 * np.pi * np.array([[100.0], [440.0], [2500.0]]) * time))
        sounds.append(resample(heard, len(time) // factor, axis=1))
    stacked = {name: np.stack([own[name] for own in measured]) for name in measured[0]}
    return _labelled(every, grid, bins, LEVELS, stacked, np.stack(spectra), np.array(sounds),
                     (1, 2, 8))  # fmt: skip


def stored(store: Store, dataset: xr.Dataset, seed: int = 0) -> str:
    """Put a product into a store and return its key."""
    recipe = Recipe("amp_aliasing", 1, {"students": ["student_nmr10"]}, seed=seed)
    store.put(recipe, dataset)
    return recipe.key


def made(root: Path) -> tuple[Store, str, xr.Dataset]:
    """Return a store with the product, its key, and it."""
    store, dataset = Store(root), product()
    return store, stored(store, dataset), dataset
