r"""Would the posterior have given these data? Binned chi² of the set among simulated sets.

A draw theta of the exact posterior and the observation come from their joint law, so the
observation is one more set simulated at theta. R sets are simulated there, all R + 1 are
binned alike (edges and expected counts from all of them together), and the rank of the
observation's chi² is uniform over observations, exactly (Johnson 2004, Ann. Statist. 32, 2361,
for one draw in place of the mean over draws, whose p-values crowd around 1/2).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from presage.analysis.c2st import c2st
from presage.labels import Floats, LabelError, unitless
from presage.models.fitted_encoder import SetLabels
from presage.models.threads import one_thread
from presage.rng import generator
from presage.studies.pdf.draws import Draws
from presage.studies.pdf.problem import Problem
from presage.studies.pdf.reference import parameter_coordinates
from presage.studies.pdf.target import sets_with_bar

#: Fewest events that a bin should expect, and most bins of a feature.
_EXPECTED, _MOST_BINS = 5.0, 10


@one_thread()
def predictive(
    problem: Problem,
    posterior: xr.Dataset,
    events: xr.DataArray,
    *,
    replicas: int = 99,
    draws: int = 1,
    seed: int = 0,
    progress: bool = True,
) -> xr.Dataset:
    """Return predictive p-values of observations.

    Parameters
    ----------
    problem
        Whose simulator it is.
    posterior
        ``theta`` ``[*, draw, parameter]``, plain draws.
    events
        ``[*, event, feature]``, of the same other dimensions.
    replicas
        Sets simulated at each draw.
    draws
        Draws of each posterior, chosen at random. Each gives a p-value of its own; p-values
        of one observation belong together and are not to be averaged.
    seed
        Of all random numbers.
    progress
        Whether a bar is shown, after two seconds.

    Returns
    -------
    xarray.Dataset
        ``p_value`` ``[*, draw]``, on multiples of 1 / (replicas + 1): small where the
        observation is further from what is expected than the simulated sets; ``chi2`` of the
        observation, ``[*, draw]``; ``bins`` ``[*, draw]``.
    """
    if replicas < 1 or draws < 1 or draws > posterior.sizes["draw"]:
        raise LabelError(
            f"expected replicas >= 1 and draws from 1 to {posterior.sizes['draw']}, got "
            f"replicas={replicas}, draws={draws}"
        )
    labels = SetLabels.of(events)
    theta = posterior["theta"].transpose(*labels.dims, "draw", "parameter")
    rows = theta.values.reshape(-1, *theta.shape[-2:])
    if len(rows) != labels.number:
        raise LabelError(f"{len(rows)} posteriors, {labels.number} sets of events")
    bar = sets_with_bar(problem, events, "predictive p-values", progress)
    found = []
    for i, (one, points) in enumerate(zip(bar, rows, strict=True)):
        rng = generator("pdf-predictive", seed, i)
        chosen = points[rng.choice(len(points), size=draws, replace=False)]
        found.append(_p_values(problem, one, chosen, replicas, rng))
    shape = (*labels.shape, draws)
    columns: dict[str, Any] = {}
    for j, (name, what) in enumerate(
        (("p_value", "predictive p-value"), ("chi2", "chi² of the set"), ("bins", "bins"))
    ):
        values = np.stack([row[:, j] for row in found]).reshape(shape)
        columns[name] = ((*labels.dims, "draw"), values, unitless(what))
    return xr.Dataset(
        columns,
        coords=labels.coords,
        attrs={"problem": problem.name, "replicas": replicas},
    )


def prior_check(
    problem: Problem, posterior: xr.Dataset, *, seed: int = 0, progress: bool = True
) -> xr.Dataset:
    """Return how well draws are told from the prior: C2ST, 0.5 where they are the prior's.

    A model trained on events whose theta was shuffled can have learnt nothing else.

    Parameters
    ----------
    problem
        With the prior.
    posterior
        ``theta`` ``[*, draw, parameter]``.
    seed, progress
        As of :func:`~presage.analysis.c2st.c2st`.
    """
    rng = generator("pdf-prior-check", seed, 0)
    drawn = problem.draw_theta(Draws(rng, problem.device), posterior.sizes["draw"]).cpu().numpy()
    names = parameter_coordinates(problem)["parameter"].values
    prior = xr.DataArray(drawn, dims=("draw", "parameter"), coords={"parameter": names})
    return c2st(prior, posterior["theta"], seed=seed, progress=progress)


def _p_values(
    problem: Problem, one: Tensor, theta: Floats, replicas: int, rng: np.random.Generator
) -> Floats:
    """Return p-value, chi² and number of bins for each draw, ``(draws, 3)``."""
    rows = []
    for point in theta:
        sets = _simulated(problem, point, replicas, len(one), rng)
        chi2, bins = _chi2([one.cpu().numpy(), *sets])
        larger, equal = int((chi2[1:] > chi2[0]).sum()), int((chi2[1:] == chi2[0]).sum())
        place = larger + int(rng.integers(0, equal + 1))
        rows.append((float(place + 1) / (replicas + 1), float(chi2[0]), float(bins)))
    return np.array(rows)


def _simulated(
    problem: Problem, point: Floats, replicas: int, count: int, rng: np.random.Generator
) -> list[Floats]:
    """Simulate sets at one theta, of as many events as the observation has.

    Where the number of events is random itself, it is that of the simulator.
    """
    theta = torch.as_tensor(point, dtype=torch.float64, device=problem.device)
    if problem.ragged:
        repeated = {"theta": np.repeat(point[None], replicas, axis=0)}
        arrays = problem.simulate(repeated, rng)
        edges = np.cumsum(arrays["event_count"])[:-1]
        return [np.asarray(part, dtype=float) for part in np.split(arrays["events"], edges)]
    with torch.no_grad():
        drawn = problem.events(theta[None], Draws(rng, problem.device), replicas, count)
    return list(drawn[0].cpu().numpy().astype(float))


def _chi2(sets: list[Floats]) -> tuple[Floats, int]:
    """Return the chi² of each set against the mean of all, and the number of bins."""
    pooled = np.concatenate(sets)
    count = len(pooled) / len(sets)
    features = pooled.shape[1]
    side = int(np.clip((count / _EXPECTED) ** (1 / features), 2, _MOST_BINS))
    inner = [np.unique(np.quantile(column, np.arange(1, side) / side)) for column in pooled.T]
    shape = tuple(len(edges) + 1 for edges in inner)
    where = np.ravel_multi_index(
        tuple(
            np.searchsorted(e, column, side="left")
            for e, column in zip(inner, pooled.T, strict=True)
        ),
        shape,
    )
    owner = np.repeat(np.arange(len(sets)), [len(one) for one in sets])
    bins = int(np.prod(shape))
    counts = np.bincount(owner * bins + where, minlength=len(sets) * bins)
    table = counts.reshape(len(sets), bins).astype(float)
    expected = table.mean(axis=0)
    there = expected > 0
    chi2: Floats = (np.square(table - expected)[:, there] / expected[there]).sum(axis=1)
    return chi2, int(there.sum())
