"""Weight files and networks of amplifiers: what is read, refused, written back, and played."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import presage.studies.amp
from presage.studies.amp import (
    LSTM,
    Amplifier,
    AmplifierError,
    LayerArray,
    WaveNet,
    read_amplifier,
    write_amplifier,
)
from presage.studies.amp.architecture import architecture_of
from presage.studies.amp.networks import network_of
from presage.studies.amp.weight_files import inherited

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
    kept = {n: t.numpy() for n, t in amp.network(torch.float64).state_dict().items()}
    assert again.sha256 == amp.sha256 == replace(amp, weights=kept).sha256
    assert (again.form, again.rest, again.sample_rate) == (amp.form, amp.rest, amp.sample_rate)
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
    "skip should be true or false, got 2": lambda: LSTM(3, skip=2),
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
}


@pytest.mark.parametrize("expected", WRONG)
def test_what_is_no_network_is_refused_in_a_sentence(expected) -> None:
    with pytest.raises(AmplifierError) as caught:
        WRONG[expected]()
    assert str(caught.value).startswith(expected)


# -- files ------------------------------------------------------------------------------

DATA = Path(presage.studies.amp.__file__).parent / "data"
HERE = Path(__file__).parent / "data" / "amp"
FILES = {
    "ts9": DATA / "neuralseed_lstm8_ts9.json",
    "lstm": DATA / "namcore_lstm_1x3.nam",
    "tiny": DATA / "namcore_wavenet_tiny.nam",
    "standard": DATA / "namcore_wavenet_a1_standard.nam",
    "deep": HERE / "lstm_2x4.nam",
    "gated": HERE / "wavenet_gated.nam",
}


def tree(name: str) -> dict:
    return json.loads(FILES[name].read_text())


def keras(inputs: int = 1, units: int = 3, layers: int = 1) -> dict:
    """Return what RTNeural reads, as Keras would write it."""
    rng = np.random.default_rng(7)

    def drawn(*shape: int) -> list:
        return rng.normal(0, 0.7, shape).tolist()

    held = [
        {
            "type": "lstm",
            "activation": "tanh",
            "shape": [None, None, units],
            "weights": [
                drawn(inputs if n == 0 else units, 4 * units),
                drawn(units, 4 * units),
                drawn(4 * units),
            ],
        }
        for n in range(layers)
    ]
    dense = {"type": "dense", "activation": "", "shape": [None, None, 1], "num_samples": 0}
    held.append(dense | {"weights": [drawn(units, 1), drawn(1)]})
    return {"in_shape": [None, None, inputs], "layers": held, "in_skip": 1, "metadata": {"a": [1]}}


def saved(content: dict, path: Path) -> Path:
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("name", FILES)
def test_a_published_file_is_written_as_it_was_and_plays_the_slow_recurrence(
    name, tmp_path
) -> None:
    amp = read_amplifier(FILES[name])
    written = json.loads(write_amplifier(amp, tmp_path / "copy").read_text())
    assert json.dumps(written) == json.dumps(tree(name))  # values, keys and order
    x = signals(1, 40 if name == "standard" else 300)
    with torch.no_grad():
        y, _ = amp.network(torch.float64)(x)
    assert np.abs(y.numpy() - slow(amp, x)).max() < 1e-12
    assert read_amplifier(tmp_path / "copy").sha256 == amp.sha256


@pytest.mark.parametrize("name", ["lstm", "tiny", "standard", "deep", "gated"])
def test_answers_agree_with_the_reference_implementation(name) -> None:
    kept = np.load(HERE / "reference.npz")
    expected = kept[FILES[name].stem].astype(np.float64)
    x = torch.tensor(kept["input"] / np.float32(32768))[None]
    for dtype in (torch.float32, torch.float64):
        with torch.no_grad():
            y, _ = read_amplifier(FILES[name]).network(dtype)(x.to(dtype))
        left = y[0, : len(expected)].numpy() - expected
        assert 10 * np.log10((left**2).sum() / (expected**2).sum() + 1e-30) < -115


def test_a_wavenet_of_the_newer_version_is_the_same_network(tmp_path) -> None:
    old = read_amplifier(FILES["gated"])
    new = json.loads((HERE / "wavenet_gated_070.nam").read_text())
    new["weights"] = tree("gated")["weights"]
    amp = read_amplifier(saved(new, tmp_path / "new.nam"))
    assert amp.sha256 == old.sha256
    assert json.loads(write_amplifier(amp, tmp_path / "again").read_text()) == new


def test_a_simple_rnn_and_a_keras_file_are_torch_networks(tmp_path) -> None:
    state = {n: torch.tensor(v, dtype=torch.float64) for n, v in tree("ts9")["state_dict"].items()}
    rec = torch.nn.LSTM(1, 8, batch_first=True).double()
    rec.load_state_dict({n[4:]: v for n, v in state.items() if n.startswith("rec.")})
    x = signals(2, 200)
    expected = rec(x[..., None])[0] @ state["lin.weight"][0] + state["lin.bias"] + x
    y, _ = read_amplifier(FILES["ts9"]).network(torch.float64)(x)
    assert (y - expected).abs().max() < 1e-12

    content = keras(layers=2)
    path = saved(content, tmp_path / "aida.json")
    rec = torch.nn.LSTM(1, 3, num_layers=2, batch_first=True).double()
    for n, layer in enumerate(content["layers"][:2]):
        kernel, recurrent, bias = (torch.tensor(w, dtype=torch.float64) for w in layer["weights"])
        for kind, value in (("weight_ih", kernel.T), ("weight_hh", recurrent.T), ("bias_ih", bias)):
            getattr(rec, f"{kind}_l{n}").data[:] = value
        getattr(rec, f"bias_hh_l{n}").data.zero_()
    weight, bias = (torch.tensor(w, dtype=torch.float64) for w in content["layers"][2]["weights"])
    expected = (rec(x[..., None])[0] @ weight)[..., 0] + bias + x
    amp = read_amplifier(path)
    assert (amp.network(torch.float64)(x)[0] - expected).abs().max() < 1e-12
    assert amp.sample_rate == 48000.0
    assert json.loads(write_amplifier(amp, path).read_text()) == content


def test_sample_rates_are_those_of_the_file_or_of_its_format(tmp_path) -> None:
    rates = {name: read_amplifier(path).sample_rate for name, path in FILES.items()}
    assert rates == {
        "ts9": 44100,
        "lstm": 48000,
        "tiny": 48000,
        "standard": 48000,
        "deep": 96000,
        "gated": 44100,
    }
    for more in ({"samplerate": 44100}, {"samplerate": 1, "metadata": {"samplerate": 44100.0}}):
        path = saved(keras() | more, tmp_path / "aida.json")
        assert read_amplifier(path).sample_rate == 44100.0


def test_a_student_is_written_in_the_format_of_its_teacher(tmp_path) -> None:
    teachers = [*FILES.values(), saved(keras(inputs=2), tmp_path / "aida.json")]
    for path in teachers:
        teacher = read_amplifier(path)
        moved = {n: a if n == "head_scale" else a + 0.125 for n, a in teacher.weights.items()}
        if path.suffix != ".nam":  # which begin with silence
            moved |= {n: a for n, a in teacher.weights.items() if n in ("hidden", "cell")}
        student = replace(teacher, weights=moved)
        again = read_amplifier(write_amplifier(student, tmp_path / path.name))
        assert (again.form, again.architecture) == (teacher.form, teacher.architecture)
        if path.suffix == ".nam":
            assert json.dumps(again.rest) == json.dumps(teacher.rest)
        x = signals(1, 30)
        y = [a.network(torch.float64)(x)[0] for a in (student, again, teacher)]
        assert (y[0] - y[1]).abs().max() < 1e-12 < 1e-3 < (y[0] - y[2]).abs().max()


def test_a_students_file_says_what_is_true_of_it(tmp_path) -> None:
    """Names and levels stay; what was measured on the teacher is marked as the teacher's."""
    tests = {"metadata": {"name": "Drive", "ESR": 0.01, "samplerate": 44100}, "output_batch": [0.5]}
    files = [*FILES.values(), saved(keras() | tests, tmp_path / "aida.json")]
    for path in files:
        teacher = read_amplifier(path)
        rest = inherited(teacher.rest, teacher.form, teacher.sha256)
        student = read_amplifier(write_amplifier(replace(teacher, rest=rest), tmp_path / "out"))
        assert (student.rest, student.sha256) == (rest, teacher.sha256)
        before, said = teacher.rest.get("metadata", {}), student.rest["metadata"]
        about = said.pop("teacher")
        assert about["sha256"] == teacher.sha256
        assert not said.keys() & {"loudness", "gain", "training", "date", "ESR"}
        assert said | about["metadata"] == before if before else about["metadata"] is None
        assert said.get("gear_make") == before.get("gear_make")
    assert (said, about["output_batch"]) == ({"name": "Drive", "samplerate": 44100}, [0.5])
    assert "output_batch" not in student.rest
    other = read_amplifier(write_amplifier(student, tmp_path / "out.json", "simple_rnn"))
    assert other.rest["metadata"]["name"] == "Drive"


@pytest.mark.parametrize(("source", "form"), [("ts9", "rtneural"), ("silent", "rtneural")])
def test_what_another_format_can_say_is_written_in_it(source, form, tmp_path) -> None:
    content = tree("ts9")
    content["model_data"]["skip"] = int(source == "ts9")
    amp = read_amplifier(saved(content, tmp_path / "a.json"))
    forms = [form, "simple_rnn"] if source == "ts9" else [form, "nam", "simple_rnn", "nam"]
    x, there = signals(1, 100), amp
    for number, one in enumerate(forms):
        there = read_amplifier(write_amplifier(there, tmp_path / str(number), one))
        assert (there.form, there.sample_rate) == (one, amp.sample_rate)
        y = [a.network(torch.float64)(x)[0] for a in (amp, there)]
        assert (y[0] - y[1]).abs().max() < 1e-12
    wavenet = replace(read_amplifier(FILES["gated"]), form="", rest={})
    assert read_amplifier(write_amplifier(wavenet, tmp_path / "w", "nam")).sha256 == wavenet.sha256


CANNOT = {
    "an LSTM of a .nam file cannot add its input": ("ts9", "nam"),
    "a file of simple_rnn begins with a state of zero": ("lstm", "simple_rnn"),
    "a file of rtneural begins with a state of zero": ("lstm", "rtneural"),
    "a file of rtneural holds an LSTM, this is a WaveNet": ("tiny", "rtneural"),
    "a SimpleRNN file is for 44100 Hz": ("fast", "simple_rnn"),
    "no format 'namm'; did you mean 'nam'": ("tiny", "namm"),
    "what is kept of the file is about LSTM": ("other", "simple_rnn"),
}


@pytest.mark.parametrize("expected", CANNOT)
def test_what_a_format_cannot_say_is_not_written(expected, tmp_path) -> None:
    name, form = CANNOT[expected]
    amp = read_amplifier(FILES.get(name, FILES["ts9"]))
    if name == "fast":
        amp = replace(amp, sample_rate=48000.0)
    if name == "other":
        amp = replace(amp, rest=amp.rest | {"model_data": amp.rest["model_data"] | {"skip": 0}})
    with pytest.raises(AmplifierError) as caught:
        write_amplifier(amp, tmp_path / "out", form)
    assert str(caught.value).startswith(expected)
    assert not list(tmp_path.iterdir())


def at(*keys: object, put: object) -> Callable[[dict], None]:
    """Return what puts a value in its place in a tree; ``...`` takes the place away."""

    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        if put is ...:
            del content[keys[-1]]
        else:
            content[keys[-1]] = put

    return change


DATA_OF, STATE, ARRAY0 = "model_data", "state_dict", ("config", "layers", 0)
WRONG_FILES = [
    ("ts9", at(DATA_OF, "hidden_size", put=10**9), "hidden_size should be a whole number from 1"),
    ("ts9", at(DATA_OF, "hidden_size", put=9), "rec.weight_ih_l0 should hold numbers in the shape"),
    ("ts9", at(DATA_OF, "num_layers", put=2), "state_dict has no 'rec.weight_ih_l1'"),
    ("ts9", at(DATA_OF, "num_layers", put="1"), "num_layers should be a whole number from 1 to 64"),
    ("ts9", at(DATA_OF, "hidden_size", put=...), "hidden_size should be a whole number from 1 to"),
    ("ts9", at(DATA_OF, "input_size", put=2), "rec.weight_ih_l0 should hold numbers in the shape"),
    ("ts9", at(DATA_OF, "skip", put=2), "skip should be true or false, got 2"),
    ("ts9", at(DATA_OF, "unit_type", put="GRU"), "model_data has unit_type 'GRU'; only 'LSTM' is"),
    ("ts9", at(DATA_OF, "model", put="RecNet"), "model_data has model 'RecNet'; only 'SimpleRNN'"),
    ("ts9", at(DATA_OF, "bias_fl", put=False), "model_data has bias_fl False; only True is"),
    ("ts9", at(DATA_OF, put=[1]), "model_data should be an object with names, got list"),
    ("ts9", at(STATE, put=3), "state_dict should be an object with names, got 3"),
    ("ts9", at(STATE, "lin.weigth", put=[0]), "state_dict has 'lin.weigth'; did you mean 'lin.wei"),
    ("ts9", at(STATE, "lin.bias", put=[True]), "lin.bias should hold numbers, got True"),
    ("ts9", at(STATE, "lin.bias", put=["0"]), "lin.bias should hold numbers, got '0'"),
    ("ts9", at(STATE, "lin.bias", put=[10**400]), "lin.bias holds numbers that are not finite"),
    ("ts9", at(STATE, "lin.bias", put=[float("nan")]), "the file holds NaN, which is no number"),
    ("ts9", at(STATE, "lin.bias", put=[-float("inf")]), "the file holds -Infinity, which is no nu"),
    ("ts9", at(STATE, "rec.weight_hh_l0", 3, put=[0.0]), "rec.weight_hh_l0 should hold numbers in"),
    ("lstm", at("weights", 69, put=...), "the architecture has 70 weights, the file holds 69"),
    ("lstm", at("weights", 3, put=[1.0]), "weights should hold numbers, got list"),
    ("lstm", at("weights", put={}), "weights should be a list, got dict"),
    ("lstm", at("config", "hidden_size", put=4096), "the architecture has 67153921 weights"),
    ("lstm", at("config", "hidden_size", put=-3), "hidden_size should be a whole number from 1 to"),
    ("lstm", at("config", "proj_size", put=2), "an LSTM says 'proj_size', which is not understood"),
    ("lstm", at("config", put=None), "config should be an object with names, got None"),
    ("lstm", at("sample_rate", put="48k"), "the sample rate should be a number of Hz, got '48k'"),
    ("lstm", at("sample_rate", put=0), "the sample rate should be a number of Hz, got 0"),
    ("lstm", at("architecture", put="LSTMM"), "no architecture 'LSTMM' is known; did you mean 'LS"),
    ("lstm", at("architecture", put=["LSTM"]), "no architecture list is known"),
    ("lstm", at("architecture", put="SlimmableContainer"), "a SlimmableContainer holds several ne"),
    ("lstm", at("architecture", put=...), "the file is of no known format, which are known by key"),
    ("tiny", at("weights", 130, put=...), "the architecture has 131 weights, the file holds 130"),
    ("tiny", at("config", "head", put={"channels": 8}), "the WaveNet has a head after its arrays"),
    ("tiny", at("config", "condition_dsp", put={}), "the WaveNet has a network before (condition_"),
    ("tiny", at("config", "layers", put=[]), "layers should be a list, got list"),
    ("tiny", at(*ARRAY0, put=8), "an array of layers should be an object with names, got 8"),
    ("tiny", at(*ARRAY0, "dilations", put=[1, -2]), "dilations should be a whole number from 1 to"),
    ("tiny", at(*ARRAY0, "dilations", put=[1, 1 << 40]), "dilations should be a whole number from"),
    ("tiny", at(*ARRAY0, "dilations", put=[1] * 5000), "the number of layers of an array should b"),
    ("tiny", at(*ARRAY0, "channels", put=4), "array 1 has input_size 3, 4 would fit what comes"),
    ("tiny", at(*ARRAY0, "head_size", put=3), "array 1 has channels 2, 3 would fit what comes bef"),
    ("tiny", at(*ARRAY0, "kernel_size", put=...), "an array of layers says no kernel_size"),
    ("tiny", at(*ARRAY0, "gated", put="yes"), "gated should be true or false, got 'yes'"),
    ("tiny", at(*ARRAY0, "groups", put=2), "an array of layers has 'groups', which is not known"),
    ("tiny", at(*ARRAY0, "groups_input", put=2), "an array of layers has groups_input, which is n"),
    ("tiny", at(*ARRAY0, "bottleneck", put=2), "an array of layers has a bottleneck, which is not"),
    ("tiny", at(*ARRAY0, "conv_pre_film", put={"active": True}), "an array of layers has conv_pre"),
    ("tiny", at(*ARRAY0, "activation", put=["Tanh", "ReLU"]), "activation should be the same for"),
    ("tiny", at(*ARRAY0, "activation", put={"type": "Hardtanh", "min_val": 0}), "an activation ha"),
    ("tiny", at(*ARRAY0, "gating_mode", put="blended"), "the gates 'blended' of None are not"),
    ("aida", at("in_skip", put=2), "in_skip should be true or false, got 2"),
    ("aida", at("out_gain", put=3.5), "the file has out_gain 3.5 dB; only 0 is understood"),
    ("aida", at("in_shape", put=[None, None]), "input_size should be a whole number from 1 to 409"),
    ("aida", at("layers", 0, "type", put="gru"), "a layer is of type 'gru', 'lstm' is understood"),
    ("aida", at("layers", 0, "shape", put=[None, 10**9]), "hidden_size should be a whole number f"),
    ("aida", at("layers", 0, "shape", put=[None, 4]), "layer 0 should hold numbers in the shape ("),
    ("aida", at("layers", 0, "weights", put=[1]), "layer 0 should hold 3 arrays, got 1"),
    ("aida", at("layers", 1, put=...), "a layer is of type 'lstm', 'dense' is understood there"),
    ("aida", at("layers", 0, put=...), "the layers should be LSTMs of the same size and a dense l"),
    ("aida", at("layers", 1, "activation", put="tanh"), "a layer 'dense' has the activation 'tanh"),
]


@pytest.mark.parametrize(("name", "change", "expected"), WRONG_FILES)
def test_a_wrong_file_is_refused_in_a_sentence(name, change, expected, tmp_path) -> None:
    content = keras() if name == "aida" else tree(name)
    change(content)
    with pytest.raises(AmplifierError) as caught:
        read_amplifier(saved(content, tmp_path / "a.nam"))
    assert str(caught.value).startswith(f"a.nam: {expected}")


DAMAGED = {
    "the file is no JSON, or only part of one": FILES["tiny"].read_bytes()[:-9],
    "the file is no JSON, or only part": b"\xff\xfe\x00",
    "the file is no JSON": b"",
    "the file should hold an object": b"[1, 2]",
    "the file is nested too deeply": b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "the file is larger than 16 MiB": b" " * ((16 << 20) + 1),
    "the file is of no known format": b'{"weights": [1]}',
}


@pytest.mark.parametrize("expected", DAMAGED)
def test_a_damaged_file_is_refused_in_a_sentence(expected, tmp_path) -> None:
    (tmp_path / "a.json").write_bytes(DAMAGED[expected])
    with pytest.raises(AmplifierError, match=f"^a.json: {expected}"):
        read_amplifier(tmp_path / "a.json")
    for nothing, said in ((tmp_path, "is a folder"), (tmp_path / "b.json", "there is no such")):
        with pytest.raises(AmplifierError, match=said):
            read_amplifier(nothing)


def test_metadata_may_be_nested_but_not_without_end(tmp_path) -> None:
    for depth in (50, 70, 700):
        text = FILES["lstm"].read_text().replace('"Steve"', "[" * depth + "]" * depth)
        (tmp_path / "a.nam").write_text(text)
        if depth == 50:
            write_amplifier(read_amplifier(tmp_path / "a.nam"), tmp_path / "a.nam")
        else:
            with pytest.raises(AmplifierError, match="nested too deeply"):
                read_amplifier(tmp_path / "a.nam")


def test_no_change_of_a_file_brings_another_error(tmp_path) -> None:
    rng = np.random.default_rng(3)
    strange = [None, True, -1, 0, 1.5, 10**30, "x", "", [], {}, [[]], {"active": 1}, [0.0] * 3]
    sources = [*(tree(n) for n in ("ts9", "lstm", "tiny", "deep")), keras()]
    sources.append(json.loads((HERE / "wavenet_gated_070.nam").read_text()))
    for _ in range(400):
        content = json.loads(json.dumps(sources[rng.integers(len(sources))]))
        for _ in range(rng.integers(1, 3)):
            place = content
            while True:
                keys = list(place) if isinstance(place, dict) else range(len(place))
                key = list(keys)[rng.integers(len(keys))]
                if not isinstance(place[key], (dict, list)) or not place[key] or rng.random() < 0.3:
                    break
                place = place[key]
            place[key] = strange[rng.integers(len(strange))]
        try:
            amp = read_amplifier(saved(content, tmp_path / "a.json"))
        except AmplifierError:
            continue
        assert json.loads(write_amplifier(amp, tmp_path / "b.json").read_text()) == content
