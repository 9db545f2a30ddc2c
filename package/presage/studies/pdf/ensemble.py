"""The exact posterior by ensemble Monte Carlo: a second way that shares no approximation.

Walkers move by differences of each other (ter Braak 2006; emcee's ``DEMove``, Foreman-Mackey
et al. 2013, arXiv:1202.3665), all at once in one call of the likelihood. The run goes on until
the rank-normalised split R-hat of all parameters is below 1.01 and their bulk effective sample
sizes exceed 2000 (Vehtari et al. 2021, arXiv:1903.08008), every walker counted as a chain.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from presage.extras import extra
from presage.labels import Floats
from presage.progress import Bar
from presage.studies.pdf.target import Target

#: What a converged run has.
R_HAT, ESS = 1.01, 2000.0
#: Walkers, steps between looks, steps after which a run is given up.
_WALKERS, _LOOK, _LONGEST = 32, 1000, 30_000
#: Share of the steps thrown away at the start.
_BURN = 0.2


@dataclass(frozen=True)
class Chains:
    """What a run gave."""

    z: Floats  # ``(walkers, steps, P)`` in logit-box coordinates, the burn-in left out
    r_hat: Floats  # of each parameter
    ess: Floats

    @property
    def converged(self) -> bool:
        """Whether R-hat and effective sample sizes are as demanded."""
        return bool((self.r_hat < R_HAT).all() and (self.ess > ESS).all())

    def thinned(self, n: int) -> Floats:
        """Return `n` draws ``(n, P)``, steps as far apart as there are."""
        walkers, steps, dims = self.z.shape
        rows = np.linspace(0, steps - 1, -(-n // walkers)).round().astype(int)
        drawn: Floats = self.z[:, rows].transpose(1, 0, 2).reshape(-1, dims)[:n]
        return drawn


def ensemble(
    target: Target,
    start: Floats,
    rng: np.random.Generator,
    *,
    longest: int = _LONGEST,
    progress: bool = False,
) -> Chains:
    """Run walkers until they have converged, or for `longest` steps: R-hat then says so.

    `start` are at least 32 different places of positive density ``(n, P)``; the first are used.
    """
    with extra("pdf", "ensemble MCMC"):
        import emcee

    # A whole difference (gamma 1) jumps between modes. emcee's snooker move is left out: with
    # one in five of them the widths of a normal posterior came out 10 to 20 % too small.
    moves = [(emcee.moves.DEMove(), 0.9), (emcee.moves.DEMove(gamma0=1.0), 0.1)]
    sampler = emcee.EnsembleSampler(
        _WALKERS, start.shape[1], target.log_prob, moves=moves, vectorize=True
    )
    seed = np.random.MT19937(int(rng.integers(2**32)))
    state: Any = emcee.State(start[:_WALKERS], random_state=seed.state)
    with Bar(total=longest, desc="MCMC", unit="step", disable=not progress) as bar:
        while True:
            state = sampler.run_mcmc(state, min(_LOOK, longest))
            bar.update(_LOOK)
            chains = _judged(target, sampler.get_chain())
            if chains.converged or sampler.iteration >= longest:
                return chains


def load_arviz() -> Any:
    """Return the module arviz without the word on its successor that 0.23 begins with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        with extra("pdf", "a tree of posteriors"):
            import arviz
    return arviz


def _judged(target: Target, chain: Floats) -> Chains:
    """Return the chains ``(steps, walkers, P)`` with their R-hat and effective sample sizes."""
    az = load_arviz()
    z = chain[int(_BURN * len(chain)) :].transpose(1, 0, 2)
    names = [r.name for r in target.problem.prior]
    posterior = xr.Dataset({"z": (("chain", "draw", "parameter"), z)}, {"parameter": names})
    r_hat, ess = az.rhat(posterior)["z"].values, az.ess(posterior)["z"].values
    return Chains(z, np.asarray(r_hat, dtype=float), np.asarray(ess, dtype=float))
