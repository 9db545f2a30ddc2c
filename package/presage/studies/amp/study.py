"""The declaration of the study `amp`: notebooks, presets, producers."""

from __future__ import annotations

from presage.studies import Study

STUDY = Study(
    name="amp",
    title="neural amplifiers without aliases, beside the oversampled teacher",
    notebooks=("1_teacher", "2_train", "3_aliasing"),
    presets={
        "quick": {"n_tones": 1000, "epochs": 4},
        "full": {
            "teacher": "wavenet",
            "n_tones": 4000,
            "n_waves": 512,
            "wave_seconds": 0.3,
            "epochs": 6,
            "warm_up": 4410,
            "length": 8192,
            "learning_rate": 1e-3,
            "clip": 1.0,
        },
        "full_lstm": {
            "teacher": "circuit",
            "n_tones": 4000,
            "n_waves": 512,
            "nmr": (0.5,),
            "epochs": 6,
            "length": 17_640,
            "learning_rate": 2e-3,
            "clip": 1.0,
        },
        "tiny": {
            "teacher": "wavenet_tiny",
            "n_tones": 64,
            "epochs": 1,
            "length": 4410,
            "seconds": 1.0,
        },
    },
    page="dashboards.pages.amp:PAGE",
    trainer="presage.studies.amp.training:Training",
    producers={
        "amp": "presage.studies.amp.teacher:TeacherTones",
        "amp_waves": "presage.studies.amp.waves:TeacherWaves",
        "amp_circuit": "presage.studies.amp.circuit:CircuitWaves",
        "fit-amp_capture": "presage.studies.amp.circuit:Capture",
        "fit-amp_student": "presage.studies.amp.student:Student",
        "amp_aliasing": "presage.studies.amp.evaluation:VERSION",
    },
    summary="presage.studies.amp.report:summary",
)
