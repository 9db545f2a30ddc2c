"""Labels that stand in the paths of files: ``Phi_1870_omega_9p025/events.root``."""

from __future__ import annotations

import functools
import re
import string

from presage.studies.events.root.errors import RootError
from presage.studies.events.root.finding import RootFile

#: As generators write numbers: ``p`` for the decimal point, ``m`` for a minus. It is taken as
#: far as it goes, and never tried shorter: that can take for ever.
_NUMBER = r"(?>[-+m]?\d+(?:[p.]\d+)?(?:[eE][-+m]?\d+)?)"
#: Text behind a number with which it could go on.
_CONTINUES = re.compile(r"\d|[p.]\d|[eE][-+m]?\d")


@functools.lru_cache(maxsize=64)
def _regular(pattern: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    names: list[str] = []
    regular = r"(?<![A-Za-z0-9])"
    for literal, name, *_ in string.Formatter().parse(pattern):
        if names and _CONTINUES.match(literal + "0" * (name is not None)):
            raise RootError(
                f"path pattern {pattern!r}: {{{names[-1]}}} is followed by what could belong to "
                "its number; put other text there"
            )
        regular += re.escape(literal)
        if name is not None:
            if not name.isidentifier() or name in names:
                raise RootError(
                    f"path pattern {pattern!r}: {{{name}}} should be a label's name, once each"
                )
            names.append(name)
            regular += f"(?P<{name}>{_NUMBER})"
    if not names:
        raise RootError(
            f"path pattern {pattern!r} names no label; write one as 'Phi_{{phi_label}}'"
        )
    return re.compile(regular + r"(?![p.]?[0-9])"), tuple(names)


def path_names(pattern: str) -> tuple[str, ...]:
    """Return the label names in a path pattern such as ``Phi_{phi}_omega_{omega}``."""
    return _regular(pattern)[1] if pattern else ()


def path_labels(pattern: str, file: RootFile) -> dict[str, float]:
    """Read labels from a file's path, ``Phi_{phi}_omega_{omega}``, see :class:`RootReader`.

    The path below the searched directory is tried first, then the whole path; the last match
    counts. An empty pattern has no labels.
    """
    if not pattern:
        return {}
    regular, names = _regular(pattern)
    for text in (file.name, file.path.resolve().as_posix()):
        matches = list(regular.finditer(text))
        if matches:
            texts = {name: matches[-1][name] for name in names}
            return {n: float(t.replace("p", ".").replace("m", "-")) for n, t in texts.items()}
    example = re.sub(r"\{.*?\}", "9p025", pattern)
    raise file.bad(f"the path does not match {pattern!r}; expected something like {example!r}")
