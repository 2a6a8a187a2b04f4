"""A section's intervals, shares of first places and pairs, from its entries' values."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segbench.report import statistics as st
from segbench.report.comparison import Entry, Pair, Section, Values
from segbench.report.words import CELLS, Nouns, sentence

_CHUNK = 200  # pairs whose replicates are held at a time


def analyse(
    section: Section,
    lower: bool = False,
    replicates: int = 5000,
    seed: int = 0,
    bounds: tuple[float, float] = (-np.inf, np.inf),
    nouns: Nouns = CELLS,
) -> None:
    """Fill in what statistics say of a section whose entries are sorted, the best first.

    Args:
        section: Its entries have their values and means.
        lower: Whether the smallest value is the best.
        replicates: Of the bootstrap.
        seed: Of the bootstrap.
        bounds: The smallest and largest value that a score can have.
        nouns: What images and seeds are called in sentences.
    """
    entries = [entry for entry in section.scored if testable(entry)]
    if not entries:
        return
    cells = np.concatenate([entry.values for entry in entries])
    seen = ~np.isnan(cells).all(axis=0)
    values = [entry.values[:, seen] for entry in entries]
    drawn = st.bootstrap_means(values, replicates, np.random.default_rng(seed))
    sign = -1.0 if lower else 1.0
    variances = st.image_variances(values)
    _set_intervals(entries, values, drawn, variances, bounds)
    plain = st.bootstrap_means(values, replicates, np.random.default_rng(seed), enlarged=False)
    for entry, share in zip(entries, st.share_first(sign * plain), strict=True):
        entry.first = float(share)
    places = [section.entries.index(entry) for entry in entries]
    found = _make_pairs(entries, values, sign * drawn, variances, sign)
    for pair in found:
        one, other = entries[pair.better], entries[pair.worse]
        pair.sentence = sentence(pair, one, other, len(found), bounds[1] - bounds[0], nouns)
        other.like_best |= pair.better == 0 and not pair.different
        pair.better, pair.worse = places[pair.better], places[pair.worse]
    entries[0].like_best = True
    section.pairs = found


def testable(entry: Entry) -> bool:
    """Whether an entry has scores of single images, with each of its seeds."""
    shape = entry.values.shape
    return min(shape) > 0 and not np.isnan(entry.values).all(axis=1).any()


def _set_intervals(
    entries: Sequence[Entry],
    values: Sequence[Values],
    drawn: Values,
    variances: Values,
    bounds: tuple[float, float],
) -> None:
    by_seeds = np.array([st.seed_variance(each) for each in values])
    freedoms = np.array([(each.shape[1] - 1, len(each) - 1) for each in values]).T
    _, df = st.satterthwaite(np.stack([variances.diagonal(), by_seeds]), freedoms)
    low, high = st.interval([entry.mean for entry in entries], drawn, df)
    for entry, start, end in zip(entries, low, high, strict=True):
        entry.low = float(np.maximum(start, bounds[0]))  # which keeps NaN
        entry.high = float(np.minimum(end, bounds[1]))


def _make_pairs(
    entries: Sequence[Entry],
    values: Sequence[Values],
    drawn: Values,
    variances: Values,
    sign: float,
) -> list[Pair]:
    """All pairs, places counted among ``entries``; ``drawn`` is higher where it is better."""
    a, b = np.triu_indices(len(entries), 1)
    if not len(a):
        return []
    means = sign * np.array([entry.mean for entry in entries])
    difference = np.maximum(means[a] - means[b], 0)
    seeds = np.array([st.seed_variance(each) for each in values])
    freedom = np.array([len(each) - 1 for each in values])
    n = values[0].shape[1]
    repeated = (freedom[a] > 0) & (freedom[b] > 0)
    # where one has a single seed, images alone are what is known
    parts = [variances[a, b], *(np.where(repeated, seeds[k], np.nan) for k in (a, b))]
    error, df = st.satterthwaite(parts, [np.full(len(a), n - 1), freedom[a], freedom[b]])
    p_seeds = st.holm(np.where(repeated, st.student_p(difference, error, df), np.nan))
    low, high = _intervals(difference, drawn, a, b, df)
    seen = st.detectable(error, df, len(a))
    ranked = [st.image_means(each) for each in values]
    gaps = [sign * (ranked[i] - ranked[j]) for i, j in zip(a, b, strict=True)]
    tested = [st.signed_rank(gap) for gap in gaps]
    p_images = st.holm([p for p, _ in tested])
    return [
        Pair(
            better=int(a[k]),
            worse=int(b[k]),
            images=int((~np.isnan(gaps[k])).sum()),
            difference=float(difference[k]),
            low=float(low[k]),
            high=float(high[k]),
            p_images=float(p_images[k]),
            p_seeds=float(p_seeds[k]),
            effect=tested[k][1],
            wins=st.wins(gaps[k]),
            detectable=float(seen[k]),
            different=are_different(p_images[k], p_seeds[k], tested[k][1]),
            sentence="",
        )
        for k in range(len(a))
    ]


def are_different(p_images: float, p_seeds: float, effect: float) -> bool:
    """Whether a pair is told apart: over images, over images and seeds, and to the same side."""
    over_seeds = np.isnan(p_seeds) or p_seeds < st.ALPHA
    return bool(p_images < st.ALPHA and over_seeds and effect > 0)


def _intervals(
    difference: Values, drawn: Values, a: NDArray[np.intp], b: NDArray[np.intp], df: Values
) -> tuple[Values, Values]:
    chunks = [slice(start, start + _CHUNK) for start in range(0, len(a), _CHUNK)]
    found = [st.interval(difference[k], drawn[:, a[k]] - drawn[:, b[k]], df[k]) for k in chunks]
    return np.concatenate([low for low, _ in found]), np.concatenate([high for _, high in found])
