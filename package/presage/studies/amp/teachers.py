"""Which amplifier is the teacher: a file of one's own, one that comes along, a named configuration.

The eight configurations are those of the published system. Its files are not part of presage: each
says which one it needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, Self

from presage.labels import nearest
from presage.simulator import Simulator
from presage.studies.amp.amplifier import Amplifier
from presage.studies.amp.architecture import LSTM, WaveNet
from presage.studies.amp.declared import AmplifierError
from presage.studies.amp.weight_files import read_amplifier

#: Name → file of the amplifiers that come along, under the MIT licence.
EMBEDDED = {
    "ts9": "neuralseed_lstm8_ts9.json",
    "wavenet": "namcore_wavenet_a1_standard.nam",
    "wavenet_tiny": "namcore_wavenet_tiny.nam",
    "lstm_tiny": "namcore_lstm_1x3.nam",
}
#: The one that is taken where none is named: a small LSTM of an overdrive pedal.
DEFAULT = "ts9"


@dataclass(frozen=True)
class Configuration:
    """A teacher of the published system."""

    title: str
    kind: type[LSTM] | type[WaveNet]
    sample_rate: float
    file: str

    def check(self, amplifier: Amplifier) -> None:
        """Refuse another kind of network, or one of another sample rate."""
        given = type(amplifier.architecture)
        if given is not self.kind or amplifier.sample_rate != self.sample_rate:
            raise AmplifierError(
                f"{self.title} is of the kind {self.kind.__name__} at {self.sample_rate:g} Hz, "
                f"this file {given.__name__} at {amplifier.sample_rate:g} Hz"
            )


_PROTEUS = "{} of the Proteus models in GuitarML's ToneLibrary (GPL-3.0)"
_CAPTURE = "a standard .nam capture of {}, from a library of such"
_WEIGHTS = "the {} weights that come with the code of arXiv:2505.11375"
#: Number → teacher.
CONFIGURATIONS = {
    0: Configuration("Mesa", LSTM, 44_100, _PROTEUS.format("MesaMiniRec_HighGain_DirectOut.json")),
    1: Configuration("Goat", LSTM, 44_100, _PROTEUS.format("GoatPedal_HighGain.json")),
    2: Configuration("Vox AC15", WaveNet, 48_000, _CAPTURE.format("a Vox AC15")),
    3: Configuration("JCM800", WaveNet, 48_000, _CAPTURE.format("a Marshall JCM800")),
    4: Configuration("Broadcast", LSTM, 44_100, _WEIGHTS.format("Broadcast LSTM")),
    5: Configuration("JHM8 fuzz", LSTM, 44_100, _WEIGHTS.format("JHM8 LSTM")),
    6: Configuration("Broadcast", WaveNet, 44_100, _WEIGHTS.format("Broadcast WaveNet")),
    7: Configuration("JHM8 fuzz", WaveNet, 44_100, _WEIGHTS.format("JHM8 WaveNet")),
}


def load_teacher(teacher: str | Path = "", config: int = -1) -> Amplifier:
    """Return the teacher.

    Parameters
    ----------
    teacher
        A weight file, or a name in :data:`EMBEDDED`; empty takes :data:`DEFAULT`.
    config
        A number in :data:`CONFIGURATIONS`, whose file `teacher` then is; -1 for none.

    Raises
    ------
    AmplifierError
        There is no such file, name or configuration, the configuration's file was not given, or
        what was given is something else.
    """
    if config == -1:
        return _read(teacher or DEFAULT)
    if config not in CONFIGURATIONS:
        known = ", ".join(f"{n} {c.title}" for n, c in CONFIGURATIONS.items())
        raise AmplifierError(f"no configuration {config}: there are {known}")
    wanted = CONFIGURATIONS[config]
    if not teacher:
        raise AmplifierError(
            f"configuration {config}, {wanted.title}, needs its file: {wanted.file}. Give it as "
            "teacher (--teacher FILE)"
        )
    found = _read(teacher)
    wanted.check(found)
    return found


class OfTeacher(Simulator):
    """What simulators have in common that ask a teacher, which they know by what it holds."""

    teacher: str | Path
    config: int
    device: str
    precision: str = "float32"

    tolerance: ClassVar[float] = 1e-4

    @cached_property
    def amplifier(self) -> Amplifier:
        """The teacher."""
        return load_teacher(self.teacher, self.config)

    @property
    def asked(self) -> dict[str, Any]:
        """What an identity says of the teacher."""
        return {"teacher": self.amplifier.sha256, "sample_rate": self.amplifier.sample_rate}

    @classmethod
    def of_identity(cls, fields: Mapping[str, Any]) -> Self:
        """Return what asks the same teacher, where it is one that comes along.

        Raises
        ------
        AmplifierError
            It is another one.
        """
        settings = {name: v for name, v in fields.items() if name not in ("teacher", "sample_rate")}
        for name in EMBEDDED:
            if load_teacher(name).sha256 == fields.get("teacher"):
                return cls(**{"teacher": name, **settings})
        raise AmplifierError(
            "the recipe knows its teacher by the hash of its weights, and none that comes along "
            f"has this one; ps.verify({cls.__name__}(FILE)) takes a file"
        )

    @cached_property
    def _network(self) -> Any:
        import torch

        return self.amplifier.network(getattr(torch, self.precision), self.device).eval()


def _read(teacher: str | Path) -> Amplifier:
    path = Path(teacher).expanduser()
    if not path.exists():  # a name, which a run's settings may have made a path of
        if path.name not in EMBEDDED:
            raise AmplifierError(
                f"there is no weight file {str(teacher)!r}, and no amplifier of this name comes "
                f"along{nearest(path.name, EMBEDDED)}"
            )
        path = Path(str(files(__package__) / "data" / EMBEDDED[path.name]))
    return read_amplifier(path)
