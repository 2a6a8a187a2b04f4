"""The bootstrap over images (or groups of them) and seeds: intervals of means, and ranks."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from segbench.arrays import Values
from segbench.report.statistics.means import Groups, influence, rounded, seed_means
from segbench.report.statistics.student import ALPHA

LARGE = 5000  # images above which a redrawn mean is as good as normal
_CHUNK = 500  # replicates at a time, so that memory stays below 100 MB


def bootstrap_means(
    entries: Sequence[Values],
    replicates: int,
    rng: np.random.Generator,
    enlarged: bool = True,
    groups: Groups = None,
) -> Values:
    """Means ``(replicates, E)`` of redrawn images and seeds.

    Images, or whole groups of them, are drawn with replacement, the same for all entries and seeds,
    and of each entry its seeds. What either draw changes is ``enlarged`` by √(k / (k − 1)), k what
    it draws from: a redrawn mean of few varies less than their mean does. That is right for a
    spread, and wrong for a rank: an enlarged mean may lie above every score that was seen.

    Source:
        Owen 2007, doi:10.1214/07-AOAS122 (both factors); Rao & Wu 1988 (enlarged); Field & Welsh
        2007, doi:10.1111/j.1467-9868.2007.00593.x (groups).
    """
    cells = np.concatenate(entries)
    drawn = _redraw_images(cells, replicates, rng, groups)
    if enlarged:
        units = cells.shape[1] if groups is None else int(groups.max()) + 1
        drawn = _enlarged(drawn, seed_means(cells), units)
    places = np.cumsum([len(values) for values in entries])[:-1]
    by_entry = np.split(drawn, places, axis=1)
    return np.stack([_redraw_seeds(own, rng, enlarged) for own in by_entry], axis=1)


def _redraw_images(
    cells: Values, replicates: int, rng: np.random.Generator, groups: Groups
) -> Values:
    """Means ``(replicates, R)`` of each row of ``cells`` over redrawn images or groups.

    Above ``LARGE`` images the replicates are drawn from the normal distribution that the
    bootstrap's has become, with its variances and covariances: half a million images would be
    redrawn for minutes, to the same end.
    """
    there = ~np.isnan(cells)
    scores = _sums(np.where(there, cells, 0.0), groups)
    n = len(scores)
    if n > LARGE:
        return _redraw_normal(cells, replicates, rng, groups)
    counted = _sums(there.astype(np.float64), groups)
    alike = bool((counted == counted[0, 0]).all())  # as many scores in each group: the usual case
    drawn = []
    every = _weights(n, replicates, json.dumps(rng.bit_generator.state))
    rng.bit_generator.state = every.state
    for start in range(0, replicates, _CHUNK):
        weights = every.counts[start : start + _CHUNK].astype(np.float64)
        with np.errstate(invalid="ignore"):  # none drawn that has a score
            drawn.append(weights @ scores / (n * counted[0, 0] if alike else weights @ counted))
    return np.concatenate(drawn)


def _sums(cells: Values, groups: Groups) -> Values:
    """The sums ``(G, R)`` of each row's values over the images of each group."""
    if groups is None:
        return cells.T
    return np.stack([np.bincount(groups, row) for row in cells], axis=1)


class _Weights(NamedTuple):
    counts: NDArray[np.uint16]  # (replicates, n): how often each image was drawn
    state: Any  # of the generator, afterwards


@lru_cache(maxsize=1)  # sections of as many images, and ranks after intervals, draw the same
def _weights(n: int, replicates: int, state: str) -> _Weights:
    rng = np.random.default_rng()
    rng.bit_generator.state = json.loads(state)
    counts = np.empty((replicates, n), np.uint16)
    for start in range(0, replicates, _CHUNK):
        size = min(_CHUNK, replicates - start)
        counts[start : start + size] = rng.multinomial(n, np.full(n, 1 / n), size=size)
    return _Weights(counts, rng.bit_generator.state)


def _redraw_normal(
    cells: Values, replicates: int, rng: np.random.Generator, groups: Groups
) -> Values:
    pulls = np.stack([influence(row[None], groups) for row in cells])
    pulls /= pulls.shape[1]
    sizes, axes = np.linalg.eigh(pulls @ pulls.T)
    root = axes * np.sqrt(np.maximum(sizes, 0))  # rounding can leave −1e-20
    drawn: Values = seed_means(cells) + rng.standard_normal((replicates, len(cells))) @ root.T
    return drawn


def _redraw_seeds(means: Values, rng: np.random.Generator, enlarged: bool) -> Values:
    picks = rng.integers(means.shape[1], size=means.shape)
    picked: Values = np.take_along_axis(means, picks, axis=1).mean(axis=1)
    return _enlarged(picked, means.mean(axis=1), means.shape[1]) if enlarged else picked


def _enlarged(drawn: Values, centre: Values, count: int) -> Values:
    if count < 2:
        return drawn
    enlarged: Values = centre + np.sqrt(count / (count - 1)) * (drawn - centre)
    return enlarged


def interval(mean: ArrayLike, replicates: Values, df: ArrayLike) -> tuple[Values, Values]:
    """The 95 % interval around ``mean``: percentiles of the replicates (along the first axis).

    Their distance from the mean is enlarged by what Student's t with ``df`` degrees of freedom is
    wider than the normal: a spread estimated from three seeds may well be too small.

    Source:
        Hesterberg 2015, doi:10.1080/00031305.2015.1089789 (the expanded percentile interval).
    """
    mean, df = np.asarray(mean, np.float64), np.asarray(df, np.float64)
    quantile = np.nanquantile if np.isnan(replicates).any() else np.quantile
    low, high = quantile(replicates, (ALPHA / 2, 1 - ALPHA / 2), axis=0)
    wider = stats.t.ppf(1 - ALPHA / 2, df) / stats.norm.ppf(1 - ALPHA / 2)
    return mean - (mean - low) * wider, mean + (high - mean) * wider


def share_first(replicates: Values) -> Values:
    """Of each entry the share of the replicates ``(B, E)`` in which it is highest; ties share."""
    replicates = rounded(replicates)
    best = replicates == np.nanmax(replicates, axis=1, keepdims=True)
    shares: Values = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    return shares


def rank_intervals(replicates: Values) -> tuple[Values, Values]:
    """The ranks ``(E,)`` between which each entry stands in 95 % of the replicates ``(B, E)``.

    Rank 1 is the highest; equal entries share the better rank.

    Source:
        Wiesenfarth et al. 2021, doi:10.1038/s41598-021-82017-6 (challengeR).
    """
    ranks = stats.rankdata(-rounded(replicates), method="min", axis=1)
    quantiles = (ALPHA / 2, 1 - ALPHA / 2)
    low, high = np.quantile(ranks, quantiles, axis=0, method="inverted_cdf")
    return low, high
