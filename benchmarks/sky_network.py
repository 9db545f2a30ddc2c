"""Networks of the study `sky` beside the physical limit: trained, measured, and their tables.

On a GPU where there is one, ``python3 run.py bench sky.network``: skies are simulated and cleaned
on the processor first, and what the scratch folder holds already is not made again.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.core import Result, seconds
from presage.store import Store
from presage.studies.sky.campaign import Campaign
from presage.studies.sky.evaluation import evaluate
from presage.studies.sky.report import SkyResiduals
from presage.studies.sky.training import Training

#: Size → settings of the campaigns and of the trainings.
_CAMPAIGNS = {
    "small": {"channels": 32, "pixels": 16, "n_skies": 200, "n_held_out": 48},
    "full": {"channels": 64, "pixels": 32, "n_skies": 1000, "n_held_out": 200},
}
_EPOCHS = {"small": 1, "full": 20}
#: The band of k_parallel that is held against the bar: all that leakage leaves.
_BAND = -1


def run(size: str, folder: Path) -> list[Result]:
    """Train over PCA and over the learned filter, for a normal and a lognormal signal."""
    base = Campaign(store=Store(folder / "sky"), sky="leakage", **_CAMPAIGNS[size])
    precision = "bf16-mixed" if torch.cuda.is_available() else "32-true"
    training = Training(epochs=_EPOCHS[size], precision=precision, learning_rate=4e-3)
    cases = {"leakage": base, "hard": replace(base, sky="hard")}
    cases["lognormal"] = replace(base, lognormal=True)
    results: list[Result] = []
    for name, campaign in cases.items():
        campaign.make()
        for over in training.over:
            training.pairs(campaign, over)  # what is cleaned is not timed
        took = seconds(lambda campaign=campaign: training.fit(campaign))
        patch = f"{campaign.model.patch.channels} x {campaign.model.patch.pixels}²"
        device = "GPU" if torch.cuda.is_available() else "processor"
        note = f"{patch}, {training.epochs} epochs of {campaign.n_skies} on a {device}"
        results.append(Result(f"sky_network/{name}/training", took, "s", note=note))
        for sky, where in ((campaign.model, name), (campaign.other, f"{name}, another sky")):
            report = evaluate(campaign, training, sky)
            print(f"\n{where}\n{report.table()}", flush=True)
            results += _measured(where, report, known=sky == campaign.model)
    return results


def _measured(name: str, report: SkyResiduals, known: bool) -> list[Result]:
    """Return ratios to the limit and coverages of the networks, and of their rivals beside them."""
    product = report.dataset
    band = product.isel(band=_BAND)
    ratios = dict(
        zip(product["cleaner"].values.astype(str), band["ratio_to_limit_band"].values, strict=True)
    )
    power = dict(zip(ratios, band["power_ratio_band"].values, strict=True))
    results = []
    for method, ratio in ratios.items():
        if method == "limit":
            continue
        network = method.startswith("network")
        bar = 1.15 if network and known else None
        beside = {} if known or not network else {
            "peer": "filter of the training sky", "ratio_to_peer": ratios["wiener_other"] / ratio
        }  # fmt: skip
        note = f"{band['band'].item()}; power {power[method]:.3f} of the true one"
        results.append(Result(f"sky_network/{name}/{method}", float(ratio), "× limit", bar, True,
                              note=note, **beside))  # fmt: skip
        if network:
            inside = float(product["coverage"].sel(level=0.68).sel({"cleaner": method}))
            results.append(Result(f"sky_network/{name}/{method} in 68 %", inside, "1"))
    return results
