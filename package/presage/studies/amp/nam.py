"""Files of Neural Amp Modeler, ``.nam``: an architecture, its settings, and numbers in a row.

An LSTM says [weight_ih | weight_hh] row by row, one bias, and its first state for each layer, then
its head; it has no skip. A WaveNet's numbers stand as :meth:`WaveNet.shapes` lists them. Since
version 0.7 an array of layers says more (a bottleneck, groups, modulation); what is understood
is what the older versions could say.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict
from typing import Any

import numpy as np

from presage.labels import nearest
from presage.studies.amp.amplifier import Amplifier, cut, named
from presage.studies.amp.architecture import LSTM, WaveNet, Weights, layer_array
from presage.studies.amp.declared import (
    AmplifierError,
    Array,
    listed,
    mapping,
    numbers,
    sample_rate,
    shown,
)
from presage.studies.amp.recurrent import layers_of, weights_of

#: Keys by which a file is known.
KEYS = ("architecture", "config")
#: All that a file says of the network; what else stands beside it is of something else.
OWN = (*KEYS, "version", "metadata", "weights", "sample_rate")
RATE = 48000.0
#: Settings of activations that are those which they have by themselves.
_USUAL = {"negative_slope": 0.01, "min_val": -1.0, "max_val": 1.0}
#: What version 0.7 adds to an array of layers, where it adds nothing.
_ABSENT = {
    "head1x1": {"active": False},
    "layer1x1": {"active": True, "groups": 1},
    "groups_input": 1,
    "groups_input_mixin": 1,
    "slimmable": None,
    "conv_pre_film": {"active": False},
    "conv_post_film": {"active": False},
    "input_mixin_pre_film": {"active": False},
    "input_mixin_post_film": {"active": False},
    "activation_pre_film": {"active": False},
    "activation_post_film": {"active": False},
    "layer1x1_post_film": {"active": False},
    "head1x1_post_film": {"active": False},
}


def parse(tree: Mapping[str, Any]) -> Amplifier:
    """Return the amplifier that a file says."""
    kind = tree["architecture"]
    if kind == "SlimmableContainer":
        raise AmplifierError(
            "a SlimmableContainer holds several networks of different size; write the one that "
            "is wanted to a file of its own with Neural Amp Modeler, and read that"
        )
    if kind not in ("LSTM", "WaveNet"):
        near = nearest(shown(kind), ("LSTM", "WaveNet"))
        raise AmplifierError(f"no architecture {shown(kind)} is known{near}")
    config = mapping(tree["config"], "config")
    architecture = _lstm(config) if kind == "LSTM" else _wavenet(config)
    given = listed(tree.get("weights"), "weights")
    flat = numbers(given, (len(given),), "weights")
    if isinstance(architecture, LSTM):
        weights = _from_row(flat, architecture)
    else:
        weights = named(flat, architecture)
    rest = deepcopy({**tree, "weights": None})
    return Amplifier(architecture, weights, sample_rate(tree.get("sample_rate"), RATE), "nam", rest)


def compose(amplifier: Amplifier) -> dict[str, Any]:
    """Return an amplifier as a file says it."""
    architecture = amplifier.architecture
    if isinstance(architecture, LSTM) and architecture.skip:
        raise AmplifierError(
            "an LSTM of a .nam file cannot add its input to its output, which this one does "
            "(skip); write it as simple_rnn or rtneural"
        )
    tree = deepcopy(dict(amplifier.rest)) or {
        "version": "0.5.4",
        "metadata": {},
        "architecture": type(architecture).__name__,
        "config": _config(amplifier),
        "weights": None,
        "sample_rate": amplifier.sample_rate,
    }
    if isinstance(architecture, LSTM):
        tree["weights"] = _to_row(amplifier.weights, architecture).tolist()
    else:
        tree["weights"] = amplifier.flat.tolist()
    return tree


def _config(amplifier: Amplifier) -> dict[str, Any]:
    said = asdict(amplifier.architecture)
    if isinstance(amplifier.architecture, LSTM):
        return {name: said[name] for name in ("input_size", "hidden_size", "num_layers")}
    layers = [{**array, "dilations": list(array["dilations"])} for array in said["arrays"]]
    scale = float(amplifier.weights["head_scale"])
    return {"layers": layers, "head": None, "head_scale": scale}


def _lstm(config: dict[str, Any]) -> LSTM:
    _only(config, ("input_size", "hidden_size", "num_layers"), "an LSTM")
    return LSTM(**{"hidden_size": None, **config}, skip=False)


def _wavenet(config: dict[str, Any]) -> WaveNet:
    _only(config, ("layers", "head", "head_scale", "condition_dsp"), "a WaveNet")
    for name, what in (("head", "a head after its arrays"), ("condition_dsp", "a network before")):
        if config.get(name) is not None:
            raise AmplifierError(f"the WaveNet has {what} ({name}), which is not understood")
    layers = listed(config.get("layers"), "layers")
    said = (_as_before(mapping(layer, "an array of layers")) for layer in layers)
    return WaveNet(tuple(map(layer_array, said)))


def _as_before(said: dict[str, Any]) -> dict[str, Any]:
    """Return an array's settings without those of version 0.7, which have to add nothing."""
    for name, absent in _ABSENT.items():
        given = said.pop(name, absent)
        if isinstance(absent, dict):
            given = {key: value for key, value in mapping(given, name).items() if key in absent}
        if given != absent:
            raise AmplifierError(f"an array of layers has {name}, which is not understood")
    if said.pop("bottleneck", said.get("channels")) != said.get("channels"):
        raise AmplifierError("an array of layers has a bottleneck, which is not understood")
    if "head" in said:
        head = mapping(said.pop("head"), "head")
        if head.get("kernel_size") != 1:
            raise AmplifierError("the head of an array has a kernel_size other than 1")
        said |= {"head_size": head.get("out_channels"), "head_bias": head.get("bias")}
    if "kernel_sizes" in said:
        said["kernel_size"] = _same(said.pop("kernel_sizes"), "kernel_sizes")
    activation = _activation(_same(said.get("activation"), "activation"))
    gate = _same(said.pop("gating_mode", None), "gating_mode")
    second = _activation(_same(said.pop("secondary_activation", None), "secondary_activation"))
    if gate not in (None, "none", "gated") or (gate == "gated" and second != "Sigmoid"):
        raise AmplifierError(f"the gates {shown(gate)} of {shown(second)} are not understood")
    return said | {"activation": activation} | ({"gated": gate == "gated"} if gate else {})


def _same(given: Any, what: str) -> Any:
    """Return what a list says of every layer, which has to be the same."""
    if not isinstance(given, list):
        return given
    if not given or any(item != given[0] for item in given):
        raise AmplifierError(f"{what} should be the same for all layers of an array")
    return given[0]


def _activation(given: Any) -> Any:
    """Return the name of an activation that has its usual settings."""
    if not isinstance(given, dict):
        return given
    for name, value in given.items():
        if name != "type" and value != _USUAL.get(name):
            raise AmplifierError(f"an activation has {name} = {shown(value)}, not understood")
    return given.get("type")


def _only(config: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
    for name in config:
        if name not in known:
            raise AmplifierError(
                f"{what} says {shown(name)}, which is not understood; it has {', '.join(known)}"
            )


def _from_row(flat: Array, architecture: LSTM) -> Weights:
    hidden, shapes = architecture.hidden_size, list[tuple[int, ...]]()
    for layer in range(architecture.num_layers):
        inputs = hidden if layer else architecture.input_size
        shapes += [(4 * hidden, inputs + hidden), (4 * hidden,), (hidden,), (hidden,)]
    *parts, weight, bias = cut(flat, [*shapes, (1, hidden), (1,)])
    both = [np.split(each, [-hidden], axis=1) for each in parts[::4]]
    layers = [(*pair, one) for pair, one in zip(both, parts[1::4], strict=True)]
    state = {"hidden": np.stack(parts[2::4]), "cell": np.stack(parts[3::4])}
    return weights_of(layers, (weight, bias)) | state


def _to_row(weights: Mapping[str, Array], architecture: LSTM) -> Array:
    parts = []
    for layer, (inputs, state, bias) in enumerate(layers_of(weights, architecture)):
        both = np.concatenate([inputs, state], axis=1)
        parts += [both, bias, weights["hidden"][layer], weights["cell"][layer]]
    parts += [weights["lin.weight"], weights["lin.bias"]]
    return np.concatenate([part.ravel() for part in parts])
