"""The list of all that a dataset of samples holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass, field

from presage.labels.errors import LabelError, check_name
from presage.labels.names import check_label_names
from presage.labels.variables import Coordinate, Parameter, Variable, Weight


@dataclass(frozen=True)
class Schema:
    """What a dataset of samples holds.

    Parameters
    ----------
    sample
        Name of the sample dimension (``event``, ``sample``, ``tone``).
    variables
        Variables and parameters, each with the dimensions of one sample's value.
    coordinates
        Fixed coordinates of the other dimensions.
    ragged
        Dimensions whose length differs from sample to sample. A variable that has one
        has it first, and is stored flat along it, beside a variable ``<dim>_count`` with
        the length for each sample (CF conventions, contiguous ragged arrays).
    """

    sample: str
    variables: tuple[Variable, ...]
    coordinates: tuple[Coordinate, ...] = ()
    ragged: tuple[str, ...] = ()
    _by_name: dict[str, Variable] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = [variable.name for variable in self.variables]
        doubles = sorted({name for name in names if names.count(name) > 1})
        if doubles:
            raise LabelError(f"variable names must differ; twice: {', '.join(doubles)}")
        check_label_names(self.parameters)
        check_one_weight(v.name for v in self.variables if isinstance(v, Weight))
        own = self._own_names()
        for name in names:
            if name in own:
                free = f"{name}_number" if name == self.sample else f"{name}_value"
                raise LabelError(
                    f"a column cannot be called {name!r}: that is {own[name]} in the dataset, and "
                    f"would hide it. Call it {free!r}, in a reader as {{'{free}': '{name}'}}"
                )
        blanks = [c.name for c in self.coordinates if c.name != c.along and " " in c.name]
        for name in [*blanks, *(name for name in own if "/" in name)]:
            raise LabelError(
                f"netCDF has no dimension with a slash, and no coordinate with a blank beside its "
                f"dimension: rename {name!r}"
            )
        for variable in self.variables:
            late = set(variable.dims[1:]) & set(self.ragged)
            if late:
                raise LabelError(f"{variable.name}: ragged dimension {late.pop()!r} must be first")
        object.__setattr__(self, "_by_name", {v.name: v for v in self.variables})

    def __getitem__(self, name: str) -> Variable:
        check_name("variable", name, self._by_name)
        return self._by_name[name]

    def _own_names(self) -> dict[str, str]:
        """Return the names that a stored dataset has besides its variables, and what they are."""
        dims = {dim for variable in self.variables for dim in variable.dims}
        own = dict.fromkeys(dims, "a dimension")
        for coordinate in self.coordinates:
            own |= {coordinate.along: "a dimension", coordinate.name: "a coordinate"}
        for dim in self.ragged:
            own |= {dim: "a dimension", f"{dim}_count": "a length", f"{dim}_start": "a position"}
        return {**own, self.sample: "the number of the sample"}

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The variables that are parameters."""
        return tuple(v for v in self.variables if isinstance(v, Parameter))

    def stored(self) -> dict[str, tuple[tuple[str, ...], Variable]]:
        """Return name → (stored dims, declaration), the ragged counts included."""
        layout: dict[str, tuple[tuple[str, ...], Variable]] = {}
        for dim in self.ragged:
            count = Variable(f"{dim}_count", (), "int64", "1", f"length of {dim}", lower=0)
            layout[count.name] = ((self.sample,), count)
        for variable in self.variables:
            flat = bool(set(variable.dims[:1]) & set(self.ragged))
            layout[variable.name] = (
                variable.dims if flat else (self.sample, *variable.dims),
                variable,
            )
        return layout

    def samples_in(self, arrays: Mapping[str, Sized]) -> int:
        """Return how many samples there are in arrays, named as they are stored.

        Raises
        ------
        LabelError
            No variable has the sample dimension.
        """
        for name, (dims, _) in self.stored().items():
            if dims[0] == self.sample:
                return len(arrays[name])
        raise LabelError("a dataset needs at least one variable with the sample dimension")

    def sizes(self) -> dict[str, int]:
        """Return the fixed lengths that the coordinates give."""
        return {coordinate.along: len(coordinate.values) for coordinate in self.coordinates}


def check_one_weight(names: Iterable[str], source: str = "a dataset") -> None:
    """Refuse several columns of weights.

    Raises
    ------
    LabelError
        There are two.
    """
    found = list(names)
    if len(found) > 1:
        raise LabelError(
            f"{source} has one weight, and these are several: {', '.join(map(repr, found))}. "
            "Multiply them (in a reader weight='genWeight * puWeight'), or drop all but one"
        )
