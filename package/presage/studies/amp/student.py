"""A student: a copy of the teacher that learns to answer tones without aliases.

Both have the same architecture and begin with the same weights; the student is then trained until
its own answer to a sine is the band-limited answer of the teacher (Carson et al. 2025,
arXiv:2505.11375). The loss of a tone is

    w_ESR sqrt(ESR) + w_NMR ln(1 + NMR) + w_DC sqrt(DC),

the error's energy over the signal's, what of the error is heard over what is masked
(:mod:`presage.studies.amp.ear`), and the squared error of the mean over the signal's energy. The
published loss is their sum itself. But NMR reaches 1e4 for a few loud and high tones of a
distorting teacher, which alone then decided: students fell silent. Under a root, the tones whose
error is small already count as well, and what a student does to music is half as large. A
recurrent network goes through a tone in segments, with a step of the optimiser after each
(truncated back-propagation); one with a finite memory takes a stretch of the tone at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from scipy.signal import firwin, kaiserord
from torch import Tensor, nn

from presage.labels import LabelError, Variable
from presage.lineage import sample_dim
from presage.models.fitted_map import FittedMap
from presage.models.prepared import Prepared
from presage.studies.amp.amplifier import Amplifier, named
from presage.studies.amp.architecture import architecture_of
from presage.studies.amp.ear import FRAME, Ear
from presage.studies.amp.networks import network_of
from presage.studies.amp.weight_files import inherited, write_amplifier

#: Where the low-pass filter before the loss begins and ends, Hz, and how deep it is, dB.
PASS, STOP, DEPTH = 12_000.0, 16_000.0, 80.0
_TIME = ("time",)


@dataclass(frozen=True, eq=False, repr=False)
class FittedStudent(FittedMap):
    """A trained student; ``student.apply(signals, along="time", length=44_100)`` plays it."""

    suffixes: ClassVar[tuple[str, ...]] = (".nam", ".json")

    def write(self, path: Path | str) -> Path:
        """Write a weight file: ``.nam``, or in its teacher's format."""
        suffix = Path(path).suffix
        if suffix not in self.suffixes:
            return super().write(path)
        return write_amplifier(self.amplifier, path, "nam" if suffix == ".nam" else "")

    @property
    def amplifier(self) -> Amplifier:
        """The student in its teacher's format, to be written and played elsewhere."""
        said = self.declaration["amplifier"]
        network: Any = self.network
        architecture = network.amplifier.architecture
        held = {n: t.double().numpy() for n, t in network.amplifier.state_dict().items()}
        rest = inherited(said["rest"], said["form"], said.get("teacher", ""))
        return Amplifier(architecture, held, said["sample_rate"], said["form"], rest)


@dataclass(frozen=True)
class Student:
    """What a student minimises, and how.

    Trained from :class:`~presage.studies.amp.ToneBatches`, which know the teacher.

    Parameters
    ----------
    esr, nmr, dc
        Weights of the loss's parts.
    low_pass
        Whether the loss looks at both signals through a low-pass filter, from 12 to 16 kHz, as was
        published; aliases above are then left as they are.
    segment
        Samples after which a recurrent student takes a step; at least 2048, a frame of the ear.

    Raises
    ------
    LabelError
        Weights that are negative or all zero, or a segment that is too short.
    """

    esr: float = 0.75
    nmr: float = 0.25
    dc: float = 1.0
    low_pass: bool = False
    segment: int = 4410

    name: ClassVar[str] = "amp_student"
    version: ClassVar[int] = 1
    fitted: ClassVar[type[FittedStudent]] = FittedStudent

    def __post_init__(self) -> None:
        weights = (self.esr, self.nmr, self.dc)
        if min(weights) < 0 or not any(weights):
            raise LabelError(f"esr, nmr and dc are at least 0, and not all of them, got {weights}")
        if self.segment < FRAME:
            raise LabelError(f"segment is at least {FRAME} samples, got {self.segment}")

    def prepare(self, dataset: xr.Dataset) -> Prepared:
        """Declare signals and teacher; nothing is fitted."""
        if "weight_value" not in dataset:
            raise LabelError(
                "a student is trained from ToneBatches(tones, teacher), which know the teacher"
            )
        teacher = Amplifier.of(dataset)
        about = {"sample_rate": teacher.sample_rate, "form": teacher.form, "rest": teacher.rest}
        about["teacher"] = teacher.sha256
        text, warm_up = teacher.architecture.text(), int(dataset.attrs["warm_up"])
        declaration = self.declared(dataset, text, about, warm_up)
        return Prepared(None, {"weights": teacher.flat}, declaration)

    def declared(
        self, dataset: xr.Dataset, architecture: str, about: Mapping[str, Any], warm_up: int
    ) -> dict[str, Any]:
        """Return the declaration of a network that learns `target` from `input`."""
        sample = sample_dim(dataset)
        variables = [asdict(Variable.of(dataset[name], sample)) for name in ("input", "target")]
        declaration = {
            "sample": sample,
            "variables": variables,
            "takes": ["input"],
            "gives": [asdict(Variable("output", _TIME, long_name="answer of the network"))],
            "warm_up": warm_up,
            "architecture": architecture,
            "amplifier": dict(about),
        }
        plain: dict[str, Any] = json.loads(json.dumps(declaration))
        return plain

    def build(self, declaration: Mapping[str, Any]) -> StudentNetwork:
        """Return the network, with weights that do not matter."""
        architecture = architecture_of(declaration["architecture"])
        kind = StretchStudent if architecture.receptive_field else SegmentStudent
        rate = float(declaration["amplifier"]["sample_rate"])
        return kind(self, network_of(architecture), rate, int(declaration["warm_up"]))


class StudentNetwork(nn.Module):
    """A network of an amplifier with the loss that it is trained by."""

    taps: Tensor

    def __init__(self, settings: Student, amplifier: Any, sample_rate: float, warm_up: int) -> None:
        super().__init__()
        self.settings, self.amplifier, self.warm_up = settings, amplifier, warm_up
        self.ear = Ear(sample_rate).float()
        taps = _low_pass(sample_rate) if settings.low_pass else np.ones(1)
        self.register_buffer("taps", torch.as_tensor(taps, dtype=torch.float32), persistent=False)

    def start_from(self, state: Mapping[str, NDArray[np.float64]]) -> None:
        """Take over the teacher's weights, where there is one."""
        if "weights" not in state:
            return
        held = named(state["weights"], self.amplifier.architecture)
        self.amplifier.load_state_dict({name: torch.as_tensor(a) for name, a in held.items()})

    def forward(self, batch: Mapping[str, Tensor], *carry: Any) -> Any:
        """Return the answers to signals; with what is carried, if that is asked for."""
        output, after = self.amplifier(batch["input"], *carry)
        made = {"output": output}
        return (made, after) if carry else made

    def _losses(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each tone; signals begin with as much more as the filter is long."""
        if len(self.taps) > 1:
            taps = self.taps[None, None]
            output, target = (
                nn.functional.conv1d(s[:, None], taps)[:, 0] for s in (output, target)
            )
        settings, error = self.settings, output - target
        energy = target.square().mean(1).clamp_min(1e-12)
        # A root has no derivative at nothing.
        losses = settings.esr * (error.square().mean(1) / energy + 1e-6).sqrt()
        losses = losses + settings.dc * (error.mean(1).square() / energy + 1e-6).sqrt()
        if settings.nmr:
            losses = losses + settings.nmr * self.ear(output, target).log1p()
        return losses


class SegmentStudent(StudentNetwork):
    """A recurrent student."""

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the loss of whole tones, for validation."""
        output, _ = self.amplifier(batch["input"])
        begin = self.warm_up - len(self.taps) + 1
        return self._losses(output[:, begin:], batch["target"][:, begin:])

    def segment_loss(self, batch: Mapping[str, Tensor], carry: Any) -> tuple[Tensor, Any]:
        """Return the loss of a segment, and what the next one needs."""
        before = len(self.taps) - 1
        if carry is None:
            with torch.no_grad():
                output, state = self.amplifier(batch["input"][:, : self.warm_up])
            carry = self.warm_up, state, output[:, self.warm_up - before :]
        start, state, tail = carry
        total = batch["input"].shape[1]
        stop = start + self.settings.segment
        if total - stop < self.settings.segment:  # the last one takes the rest
            stop = total
        output, state = self.amplifier(batch["input"][:, start:stop], state)
        output = torch.cat([tail, output], 1)
        losses = self._losses(output, batch["target"][:, start - before : stop])
        if stop == total:
            return losses, None
        kept = output[:, output.shape[1] - before :].detach()
        return losses, (stop, tuple(s.detach() for s in state), kept)


class StretchStudent(StudentNetwork):
    """A student with a finite memory, for which the warm-up is long enough."""

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the loss of each tone."""
        past, begin = self.amplifier.architecture.receptive_field - 1, self.warm_up
        if (begin := begin - len(self.taps) + 1) < past:
            raise LabelError(
                f"this network looks back on {past} samples: warm_up should be at least "
                f"{past + len(self.taps) - 1}, got {self.warm_up}"
            )
        inputs = batch["input"]
        output, _ = self.amplifier(inputs[:, begin:], inputs[:, begin - past : begin])
        return self._losses(output, batch["target"][:, begin:])


def _low_pass(sample_rate: float) -> NDArray[np.float64]:
    """Return the taps of a filter that passes what is below 12 kHz and stops what is above 16."""
    count, beta = kaiserord(DEPTH, (STOP - PASS) / (sample_rate / 2))
    taps: NDArray[np.float64] = firwin(count | 1, (PASS + STOP) / 2, window=("kaiser", beta),
                                       fs=sample_rate)  # fmt: skip
    return taps
