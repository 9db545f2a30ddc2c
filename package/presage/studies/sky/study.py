"""The declaration of the study `sky`: notebooks, presets, producers."""

from __future__ import annotations

from presage.studies import Study

STUDY = Study(
    name="sky",
    page="dashboards.pages.sky:PAGE",
    title="21 cm signal under foregrounds, beside the physical limit",
    notebooks=("1_simulate", "2_pca", "3_train", "4_residuals"),
    presets={
        "quick": {"channels": 64, "pixels": 32, "n_skies": 400, "n_held_out": 64, "epochs": 2},
        "full": {"n_skies": 1000, "n_held_out": 200, "epochs": 40},
        "tiny": {
            "channels": 16,
            "pixels": 16,
            "n_skies": 40,
            "n_held_out": 8,
            "epochs": 1,
            "widths": [4, 4],
        },
    },
    trainer="presage.studies.sky.training:Training",
    producers={
        "sky_signal": "presage.studies.sky.skies:SkySignal",
        "sky_foregrounds": "presage.studies.sky.skies:SkyForegrounds",
        "sky_noise": "presage.studies.sky.skies:SkyNoise",
        "cleaned_sky": "presage.studies.sky.cleaned:CleanedSky",
        "sky_cubes": "presage.studies.sky.cubes:SkyCubes",
        "sky_maps": "presage.studies.sky.spheres:SkyMaps",
        "pca_basis": "presage.transforms:PCABasis",
        "learned_wiener": "presage.transforms:LearnedWiener",
        "fit-unet": "presage.models:UNet",
        "sky_scan": "presage.studies.sky.measure:VERSION",
        "sky_residuals": "presage.studies.sky.measure:VERSION",
    },
    summary="presage.studies.sky.report:summary",
)
