"""The networks: signals in, signals out, the state carried from part to part.

An LSTM at M times the sample rate remembers what was M samples ago, and a WaveNet's dilations are
M times as long (Carson et al. 2025, arXiv:2505.11375). Both are M networks side by side, each of
which plays every M-th sample, so that no network knows of oversampling: :class:`Oversampled`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from presage.studies.amp.architecture import LSTM, LayerArray, WaveNet
from presage.studies.amp.declared import AmplifierError

Carry: TypeAlias = Any

#: Steps of an LSTM at a time: bounds what the hidden states take, and cuDNN fails beyond 65535.
STEPS = 16384
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "Tanh": torch.tanh,
    "ReLU": torch.relu,
    "Sigmoid": torch.sigmoid,
    "Hardtanh": nn.functional.hardtanh,
    "SiLU": nn.functional.silu,
    "LeakyReLU": partial(nn.functional.leaky_relu, negative_slope=0.01),
}


class Network(nn.Module):
    """A network of an amplifier: ``y, carry = network(x, carry)``.

    `x` and `y` are ``[batch, time]``; `carry` is what the next part of the same signals needs,
    None before the first. State and weights have the names of the architecture's shapes; what
    training does not touch are buffers.
    """

    architecture: LSTM | WaveNet

    def forward(self, x: Tensor, carry: Carry = None) -> tuple[Tensor, Carry]:
        """Return the answer to a part of signals, and what the next part needs."""
        raise NotImplementedError

    def oversampled(self, factor: int) -> Network | Oversampled:
        """Return the same weights, for signals at `factor` times the sample rate."""
        return Oversampled(self, factor) if factor != 1 else self


class Oversampled(nn.Module):
    """A network that plays signals of `factor` times its sample rate.

    Sample n goes to the stream n mod `factor`, so a part has to be whole turns of them.
    """

    def __init__(self, network: Network, factor: int) -> None:
        super().__init__()
        if factor < 1:
            raise AmplifierError(f"a sample rate is raised by 1, 2, 3, …, got {factor}")
        self.network, self.factor = network, factor

    def forward(self, x: Tensor, carry: Carry = None) -> tuple[Tensor, Carry]:
        """Return the answer to a part of signals, and what the next part needs."""
        batch, time = x.shape
        if time % self.factor:
            raise AmplifierError(f"a part of {time} samples is no multiple of {self.factor}")
        streams = x.reshape(batch, -1, self.factor).mT.reshape(batch * self.factor, -1)
        y, carry = self.network(streams, carry)
        return y.reshape(batch, self.factor, -1).mT.reshape(batch, time), carry


class LSTMNetwork(Network):
    """A recurrent network; `knobs` are its further inputs, in the middle until they are set."""

    knobs: Tensor
    hidden: Tensor
    cell: Tensor

    def __init__(self, architecture: LSTM) -> None:
        super().__init__()
        self.architecture = architecture
        size, layers = architecture.hidden_size, architecture.num_layers
        self.rec = nn.LSTM(architecture.input_size, size, layers)
        self.lin = nn.Linear(size, 1)
        self.skip = architecture.skip
        self.register_buffer("hidden", torch.zeros(layers, size))
        self.register_buffer("cell", torch.zeros(layers, size))
        knobs = torch.full((architecture.input_size - 1,), 0.5)
        self.register_buffer("knobs", knobs, persistent=False)

    def forward(self, x: Tensor, carry: Carry = None) -> tuple[Tensor, Carry]:
        """Return the answer to a part of signals, and the state after it."""
        if carry is None:
            first = (self.hidden[:, None], self.cell[:, None])
            carry = tuple(state.repeat(1, len(x), 1) for state in first)
        parts = []
        for part in torch.split(x.T, STEPS):
            with _exact():
                states, carry = self.rec(self._inputs(part), carry)
            parts.append(self.lin(states)[..., 0])
        y = torch.cat(parts).T if parts else x
        return (y + x if self.skip else y), carry

    def _inputs(self, x: Tensor) -> Tensor:
        """Return signal and knobs ``[time, batch, input]``."""
        inputs = x[..., None]
        if not len(self.knobs):
            return inputs.contiguous()
        return torch.cat([inputs, self.knobs.expand(*x.shape, -1)], -1)


@contextmanager
def _exact() -> Iterator[None]:
    """Keep cuDNN from rounding to TF32, whose ten bits would stand above what is measured."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


class WaveNetNetwork(Network):
    """Arrays of dilated convolutions; what is carried are the last inputs, silence at first.

    A convolution is the sum of its taps' products of matrices: with 8 or 16 channels that is about
    twice as fast on a processor as torch's own, and no GPU rounds it to TF32.
    """

    head_scale: Tensor

    def __init__(self, architecture: WaveNet) -> None:
        super().__init__()
        self.architecture = architecture
        self.arrays = nn.ModuleList(map(_Array, architecture.arrays))
        self.register_buffer("head_scale", torch.tensor(1.0))

    def forward(self, x: Tensor, carry: Carry = None) -> tuple[Tensor, Carry]:
        """Return the answer to a part of signals, and the inputs that the next part sees."""
        past = self.architecture.receptive_field - 1
        if carry is None:
            carry = x.new_zeros(len(x), past)
        x = torch.cat([carry, x], 1)
        if x.is_cuda:
            y = self._valid(x)
        else:  # one signal's layers stay in the cache of a core, those of several do not
            y = torch.cat([self._valid(signal) for signal in torch.split(x, 1)])
        return y, x[:, x.shape[1] - past :]

    def _valid(self, x: Tensor) -> Tensor:
        """Return the outputs whose inputs are all there."""
        condition = z = x[:, None]
        head = None
        for array in self.arrays:
            z, head = array(z, condition, head)
        assert head is not None  # there is an array
        y: Tensor = self.head_scale * head[:, 0]
        return y


class _Array(nn.Module):
    """The layers of one array, from (z, head) to (z, head) ``[batch, channel, time]``."""

    def __init__(self, array: LayerArray) -> None:
        super().__init__()
        self.rechannel = nn.Conv1d(array.input_size, array.channels, 1, bias=False)
        self.layers = nn.ModuleList(_Layer(array, dilation) for dilation in array.dilations)
        self.head = nn.Conv1d(array.channels, array.head_size, 1, bias=array.head_bias)

    def forward(self, z: Tensor, condition: Tensor, head: Tensor | None) -> tuple[Tensor, Tensor]:
        z = self.rechannel.weight[..., 0] @ z
        for layer in self.layers:
            z, u = layer(z, condition[..., condition.shape[-1] - z.shape[-1] :])
            head = u if head is None else head[..., head.shape[-1] - u.shape[-1] :] + u
        assert head is not None  # there is a layer
        head = self.head.weight[..., 0] @ head
        return z, head if self.head.bias is None else head + self.head.bias[:, None]


class _Layer(nn.Module):
    """One dilated convolution with its gate, from z to z + out(u) and u."""

    def __init__(self, array: LayerArray, dilation: int) -> None:
        super().__init__()
        size, width = array.channels, array.width
        self.conv = nn.Conv1d(size, width, array.kernel_size, dilation=dilation)
        self.mix = nn.Conv1d(array.condition_size, width, 1, bias=False)
        self.out = nn.Conv1d(size, size, 1)
        self.gated, self.activation = array.gated, _ACTIVATIONS[array.activation]

    def forward(self, z: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        assert self.conv.bias is not None  # neither layer is made without
        assert self.out.bias is not None
        step, taps = self.conv.dilation[0], self.conv.weight.unbind(2)
        size = z.shape[-1] - step * (len(taps) - 1)
        u = torch.addcmul(
            self.conv.bias[:, None], self.mix.weight[..., 0], condition[..., -size:]
        )  # the condition has one channel
        for number, tap in enumerate(taps):
            late = z[..., number * step : number * step + size]
            u.baddbmm_(tap.expand(len(z), -1, -1), late)
        if self.gated:
            u, gate = u.chunk(2, dim=1)
            u = self.activation(u) * torch.sigmoid(gate)
        else:
            u = self.activation(u)
        back = self.out.weight[..., 0].expand(len(z), -1, -1)
        return torch.baddbmm(z[..., -size:], back, u).add_(self.out.bias[:, None]), u


def network_of(architecture: LSTM | WaveNet) -> Network:
    """Return the network of an architecture, with weights as torch draws them."""
    if isinstance(architecture, LSTM):
        return LSTMNetwork(architecture)
    return WaveNetNetwork(architecture)
