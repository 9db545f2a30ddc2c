"""Where the columns and labels of an events dataset stand in a NumPy file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from presage.exchange.numpy_archive import NumpyFileError
from presage.labels import Parameter, Variable, nearest
from presage.studies.events.columns import Pair
from presage.studies.events.numpy_files.content import DATA, LABELS, ONLY, Content


@dataclass(frozen=True)
class Place:
    """One column: array and number of the column in it."""

    variable: Variable
    array: str
    column: int


def uses(places: Iterable[Place]) -> list[str]:
    """Return the arrays that are read, each once."""
    return list(dict.fromkeys(place.array for place in places))


def find(content: Content, pairs: Sequence[Pair], where: str) -> list[Place]:
    """Return where labels and columns stand, by declaration and name in the file.

    Raises
    ------
    NumpyFileError
        There are not as many columns as declared, none of a name, or of unequal lengths.
    """
    labels = [pair for pair in pairs if isinstance(pair[0], Parameter)]
    columns = [pair for pair in pairs if not isinstance(pair[0], Parameter)]
    if ONLY in content.arrays:
        places = _in_order(content, ONLY, (*columns, *labels), "columns and labels", where)
    elif DATA in content.arrays and LABELS in content.arrays:
        places = [
            *_in_order(content, LABELS, labels, "labels", where),
            *_in_order(content, DATA, columns, "columns", where),
        ]
    elif content.constants or DATA in content.arrays or LABELS in content.arrays:
        missing = LABELS if DATA in content.arrays else DATA
        raise NumpyFileError(
            f"{where} has no array {missing!r}{nearest(missing, content.names)}; it needs "
            f"{DATA!r} [n, columns] and {LABELS!r} [n, labels]"
        )
    else:
        places = [_by_name(content, variable, name, where) for variable, name in pairs]
    _check_numbers(content, places, where)
    return places


def _in_order(
    content: Content, array: str, named: Sequence[Pair], what: str, where: str
) -> list[Place]:
    """Return one place for each column of an array."""
    shape = content.arrays[array].shape
    width = shape[1] if len(shape) == 2 else 1
    names = [variable.name for variable, _ in named]
    if len(shape) not in (1, 2) or width != len(names):
        raise NumpyFileError(
            f"{where}: {array!r} has shape {shape}, and {len(names)} {what} are declared "
            f"({', '.join(names)}); expected [events, {len(names)}]"
        )
    renamed = next((name for variable, name in named if name != variable.name), None)
    if renamed is not None:
        raise NumpyFileError(
            f"{where}: its columns have no names, so none is {renamed!r}; list the variables in "
            "the order of the columns"
        )
    return [Place(variable, array, number) for number, (variable, _) in enumerate(named)]


def _by_name(content: Content, variable: Variable, name: str, where: str) -> Place:
    if name not in content.arrays:
        raise NumpyFileError(f"{where} has no column {name!r}{nearest(name, content.arrays)}")
    shape = content.arrays[name].shape
    if len(shape) != 1:
        raise NumpyFileError(f"{where}: column {name!r} should be [events], got shape {shape}")
    return Place(variable, name, 0)


def _check_numbers(content: Content, places: Iterable[Place], where: str) -> None:
    """Refuse arrays of unequal length, and what are no numbers."""
    arrays = {name: content.arrays[name] for name in uses(places)}
    for name, array in arrays.items():
        if array.dtype.kind not in "iuf":
            raise NumpyFileError(f"{where}: {name!r} holds {array.dtype}, not numbers")
    lengths = {name: array.shape[0] for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise NumpyFileError(f"{where}: its arrays hold different numbers of events ({shown})")
    if not next(iter(lengths.values())):
        raise NumpyFileError(f"{where}: there are no events in it")
