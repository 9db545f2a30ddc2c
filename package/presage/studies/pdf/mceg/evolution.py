"""Evolution of parton moments at leading order, in closed form.

With a = alpha_s / 4 pi and t = ln(a_0 / a) / beta0 the moments f(N) = int x^(N-1) f(x) dx
obey df/dt = P(N) f. Non-singlets are multiplied by exp(t P_qq); the singlet quark sum and
the gluon by the exponential of a 2 x 2 matrix, which its two eigenvalues give (Gluck, Reya,
Vogt, Z. Phys. C 48 (1990) 471). At the bottom mass the fifth quark starts from zero.
"""

from __future__ import annotations

import torch
from torch import Tensor

from presage.studies.pdf.mceg.couplings import Coupling, beta0
from presage.studies.pdf.mceg.special import harmonic

#: Rows of a table of moments; plus is quark and antiquark together.
PARTONS = ("u_plus", "d_plus", "s_plus", "c_plus", "b_plus", "g", "u_valence", "d_valence")
_CF, _CA = 4 / 3, 3.0
_GLUON = PARTONS.index("g")


def splitting(n: Tensor, flavours: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return P_qq, P_qg, P_gq, P_gg at complex `n`, in units of alpha_s / 4 pi."""
    s1 = harmonic(n)
    common = n * n + n + 2
    qq = _CF * (3 + 2 / (n * (n + 1)) - 4 * s1)
    qg = 2 * flavours * common / (n * (n + 1) * (n + 2))
    gq = 2 * _CF * common / ((n - 1) * n * (n + 1))
    poles = 1 / (n * (n - 1)) + 1 / ((n + 1) * (n + 2))
    return qq, qg, gq, 4 * _CA * (poles - s1) + beta0(flavours)


def _step(partons: Tensor, n: Tensor, flavours: int, t: Tensor) -> Tensor:
    """Evolve ``(*, 8, K)`` over times ``(J,)`` with this many quarks; returns ``(J, *, 8, K)``."""
    qq, qg, gq, gg = splitting(n, flavours)
    root = ((qq - gg) ** 2 + 4 * qg * gq).sqrt()
    high, low = 0.5 * (qq + gg + root), 0.5 * (qq + gg - root)
    t = t.reshape(-1, *[1] * (partons.dim() - 1))
    up, down = (t * high).exp() / root, (t * low).exp() / root
    both = up - down
    quarks, gluon = partons[..., :flavours, :], partons[..., _GLUON, :]
    singlet = quarks.sum(-2)
    identity = down * high - up * low
    mean = ((both * qq + identity) * singlet + both * qg * gluon) / flavours
    alone = (t * qq).exp()[..., None, :]
    evolved = partons.expand(len(t), *partons.shape).clone()
    rest = quarks - singlet[..., None, :] / flavours
    evolved[..., :flavours, :] = mean[..., None, :] + alone * rest
    evolved[..., _GLUON, :] = both * gq * singlet + (both * gg + identity) * gluon
    evolved[..., _GLUON + 1 :, :] = alone * partons[..., _GLUON + 1 :, :]
    return evolved


def evolve(partons: Tensor, n: Tensor, q2: Tensor, start: float, coupling: Coupling) -> Tensor:
    """Evolve moments from `start` to every `q2`, ``(J, *, 8, K)``.

    Moments of `partons` are ``(*, 8, K)`` complex at `n` ``(K,)``, rows as :data:`PARTONS`, c and b
    as at `start`. Scales are in GeV2; `start` is below the bottom mass, no `q2` ``(J,)`` below it.
    """
    four, five = coupling.times(q2, start)
    below = q2 < coupling.threshold
    out = partons.new_empty((len(q2), *partons.shape))
    if bool(below.any()):
        out[below] = _step(partons, n, 4, four[below])
    if not bool(below.all()):
        middle = _step(partons, n, 4, four[~below][:1])[0]
        out[~below] = _step(middle, n, 5, five[~below])
    return out


def parton_weights(**weights: float) -> Tensor:
    """Return a combination of :data:`PARTONS` as a vector ``(8,)``."""
    return torch.tensor([weights.get(name, 0.0) for name in PARTONS], dtype=torch.float64)
