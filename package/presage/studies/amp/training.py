"""What is trained in this study: a student for each weight of what is heard in the loss."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from presage.fitting import fit
from presage.labels import LabelError
from presage.store import Store
from presage.studies.amp.campaign import Campaign
from presage.studies.amp.student import FittedStudent, Student
from presage.studies.amp.study import STUDY
from presage.studies.amp.tone_batches import ToneBatches
from presage.studies.settings import StudySettings, setting


@dataclass(frozen=True)
class Training(StudySettings):
    """Settings from stored tones to students.

    Parameters
    ----------
    nmr
        Weights of what is heard (NMR) in the loss, a student for each; what is left of 1 is that
        of the error's energy (ESR).
    dc
        Weight of the mean's error.
    low_pass
        Whether the loss looks at what is below 12 to 16 kHz only, as was published.
    segment
        Samples after which a recurrent student takes a step.
    warm_up
        Samples of each tone in which a student settles.
    length
        Samples after these, which it learns from.
    epochs
        Passes over the tones.
    batch_size
        Tones of a batch.
    learning_rate
        The highest one.
    ema
        Decay of the weights' moving average; 0 for none.
    clip
        Largest norm of the gradient; 0 for none.
    device
        What trains: "auto", "cpu", "cuda".
    logger
        "tensorboard", "wandb" or "csv": where losses go as well.
    seed
        Of the order of tones.
    """

    nmr: tuple[float, ...] = (0.25,)
    dc: float = 1.0
    low_pass: bool = False
    segment: int = setting(4410, least=2048)
    warm_up: int = setting(8820, least=0)
    length: int = setting(22_050, least=2048)
    epochs: int = setting(20, least=1)
    batch_size: int = setting(16, least=1)
    learning_rate: float = 5e-4
    ema: float = 0.0
    clip: float = 0.0
    device: str = "auto"
    logger: str = ""
    seed: int = 0

    origin: ClassVar[str] = "presage.studies.amp:Campaign"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = STUDY.presets

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.nmr or not all(0 <= weight <= 1 for weight in self.nmr):
            raise LabelError(f"nmr are weights from 0 to 1, one for each student, got {self.nmr}")

    @property
    def names(self) -> dict[str, float]:
        """Name of each student → weight of what is heard."""
        if len(self.nmr) == 1:
            return {"student": self.nmr[0]}
        return {f"student_nmr{100 * weight:02.0f}": weight for weight in self.nmr}

    def batches(self, campaign: Campaign) -> ToneBatches:
        """Return what is trained on."""
        lengths = self.warm_up, self.length
        return ToneBatches(campaign.tones(), campaign.amplifier, *lengths, campaign.waves())

    def students(self, campaign: Campaign, progress: bool = True) -> dict[str, FittedStudent]:
        """Train all students, or return those that were: name → student."""
        return {name: self.train(campaign, weight, progress) for name, weight in self.names.items()}

    def train(self, campaign: Campaign, nmr: float, progress: bool = True) -> FittedStudent:
        """Train a student, or return it."""
        return fit(
            Student(1 - nmr, nmr, self.dc, self.low_pass, self.segment),
            self.batches(campaign),
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            ema=self.ema or None,
            clip=self.clip or None,
            seed=self.seed,
            device=self.device,
            logger=self.logger or None,
            store=campaign.store,
            progress=progress,
        )

    def fit(self, campaign: Campaign, store: Store | None = None) -> Any:
        """Train all students of a campaign, whose tones are made first where they are missing.

        Raises
        ------
        LabelError
            No campaign, or another store than its own.
        """
        if not isinstance(campaign, Campaign) or store not in (None, campaign.store):
            raise LabelError(
                "the study amp trains on a campaign, whose tones and store go together: "
                "presage train amp --teacher FILE"
            )
        campaign.make()
        students = self.students(campaign)
        return namedtuple("Trained", students)(**students)
