"""The declaration of the study `events`: notebooks, presets, producers."""

from __future__ import annotations

from presage.studies import Study

_QUICK = {"n_truth": 50_000, "n_grid": 10_000, "n_generated": 50_000}

STUDY = Study(
    name="events",
    page="dashboards.pages.events:PAGE",
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
        "flow_sample": "presage.emulation.sampling:FlowSampler",
        "residuals": "presage.analysis.residuals:VERSION",
        "templates": "presage.emulation.interpolated:VERSION",
        "joined_events": "presage.studies.events.refine:JoinedEvents",
        "label_ranking": "presage.studies.events.refine.ranking:VERSION",
        "refinement": "presage.studies.events.refine.gain:VERSION",
    },
    summary="presage.studies.events.summary:summary",
    optional={"refine": ("5_where_it_fails", "6_refine")},
)
