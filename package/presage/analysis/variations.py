r"""Covariances of bins as a few up and down shapes, as a fit takes them.

*Problem.* A template is uncertain, its bins together: a peak that may stand a little to the left
or to the right gains on one side what it loses on the other. A likelihood wants independent
parameters, each with an up and a down shape.

*Idea.* The eigenvectors of the covariance, :math:`C = \sum_i v_i v_i^T`: one parameter each,
the shapes h ± v. They are taken in units of the bins' own Poisson errors, √h, so that the first
ones are those that a fit can see.

*Chance.* Where C is estimated from differences of L samples, their statistical errors make
directions of their own. With noise of variance s² in each of B bins and γ = B/L, an eigenvalue
below :math:`s^2 (1 + \sqrt γ)^2` is what noise alone makes (Marchenko and Pastur, Math. USSR Sb. 1
(1967) 457); one above it, y s², stands for a true one of

.. math:: \frac{s^2}{2} \left(y - 1 - γ + \sqrt{(y - 1 - γ)^2 - 4 γ}\right)

(Baik and Silverstein, J. Multivar. Anal. 97 (2006) 1382). Only those are kept, by that size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from presage.labels import Floats, LabelError

#: Bins in which a pair of samples has fewer events than about so many count as if they had them.
FEW = 5.0


@dataclass(frozen=True)
class Variations:
    """Shapes v whose squares add up to a covariance, the largest first."""

    vectors: Floats  # ``[variation, bin]``, in the units of the bins
    shares: Floats  # of the variance in Poisson errors that each holds, ``[variation]``

    @property
    def share(self) -> float:
        """What all of them hold together."""
        return float(self.shares.sum())


def eigenvariations(
    covariance: Floats, expected: Floats, *, share: float = 0.99, most: int | None = None
) -> Variations:
    """Return the first eigenvectors of a covariance, times the roots of their eigenvalues.

    Parameters
    ----------
    covariance
        ``[bin, bin]``.
    expected
        What is expected in each bin, ``[bin]``; bins with nothing vary in no vector.
    share
        Of the variance, in units of the Poisson errors, that they hold together at least; 1
        keeps all.
    most
        Most of them, whatever their share; None for as many as it takes.

    Raises
    ------
    LabelError
        The shapes do not fit, or `share` is not above 0 and at most 1.

    Examples
    --------
    >>> v = np.array([1.0, -2.0, 1.0])
    >>> found = eigenvariations(np.outer(v, v), np.full(3, 10.0))
    >>> found.vectors.round(6), round(found.share, 6)
    (array([[-1.,  2., -1.]]), 1.0)
    """
    bins = len(expected)
    if covariance.shape != (bins, bins) or not 0 < share <= 1:
        raise LabelError(
            f"{bins} bins have a covariance ({bins}, {bins}) and a share above 0 and at most 1; "
            f"got {covariance.shape} and {share}"
        )
    root = np.sqrt(np.maximum(expected, 0.0))
    scale = np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)
    values, vectors = np.linalg.eigh(covariance * np.outer(scale, scale))
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    total = values.sum()
    if not total > 0:
        return Variations(np.zeros((0, bins)), np.zeros(0))
    held = values / total
    # Eigenvalues of nothing but rounding stand for no direction.
    enough = int(np.searchsorted(np.cumsum(held), share * (1 - 1e-12))) + 1
    kept = min(enough, int((held > 1e-14).sum()), bins if most is None else most)
    shapes = (vectors[:, :kept] * np.sqrt(values[:kept])).T * root
    # A sign that does not depend on the library: up is more where a shape is largest.
    largest = shapes[np.arange(kept), np.abs(shapes * scale).argmax(axis=1)]
    return Variations(np.sign(largest)[:, None] * shapes, held[:kept])


def spread(members: Floats) -> Floats:
    """Return the covariance of one member about their mean, ``[bin, bin]``.

    Parameters
    ----------
    members
        Expectations of at least two, ``[member, bin]``, without noise of their own.
    """
    if len(members) < 2:
        raise LabelError(f"a spread needs two members at least, got {len(members)}")
    apart = members - members.mean(axis=0)
    return np.asarray(apart.T @ apart / (len(members) - 1))


def excess(differences: Floats, noise: Floats, weights: Floats, expected: Floats) -> Floats:
    """Return the covariance behind differences of samples, their noise taken away.

    Parameters
    ----------
    differences
        Of probabilities, ``[sample, bin]``.
    noise
        1/n + 1/m of each pair of samples, ``[sample]``: a bin of probability p has p times that
        as its variance by chance.
    weights
        Of the samples, ``[sample]``; made to sum to 1.
    expected
        Probability of each bin, ``[bin]``; bins without any are left out.

    Returns
    -------
    numpy.ndarray
        ``[bin, bin]``: zero where nothing is larger than chance.
    """
    weights = weights / weights.sum()
    there = expected > 0
    each = weights * noise
    chance, samples = float(each.sum()), float(each.sum() ** 2 / (each**2).sum())
    # In units of the root of a bin's probability the noise is the same in all of them, and less
    # where that is raised: single events in bins that are all but empty make no direction.
    root = np.sqrt(np.maximum(expected[there], FEW / 2 * chance))
    rows = differences[:, there] / root * np.sqrt(weights)[:, None]
    _, singular, directions = np.linalg.svd(rows, full_matrices=False)
    ratio, gamma = singular**2 / chance, there.sum() / samples
    kept = ratio > (1 + np.sqrt(gamma)) ** 2
    middle = ratio[kept] - 1 - gamma
    true = chance / 2 * (middle + np.sqrt(np.maximum(middle**2 - 4 * gamma, 0.0)))
    shapes = directions[kept] * root * np.sqrt(true)[:, None]
    found = np.zeros((len(expected), len(expected)))
    found[np.ix_(there, there)] = shapes.T @ shapes
    return found
