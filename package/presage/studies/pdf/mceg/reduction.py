"""Few numbers that say all about F2: combinations of the state, from a few moments.

The state of theta has hundreds of entries, but F2 on the whole grid varies in a space of some
forty dimensions. A singular value decomposition of F2, for parameters spread evenly over the
prior and relative to F2 of a hard reference, gives that space to rounding. The combinations
are linear in the state, and as smooth functions of theta they are linear in the moments at
forty places of the contour too, which pivoted QR picks; the others need not be computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from presage.studies.pdf.mceg.inputs import gluon_norm
from presage.studies.pdf.mceg.theory import Theory

#: Theta whose F2 others are held against: a u valence as large near x = 1 as the prior allows.
REFERENCE = (-0.7, 0.0, 0.0, 0.0)
#: Singular values that are kept, as a share of the first; places that are picked.
_SMALLEST, _PLACES = 1e-12, 40


@dataclass(frozen=True, eq=False)
class Reduction:
    """Combinations of the state that determine F2."""

    theory: Theory  # where moments come from
    modes: Tensor  # ``(2K + 2, R)``: rows of theory times modes are rows for the combinations
    places: Tensor  # places of the contour whose moments are needed, ``(k,)`` complex
    fit: Tensor  # from real and imaginary parts, A_g and 1 to the combinations, ``(2k + 2, R)``

    def combinations(self, theta: Tensor) -> Tensor:
        """Return the combinations ``(*, R)`` of `theta` ``(*, 4)``, differentiable."""
        return _known(self.theory, theta, self.places) @ self.fit


def _known(theory: Theory, theta: Tensor, places: Tensor) -> Tensor:
    moments = theory.moments(theta, places)
    gluon = gluon_norm(theta, theory.flavours)[..., None]
    return torch.cat([moments.real, moments.imag, gluon, torch.ones_like(gluon)], -1)


def reduce(theory: Theory, rows: Tensor, theta: Tensor) -> Reduction:
    """Return the reduction for rows of F2 and parameters of a theory.

    `rows` are ``(G, 2K + 2)``, relative to a reference; `theta` ``(T, 4)``, spread over the prior.
    """
    states = theory.state(theta)
    left, values, right = torch.linalg.svd(rows @ states.T, full_matrices=False)
    rank = int((values > _SMALLEST * values[0]).sum())
    modes = states.T @ (right[:rank].T / values[:rank])
    projection = left[:, :rank].T @ rows
    places = _pick(states, projection)
    known = _known(theory, theta, theory.places[places]).cpu()
    scale = known.abs().amax(0)
    combined = (states @ projection.T).cpu()
    fit = torch.linalg.lstsq(known / scale, combined, rcond=1e-15, driver="gelsd").solution
    fit = (fit / scale[:, None]).to(theory.device)
    return Reduction(theory, modes, theory.places[places], fit)


def _pick(states: Tensor, projection: Tensor) -> Tensor:
    """Return the places that matter and differ most, by QR with pivots."""
    from scipy.linalg import qr

    count = (states.shape[1] - 2) // 2
    moments = torch.complex(states[:, :count], states[:, count : 2 * count])
    weighted = moments * projection[:, :count].norm(dim=0)
    _, _, order = qr(weighted.cpu().numpy(), mode="economic", pivoting=True)
    return torch.from_numpy(order[:_PLACES].copy()).long().sort().values
