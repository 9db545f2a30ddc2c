"""The problems by name, imported at first use."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import presage.plugins as plugins
from presage.labels import LabelError, nearest
from presage.plugins import resolve
from presage.studies.pdf.problem import Problem

#: Name → ``"module:class"``. A new problem is one line here.
PROBLEMS: dict[str, str] = {
    "gaussian": "presage.studies.pdf.gaussian:Gaussian",
    "simplified_dis": "presage.studies.pdf.simplified_dis:SimplifiedDIS",
    "simplified_dis_pushforward": (
        "presage.studies.pdf.simplified_dis_pushforward:SimplifiedDISPushforward"
    ),
    "realistic_dis": "presage.studies.pdf.realistic_dis:RealisticDIS",
    "realistic_dis_events": "presage.studies.pdf.realistic_dis_events:RealisticDISEvents",
    "mceg": "presage.studies.pdf.mceg:MCEG",
}


def problem(name: str, **settings: Any) -> Problem:
    """Return a problem by its name.

    Parameters
    ----------
    name
        In :data:`PROBLEMS`, of an installed package, or ``"my_package.toys:MyProblem"``: a class,
        an object of one, or a function that returns one.
    settings
        Its fields: `n_events`, `n_repeat`, `device` and its own.

    Raises
    ------
    LabelError
        No such setting; the nearest name is suggested. Or what is named is no problem.
    PluginError
        No such problem; the nearest name is suggested.
    """
    found = resolve(plugins.address_of(name, PROBLEMS, plugins.SIMULATORS, "problem"))
    kind: Any = type(found) if isinstance(found, Problem) else found
    if isinstance(kind, type):
        known = [f.name for f in fields(kind) if f.init]
        for given in settings:
            if given not in known:
                raise LabelError(f"{name} has no setting {given!r}{nearest(given, known)}")
    built = replace(found, **settings) if isinstance(found, Problem) else found(**settings)
    if not isinstance(built, Problem):
        raise LabelError(f"{name} should be or return a Problem, got {type(built).__name__}")
    return built
