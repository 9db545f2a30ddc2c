"""Files of RTNeural and AIDA-X: layers as Keras has them, transposed against torch.

A layer's ``shape`` ends with its units. An LSTM layer holds its kernel [inputs, 4 units], its
recurrent kernel [units, 4 units] and one bias; Keras' gates i, f, c, o are torch's i, f, g, o.
AIDA-X adds ``in_skip``, and the sample rate (48 kHz where none is said).
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from presage.studies.amp.amplifier import Amplifier
from presage.studies.amp.architecture import LSTM
from presage.studies.amp.declared import (
    AmplifierError,
    Array,
    listed,
    mapping,
    numbers,
    sample_rate,
    shown,
    whole,
    yes_or_no,
)
from presage.studies.amp.recurrent import layers_of, silent_lstm, weights_of

#: Keys by which a file is known.
KEYS = ("in_shape", "layers")
OWN = (*KEYS, "in_skip", "in_gain", "out_gain", "samplerate", "metadata")
RATE = 48000.0
#: Type → activations that add nothing to it.
_LINEAR = {"lstm": ("", "tanh", None), "dense": ("", "linear", None)}


def parse(tree: Mapping[str, Any]) -> Amplifier:
    """Return the amplifier that a file says."""
    for name in ("in_gain", "out_gain"):
        if tree.get(name) not in (None, 0):
            raise AmplifierError(
                f"the file has {name} {shown(tree[name])} dB; only 0 is understood"
            )
    layers = [mapping(layer, "a layer") for layer in listed(tree["layers"], "layers")]
    units = [_units(layer, number == len(layers) - 1) for number, layer in enumerate(layers)]
    if len(units) < 2 or len(set(units[:-1])) > 1 or units[-1] != 1:
        raise AmplifierError(
            "the layers should be LSTMs of the same size and a dense layer of one unit, they have "
            f"{', '.join(map(str, units[:5]))} units"
        )
    inputs = whole("input_size", listed(tree["in_shape"], "in_shape")[-1])
    skip = yes_or_no("in_skip", tree.get("in_skip") or 0)
    architecture = LSTM(units[0], len(units) - 1, inputs, skip)
    *lstms, head = (_arrays(layer, n, architecture) for n, layer in enumerate(layers))
    metadata = tree.get("metadata")
    said = metadata.get("samplerate") if isinstance(metadata, dict) else None
    rate = sample_rate(tree.get("samplerate") if said is None else said, RATE)
    rest = {**tree, "layers": [{**layer, "weights": None} for layer in layers]}
    return Amplifier(architecture, weights_of(lstms, head), rate, "rtneural", deepcopy(rest))


def compose(amplifier: Amplifier) -> dict[str, Any]:
    """Return an amplifier as a file says it."""
    architecture = silent_lstm(amplifier.architecture, amplifier.weights, "rtneural")
    tree = deepcopy(dict(amplifier.rest)) or {
        "in_shape": [None, None, architecture.input_size],
        "in_skip": int(architecture.skip),
        "samplerate": amplifier.sample_rate,
        "layers": [
            {"type": kind, "activation": "", "shape": [None, None, units], "weights": None}
            for kind, units in [("lstm", architecture.hidden_size)] * architecture.num_layers
            + [("dense", 1)]
        ],
    }
    weights = amplifier.weights
    parts = [*layers_of(weights, architecture), (weights["lin.weight"], weights["lin.bias"])]
    for layer, arrays in zip(tree["layers"], parts, strict=True):
        layer["weights"] = [array.T.tolist() for array in arrays]
    return tree


def _units(layer: Mapping[str, Any], is_last: bool) -> int:
    """Return the units of a layer, which has to be a dense one at the end, else an LSTM."""
    expected = "dense" if is_last else "lstm"
    kind, activation = layer.get("type"), layer.get("activation")
    if kind != expected:
        raise AmplifierError(
            f"a layer is of type {shown(kind)}, {expected!r} is understood there: LSTMs, then a "
            "dense layer"
        )
    if activation not in _LINEAR[expected]:
        raise AmplifierError(f"a layer {expected!r} has the activation {shown(activation)}")
    return whole("hidden_size", listed(layer.get("shape"), "shape of a layer")[-1])


def _arrays(layer: Mapping[str, Any], number: int, architecture: LSTM) -> list[Array]:
    """Return what a layer holds, as torch has it."""
    units = architecture.hidden_size
    inputs = units if number else architecture.input_size
    shapes: list[tuple[int, ...]] = [(inputs, 4 * units), (units, 4 * units), (4 * units,)]
    if number == architecture.num_layers:
        shapes = [(units, 1), (1,)]
    given = listed(layer.get("weights"), "weights of a layer")
    if len(given) != len(shapes):
        raise AmplifierError(f"layer {number} should hold {len(shapes)} arrays, got {len(given)}")
    what = f"layer {number}"
    return [numbers(value, shape, what).T for value, shape in zip(given, shapes, strict=True)]
