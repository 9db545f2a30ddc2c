"""An LSTM's numbers as files have them: layers with one bias each, a first state or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from presage.studies.amp.architecture import LSTM, STATE, WaveNet, Weights
from presage.studies.amp.declared import AmplifierError, Array

#: Weights of the input [4 units, inputs] and of the state [4 units, units], and the bias.
Layer: TypeAlias = Sequence[Array]


def layers_of(weights: Mapping[str, Array], architecture: LSTM) -> list[Layer]:
    """Return the layers; torch's two biases, which are added, as one."""
    return [
        (
            weights[f"rec.weight_ih_l{n}"],
            weights[f"rec.weight_hh_l{n}"],
            weights[f"rec.bias_ih_l{n}"] + weights[f"rec.bias_hh_l{n}"],
        )
        for n in range(architecture.num_layers)
    ]


def weights_of(layers: Sequence[Layer], head: Sequence[Array]) -> Weights:
    """Return weights by torch's names, of layers and a head [1, units], [1]; the state is zero."""
    held: Weights = {"lin.weight": head[0], "lin.bias": head[1]}
    for n, (inputs, state, bias) in enumerate(layers):
        held |= {f"rec.weight_ih_l{n}": inputs, f"rec.weight_hh_l{n}": state}
        held |= {f"rec.bias_ih_l{n}": bias, f"rec.bias_hh_l{n}": np.zeros_like(bias)}
    return held | dict.fromkeys(STATE, np.zeros((len(layers), head[0].shape[1])))


def silent_lstm(architecture: LSTM | WaveNet, weights: Mapping[str, Array], form: str) -> LSTM:
    """Return an LSTM whose first state is zero, which is all that some formats can say.

    Raises
    ------
    AmplifierError
        It is a WaveNet, or begins with another state.
    """
    if not isinstance(architecture, LSTM):
        raise AmplifierError(f"a file of {form} holds an LSTM, this is a WaveNet; write it as nam")
    if any(weights[name].any() for name in STATE):
        raise AmplifierError(
            f"a file of {form} begins with a state of zero, this LSTM with another; write it as "
            "nam, or set its weights 'hidden' and 'cell' to zero"
        )
    return architecture
