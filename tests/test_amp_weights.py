"""Weight files and networks of amplifiers: what is read, refused, written back, and played."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from presage.studies.amp import LSTM, Amplifier, AmplifierError, LayerArray, WaveNet
from presage.studies.amp.architecture import architecture_of
from presage.studies.amp.networks import network_of

#: One of each kind of network: layers, knobs, no skip; gates, biases, several arrays.
ARCHITECTURES = {
    "lstm": LSTM(4),
    "deep": LSTM(3, num_layers=2, skip=False),
    "knobs": LSTM(3, input_size=3),
    "wavenet": WaveNet(
        (
            LayerArray(1, 1, 2, 3, 3, (1, 2, 4), "Tanh"),
            LayerArray(3, 1, 1, 2, 2, (8, 3), "ReLU", gated=True, head_bias=True),
        )
    ),
    "one array": WaveNet((LayerArray(1, 1, 1, 4, 5, (1, 3), "Hardtanh", gated=True),)),
}
EACH = pytest.mark.parametrize("name", ARCHITECTURES)


def amplifier(name: str, rate: float = 48000.0) -> Amplifier:
    """Return an amplifier with numbers that are no float32."""
    rng = np.random.default_rng(list(ARCHITECTURES).index(name))
    architecture = ARCHITECTURES[name]
    weights = {n: rng.normal(0, 0.5, shape) for n, shape in architecture.shapes().items()}
    return Amplifier(architecture, weights, rate)


def signals(batch: int, time: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    x = np.random.default_rng(5).uniform(-1, 1, (batch, time))
    return torch.tensor(x, dtype=dtype)


# -- an independent recurrence ----------------------------------------------------------


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


ACTIVATIONS = {
    "Tanh": np.tanh,
    "ReLU": lambda x: np.maximum(x, 0),
    "Hardtanh": lambda x: np.clip(x, -1, 1),
}


def slow_lstm(amp: Amplifier, x: np.ndarray, every: int = 1, knob: float = 0.5) -> np.ndarray:
    """Play one signal sample by sample; the state that counts is that of `every` samples ago."""
    w, a = amp.weights, amp.architecture
    states = [[(w["hidden"][n], w["cell"][n]) for n in range(a.num_layers)]] * every
    y = np.empty(len(x))
    for t, sample in enumerate(x):
        z, new = np.array([sample] + [knob] * (a.input_size - 1)), []
        for n, (h, c) in enumerate(states[t]):
            gates = w[f"rec.weight_ih_l{n}"] @ z + w[f"rec.weight_hh_l{n}"] @ h
            gates = gates + w[f"rec.bias_ih_l{n}"] + w[f"rec.bias_hh_l{n}"]
            i, f, g, o = np.split(gates, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            z = sigmoid(o) * np.tanh(c)
            new.append((z, c))
        states.append(new)
        y[t] = w["lin.weight"][0] @ z + w["lin.bias"][0] + (sample if a.skip else 0)
    return y


def slow_wavenet(amp: Amplifier, x: np.ndarray, every: int = 1) -> np.ndarray:
    """Play one signal after silence, convolutions tap by tap, dilations `every` times as long."""
    w = amp.weights
    past = (amp.architecture.receptive_field - 1) * every
    x = z = np.concatenate([np.zeros(past), x])[None]
    head = np.zeros((1, 1))
    for number, array in enumerate(amp.architecture.arrays):
        at = f"arrays.{number}"
        z = w[f"{at}.rechannel.weight"][..., 0] @ z
        head = np.zeros((array.channels, x.shape[1])) if number == 0 else head
        for layer, dilation in enumerate(array.dilations):
            p, k, d = f"{at}.layers.{layer}", array.kernel_size, dilation * every
            u = w[f"{p}.mix.weight"][..., 0] @ x + w[f"{p}.conv.bias"][:, None]
            for tap in range(k):
                back = (k - 1 - tap) * d
                late = np.concatenate([np.zeros((len(z), back)), z[:, : z.shape[1] - back]], 1)
                u = u + w[f"{p}.conv.weight"][..., tap] @ late
            act = ACTIVATIONS[array.activation]
            u = act(u[: array.channels]) * sigmoid(u[array.channels :]) if array.gated else act(u)
            z = z + w[f"{p}.out.weight"][..., 0] @ u + w[f"{p}.out.bias"][:, None]
            head = head + u
        head = w[f"{at}.head.weight"][..., 0] @ head
        head = head + (w[f"{at}.head.bias"][:, None] if array.head_bias else 0)
    return (w["head_scale"] * head)[0, past:]


def slow(amp: Amplifier, x: torch.Tensor, every: int = 1) -> np.ndarray:
    play = slow_lstm if isinstance(amp.architecture, LSTM) else slow_wavenet
    return np.stack([play(amp, signal, every) for signal in x.numpy()])


@EACH
@pytest.mark.parametrize("factor", [1, 3])
def test_a_network_plays_what_a_slow_recurrence_does_whole_and_in_parts(name, factor) -> None:
    amp = amplifier(name)
    network = amp.network(torch.float64).oversampled(factor)
    x = signals(2, 240)
    with torch.no_grad():
        whole, _ = network(x)
        parts, carry = [], None
        for part in x.split([3, 120, 117], dim=1):
            y, carry = network(part, carry)
            parts.append(y)
    assert np.abs(whole.numpy() - slow(amp, x, factor)).max() < 1e-12
    assert (torch.cat(parts, 1) - whole).abs().max() < 1e-13


@EACH
def test_the_graph_gives_the_same_and_reaches_every_trained_number(name) -> None:
    network = amplifier(name).network(torch.float64)
    x = signals(3, 50)
    with torch.no_grad():
        expected, _ = network(x)
    y, _ = network(x)
    assert (y - expected).abs().max() < 1e-13
    y.square().sum().backward()
    # What the last layer of a WaveNet passes on nobody hears.
    heard = [n for n, p in network.named_parameters() if p.grad is not None]
    unheard = {n for n, _ in network.named_parameters()} - set(heard)
    last = f"arrays.{len(getattr(network, 'arrays', [0])) - 1}.layers."
    assert all(n.startswith(last) and ".out." in n for n in unheard)


def test_long_signals_are_played_in_pieces(monkeypatch) -> None:
    amp, x = amplifier("deep"), signals(2, 100)
    whole, _ = amp.network(torch.float64)(x)
    monkeypatch.setattr("presage.studies.amp.networks.STEPS", 7)
    assert (amp.network(torch.float64)(x)[0] - whole).abs().max() < 1e-13


def test_knobs_are_set_and_stand_still() -> None:
    amp, x = amplifier("knobs"), signals(1, 60)
    network = amp.network(torch.float64)
    network.knobs[:] = 0.2
    expected = slow_lstm(amp, x[0].numpy(), knob=0.2)
    assert np.abs(network(x)[0][0].detach().numpy() - expected).max() < 1e-12


# -- architectures and amplifiers -------------------------------------------------------


@EACH
def test_an_architecture_knows_its_weights_and_is_written_as_text(name) -> None:
    architecture = ARCHITECTURES[name]
    held = network_of(architecture).state_dict()
    assert {n: tuple(t.shape) for n, t in held.items()} == architecture.shapes()
    assert architecture.count == sum(t.numel() for t in held.values())
    assert architecture_of(architecture.text()) == architecture


def test_the_standard_wavenet_has_as_many_weights_as_published() -> None:
    ten = tuple(2**n for n in range(10))
    first, second = LayerArray(1, 1, 8, 16, 3, ten), LayerArray(16, 1, 1, 8, 3, ten, head_bias=True)
    standard = WaveNet((first, second))
    assert (standard.count, standard.receptive_field) == (13802, 4093)


@EACH
def test_an_amplifier_survives_network_and_dataset(name) -> None:
    amp = amplifier(name)
    again = Amplifier.of(amp.dataset())
    assert again.sha256 == amp.sha256 == amp.with_weights(amp.network(torch.float64)).sha256
    assert (again.form, again.rest, again.sample_rate) == (amp.form, amp.rest, amp.sample_rate)
    assert amp.with_weights(amp.network()).sha256 != amp.sha256  # float32
    with pytest.raises(ValueError, match="read-only"):
        amp.weights[next(iter(amp.weights))][...] = 0


ARRAY = {"input_size": 1, "condition_size": 1, "head_size": 1, "channels": 2, "kernel_size": 3}


def array(**other: object) -> LayerArray:
    return LayerArray(**{**ARRAY, "dilations": (1, 2), **other})


WRONG = {
    "hidden_size should be a whole number from 1 to 4096, got 1000000000": lambda: LSTM(10**9),
    "num_layers should be a whole number from 1 to 64, got 100000": lambda: LSTM(3, 100000),
    "hidden_size should be a whole number from 1 to 4096, got 3.0": lambda: LSTM(3.0),
    "hidden_size should be a whole number from 1 to 4096, got True": lambda: LSTM(True),
    "skip should be true or false, got '2'": lambda: LSTM(3, skip=2),
    "dilations should be a whole number from 1 to 1048576, got -1": lambda: array(
        dilations=(1, -1)
    ),
    "dilations should be a whole number from 1 to 1048576, got 1000": lambda: array(
        dilations=(10**300,)
    ),
    "dilations should be a list of whole numbers": lambda: array(dilations=3),
    "no activation 'Tanhh' is known; did you mean 'Tanh'": lambda: array(activation="Tanhh"),
    "condition_size should be a whole number from 1 to 1": lambda: array(condition_size=2),
    "the number of arrays of layers should be": lambda: WaveNet(()),
    "the last head_size should be 1, got 2": lambda: WaveNet((array(head_size=2),)),
    "array 0 has input_size 2, 1 would fit": lambda: WaveNet((array(input_size=2),)),
    "array 1 has channels 2, 1 would fit": lambda: WaveNet((array(), array(input_size=2))),
    "receptive_field should be a whole number": lambda: WaveNet((array(dilations=(1 << 20,) * 3),)),
    "no architecture is written here": lambda: architecture_of('{"kind": "GRU"}'),
    "no architecture is written": lambda: architecture_of('{"kind": "WaveNet", "arrays": 3}'),
    "the dataset holds no amplifier: KeyError": lambda: Amplifier.of(
        amplifier("lstm").dataset().drop_attrs()
    ),
    "the architecture has 125 weights, the file holds 124": lambda: Amplifier.of(
        amplifier("lstm").dataset().isel(weight=slice(1, None))
    ),
    "a part of 10 samples is no multiple of 3": lambda: (
        amplifier("lstm").network(torch.float64).oversampled(3)(signals(1, 10))
    ),
    "expected LSTM(hidden_size=4": lambda: amplifier("lstm").with_weights(
        amplifier("deep").network()
    ),
}


@pytest.mark.parametrize("expected", WRONG)
def test_what_is_no_network_is_refused_in_a_sentence(expected) -> None:
    with pytest.raises(AmplifierError) as caught:
        WRONG[expected]()
    assert str(caught.value).startswith(expected)
