"""What a flow's draw is held against at a new label: morphed and nearest training events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from presage.analysis.drawing import resample
from presage.analysis.labelled import Floats, declared, label_table
from presage.analysis.morphing import Templates, closest_label, label_weights
from presage.emulation.split import hold_out
from presage.labels.equality import positions
from presage.lineage import parent_of
from presage.recipe import Parent
from presage.rng import generator
from presage.store import Store

#: Most events that a rival is made of.
LARGEST = 50_000


@dataclass(frozen=True)
class Rivals:
    """Training events, prepared once."""

    templates: Templates

    def morphing(self, label: Floats) -> Floats:
        """Return morphed events ``[event, variable]``, every training event at most once.

        Of events with weights, as many as they are worth.

        There are as many as the rarest of the mixed labels allows, so that the picture's
        noise is that of the simulation behind it.
        """
        grouped = self.templates.grouped
        mixing = label_weights(grouped.table, label).mixing
        used = np.flatnonzero(mixing)
        total = min(float((grouped.effective[used] / mixing[used]).min()), LARGEST)
        samples = {int(i): self._some(int(i), round(total * mixing[i])) for i in used}
        return np.concatenate(list(self.templates.moved(label, samples).values()))

    def nearest(self, label: Floats) -> tuple[Floats, Floats]:
        """Return the closest trained label and its events ``[event, variable]``."""
        table = self.templates.grouped.table
        closest = closest_label(table, label)
        return table[closest], self._some(closest, LARGEST)

    def _some(self, label: int, number: int) -> Floats:
        grouped = self.templates.grouped
        events, weights = grouped.sample(label), grouped.weights_at(label)
        if weights is not None:
            number = min(number, round(grouped.effective[label]))
            return resample(events, number, generator("live-rivals", 0, label), weights)
        if number >= len(events):
            return events
        # Files may be in some order: any subset has to be a random one.
        chosen = generator("live-rivals", 0, label).permutation(len(events))[:number]
        return events[chosen]


def rivals_of(store: Store, trained_on: Parent, held_out: Sequence[Sequence[float]]) -> Rivals:
    """Return the rivals of a flow; ValueError if its training events cannot be told."""
    events = store.open(trained_on.key, trained_on.start, trained_on.stop)
    if trained_on.selection:
        parameters = declared(events)[1]
        where = positions(
            label_table(held_out, parameters), label_table(events, parameters), parameters
        )
        known = [row for row, place in zip(held_out, where, strict=True) if place >= 0]
        events = hold_out(events, known)[0] if known else events
    if parent_of(events) != trained_on:
        raise ValueError("which events the flow was trained on cannot be told from these residuals")
    return Rivals(Templates.of(events))
