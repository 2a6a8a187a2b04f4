"""The statistics of a comparison, on arrays; ``docs/statistics.md`` says why these and whose.

An entry's ``values`` are ``(S, n)``: of each seed the score of each image, NaN where the image has
none. All entries share the images; the seeds are each entry's own.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Values = NDArray[np.float64]

ALPHA, POWER = 0.05, 0.8
EXACT = 50  # differences up to which signed ranks are counted out; SciPy draws the same line
_CHUNK = 500  # replicates at a time, so that memory stays below 100 MB
_DIGITS = 12  # differences closer than this are ties: averaging over seeds rounds


def seed_means(values: Values) -> Values:
    """The mean score ``(S,)`` of each seed, over the images that have one; NaN where none has."""
    there = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        means: Values = np.where(there, values, 0.0).sum(axis=1) / there.sum(axis=1)
    return means


def image_means(values: Values) -> Values:
    """The mean score ``(n,)`` of each image, over the seeds that give it one."""
    return seed_means(values.T)


def influence(values: Values) -> Values:
    """How far each image ``(n,)`` pulls the mean of ``values``; sums to 0.

    Without NaN the image's deviation from the mean, averaged over seeds; with NaN the linear part
    of the mean as a ratio. Its variance over images, divided by n, is the mean's.
    """
    there = ~np.isnan(values)
    deviations = np.where(there, values - seed_means(values)[:, None], 0.0)
    pull: Values = (deviations / there.mean(axis=1, keepdims=True)).mean(axis=0)
    return pull


def seed_variance(values: Values) -> float:
    """The variance of the mean that comes from the seeds; NaN with fewer than two."""
    count = len(values)
    return float(seed_means(values).var(ddof=1) / count) if count > 1 else np.nan


def image_variances(entries: Sequence[Values]) -> Values:
    """Variance ``(E, E)`` that comes from the images: of each mean on the diagonal, of the
    difference of two elsewhere. NaN with fewer than two images.
    """
    pulls = np.stack([influence(values) for values in entries])
    n = pulls.shape[1]
    if n < 2:
        return np.full((len(entries), len(entries)), np.nan)
    products = pulls @ pulls.T / (n - 1) / n
    own = products.diagonal()
    # rounding can leave −1e-20
    both: Values = np.maximum(own[:, None] + own - 2 * products, 0)
    np.fill_diagonal(both, own)
    return both


def satterthwaite(parts: ArrayLike, freedoms: ArrayLike) -> tuple[Values, Values]:
    """Standard error and degrees of freedom of a sum of independent estimates of variance.

    Args:
        parts: ``(k, …)`` variances; a part that is NaN is not there.
        freedoms: ``(k, …)`` degrees of freedom of each.

    Source:
        Satterthwaite 1946, doi:10.2307/3002019.
    """
    parts, freedoms = np.asarray(parts, np.float64), np.asarray(freedoms, np.float64)
    variance = np.where(np.isnan(parts).all(axis=0), np.nan, np.nansum(parts, axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        df = variance**2 / np.nansum(parts**2 / freedoms, axis=0)
    fallback = np.where(np.isnan(parts), np.inf, freedoms).min(axis=0)
    return np.sqrt(variance), np.where(variance == 0, fallback, df)


def bootstrap_means(
    entries: Sequence[Values], replicates: int, rng: np.random.Generator, enlarged: bool = True
) -> Values:
    """Means ``(replicates, E)`` of redrawn images and seeds.

    Images are drawn with replacement, the same for all entries and seeds, and of each entry its
    seeds. What either draw changes is ``enlarged`` by √(k / (k − 1)), k what it draws from: a
    redrawn mean of few varies less than their mean does. That is right for a spread, and wrong for
    a rank: an enlarged mean may lie above every score that was seen.

    Source:
        Owen 2007, doi:10.1214/07-AOAS122 (both factors); Rao & Wu 1988 (enlarged).
    """
    cells = np.concatenate(entries)
    drawn = _redraw_images(cells, replicates, rng)
    if enlarged:
        drawn = _enlarged(drawn, seed_means(cells), cells.shape[1])
    places = np.cumsum([len(values) for values in entries])[:-1]
    by_entry = np.split(drawn, places, axis=1)
    return np.stack([_redraw_seeds(own, rng, enlarged) for own in by_entry], axis=1)


def _redraw_images(cells: Values, replicates: int, rng: np.random.Generator) -> Values:
    n = cells.shape[1]
    there = ~np.isnan(cells)
    scores, counted = np.where(there, cells, 0.0).T, there.T.astype(np.float64)
    drawn = []
    for start in range(0, replicates, _CHUNK):
        size = min(_CHUNK, replicates - start)
        weights = rng.multinomial(n, np.full(n, 1 / n), size=size).astype(np.float64)
        with np.errstate(invalid="ignore"):  # none drawn that has a score
            drawn.append(weights @ scores / (n if there.all() else weights @ counted))
    return np.concatenate(drawn)


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
    best = replicates == np.nanmax(replicates, axis=1, keepdims=True)
    shares: Values = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    return shares


def signed_rank(differences: Values) -> tuple[float, float]:
    """Wilcoxon's two-sided p and the matched-pairs rank-biserial correlation of differences.

    Zeros keep their ranks and count for neither side (Pratt): where they are dropped before
    ranking, differences that fall can look higher. The same numbers as
    ``scipy.stats.wilcoxon``, from one ranking for both.

    Source:
        Pratt 1959, doi:10.1080/01621459.1959.10501526; Kerby 2014, doi:10.2466/11.IT.3.1.
    """
    d = np.round(differences[~np.isnan(differences)], _DIGITS)
    if not d.any():
        return 1.0, 0.0
    ranks = stats.rankdata(np.abs(d))[d != 0]
    above = ranks[d[d != 0] > 0].sum()
    total = ranks.sum()
    if len(ranks) > EXACT:  # each rank has either sign with equal chance
        p = 2 * stats.norm.sf(abs(2 * above - total) / np.sqrt((ranks**2).sum()))
    else:
        p = _counted_out(ranks, above)
    return float(p), float((2 * above - total) / total)


def _counted_out(ranks: Values, above: float) -> float:
    """Two-sided p of ``above`` among all ways to give the ranks a sign.

    SciPy's exact p knows no ties, its permutations take seconds with 13 images, and the normal
    approximation is too sure of few differences among many zeros.
    """
    doubled = np.rint(2 * ranks).astype(int)  # ties have half ranks
    ways = np.zeros(doubled.sum() + 1)
    ways[0] = 1
    for rank in doubled:
        ways[rank:] += ways[:-rank].copy()
    place = round(2 * above)
    tail = min(ways[: place + 1].sum(), ways[place:].sum())
    return min(1.0, float(2 * tail / ways.sum()))


def smallest_p(images: int) -> float:
    """The smallest p that signed ranks of so many images can have."""
    return min(1.0, 2.0 ** (1 - images))


def wins(differences: Values) -> float:
    """Share of the images whose difference is positive; zeros count half."""
    d = np.round(differences[~np.isnan(differences)], _DIGITS)
    return float(((d > 0) + (d == 0) / 2).mean()) if len(d) else np.nan


def student_p(difference: ArrayLike, error: ArrayLike, df: ArrayLike) -> Values:
    """Two-sided p of differences with their standard errors; 1 where there is no difference."""
    difference = np.abs(np.asarray(difference, np.float64))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stats.t.sf(difference / error, df)
    return np.where(difference == 0, 1.0, p)


def holm(p: ArrayLike) -> Values:
    """Holm's correction; NaN is no test.

    Source:
        Holm 1979, Scandinavian Journal of Statistics 6, 65–70; statsmodels.
    """
    # a quarter of a second to import
    from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

    adjusted = np.array(p, np.float64)
    there = ~np.isnan(adjusted)
    if there.any():
        adjusted[there] = multipletests(adjusted[there], method="holm")[1]
    return adjusted


def detectable(error: ArrayLike, df: ArrayLike, tests: int) -> Values:
    """The difference that one of ``tests`` tests finds with 80 % power.

    Source:
        Two-sided t, (t(1 − α/2, df) + t(0.8, df)) × standard error, α = 0.05 / tests (Bonferroni,
        Holm's strictest step).
    """
    df = np.asarray(df, np.float64)
    quantiles = stats.t.ppf(1 - ALPHA / tests / 2, df) + stats.t.ppf(POWER, df)
    return np.asarray(quantiles * np.asarray(error), np.float64)
