"""The declaration of the study `pdf`: notebooks, presets, producers."""

from __future__ import annotations

from presage.studies import Study

STUDY = Study(
    name="pdf",
    page="dashboards.pages.pdf:PAGE",
    title="parton-distribution parameters from whole sets of events",
    notebooks=("1_generate", "2_train", "3_posterior", "4_calibration"),
    presets={
        "quick": {
            "n_samples": 8000,
            "n_events": 300,
            "n_observations": 4,
            "n_calibration": 300,
            "encoder_epochs": 2,
            "epochs": 15,
            "n_ranked": 500,
        },
        "full": {},
        # Ten times as many theta, in passes that are fewer and faster.
        "large": {
            "n_samples": 1_000_000,
            "encoder_samples": 300_000,
            "epochs": 4,
            "batch_size": 400,
            "learning_rate": 3e-3,
        },
        "tiny": {
            "n_samples": 600,
            "n_events": 60,
            "n_observations": 2,
            "n_calibration": 60,
            "encoder_epochs": 2,
            "epochs": 3,
            "n_draws": 300,
            "n_proposals": 2000,
            "n_ranked": 200,
            "n_kept": 20,
        },
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
