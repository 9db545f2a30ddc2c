"""Files of SimpleRNN, the JSON of Proteus, NeuralPi and kin: settings and a ``state_dict``.

Arrays are named and shaped as torch has them. Nothing is said of the first state, which is zero,
nor of the sample rate, which is 44.1 kHz.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np

from presage.labels import nearest
from presage.studies.amp.amplifier import Amplifier
from presage.studies.amp.architecture import LSTM, STATE
from presage.studies.amp.declared import AmplifierError, mapping, numbers, shown
from presage.studies.amp.recurrent import silent_lstm

#: Keys by which a file is known.
KEYS = ("model_data", "state_dict")
OWN = (*KEYS, "metadata")
RATE = 44100.0
#: What has to be so.
_FIXED = {"model": "SimpleRNN", "unit_type": "LSTM", "output_size": 1, "bias_fl": True}


def parse(tree: Mapping[str, Any]) -> Amplifier:
    """Return the amplifier that a file says."""
    said = mapping(tree["model_data"], "model_data")
    for name, expected in _FIXED.items():
        if said.get(name, expected) != expected:
            raise AmplifierError(
                f"model_data has {name} {shown(said[name])}; only {expected!r} is understood"
            )
    sizes = {name: said.get(name) for name in ("hidden_size", "num_layers", "input_size")}
    architecture = LSTM(**sizes, skip=said.get("skip", 0))  # type: ignore[arg-type]
    state = mapping(tree["state_dict"], "state_dict")
    shapes = {n: shape for n, shape in architecture.shapes().items() if n not in STATE}
    for name in {**shapes, **state}:
        if name not in state:
            raise AmplifierError(f"state_dict has no {name!r}, which model_data asks for")
        if name not in shapes:
            raise AmplifierError(f"state_dict has {shown(name)}{nearest(shown(name), shapes)}")
    weights = {name: numbers(state[name], shape, name) for name, shape in shapes.items()}
    weights |= {name: np.zeros(architecture.shapes()[name]) for name in STATE}
    rest = deepcopy({**tree, "state_dict": dict.fromkeys(state)})
    return Amplifier(architecture, weights, RATE, "simple_rnn", rest)


def compose(amplifier: Amplifier) -> dict[str, Any]:
    """Return an amplifier as a file says it."""
    architecture = silent_lstm(amplifier.architecture, amplifier.weights, "simple_rnn")
    if amplifier.sample_rate != RATE:
        raise AmplifierError(
            f"a SimpleRNN file is for {RATE:g} Hz and cannot say otherwise, this network is for "
            f"{amplifier.sample_rate:g} Hz; write it as rtneural or nam"
        )
    names = [name for name in architecture.shapes() if name not in STATE]
    tree = deepcopy(dict(amplifier.rest)) or {
        "model_data": {
            "model": "SimpleRNN",
            "input_size": architecture.input_size,
            "skip": int(architecture.skip),
            "output_size": 1,
            "unit_type": "LSTM",
            "num_layers": architecture.num_layers,
            "hidden_size": architecture.hidden_size,
            "bias_fl": True,
        },
        "state_dict": dict.fromkeys(names),
    }
    tree["state_dict"] |= {name: amplifier.weights[name].tolist() for name in names}
    return tree
