"""An amplifier: what a weight file says, whichever format it came in."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from presage.labels.variables import unitless
from presage.studies.amp.architecture import LSTM, WaveNet, Weights, architecture_of
from presage.studies.amp.declared import AmplifierError, Array

if TYPE_CHECKING:
    import torch

    from presage.studies.amp.networks import Network


@dataclass(frozen=True, eq=False)
class Amplifier:
    """A network with its numbers.

    Parameters
    ----------
    architecture
        What the network is.
    weights
        Name → numbers, as `architecture` has them; kept in float64, so that a file's numbers come
        back as they were.
    sample_rate
        For which the network was made, Hz.
    form
        Format of the file: ``simple_rnn``, ``nam`` or ``rtneural``.
    rest
        The file without its numbers, for writing it again.

    Raises
    ------
    AmplifierError
        Names, shapes or numbers are not those of the architecture.
    """

    architecture: LSTM | WaveNet
    weights: Mapping[str, Array]
    sample_rate: float
    form: str = "nam"
    rest: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shapes = self.architecture.shapes()
        if set(shapes) != set(self.weights):
            apart = sorted(set(shapes) ^ set(self.weights))[0]
            raise AmplifierError(
                f"{apart} is {'missing' if apart in shapes else 'none'} of the weights of "
                f"{self.architecture}"
            )
        held = {}
        for name, shape in shapes.items():
            array = np.array(self.weights[name], dtype=np.float64)
            if array.shape != shape:
                raise AmplifierError(f"{name} should have the shape {shape}, it has {array.shape}")
            if not np.isfinite(array).all():
                raise AmplifierError(f"{name} holds numbers that are not finite")
            array.setflags(write=False)
            held[name] = array
        object.__setattr__(self, "weights", held)
        if not (math.isfinite(self.sample_rate) and self.sample_rate > 0):
            raise AmplifierError(f"the sample rate should be above 0 Hz, got {self.sample_rate}")
        object.__setattr__(self, "sample_rate", float(self.sample_rate))

    @property
    def flat(self) -> Array:
        """All numbers, in the order of the architecture's shapes."""
        return np.concatenate([array.ravel() for array in self.weights.values()])

    @property
    def sha256(self) -> str:
        """Hash of the architecture, the numbers and the sample rate, whatever the format."""
        said = f"{self.architecture.text()}\0{self.sample_rate!r}\0".encode()
        return hashlib.sha256(said + self.flat.astype("<f8").tobytes()).hexdigest()

    def network(self, dtype: torch.dtype | None = None, device: str = "cpu") -> Network:
        """Return the network, float32 where no other type is asked for.

        On a `device` "auto" it is on a GPU where there is one.

        Raises
        ------
        FitError
            There is no such device.
        """
        import torch

        from presage.fitting.device import resolved
        from presage.studies.amp.networks import network_of

        network = network_of(self.architecture).to(torch.float64)
        network.load_state_dict({n: torch.tensor(a) for n, a in self.weights.items()})
        auto = "cuda" if torch.cuda.is_available() else "cpu"
        where = auto if device == "auto" else resolved(device)
        return network.to(where, dtype or torch.float32)

    def dataset(self) -> xr.Dataset:
        """Return all of it as a labelled dataset, which :meth:`of` reads."""
        weight = xr.Variable("weight", self.flat, unitless("numbers of the network"))
        attributes = {
            "architecture": self.architecture.text(),
            "sample_rate": self.sample_rate,
            "form": self.form,
            "rest": json.dumps(self.rest),
        }
        return xr.Dataset({"weight_value": weight}, attrs=attributes)

    @classmethod
    def of(cls, dataset: xr.Dataset) -> Amplifier:
        """Return the amplifier that :meth:`dataset` has written.

        Raises
        ------
        AmplifierError
            The dataset holds none.
        """
        try:
            architecture = architecture_of(dataset.attrs["architecture"])
            flat = dataset["weight_value"].values
            rate, form = float(dataset.attrs["sample_rate"]), str(dataset.attrs["form"])
            rest = json.loads(dataset.attrs["rest"])
        except (KeyError, TypeError, RecursionError) as error:
            raise AmplifierError(f"the dataset holds no amplifier: {error!r}") from error
        return cls(architecture, named(flat, architecture), rate, form, rest)


def named(flat: Array, architecture: LSTM | WaveNet) -> Weights:
    """Return name → array of numbers that stand in the order of the architecture's shapes."""
    shapes = architecture.shapes()
    return dict(zip(shapes, cut(flat, list(shapes.values())), strict=True))


def cut(flat: Array, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    """Return arrays of these shapes, of numbers that stand one after the other.

    Raises
    ------
    AmplifierError
        There are more or fewer than that.
    """
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    if len(flat) != ends[-1]:
        raise AmplifierError(f"the architecture has {ends[-1]} weights, the file holds {len(flat)}")
    parts = np.split(flat, ends[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
