"""A trained model in memory: its network, and everything that is needed to use it.

What a trained model *does* depends on its kind, so each kind is a class: a density of columns
draws events and gives log p, an encoder turns sets into numbers, a posterior draws parameters,
a map turns arrays into arrays. A specification names its kind by the attribute ``fitted``;
:func:`presage.fit` and :func:`presage.load` return that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import nn

from presage.labels import Parameter, Variable, require
from presage.recipe import Recipe

F_co = TypeVar("F_co", bound="Fitted", covariant=True)


class FitError(ValueError):
    """Training, or a trained model, cannot do what was asked; the message says what to do."""


class Specification(Protocol[F_co]):
    """What :func:`presage.fit` takes: a frozen dataclass of a model's settings.

    One that has no ``fitted`` gives the plain :class:`Fitted`, whose ``network`` is what
    ``build`` returned. ``training(dataset)`` may name settings of the training that suit it.

    Attributes
    ----------
    name, version
        Of its recipes; the version rises when the same settings give another result.
    fitted
        The kind of trained model.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - attributes, see the class
    @property
    def version(self) -> int: ...  # noqa: D102
    @property
    def fitted(self) -> type[F_co]: ...  # noqa: D102

    def prepare(self, dataset: xr.Dataset) -> Any:
        """Return a :class:`~presage.models.prepared.Prepared`: arrays, state, declaration."""

    def build(self, declaration: Mapping[str, Any]) -> nn.Module:
        """Return an untrained network with ``loss(batch)``, one value for each sample.

        Where it has a ``start_from(state)``, that gets what ``prepare`` fitted before it is
        trained, and need not find it in the declaration.
        """


@dataclass(frozen=True, eq=False, repr=False)
class Fitted:
    """A trained model.

    Attributes
    ----------
    recipe
        Model, settings, seed and the samples it was trained on.
    model
        The specification that was trained.
    network
        Trained, on the CPU, in evaluation mode.
    declaration
        Variables, parameters and whatever else the model was declared for.
    state
        Fitted numbers of its transforms.
    history
        Over `epoch`: training and validation loss, learning rate, seconds.
    saved
        Whether a store holds it.
    seen
        The law of what it was trained on, which says what is unlike that; None where its
        kind has none, or was trained by a release that kept none: fit it once more with the
        same settings, which adds the law and trains nothing.
    """

    recipe: Recipe
    model: Any
    network: nn.Module
    declaration: dict[str, Any]
    state: Mapping[str, NDArray[Any]]
    history: xr.Dataset
    saved: bool = False
    seen: xr.Dataset | None = None

    #: Of the files that other programs read such a model from, see :meth:`write`.
    suffixes: ClassVar[tuple[str, ...]] = ()

    @property
    def key(self) -> str:
        """Its address, in a store or not."""
        return self.recipe.key

    @property
    def sample_dim(self) -> str:
        """Name of the sample dimension."""
        return str(self.declaration["sample"])

    @property
    def dtype(self) -> torch.dtype:
        """The type that its network computes in."""
        return next((p.dtype for p in self.network.parameters()), torch.float32)

    def __repr__(self) -> str:
        epochs = self.history.sizes["epoch"]
        place = "" if self.saved else ", not in a store"
        what = ", ".join(v["name"] for v in self.declaration.get("variables", ()))
        ranges = self.declaration.get("trained_range", {})
        names = [p["name"] for p in self.declaration.get("parameters", ())]
        at = [f"{n} {ranges[n][0]:.6g} to {ranges[n][1]:.6g}" for n in names if n in ranges]
        about = f", {what} at {', '.join(at)}" if what and at else ""
        kind = type(self).__name__
        return f"{kind}({self.model!r}, {epochs} epochs{about}, key {self.key[:16]}{place})"

    def require(self, dataset: xr.Dataset) -> None:
        """Check that a dataset holds what the model was declared for.

        Raises
        ------
        LabelError
            A variable is missing, or has other dims or another unit.
        """
        check_labels(dataset, self.declaration)

    def difference(self, other: Fitted) -> float:
        """Return the largest difference of any weight to another model of the same shape."""
        pairs = zip(*(f.network.state_dict().values() for f in (self, other)), strict=True)
        return max(float((a.double() - b.double()).abs().max()) for a, b in pairs if a.numel())

    def law(self, train: xr.Dataset, held_out: NDArray[np.int64]) -> xr.Dataset | None:
        """Return what its training data were like, to be stored as `seen`; None for nothing.

        Parameters
        ----------
        train
            What it was trained on.
        held_out
            Positions that were kept from it.
        """
        return None

    def write(self, path: Path | str) -> Path:
        """Write the model for another program, in the format that the suffix says.

        Raises
        ------
        FitError
            Its kind has no such format.
        """
        raise FitError(
            f"{Path(path).name}: a {type(self).__name__} is written as "
            f"{', '.join(self.suffixes) or 'no file of other programs'}"
        )


def declared_variables(declaration: Mapping[str, Any]) -> list[Variable]:
    """Return the variables and parameters of a declaration."""
    kinds = (("variables", Variable), ("parameters", Parameter))
    return [
        kind(**{**entry, "dims": tuple(entry.get("dims", ()))})
        for name, kind in kinds
        for entry in declaration.get(name, ())
    ]


def check_labels(dataset: xr.Dataset, declaration: Mapping[str, Any]) -> None:
    """Check that a dataset holds what a declaration says."""
    ragged = {
        str(a.attrs["sample_dimension"])
        for a in dataset.data_vars.values()
        if "sample_dimension" in a.attrs
    }
    for variable in declared_variables(declaration):
        if set(variable.dims[:1]) & ragged:  # stored flat along its first dimension
            flat = replace(variable, dims=variable.dims[1:])
            require(dataset, [flat], variable.dims[0])
        else:
            require(dataset, [variable], str(declaration["sample"]))
