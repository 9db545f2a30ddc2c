"""The problems by name, imported at first use."""

from __future__ import annotations

import importlib
from typing import Any

from presage.labels import LabelError, nearest
from presage.studies.pdf.problem import Problem

#: Name → ``"module:class"``, the module in this folder. A new problem is one line here.
PROBLEMS: dict[str, str] = {
    "gaussian": "gaussian:Gaussian",
    "simplified_dis": "simplified_dis:SimplifiedDIS",
    "simplified_dis_pushforward": "simplified_dis_pushforward:SimplifiedDISPushforward",
    "realistic_dis": "realistic_dis:RealisticDIS",
    "realistic_dis_events": "realistic_dis_events:RealisticDISEvents",
    "mceg": "mceg:MCEG",
}


def problem(name: str, **settings: Any) -> Problem:
    """Return a problem by its name.

    Parameters
    ----------
    name
        In :data:`PROBLEMS`.
    settings
        Its fields: `n_events`, `n_repeat`, `device` and its own.

    Raises
    ------
    LabelError
        No such problem, or no such setting; the nearest name is suggested.
    """
    if name not in PROBLEMS:
        raise LabelError(f"no problem {name!r}{nearest(name, PROBLEMS)}")
    module, _, attribute = PROBLEMS[name].partition(":")
    kind = getattr(importlib.import_module(f"presage.studies.pdf.{module}"), attribute)
    known = [f for f, field in kind.__dataclass_fields__.items() if field.init]
    for given in settings:
        if given not in known:
            raise LabelError(f"{name} has no setting {given!r}{nearest(given, known)}")
    built: Problem = kind(**settings)
    return built
