"""Training: one visible loop, its checkpoints, its history, and what it leaves in the store.

A model's specification is a frozen dataclass with ``prepare(dataset)`` → arrays and fitted
transforms, and ``build(declaration)`` → a network whose ``loss(batch)`` returns the loss of
each sample. :func:`fit` does the rest. A specification may have ``training(dataset)``, which
returns the settings of :func:`fit` that suit it where the caller gives none. A recurrent
network may have, besides, ``segment_loss(batch, carry) -> (losses, carry)``: truncated
back-propagation with one optimiser step for each segment, `carry` (None at first) detached,
and None at the end.

What is trained from is a labelled dataset or a source of batches
(:class:`presage.batches.BatchSource`), whose ``dataset`` is what `prepare` gets; a model for a
source returns ``arrays=None`` there and declares the variables that its batches are to hold.
"""

from __future__ import annotations

from presage.fitting.errors import FitError, NonFiniteLossError
from presage.fitting.result import load
from presage.fitting.run import fit, fit_recipe, settings_for
from presage.fitting.schedules import SCHEDULES, make_schedule
from presage.fitting.settings import OPTIMIZERS, Settings
from presage.fitting.streaming import OnePass, fit_streaming
from presage.models.fitted import Fitted

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "FitError",
    "Fitted",
    "NonFiniteLossError",
    "OnePass",
    "Settings",
    "fit",
    "fit_recipe",
    "fit_streaming",
    "load",
    "make_schedule",
    "settings_for",
]
