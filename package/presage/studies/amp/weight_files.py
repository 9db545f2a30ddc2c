"""Weight files of amplifiers, read and written in whichever format they are.

The format is known by what a file holds, not by its name. Files come from anywhere: nothing is
made of what one declares before its numbers have been counted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from presage.foreign import file_size
from presage.labels import LabelError, nearest
from presage.store import files
from presage.studies.amp import nam, rtneural, simple_rnn
from presage.studies.amp.amplifier import Amplifier
from presage.studies.amp.declared import AmplifierError

#: Name → module of the format: `KEYS`, `parse(tree)` and `compose(amplifier)`, which refuse what is
#: of no known kind, or what the format cannot say.
FORMS: dict[str, ModuleType] = {"simple_rnn": simple_rnn, "nam": nam, "rtneural": rtneural}
#: What the metadata of a teacher say that is as true of its student: what it was made of.
STAYS = (
    "name", "description", "modeled_by", "author", "license", "source", "style", "based",
    "samplerate", "gear_type", "gear_make", "gear_model", "tone_type", "input_level_dbu",
    "output_level_dbu",
)  # fmt: skip
#: Bytes of the largest file that is read, and how deep its lists may be nested in one another;
#: published ones are below 2 MiB and 6 deep.
LARGEST, DEEPEST = 16 << 20, 64


def read_amplifier(path: Path | str) -> Amplifier:
    """Read a weight file: SimpleRNN (Proteus and kin), .nam, or RTNeural (AIDA-X).

    Raises
    ------
    AmplifierError
        There is no such file, it is damaged, or holds a network of a kind that is not known.
    """
    path = Path(path)
    try:
        tree = _tree(path)
        for form in FORMS.values():
            if all(key in tree for key in form.KEYS):
                amplifier: Amplifier = form.parse(tree)
                return amplifier
        keys = "; ".join(f"{name}: {', '.join(form.KEYS)}" for name, form in FORMS.items())
        raise AmplifierError(f"the file is of no known format, which are known by keys ({keys})")
    except AmplifierError as error:
        raise AmplifierError(f"{path.name}: {error}") from error


def write_amplifier(amplifier: Amplifier, path: Path | str, form: str = "") -> Path:
    """Write a weight file, in the format that the amplifier came in or another.

    Parameters
    ----------
    amplifier
        What is written; all that its own file said besides numbers is said again, in another
        format its metadata.
    path
        Where to; what is there is replaced.
    form
        ``simple_rnn``, ``nam`` or ``rtneural``; by default the amplifier's own.

    Raises
    ------
    AmplifierError
        The format cannot say what this network is.
    """
    text, path = spelled(amplifier, form), Path(path)
    files.replace(path, lambda sink: sink.write(text))
    return path


def spelled(amplifier: Amplifier, form: str = "") -> bytes:
    """Return what :func:`write_amplifier` writes."""
    form = form or amplifier.form
    if form not in FORMS:
        raise AmplifierError(f"no format {form!r}{nearest(form, FORMS)}")
    said = {}
    if form != amplifier.form:
        said = {name: value for name, value in amplifier.rest.items() if name == "metadata"}
        amplifier = replace(amplifier, form=form, rest={})
    tree = FORMS[form].compose(amplifier) | said
    again: Amplifier = FORMS[form].parse(tree)
    if again.architecture != amplifier.architecture or again.sample_rate != amplifier.sample_rate:
        raise AmplifierError(
            f"what is kept of the file is about {again.architecture} at {again.sample_rate:g} Hz, "
            f"the network is {amplifier.architecture} at {amplifier.sample_rate:g} Hz"
        )
    return json.dumps(tree, allow_nan=False).encode()


def inherited(rest: Mapping[str, Any], form: str, teacher: str) -> dict[str, Any]:
    """Return what a student's file says beside its numbers.

    Parameters
    ----------
    rest
        What its teacher's says. Of its metadata stays what is true of both; what was or may have
        been measured on the teacher (loudness, errors, test signals) goes to `metadata`,
        `teacher`.
    form
        The teacher's format.
    teacher
        Hash of the teacher, which is said there too.
    """
    if not rest:
        return {}
    own, beside = _parted(rest, FORMS[form].OWN)
    said = rest.get("metadata")
    kept, left = _parted(said, STAYS) if isinstance(said, Mapping) else ({}, said)
    about = {"sha256": teacher, "metadata": left, **beside}
    return own | {"metadata": kept | {"teacher": about}}


def _parted(said: Mapping[str, Any], names: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is said under some names, and the rest."""
    kept = {name: value for name, value in said.items() if name in names}
    return kept, {name: value for name, value in said.items() if name not in names}


def _tree(path: Path) -> Mapping[str, Any]:
    """Return the JSON of a file."""
    try:
        size = file_size(path)
    except FileNotFoundError:
        raise AmplifierError("there is no such file") from None
    except LabelError as error:
        raise AmplifierError(str(error)) from None
    if size > LARGEST:
        raise AmplifierError(f"the file is larger than {LARGEST >> 20} MiB")
    with path.open("rb") as source:
        text = source.read(LARGEST)
    try:
        tree = json.loads(text.decode("utf-8-sig"), parse_constant=_refuse)
    except AmplifierError:
        raise
    except ValueError as error:
        raise AmplifierError(f"the file is no JSON, or only part of one: {error}") from error
    except RecursionError as error:
        raise AmplifierError("the file is nested too deeply to be read") from error
    if not isinstance(tree, dict):
        raise AmplifierError("the file should hold an object with names")
    level: list[Any] = [tree]
    for _ in range(DEEPEST):
        inner = (item.values() if isinstance(item, dict) else item for item in level)
        level = [item for items in inner for item in items if isinstance(item, (dict, list))]
    if level:  # copying and writing it again would fail
        raise AmplifierError("the file is nested too deeply to be read")
    return tree


def _refuse(constant: str) -> NoReturn:
    raise AmplifierError(f"the file holds {constant}, which is no number that can be played")
