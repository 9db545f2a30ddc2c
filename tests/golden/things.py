"""Everything that presage makes, at tiny size, by name: what a store of a release is held to.

:data:`SOURCES` are simulators and readers, :data:`THINGS` what is made from their samples:
trained models, drawn events, features, residuals, rankings, posteriors, calibration. The
names on the left are those in ``keys.json``. ``make.py`` runs all of it with the code of a
release; ``test_golden.py`` runs it again with the code of today, on the store that was left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import presage as ps
from presage.studies.amp import (
    Capture,
    CircuitWaves,
    Student,
    TeacherTones,
    ToneBatches,
    compare,
    load_teacher,
)
from presage.studies.events import (
    Gaussians,
    NumpyReader,
    Resonance,
    ResonanceDecay,
    RootReader,
    Training,
    refine,
)
from presage.studies.events.gaussians import Circle, DiagMod, Full, Line, RadialMod, Sampled
from presage.studies.pdf import Campaign, OriginalFile, PooledFeatures
from presage.studies.pdf import Training as SetTraining
from presage.studies.pdf.measure import Effort, calibrate, posteriors
from presage.studies.pdf.problems import problem
from presage.studies.pdf.reference import reference
from presage.studies.sky import sky

#: Settings of a training that takes no time.
QUICK: dict[str, Any] = {"epochs": 1, "batch_size": 128, "learning_rate": 1e-3, "progress": False}

#: Class of a model of events → settings that keep it small.
MODELS: dict[str, dict[str, Any]] = {
    "SplineFlow": {"hidden": (8,), "bins": 4},
    "CouplingSpline": {"hidden": (8,), "bins": 4},
    "MAF": {"hidden": (8,)},
    "RealNVP": {"hidden": (8,)},
    "MixtureDensity": {"hidden": (8,), "components": 4},
    "Ensemble": {"model": "spline_flow", "members": 2, "settings": {"hidden": (8,), "bins": 4}},
}

#: Name → what makes the source, given the folder of files; and how many samples (None: all).
SOURCES: dict[str, tuple[Callable[[Path], Any], int | None]] = {
    "resonance": (lambda _: Resonance.on_grid(4, 4), 300),
    "resonance, equal weights": (lambda _: Resonance.on_grid(3, 3, weights="equal"), 300),
    "resonance, own weights": (
        lambda _: Resonance.at([(500.0, 0.25), (700.0, 3.0)], weights=(1, 3)),
        100,
    ),
    "decay": (lambda _: ResonanceDecay.on_grid(3, 3), 100),
    "decay with the photon": (lambda _: ResonanceDecay.at([(500.0, 1.0)], photon_pt=True), 100),
    "gaussians on a grid": (lambda _: Gaussians.on_grid(3, 3), 100),
    "gaussians in a cube": (lambda _: Gaussians.on_grid(2, 2, 2), 100),
    "gaussians, correlated": (
        lambda _: Gaussians.on_grid(3, 3, covariance=Full((0.1, 0.2), (0.1,))),
        100,
    ),
    "gaussians, sampled covariance": (
        lambda _: Gaussians.on_grid(3, 3, covariance=Sampled((0.1, 0.2))),
        100,
    ),
    "gaussians on a line": (lambda _: Gaussians.on(Line(5)), 100),
    "gaussians on a line, widening": (
        lambda _: Gaussians.on(Line(5), variation=DiagMod((0.1, 0.0))),
        100,
    ),
    "gaussians on a circle, skew": (
        lambda _: Gaussians.on(Circle(8), variation=RadialMod(0.1), skew=(4.0, 0.0)),
        100,
    ),
    **{
        name: (lambda _, name=name: problem(name, n_events=12, n_repeat=2), 16)
        for name in (
            "gaussian",
            "simplified_dis",
            "simplified_dis_pushforward",
            "realistic_dis",
            "mceg",
        )
    },
    "realistic_dis_events": (lambda _: problem("realistic_dis_events", n_events=12), 16),
    "simplified_dis, other box": (
        lambda _: problem("simplified_dis", n_events=5, box="original"),
        8,
    ),
    **{
        f"sky_{part}, {name}": (
            lambda _, name=name, part=part: sky(name, channels=4, pixels=8).simulators()[part],
            8,
        )
        for name, part in (
            ("leakage", "signal"),
            ("leakage", "noise"),
            ("hard", "foreground"),
            ("visibilities", "foreground"),
        )
    },
    "tones": (lambda _: TeacherTones("lstm_tiny", lowest=60, highest=100, device="cpu"), 32),
    "fixed tones": (
        lambda _: TeacherTones(
            "lstm_tiny", bins=(205, 1500), levels=(-6.0,), precision="float64", device="cpu"
        ),
        None,
    ),
    "tones of a WaveNet": (lambda _: TeacherTones("wavenet_tiny", device="cpu"), 32),
    "circuit": (lambda _: CircuitWaves(seconds=0.05), 8),
    "root files": (lambda files: RootReader.fedhex(files / "grid", min_events=1), None),
    "numpy file": (
        lambda files: NumpyReader(files / "events.npy", columns=["x", "y"], labels=["a"]),
        None,
    ),
    "original sets": (lambda files: OriginalFile(files / "gaussian_ns6_ne8_nr2.npz"), None),
}


@dataclass
class Place:
    """A store and a folder of files, and what several things are made from."""

    store: Any
    files: Path

    def simulate(self, name: str, n: int | None = None, seed: int = 0) -> xr.Dataset:
        """Return samples of a source."""
        source, count = SOURCES[name]
        options = {"seed": seed, "store": self.store, "progress": False}
        return ps.simulate(source(self.files), n or count, **options)

    @cached_property
    def parts(self) -> tuple[xr.Dataset, xr.Dataset]:
        """Events to train on, and those of a label that is held out."""
        events = self.simulate("resonance, equal weights", 900)
        middle = tuple(np.unique(events[n])[1] for n in ("phi_label", "omega_label"))
        return ps.hold_out(events, [middle])

    def flow(self, name: str = "SplineFlow") -> Any:
        """Return a small trained model of events."""
        model = getattr(ps.models, name)(**MODELS[name])
        return ps.fit(model, self.parts[0], store=self.store, **QUICK)

    def drawn(self, name: str = "SplineFlow") -> xr.Dataset:
        """Events of a model at the held-out label."""
        options = {"n": 200, "store": self.store, "progress": False}
        return ps.sample(self.flow(name), labels=self.parts[1], **options)

    @cached_property
    def folded(self) -> Any:
        """Residuals of which every label is held out once."""
        training = Training(hidden=(8,), bins=4, epochs=1, batch_size=128, learning_rate=1e-3)
        options = {"bins": 8, "store": self.store, "progress": False}
        return refine.kfold(self.simulate("resonance, equal weights", 900), training, folds=2,
                            **options)  # fmt: skip

    @cached_property
    def ranking(self) -> xr.Dataset:
        """The labels to simulate next."""
        return refine.rank(self.folded, progress=False)

    @cached_property
    def campaign(self) -> Campaign:
        """Sets of the problem `gaussian`, made."""
        sizes = {"n_samples": 64, "n_events": 16, "n_repeat": 2, "n_observations": 2,
                 "n_calibration": 24, "towards_edges": 0.0}  # fmt: skip
        campaign = Campaign(store=self.store, **sizes)
        campaign.make()
        return campaign

    @cached_property
    def training(self) -> SetTraining:
        """Settings that train encoder and posterior in no time."""
        return SetTraining(
            hidden=(8,), seeds=1, encoder_epochs=1, encoder_batch=32, smallest=4, sizes=(8, 16),
            head=(8,), flow_hidden=(8,), bins=4, views=2, epochs=1, batch_size=32,
        )  # fmt: skip

    @cached_property
    def inference(self) -> Any:
        """What was trained of them."""
        return self.campaign.inference(self.training, progress=False)

    @property
    def effort(self) -> Effort:
        """Few draws."""
        return Effort(n_draws=100, n_proposals=400, n_ranked=60, n_kept=20)


def _fit_sets(place: Place, fresh: bool) -> Any:
    source = problem("gaussian", n_events=12, n_repeat=2)
    made = ps.on_the_fly(source, 64, fresh=fresh)
    encoder = ps.models.SetEncoder(hidden=(8,), seeds=1, smallest=4)
    return ps.fit(encoder, made, store=place.store, **{**QUICK, "batch_size": 32})


def _adopted(place: Place) -> xr.Dataset:
    x = np.arange(12, dtype="float32")
    about = {"units": "GeV", "long_name": "a mass"}
    own = xr.Dataset(
        {"x": ("event", x, about), "x_label": ("event", x // 4, {"role": "parameter"})}
    )
    return place.store.adopt(own, "golden", sample="event")


def _pooled(place: Place) -> xr.Dataset:
    encoder = place.inference.encoder
    source = PooledFeatures(place.simulate("gaussian", 16), encoder, (6, 12), 2)
    return ps.simulate(source, 16, store=place.store, progress=False)


def _student(place: Place, source: str = "tones") -> Any:
    teacher = load_teacher("lstm_tiny" if source == "tones" else "wavenet_tiny")
    tones = ToneBatches(place.simulate(source), teacher, 1000, 4096)
    student = Student(low_pass=True, segment=2048)
    return ps.fit(student, tones, store=place.store, **QUICK | {"batch_size": 8})


#: Name → what makes it: a dataset of the store, or a trained model.
THINGS: dict[str, Callable[[Place], Any]] = {
    **{f"fit {name}": (lambda p, name=name: p.flow(name)) for name in MODELS},
    "fit with every setting": lambda p: ps.fit(
        ps.models.SplineFlow(hidden=(8,), bins=4),
        p.parts[0],
        store=p.store,
        optimizer={"name": "adamw", "weight_decay": 0.01},
        schedule="cosine",
        warmup=2,
        seed=3,
        validation={"fraction": 0.1, "seed": 1},
        ema=0.9,
        clip=1.0,
        accumulate=2,
        patience=2,
        keep="best",
        shuffle="block",
        **QUICK,
    ),
    "fit on the fly": lambda p: _fit_sets(p, fresh=False),
    "fit of fresh samples": lambda p: _fit_sets(p, fresh=True),
    **{f"drawn by {name}": (lambda p, name=name: p.drawn(name)) for name in MODELS},
    "drawn at new labels": lambda p: ps.sample(
        p.flow(),
        labels=[(1000.0, 4.0), (3000.0, 5.0)],
        n=[50, 70],
        seed=2,
        store=p.store,
        progress=False,
    ),
    "residuals": lambda p: ps.residuals(p.drawn(), p.parts[1], store=p.store, bins=8).dataset,
    "residuals with a floor": lambda p: (
        ps.residuals(
            p.drawn(),
            p.parts[1],
            floor=ps.hold_out(
                p.simulate("resonance, equal weights", 900, seed=1),
                [tuple(float(p.parts[1][n][0]) for n in ("phi_label", "omega_label"))],
            )[1],
            store=p.store,
            bins=8,
            classifier=False,
        ).dataset
    ),
    "every label held out once": lambda p: p.folded.dataset,
    "label ranking": lambda p: p.ranking,
    "refinement": lambda p: (
        refine.refine(
            p.simulate("resonance, equal weights", 900),
            Resonance.on_grid(3, 3, weights="equal"),
            p.folded,
            p.ranking,
            labels=2,
            events_per_label=100,
            seed=3,
            progress=False,
        ).dataset
    ),
    "joined events": lambda p: ps.simulate(
        refine.JoinedEvents(
            p.simulate("resonance, equal weights"), p.simulate("resonance, own weights")
        ),
        store=p.store,
        progress=False,
    ),
    "adopted samples": _adopted,
    "adopted sets": lambda p: p.store.adopt(
        xr.Dataset({"t": (("sample", "k"), np.eye(3))}), "golden-sets", sample="sample"
    ),
    "adopted product": lambda p: p.store.adopt(
        xr.Dataset({"t": (("i", "k"), np.eye(3))}), "golden-product"
    ),
    "fit set_encoder": lambda p: p.inference.encoder,
    "pooled features": _pooled,
    "fit posterior_flow": lambda p: p.inference.posterior,
    "reference posteriors": lambda p: reference(
        p.campaign.single,
        p.campaign.observations["events"].isel(repeat=0),
        50,
        store=p.store,
        progress=False,
    ),
    "posteriors": lambda p: posteriors(p.campaign, p.inference, (8, 16), p.effort, False),
    "calibration": lambda p: calibrate(p.campaign, p.inference, "estimate", p.effort, False),
    "calibration, corrected": lambda p: calibrate(
        p.campaign, p.inference, "corrected", p.effort, False
    ),
    "fit amp_student": _student,
    "fit amp_student, a WaveNet": lambda p: _student(p, "tones of a WaveNet"),
    "fit amp_capture": lambda p: ps.fit(
        Capture(hidden_size=4, warm_up=100),
        p.simulate("circuit"),
        store=p.store,
        **QUICK | {"batch_size": 4, "validation": 0},
    ),
    "aliasing": lambda p: compare(
        p.simulate("fixed tones"),
        load_teacher("lstm_tiny"),
        {"student": _student(p)},
        p.store,
        (1,),
        0.25,
    ),
}


def key_of(made: Any) -> str:
    """Return the key of a dataset of a store, or of a trained model."""
    return str(made.attrs["presage_key"] if isinstance(made, xr.Dataset) else made.key)
