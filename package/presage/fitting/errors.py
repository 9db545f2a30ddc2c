"""What can go wrong in training."""

from __future__ import annotations

from collections.abc import Sequence

from presage.models.fitted import FitError as FitError


class NonFiniteLossError(FitError):
    """The loss became NaN or infinite.

    Attributes
    ----------
    epoch, step
        Where, both from 0; `step` counts within the epoch.
    samples
        Numbers of all samples of that batch (of this rank's part).
    offending
        Numbers of those whose own loss is not finite.
    """

    def __init__(
        self,
        message: str,
        epoch: int,
        step: int,
        samples: Sequence[int] = (),
        offending: Sequence[int] = (),
    ) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.step = step
        self.samples = tuple(samples)
        self.offending = tuple(offending)
