"""How well a set of events can tell theta at best: Fisher information, by autodiff.

With the score s = d log p(event | theta) / d theta, N events hold

    I = N E[s s^T] + N (d log N / d theta) (d log N / d theta)^T,

the second term where the expected number itself depends on theta (Poisson sets). No unbiased
estimate has a smaller covariance than I^-1 (Cramér and Rao), and a posterior that is narrow
against the prior approaches it. The mean is taken over events that the problem draws, and the
mean score, which is zero where density and events belong together, comes along as a check.
"""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from presage.labels import LabelError
from presage.rng import generator
from presage.studies.pdf.draws import Draws
from presage.studies.pdf.problem import Problem

_PARAMETER, _OTHER = "parameter", "parameter_other"


def scores(problem: Problem, theta: Tensor, events: Tensor) -> Tensor:
    """Return the derivatives ``(E, P)`` of log p of events ``(E, F)`` by theta ``(P,)``."""
    point = theta.detach().clone().requires_grad_()
    values = problem.log_prob(point, events)
    # The gradient of a weighted sum of values is linear in the weights; its derivatives with
    # respect to those are the scores: as many passes as parameters, not as events.
    weights = torch.zeros_like(values).requires_grad_()
    (total,) = torch.autograd.grad(values, point, weights, create_graph=True)
    columns = [torch.autograd.grad(one, weights, retain_graph=True)[0] for one in total.unbind()]
    return torch.stack(columns, -1)


def fisher_information(
    problem: Problem,
    theta: xr.DataArray,
    n_events: int | None = None,
    *,
    n_draws: int = 20_000,
    seed: int = 0,
) -> xr.Dataset:
    """Return the Fisher information of a set of events, and the limit that follows from it.

    Parameters
    ----------
    problem
        Its events and its density.
    theta
        ``[*, parameter]``, at which parameters.
    n_events
        Events in the set; what the problem says when None.
    n_draws
        Events that the mean over s sᵀ is taken over.
    seed
        Of those events.

    Returns
    -------
    xarray.Dataset
        ``information`` and its statistical error ``information_error``
        ``[*, parameter, parameter_other]``; ``deviation`` ``[*, parameter]``, the smallest
        standard deviation (Cramér-Rao); ``mean_score`` and ``mean_score_error``
        ``[*, parameter]``, per event.

    Raises
    ------
    LabelError
        theta is not one of the problem's, or the events do not tell all parameters apart.
    """
    outer = [str(d) for d in theta.dims if d != _PARAMETER]
    values = problem.check_theta(theta.transpose(*outer, _PARAMETER))
    draws = Draws(generator("pdf-information", seed, 0), problem.device)
    found = [
        _at(problem, one, n_events, draws, n_draws) for one in values.reshape(-1, values.shape[-1])
    ]
    names = [r.name for r in problem.prior]
    coords = {n: c for n, c in theta.coords.items() if _PARAMETER not in c.dims}
    shape = tuple(theta.sizes[d] for d in outer)
    variables = {}
    for name, (unit, what) in _WHAT.items():
        stack = np.stack([one[name].cpu().numpy() for one in found])
        dims = (*outer, _PARAMETER, _OTHER)[: len(outer) + stack.ndim - 1]
        attributes = {"long_name": what, "units": unit}
        variables[name] = (dims, stack.reshape(*shape, *stack.shape[1:]), attributes)
    labels = {_PARAMETER: names, _OTHER: names}
    return xr.Dataset(
        variables, {**coords, **labels}, {"problem": problem.name, "n_draws": n_draws}
    )


_WHAT = {
    "information": ("1", "Fisher information of the set"),
    "information_error": ("1", "statistical error of the Fisher information"),
    "deviation": ("1", "smallest standard deviation (Cramér-Rao)"),
    "mean_score": ("1", "mean score of an event"),
    "mean_score_error": ("1", "statistical error of the mean score"),
}


def _at(
    problem: Problem, theta: Tensor, n_events: int | None, draws: Draws, n_draws: int
) -> dict[str, Tensor]:
    """Return the information at one theta ``(P,)``."""
    with torch.no_grad():
        events = problem.events(theta[None], draws, 1, n_draws)[0, 0].to(torch.float64)
    score = scores(problem, theta, events)
    if not bool(torch.isfinite(score).all()):
        raise LabelError(f"{problem.name}: scores are not finite at theta = {theta.tolist()}")
    count, growth = _count(problem, theta)
    count = count if n_events is None else torch.full_like(count, n_events)
    products = score[:, :, None] * score[:, None, :]
    matrix = count * (products.mean(0) + growth[:, None] * growth[None, :])
    return {
        "information": matrix,
        "information_error": count * products.std(0) / n_draws**0.5,
        "deviation": _limit(problem, matrix),
        "mean_score": score.mean(0),
        "mean_score_error": score.std(0) / n_draws**0.5,
    }


def _count(problem: Problem, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Return the expected number of events, and the gradient ``(P,)`` of its logarithm."""
    point = theta.detach().clone().requires_grad_()
    count = problem.mean_count(point)
    if not count.requires_grad:
        return count, torch.zeros_like(theta)
    (growth,) = torch.autograd.grad(count.log(), point)
    return count.detach(), growth


def _limit(problem: Problem, matrix: Tensor) -> Tensor:
    """Return the square roots of the inverse's diagonal."""
    scale = problem.high - problem.low  # in units of the box: parameters differ in size
    factor, failed = torch.linalg.cholesky_ex(matrix * scale[:, None] * scale)
    if int(failed):
        names = ", ".join(r.name for r in problem.prior)
        raise LabelError(f"{problem.name}: events do not tell {names} apart here")
    return torch.cholesky_inverse(factor).diagonal().sqrt() * scale
