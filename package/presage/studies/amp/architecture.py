"""What a network is, without its numbers: names and shapes of weights, before they exist."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeAlias

from presage.labels import nearest
from presage.studies.amp.declared import AmplifierError, Array, shown, whole, yes_or_no

Shapes: TypeAlias = dict[str, tuple[int, ...]]
Weights: TypeAlias = dict[str, Array]

#: An LSTM's first state, by name.
STATE = ("hidden", "cell")
ACTIVATIONS = ("Tanh", "ReLU", "Sigmoid", "Hardtanh", "SiLU", "LeakyReLU")


class Architecture:
    """What :class:`LSTM` and :class:`WaveNet` have in common."""

    def shapes(self) -> Shapes:
        """Return name → shape of every array of weights, in the order in which they are stored."""
        raise NotImplementedError

    @property
    def receptive_field(self) -> int:
        """How many inputs an output is made of, itself included; 0 where there is no end."""
        raise NotImplementedError

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return sum(math.prod(shape) for shape in self.shapes().values())

    def text(self) -> str:
        """Return the architecture as JSON, which :func:`architecture_of` reads."""
        return json.dumps({"kind": type(self).__name__, **asdict(self)})  # type: ignore[call-overload]


@dataclass(frozen=True)
class LSTM(Architecture):
    """A recurrent network: y = lin(h), plus the input where it skips.

    Parameters
    ----------
    hidden_size
        Units of each layer.
    num_layers
        Layers.
    input_size
        Channels of the input: the signal, then knobs, which stand still.
    skip
        Whether the signal is added to the output.
    """

    hidden_size: int
    num_layers: int = 1
    input_size: int = 1
    skip: bool = True

    def __post_init__(self) -> None:
        for name in ("hidden_size", "num_layers", "input_size"):
            whole(name, getattr(self, name))
        object.__setattr__(self, "skip", yes_or_no("skip", self.skip))

    @property
    def receptive_field(self) -> int:
        """Return 0: the state has no end."""
        return 0

    def shapes(self) -> Shapes:
        """Return the names of :class:`torch.nn.LSTM` and a linear layer, and the first state.

        Gates are in torch's order i, f, g, o; Keras' i, f, c, o is the same one.
        """
        gates, hidden = 4 * self.hidden_size, self.hidden_size
        found: Shapes = {}
        for layer in range(self.num_layers):
            found[f"rec.weight_ih_l{layer}"] = (gates, hidden if layer else self.input_size)
            found[f"rec.weight_hh_l{layer}"] = (gates, hidden)
            found[f"rec.bias_ih_l{layer}"] = found[f"rec.bias_hh_l{layer}"] = (gates,)
        found |= {"lin.weight": (1, hidden), "lin.bias": (1,)}
        return found | dict.fromkeys(STATE, (self.num_layers, hidden))


@dataclass(frozen=True)
class LayerArray:
    """Layers of a WaveNet that have channels and a head in common; see :class:`WaveNet`."""

    input_size: int
    condition_size: int
    head_size: int
    channels: int
    kernel_size: int
    dilations: tuple[int, ...]
    activation: str = "Tanh"
    gated: bool = False
    head_bias: bool = False

    def __post_init__(self) -> None:
        for name in ("input_size", "condition_size", "head_size", "channels", "kernel_size"):
            whole(name, getattr(self, name))
        if not isinstance(self.dilations, (tuple, list)) or not self.dilations:
            raise AmplifierError("dilations should be a list of whole numbers, one for each layer")
        whole("the number of layers of an array", len(self.dilations), 1024)
        object.__setattr__(self, "dilations", tuple(whole("dilations", d) for d in self.dilations))
        if self.activation not in ACTIVATIONS:
            near = nearest(str(self.activation)[:40], ACTIVATIONS)
            raise AmplifierError(f"no activation {shown(self.activation)} is known{near}")
        for name in ("gated", "head_bias"):
            object.__setattr__(self, name, yes_or_no(name, getattr(self, name)))

    @property
    def width(self) -> int:
        """Channels that a convolution gives: twice as many where half of them are gates."""
        return self.channels * (2 if self.gated else 1)

    def shapes(self, prefix: str) -> Shapes:
        """Return name → shape, in the order of .nam files."""
        found: Shapes = {f"{prefix}.rechannel.weight": (self.channels, self.input_size, 1)}
        for layer in range(len(self.dilations)):
            at = f"{prefix}.layers.{layer}"
            found[f"{at}.conv.weight"] = (self.width, self.channels, self.kernel_size)
            found[f"{at}.conv.bias"] = (self.width,)
            found[f"{at}.mix.weight"] = (self.width, self.condition_size, 1)
            found[f"{at}.out.weight"] = (self.channels, self.channels, 1)
            found[f"{at}.out.bias"] = (self.channels,)
        found[f"{prefix}.head.weight"] = (self.head_size, self.channels, 1)
        return found | ({f"{prefix}.head.bias": (self.head_size,)} if self.head_bias else {})


@dataclass(frozen=True)
class WaveNet(Architecture):
    """Dilated convolutions that see a finite past, as in Neural Amp Modeler.

    In each layer u = act(conv(z) + mix(x)), z becomes z + out(u), and the head adds up u; what the
    head of one array gives is where the next one's begins. y = head_scale head.

    Parameters
    ----------
    arrays
        One after the other: the next one's input are the channels of the one before, and its
        channels have to be the head that the one before gives.
    """

    arrays: tuple[LayerArray, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "arrays", tuple(self.arrays))
        whole("the number of arrays of layers", len(self.arrays), 64)
        ends = [(1, self.arrays[0].channels), *((a.channels, a.head_size) for a in self.arrays)]
        for number, (array, (channels, head)) in enumerate(zip(self.arrays, ends, strict=False)):
            for name, expected in (("input_size", channels), ("channels", head)):
                if getattr(array, name) != expected:
                    raise AmplifierError(
                        f"array {number} has {name} {getattr(array, name)}, {expected} would "
                        "fit what comes before it"
                    )
        if self.arrays[-1].head_size != 1:
            raise AmplifierError(f"the last head_size should be 1, got {self.arrays[-1].head_size}")
        whole("receptive_field", self.receptive_field)

    @property
    def receptive_field(self) -> int:
        """How many inputs an output is made of, itself included."""
        return 1 + sum((a.kernel_size - 1) * d for a in self.arrays for d in a.dilations)

    def shapes(self) -> Shapes:
        """Return name → shape, in the order of .nam files, which end with the head's scale."""
        found: Shapes = {}
        for number, array in enumerate(self.arrays):
            found |= array.shapes(f"arrays.{number}")
        return found | {"head_scale": ()}


def architecture_of(text: str) -> LSTM | WaveNet:
    """Return the architecture that :meth:`Architecture.text` has written.

    Raises
    ------
    AmplifierError
        The text says none.
    """
    try:
        said = dict(json.loads(text))
        kind = said.pop("kind")
        if kind == "WaveNet":
            return WaveNet(tuple(layer_array(array) for array in said["arrays"]))
        return {"LSTM": LSTM}[kind](**said)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise AmplifierError(f"no architecture is written here: {error}") from error


def layer_array(said: Mapping[str, Any]) -> LayerArray:
    """Return an array of layers from its settings by name; all of them have to be known."""
    known = [field.name for field in fields(LayerArray)]
    missing = [name for name in known[:6] if name not in said]
    if missing:
        raise AmplifierError(f"an array of layers says no {missing[0]}")
    for name in said:
        if name not in known:
            raise AmplifierError(f"an array of layers has {name!r}, which is not known")
    return LayerArray(**said)
