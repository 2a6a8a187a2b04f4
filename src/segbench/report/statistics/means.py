"""Means and their variances, on arrays; ``docs/statistics.md`` gives the reasons.

An entry's ``values`` are ``(S, n)``: of each seed the score of each image, NaN where the image has
none. All entries share the images; the seeds are each entry's own.

``groups`` ``(n,)`` are the indices, from 0 and without gaps, of the groups that images come from
(patients, slides, videos). Images of one group are not independent, so that a mean varies by the
groups that are drawn. Without groups each image is its own.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from segbench.arrays import Values
from segbench.metrics.scores import known_mean

Groups = NDArray[np.intp] | None


def rounded(values: ArrayLike) -> Values:
    """Values to 12 digits: what differs by less is a tie, as averaging over seeds rounds."""
    return np.asarray(np.round(np.asarray(values), 12), np.float64)


def seed_means(values: Values) -> Values:
    """The mean score ``(S,)`` of each seed, over the images that have one; NaN where none has."""
    return known_mean(values, axis=1)


def image_means(values: Values) -> Values:
    """The mean score ``(n,)`` of each image, over the seeds that give it one."""
    return seed_means(values.T)


def group_codes(names: Sequence[str], seen: NDArray[np.bool_]) -> Groups:
    """The index of the group of each image that is ``seen``; None where images are independent."""
    if not names:
        return None
    codes = np.unique(np.array(names, dtype=str)[seen], return_inverse=True)[1]
    return codes.astype(np.intp)


def group_means(values: Values, groups: Groups) -> Values:
    """The mean ``(G,)`` of the values ``(n,)`` of each group; the values where there are none."""
    if groups is None:
        return values
    there = ~np.isnan(values)
    counts = np.bincount(groups, there)
    with np.errstate(invalid="ignore"):
        means: Values = np.bincount(groups, np.where(there, values, 0.0)) / counts
    return means


def influence(values: Values, groups: Groups = None) -> Values:
    """How far each group ``(G,)`` (image ``(n,)`` without groups) pulls the mean; sums to 0.

    Without NaN an image's deviation from the mean, averaged over seeds; with NaN the linear part
    of the mean as a ratio. A group's is the sum of its images', times G / n. The variance over the
    groups, divided by their number, is the mean's.
    """
    there = ~np.isnan(values)
    deviations = np.where(there, values - seed_means(values)[:, None], 0.0)
    pull: Values = (deviations / there.mean(axis=1, keepdims=True)).mean(axis=0)
    if groups is None:
        return pull
    sums = np.bincount(groups, pull)
    return np.asarray(sums * (len(sums) / len(pull)), np.float64)


def seed_variance(values: Values) -> float:
    """The variance of the mean that comes from the seeds; NaN with fewer than two."""
    count = len(values)
    return float(seed_means(values).var(ddof=1) / count) if count > 1 else np.nan


def pooled_seed_variances(
    entries: Sequence[Values], alone: ArrayLike = ()
) -> tuple[Values, Values]:
    """The variances ``(E,)`` of the means that come from the seeds, and their degrees of freedom.

    Of a few seeds a variance is often far too small, and the largest of many differences is then
    divided by it. So an entry's own variance counts where it is above the mean variance of a seed
    over all entries, weighted by their degrees of freedom; else that mean does. Both count as known
    with the degrees of freedom of all entries. NaN with fewer than two seeds.

    Args:
        entries: of each ``(S, n)``.
        alone: of each entry whether its variance stands for itself and is left out of the mean, as
            where a training has collapsed: it says nothing of the other entries.

    Source:
        The idea of borrowing from the other entries: Smyth 2004, doi:10.2202/1544-6115.1027. The
        maximum, in place of his weighted mean, by simulation: ``benchmarks/calibration.py``.
    """
    counts = np.array([len(values) for values in entries], np.float64)
    own = np.array([seed_variance(values) for values in entries]) * counts  # of a single seed
    apart = np.broadcast_to(np.array(alone, bool) if np.size(alone) else False, len(entries))
    own_freedom = np.where(np.isnan(own), np.nan, counts - 1)
    freedom = np.where(np.isnan(own) | apart, 0, counts - 1)
    if not freedom.any():
        return own / counts, own_freedom
    pooled = np.nansum(own * freedom) / freedom.sum()
    larger = np.where(np.isnan(own) | apart, own, np.maximum(own, pooled))
    return larger / counts, np.where(apart, own_freedom, freedom.sum())


def image_variances(entries: Sequence[Values], groups: Groups = None) -> Values:
    """Variance ``(E, E)`` that comes from the images: of each mean on the diagonal, of the
    difference of two elsewhere. NaN with fewer than two images, or groups.

    Source:
        With groups the sandwich estimate of a ratio of totals: Liang & Zeger 1986,
        doi:10.1093/biomet/73.1.13, with the factor G / (G − 1).
    """
    pulls = np.stack([influence(values, groups) for values in entries])
    n = pulls.shape[1]
    if n < 2:
        return np.full((len(entries), len(entries)), np.nan)
    products = pulls @ pulls.T / (n - 1) / n
    own = products.diagonal()
    # rounding can leave −1e-20
    both: Values = np.maximum(own[:, None] + own - 2 * products, 0)
    np.fill_diagonal(both, own)
    return both
