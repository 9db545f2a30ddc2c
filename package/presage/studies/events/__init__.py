"""The study `events`: interpolating event distributions on a sparse grid of labels.

Monte Carlo samples exist at a grid of labels (masses of two hypothetical particles). A
conditional flow learns p(reconstructed masses | label), so that events can be drawn at
labels that were never simulated; its residuals stand beside the statistical floor and
beside moment morphing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from presage.labels import nearest
from presage.studies import Study

if TYPE_CHECKING:
    from presage.studies.events.campaign import Campaign as Campaign
    from presage.studies.events.decay import ResonanceDecay as ResonanceDecay
    from presage.studies.events.described import read_description as read_description
    from presage.studies.events.gaussians import Gaussians as Gaussians
    from presage.studies.events.numpy_files import NumpyReader as NumpyReader
    from presage.studies.events.resonance import Resonance as Resonance
    from presage.studies.events.root import RootReader as RootReader
    from presage.studies.events.root import write_root as write_root
    from presage.studies.events.sampling import FlowSampler as FlowSampler
    from presage.studies.events.split import at_labels as at_labels
    from presage.studies.events.training import Training as Training

_HOMES = {
    "Campaign": "campaign",
    "FlowSampler": "sampling",
    "Gaussians": "gaussians",
    "NumpyReader": "numpy_files",
    "Resonance": "resonance",
    "ResonanceDecay": "decay",
    "RootReader": "root",
    "Training": "training",
    "at_labels": "split",
    "read_description": "described",
    "write_root": "root",
}

__all__ = [*_HOMES, "STUDY"]

_QUICK = {"n_truth": 50_000, "n_grid": 10_000, "n_generated": 50_000}

STUDY = Study(
    name="events",
    title="event distributions between the labels of a sparse grid",
    notebooks=("1_generate", "2_train", "3_generate_distributions", "4_residuals"),
    presets={
        "quick": _QUICK,
        "full": {
            **_QUICK,
            "n_events": 1_000_000,
            "weights": "equal",
            "n_truth": 250_000,
            "n_generated": 250_000,
        },
        "tiny": {
            "grid": [5, 5],
            "n_events": 4_000,
            "interior": 1,
            "edge": 1,
            "n_truth": 2_000,
            "n_grid": 300,
            "n_generated": 2_000,
            "epochs": 2,
            "hidden": [16],
            "bins": 8,
        },
    },
    producers={
        "resonance": "presage.studies.events.resonance:Resonance",
        "resonance_decay": "presage.studies.events.decay:ResonanceDecay",
        "gaussians": "presage.studies.events.gaussians:Gaussians",
        "root-events": "presage.studies.events.root:RootReader",
        "numpy-events": "presage.studies.events.numpy_files:NumpyReader",
        "fit-spline_flow": "presage.models:SplineFlow",
        "fit-maf": "presage.models:MAF",
        "fit-realnvp": "presage.models:RealNVP",
        "fit-coupling_spline": "presage.models:CouplingSpline",
        "fit-mixture_density": "presage.models:MixtureDensity",
        "fit-ensemble": "presage.models:Ensemble",
        "flow_sample": "presage.studies.events.sampling:FlowSampler",
        "residuals": "presage.analysis.residuals:VERSION",
        "joined_events": "presage.studies.events.refine:JoinedEvents",
        "label_ranking": "presage.studies.events.refine.ranking:VERSION",
        "refinement": "presage.studies.events.refine.gain:VERSION",
    },
    summary="presage.studies.events.summary:summary",
    inputs="presage.studies.events.start:inputs",
    choices={
        "source": "presage.studies.events.sources:SOURCES",
        "model": "presage.models.ensemble:SINGLE",
        "scheme": "presage.studies.events.refine.folds:SCHEMES",
    },
    refinement=("5_where_it_fails", "6_refine"),
)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"the study events has no {name!r}{nearest(name, __all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
