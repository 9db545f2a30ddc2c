"""One training from the store, on the fly, and from fresh samples: what comes out, at what cost.

On the fly the very samples of the store are simulated again in every epoch, in the same order:
the weights must be the same bits. Fresh samples are new ones in every epoch.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import xarray as xr

from presage.generate.fly import on_the_fly
from presage.lineage import take
from presage.studies.pdf.campaign import Campaign
from presage.studies.pdf.training import Training

WAYS = ("stored", "on the fly", "fresh")


def compare_ways(
    training: Training, campaign: Campaign, n_samples: int = 1000, epochs: int = 2
) -> xr.Dataset:
    """Train the encoder for a few epochs in each way and return what differs.

    Parameters
    ----------
    training
        Settings; `epochs` here take the place of its own.
    campaign
        With its training sets made.
    n_samples
        How many theta are used of them.
    epochs
        Passes over them.

    Returns
    -------
    xarray.Dataset
        Over ``way`` (stored, on the fly, fresh): ``seconds`` of one epoch, ``loss`` of the
        last one, ``difference``: the largest one of any weight to the stored way's.
    """
    n = min(n_samples, campaign.n_samples)
    short = replace(training, encoder_epochs=epochs)
    made = {
        "stored": take(campaign.train, slice(0, n)),
        "on the fly": on_the_fly(campaign.simulator, n, seed=campaign.seed),
        "fresh": on_the_fly(campaign.simulator, n, seed=campaign.seed, fresh=True),
    }
    found, seconds = {}, {}
    for way, sets in made.items():
        start = time.perf_counter()
        found[way] = short.fit_encoder(sets, None, progress=False)
        seconds[way] = (time.perf_counter() - start) / epochs
    columns = {
        "seconds": ([seconds[way] for way in WAYS], "s", "duration of an epoch"),
        "loss": ([float(found[w].history["loss"][-1]) for w in WAYS], "1", "loss at the end"),
        "difference": (
            [found["stored"].difference(found[way]) for way in WAYS],
            "1",
            "largest difference of a weight to the stored way",
        ),
    }
    return xr.Dataset(
        {
            name: ("way", np.array(values), {"units": unit, "long_name": words})
            for name, (values, unit, words) in columns.items()
        },
        coords={"way": list(WAYS)},
        attrs={"n_samples": n, "epochs": epochs},
    )
