"""The pairs of a section's entries: differences, tests and intervals."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segbench.arrays import Values
from segbench.report.sections.comparison import Entry, Pair
from segbench.report.statistics import means, student
from segbench.report.statistics import signed_ranks as sr

RANKS = np.pi / 3  # by how much signed ranks need more normal images than t: Hodges & Lehmann 1956


class _Gaps(NamedTuple):
    """Of each pair ``(K,)``, over the images that both have; differences are first minus second."""

    difference: Values  # of the means
    by_images: Values  # variance of the difference that comes from the images
    images: NDArray[np.intp]  # number of images
    units: NDArray[np.intp]  # number of groups, or of images where they are independent
    by_image: list[Values]  # the differences of single images, averaged over seeds


def make_pairs(
    entries: Sequence[Entry],
    values: Sequence[Values],
    groups: means.Groups,
    sign: float,
    bounds: tuple[float, float],
    margin: float | None = None,
    scores: int = 1,
) -> list[Pair]:
    """All pairs, with indices into ``entries`` and without sentences.

    Args:
        entries: the entries of a section.
        values: of each entry ``(S, n)``, NaN where an image has no score.
        groups: ``(n,)`` the index of each image's group.
        sign: 1 where the highest score is the best, −1 where the lowest is.
        bounds: the smallest and largest value that a score can have.
        margin: the largest difference that makes no difference in practice.
        scores: number of scores whose pairs are tested, which p-values are corrected for too.
    """
    a, b = np.triu_indices(len(entries), 1)
    if not len(a):
        return []
    gaps = _gaps(entries, values, groups, sign, a, b)
    alone = np.array([bool(entry.collapsed) for entry in entries])
    seeds, freedom = means.pooled_seed_variances(values, alone)
    # where one has a single seed, images alone are what is known
    repeated = ~np.isnan(seeds[a]) & ~np.isnan(seeds[b])
    first, second = (np.where(repeated, seeds[each], np.nan) for each in (a, b))
    # two variances that are pooled from the same seeds are one estimate
    pooled = ~(alone[a] | alone[b])
    parts = [
        gaps.by_images,
        np.where(pooled, first + second, first),
        np.where(pooled, np.nan, second),
    ]
    error, df = student.satterthwaite(parts, [gaps.units - 1, freedom[a], freedom[b]])
    p_means = student.holm(student.student_p(gaps.difference, error, df), scores)
    tested = [sr.signed_rank(means.group_means(gap, groups)) for gap in gaps.by_image]
    p_images = student.holm([p for p, _ in tested], scores)
    turn = np.where(gaps.difference < 0, -1.0, 1.0)
    effects = turn * [effect for _, effect in tested]
    found = zip(p_images, p_means, effects, strict=True)
    different = np.array([are_different(*each) for each in found])
    difference = np.abs(gaps.difference)
    shares = np.where(different, different.mean(), 1 - different.mean())
    half = student.half_interval(error, df, shares)
    by_ranks = student.detectable(np.sqrt(gaps.by_images * RANKS), gaps.units - 1, len(a) * scores)
    detectable = np.fmax(student.detectable(error, df, len(a) * scores), by_ranks)
    p_margin = student.holm(student.margin_p(difference, error, df, margin), scores)
    span = bounds[1] - bounds[0]
    return [
        Pair(
            better=int(a[k] if turn[k] > 0 else b[k]),
            worse=int(b[k] if turn[k] > 0 else a[k]),
            images=int(gaps.images[k]),
            difference=float(difference[k]),
            low=float(np.maximum(difference[k] - half[k], -span)),
            high=float(np.minimum(difference[k] + half[k], span)),
            p_images=float(p_images[k]),
            p_means=float(p_means[k]),
            effect=float(effects[k]),
            wins=sr.wins(turn[k] * gaps.by_image[k]),
            detectable=float(detectable[k]),
            different=bool(different[k]),
            sentence="",
            repeated=bool(repeated[k]),
            groups=0 if groups is None else int(gaps.units[k]),
            adjusted=bool(shares[k] < 1),
            p_margin=float(p_margin[k]),
            equivalent=bool(p_margin[k] < student.ALPHA),
        )
        for k in range(len(a))
    ]


def are_different(p_images: float, p_means: float, effect: float) -> bool:
    """Whether a pair is told apart: by its ranks, by its means, and both to the same side.

    Args:
        p_images: of the signed ranks over images.
        p_means: of Student's t for the means, over images and, where there are several, seeds; NaN
            where there is no test.
        effect: the rank-biserial correlation, above 0 where the better mean ranks higher.
    """
    return bool(p_images < student.ALPHA and p_means < student.ALPHA and effect > 0)


def _gaps(
    entries: Sequence[Entry],
    values: Sequence[Values],
    groups: means.Groups,
    sign: float,
    a: NDArray[np.intp],
    b: NDArray[np.intp],
) -> _Gaps:
    by_entry = [means.image_means(each) for each in values]
    has = [~np.isnan(each) for each in by_entry]
    scores = np.array([entry.mean for entry in entries])
    difference = sign * (scores[a] - scores[b])
    by_images = means.image_variances(values, groups)[a, b]
    units = np.zeros(len(a), np.intp)
    for k, (i, j) in enumerate(zip(a, b, strict=True)):
        both = has[i] & has[j]
        units[k] = _count(both, groups)
        if (has[i] != has[j]).any():
            pair = [_restricted(values[each], both) for each in (i, j)]
            of_both = None if groups is None else groups[both]
            gap, by_images[k] = _over_common(pair, of_both)
            difference[k] = sign * gap
    difference = means.rounded(difference)  # ties are ties
    gaps = [sign * (by_entry[i] - by_entry[j]) for i, j in zip(a, b, strict=True)]
    images = np.array([int((~np.isnan(gap)).sum()) for gap in gaps], np.intp)
    return _Gaps(difference, by_images, images, units, gaps)


def _count(both: NDArray[np.bool_], groups: means.Groups) -> int:
    return int(both.sum()) if groups is None else len(np.unique(groups[both]))


def _restricted(values: Values, both: NDArray[np.bool_]) -> Values:
    """Values of the images that both have; seeds that have none of them are left out."""
    chosen = values[:, both]
    return chosen[~np.isnan(chosen).all(axis=1)]


def _over_common(pair: Sequence[Values], groups: means.Groups) -> tuple[float, float]:
    """The difference of two means over common images, and its variance that comes from these."""
    if not all(each.size for each in pair):
        return np.nan, np.nan
    one, other = (float(means.seed_means(each).mean()) for each in pair)
    codes = None if groups is None else np.unique(groups, return_inverse=True)[1].astype(np.intp)
    return one - other, float(means.image_variances(pair, codes)[0, 1])
