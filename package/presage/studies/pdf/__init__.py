"""The study `pdf`: parton-distribution parameters from whole sets of events.

An experiment yields a set of events. A network that has seen simulated sets answers with a
posterior of the parameters, without being trained again; beside it always stand the exact
posterior, which is known here because every problem has its density, and the prior.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from presage.labels import nearest
from presage.studies import Study

if TYPE_CHECKING:
    from presage.studies.pdf.campaign import Campaign as Campaign
    from presage.studies.pdf.features import PooledFeatures as PooledFeatures
    from presage.studies.pdf.gaussian import Gaussian as Gaussian
    from presage.studies.pdf.inference import Inference as Inference
    from presage.studies.pdf.information import fisher_information as fisher_information
    from presage.studies.pdf.mceg import MCEG as MCEG
    from presage.studies.pdf.original_files import OriginalFile as OriginalFile
    from presage.studies.pdf.problem import Problem as Problem
    from presage.studies.pdf.realistic_dis import RealisticDIS as RealisticDIS
    from presage.studies.pdf.realistic_dis_events import RealisticDISEvents as RealisticDISEvents
    from presage.studies.pdf.simplified_dis import SimplifiedDIS as SimplifiedDIS
    from presage.studies.pdf.simplified_dis_pushforward import (
        SimplifiedDISPushforward as SimplifiedDISPushforward,
    )
    from presage.studies.pdf.training import Training as Training

_HOMES = {
    "Campaign": "campaign",
    "Gaussian": "gaussian",
    "Inference": "inference",
    "MCEG": "mceg",
    "OriginalFile": "original_files",
    "PooledFeatures": "features",
    "Problem": "problem",
    "RealisticDIS": "realistic_dis",
    "RealisticDISEvents": "realistic_dis_events",
    "SimplifiedDIS": "simplified_dis",
    "SimplifiedDISPushforward": "simplified_dis_pushforward",
    "Training": "training",
    "fisher_information": "information",
}

__all__ = [*_HOMES, "STUDY"]

STUDY = Study(
    name="pdf",
    title="parton-distribution parameters from whole sets of events",
    notebooks=("1_generate", "2_train", "3_posterior", "4_calibration"),
    presets={
        "quick": {
            "n_samples": 4000,
            "n_events": 300,
            "n_repeat": 2,
            "n_observations": 4,
            "n_calibration": 300,
            "training": "quick",
            "sizes": [100, 300],
            "n_ranked": 500,
        },
        "full": {},
        "tiny": {
            "n_samples": 300,
            "n_events": 60,
            "n_repeat": 2,
            "n_observations": 2,
            "n_calibration": 60,
            "training": "quick",
            "epochs": 3,
            "sizes": [60],
            "n_draws": 300,
            "n_proposals": 2000,
            "n_ranked": 200,
            "n_kept": 20,
        },
    },
    inputs="presage.studies.pdf.start:inputs",
    choices={
        "problem": "presage.studies.pdf.problems:PROBLEMS",
        "training": "presage.studies.pdf.training:PRESETS",
    },
    trainer="presage.studies.pdf.training:Training",
    producers={
        "gaussian": "presage.studies.pdf.gaussian:Gaussian",
        "mceg": "presage.studies.pdf.mceg:MCEG",
        "realistic_dis": "presage.studies.pdf.realistic_dis:RealisticDIS",
        "realistic_dis_events": "presage.studies.pdf.realistic_dis_events:RealisticDISEvents",
        "simplified_dis": "presage.studies.pdf.simplified_dis:SimplifiedDIS",
        "simplified_dis_pushforward": (
            "presage.studies.pdf.simplified_dis_pushforward:SimplifiedDISPushforward"
        ),
        "fit-set_encoder": "presage.models:SetEncoder",
        "fit-posterior_flow": "presage.models:PosteriorFlow",
        "pdf_posteriors": "presage.studies.pdf.exhibits:POSTERIORS_VERSION",
        "pdf_calibration": "presage.studies.pdf.exhibits:CALIBRATION_VERSION",
        "pooled_features": "presage.studies.pdf.features:PooledFeatures",
        "original-event-sets": "presage.studies.pdf.original_files:OriginalFile",
    },
    summary="presage.studies.pdf.summary:summary",
)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"the study pdf has no {name!r}{nearest(name, __all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
