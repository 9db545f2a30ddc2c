"""A simulator whose first worker is killed, for the tests of generation on dask."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fly_toys import Sets


@dataclass(frozen=True)
class Mortal(Sets):
    """Kills its process, once, in block `fatal`: the file `mark` says that it was done."""

    fatal: int = -1
    mark: str = ""

    name: ClassVar[str] = "toy_mortal"

    def identity(self):
        return {"width": self.width}

    def simulate(self, theta, rng):
        if self.fatal == int(rng.bit_generator.state["state"]["counter"][2]) and self._first():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().simulate(theta, rng)

    def _first(self) -> bool:
        try:
            Path(self.mark).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True
