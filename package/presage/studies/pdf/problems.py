"""The problems by name, imported at first use."""

from __future__ import annotations

from typing import Any

import presage.plugins as plugins
from presage.plugins import resolve
from presage.studies.pdf.problem import Problem
from presage.studies.settings import made_of

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
    built: Problem = made_of(found, settings, Problem, name)
    return built
