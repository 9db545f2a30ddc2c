"""A U-Net of labelled cubes that starts from the best linear answer, with calibrated bands.

Cleaning a cube of foregrounds takes some of the signal with them and leaves some of them behind.
What is homogeneous and normal can be mended linearly, exactly so and all channels at once: each
transverse wave vector by a matrix (:mod:`presage.models.mixing`), solved from a few samples
before training begins. A U-Net over the cube, the amplitudes of the modes that were removed, the
linear answer and the frequency adds what is not normal, and starts at nothing:

    signal(x) = sum_b h_b M_b x + u(x),    u = 0 at first.

A second head gives the half width of a band that holds 68 % of what is left, r, by the pinball
score (Koenker and Bassett 1978), or its standard deviation, by r^2/v + ln v (Dawid and Sebastiani
1999); where r is normal the two are one. It sees features and r of the first head but teaches it
nothing, so the bands cost no accuracy.

Sources: Ronneberger et al. 2015, arXiv:1505.04597; deep21, Makinen et al. 2021, arXiv:2010.15843;
differences of neighbouring channels as an input, arXiv:2511.15072.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, ClassVar

import xarray as xr
from torch import Tensor

from presage.labels import LabelError, Variable, nearest
from presage.lineage import sample_dim
from presage.models.cubes import Layout, chunks
from presage.models.fitted_cubes import FittedCubes, declared_channels
from presage.models.linear_start import fit_start
from presage.models.prepared import Prepared
from presage.models.unet_network import BANDS, LOSSES, UNetNetwork, input_columns

#: Name → whether amplitudes are inputs, and whether differences of neighbouring channels are.
INPUTS: Mapping[str, tuple[bool, bool]] = {
    "cleaned": (False, False),
    "cleaned+amplitude": (True, False),
    "differenced": (False, True),
    "differenced+amplitude": (True, True),
}


@dataclass(frozen=True)
class UNet:
    """A map of cubes to cubes, and the error to expect in each point.

    Parameters
    ----------
    inputs
        A name in :data:`INPUTS`.
    cleaned, amplitude, differenced
        Variables: the cube, what was removed from it (`along` replaced by the mode), and the
        cube whose differences along `along` are an input.
    target
        The cube that is wanted. The network gives it, and ``<target>_error``, in the same unit.
    along
        The dimension that the linear map mixes and amplitudes lack.
    periodic
        Dimensions across that are rings; the others end in zeros.
    channels
        Dimensions that become channels: the parts of complex values.
    widths
        Channels of the U-Net's levels; each is half as fine as the one before.
    blocks
        Blocks of two convolutions on each level.
    pooled
        Dimensions that levels halve; all of them by default.
    nodes
        Shells of wave numbers between which the linear map is interpolated.
    start
        Samples that are looked at before training, for scales and the linear map.
    linear_step
        Of the linear map's weights as a share of those of the U-Net; 0 keeps it as it starts.
    loss
        A name in :data:`~presage.models.unet_network.LOSSES`. On skies of a normal signal with
        leakage the default ended 1.01 times above the true Wiener filter's error for
        k_parallel > 0.05 h/Mpc, 1.05 in the worst cell, ``"delay_spectrum"`` at 1.01 and 1.4,
        ``"mse"`` at 1.2 and 3.2.
    bands
        What the error is: the ``"half_width"`` that holds 68 %, or the ``"deviation"``.
    flips
        Dimensions along which samples are turned round at random in training. By default those
        that are periodic, and none for complex values, whose phases would turn the other way.
        Along the periodic ones samples are always moved.
    """

    inputs: str = "cleaned+amplitude"
    cleaned: str = "cleaned"
    amplitude: str = "amplitude"
    differenced: str = "cleaned"
    target: str = "signal"
    along: str = "frequency"
    periodic: tuple[str, ...] = ("y", "x")
    channels: tuple[str, ...] = ("component",)
    widths: tuple[int, ...] = (8, 16, 32)
    blocks: int = 1
    pooled: tuple[str, ...] | None = None
    nodes: int = 24
    start: int = 256
    linear_step: float = 0.1
    loss: str = "whitened"
    bands: str = "half_width"
    flips: tuple[str, ...] | None = None

    name: ClassVar[str] = "unet"
    version: ClassVar[int] = 3
    fitted: ClassVar[type[FittedCubes]] = FittedCubes

    def __post_init__(self) -> None:
        for what, table in (("inputs", INPUTS), ("loss", LOSSES), ("bands", BANDS)):
            value: str = getattr(self, what)
            if value not in table:
                raise LabelError(f"unet: no {what} {value!r}{nearest(value, table)}")
        if not self.widths or min(*self.widths, self.blocks, self.nodes, 1) < 1 or self.start < 2:
            raise LabelError(
                "unet: widths, blocks and nodes are at least 1 and start is at least 2, got "
                f"widths={self.widths}, blocks={self.blocks}, nodes={self.nodes}, "
                f"start={self.start}"
            )

    def training(self, dataset: xr.Dataset) -> dict[str, Any]:
        """Return settings of :func:`presage.fit` that suit it."""
        return {"epochs": 20, "batch_size": 8, "learning_rate": 4e-3, "ema": 0.99, "clip": 1.0}

    def prepare(self, dataset: xr.Dataset) -> Prepared:
        """Look at a few samples: scales, and the linear map.

        They are the first of the dataset, of those that validation will hold out too.

        Parameters
        ----------
        dataset
            Samples with the variables that the fields name.

        Raises
        ------
        LabelError
            A variable or dimension is missing, sizes do not fit together or cannot be halved as
            often as there are levels, or a value is not finite.
        """
        sample = sample_dim(dataset)
        inputs, differenced = self._inputs()
        self._require(dataset, (*inputs, self.target))
        layout = Layout.of(dataset[self.target], sample, self.along, self.periodic, self.channels)
        self._check_sizes(layout)
        cubes = {n: layout.cube(dataset[n], sample) for n in dict.fromkeys((*inputs, self.target))}
        taken, target = [cubes[name] for name in inputs], cubes[self.target]
        if (taken[0].channels, taken[0].sizes) != (target.channels, target.sizes):
            raise LabelError(
                f"{self.cleaned!r} should have the dims of {self.target!r}, {list(target.dims)}; "
                f"got {list(taken[0].dims)}"
            )
        # What is differenced is linear in its cube, and where that is given nothing new.
        known = [c for c, d in zip(taken, differenced, strict=True)
                 if not d or c.name not in inputs[: differenced.index(True)]]  # fmt: skip
        nodes = layout.across.nodes(self.nodes)
        mixed = sum(cube.columns(layout) for cube in known)
        about: dict[str, Any] = {
            "layout": asdict(layout), "inputs": [asdict(c) for c in taken],
            "target": asdict(target), "differenced": differenced,
            "mixed": mixed, "nodes": nodes,
        }  # fmt: skip

        def pairs(first: int, stop: int) -> Iterator[tuple[Tensor, Tensor]]:
            for arrays in chunks(dataset, cubes, first, stop):
                given = input_columns(layout, taken, differenced, arrays)
                yield given, layout.columns([arrays[self.target]])

        look = min(self.start, dataset.sizes[sample])
        cut = max(1, 3 * look // 4)
        train, check = partial(pairs, 0, cut), partial(pairs, min(cut, look - 1), look)
        state = fit_start(train, check, layout, nodes, mixed)
        return Prepared(None, state, {**about, **self._declared(dataset, sample, list(cubes))})

    def build(self, declaration: Mapping[str, Any]) -> UNetNetwork:
        """Return an untrained network; ``start_from(state)`` gives it scales and linear map."""
        return UNetNetwork(self, declaration)

    def _inputs(self) -> tuple[list[str], list[bool]]:
        """Return the variables that go in, the cube first, and which are differenced."""
        amplitudes, differences = INPUTS[self.inputs]
        names = [self.cleaned] + [self.amplitude] * amplitudes + [self.differenced] * differences
        return names, [False] * (len(names) - differences) + [True] * differences

    def _require(self, dataset: xr.Dataset, names: Sequence[str]) -> None:
        for name in names:
            if name not in dataset:
                hint = f"; it is an input of inputs={self.inputs!r}" if name != self.target else ""
                raise LabelError(
                    f"unet: the dataset has no variable {name!r}"
                    f"{nearest(name, map(str, dataset))}{hint}"
                )

    def _check_sizes(self, layout: Layout) -> None:
        factor = 2 ** (len(self.widths) - 1)
        for dim, size in zip(layout.axes, layout.sizes, strict=True):
            if (self.pooled is None or dim in self.pooled) and size % factor:
                raise LabelError(
                    f"unet: {dim!r} has {size} points, which cannot be halved "
                    f"{len(self.widths) - 1} times for {len(self.widths)} levels; take another "
                    "size, fewer widths, or name the dimensions to halve in pooled="
                )

    def _declared(self, dataset: xr.Dataset, sample: str, names: Sequence[str]) -> dict[str, Any]:
        known = {name: Variable.of(dataset[name], sample) for name in names}
        target = known[self.target]
        title = f"expected error of the {target.long_name or target.name}"
        error = replace(target, name=f"{self.target}_error", long_name=title, lower=0.0, upper=None)
        takes = [name for name in names if name != self.target]
        return {
            "variables": [asdict(variable) for variable in known.values()],
            "takes": takes,
            "gives": [
                asdict(replace(target, dtype="float32")),
                asdict(replace(error, dtype="float32")),
            ],
            "sizes": {n: {str(d): dataset.sizes[d] for d in known[n].dims} for n in takes},
            "channels": declared_channels(dataset[self.cleaned], self.along),
            "sample": sample,
        }
