"""A section's intervals, ranks and pairs, from its entries' values."""

from collections.abc import Sequence

import numpy as np

from segbench.arrays import Values
from segbench.report.compare.pairs import make_pairs
from segbench.report.compare.words import CELLS, Nouns, sentence
from segbench.report.sections.comparison import Entry, Section
from segbench.report.statistics import means, student
from segbench.report.statistics import resampling as rs


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
        section: with the values and means of its entries, and its margin if it has one.
        lower: whether the smallest value is the best.
        replicates: number of replicates of the bootstrap.
        seed: the seed of the bootstrap.
        bounds: the smallest and largest value that a score can have.
        nouns: what images and seeds are called in sentences.
    """
    entries = [entry for entry in section.scored if testable(entry)]
    if not entries:
        return
    seen = ~np.isnan(np.concatenate([entry.values for entry in entries])).all(axis=0)
    values = [entry.values[:, seen] for entry in entries]
    groups = means.group_codes(section.groups, seen)
    sign = -1.0 if lower else 1.0
    _set_intervals(entries, values, groups, (replicates, seed), bounds)
    if not section.unranked and (nouns.ranked_alone or not section.single):
        _set_ranks(entries, sign, values, groups, (replicates, seed))
    places = [section.entries.index(entry) for entry in entries]
    section.pairs = make_pairs(
        entries, values, groups, sign, bounds, section.margin, section.scores_tested
    )
    tests = len(section.pairs) * section.scores_tested
    for pair in section.pairs:
        one, other = entries[pair.better], entries[pair.worse]
        span = bounds[1] - bounds[0]
        pair.sentence = sentence(pair, one, other, tests, span, section.margin, nouns)
        _compare_with_best(pair.better, pair.worse, pair.different, pair.equivalent, entries)
        pair.better, pair.worse = places[pair.better], places[pair.worse]
    entries[0].like_best = True
    if section.unranked:
        for entry in entries:
            entry.like_best = entry.equals_best = False


def testable(entry: Entry) -> bool:
    """Whether an entry has scores of single images, with each of its seeds."""
    shape = entry.values.shape
    return min(shape) > 0 and not np.isnan(entry.values).all(axis=1).any()


def _compare_with_best(
    better: int, worse: int, different: bool, equivalent: bool, entries: Sequence[Entry]
) -> None:
    """Mark the other entry of a pair with the best; first in rank is not always the better one."""
    if 0 not in (better, worse):
        return
    other = entries[max(better, worse)]
    other.like_best = not different or better != 0
    other.equals_best = equivalent


def _set_intervals(
    entries: Sequence[Entry],
    values: Sequence[Values],
    groups: means.Groups,
    drawing: tuple[int, int],
    bounds: tuple[float, float],
) -> None:
    replicates, seed = drawing
    drawn = rs.bootstrap_means(values, replicates, np.random.default_rng(seed), groups=groups)
    by_images = means.image_variances(values, groups).diagonal()
    by_seeds = np.array([means.seed_variance(each) for each in values])
    units = values[0].shape[1] if groups is None else int(groups.max()) + 1
    freedoms = np.array([(units - 1, len(each) - 1) for each in values]).T
    _, df = student.satterthwaite(np.stack([by_images, by_seeds]), freedoms)
    low, high = rs.interval([entry.mean for entry in entries], drawn, df)
    for entry, start, end in zip(entries, low, high, strict=True):
        entry.low = float(np.maximum(start, bounds[0]))  # which keeps NaN
        entry.high = float(np.minimum(end, bounds[1]))


def _set_ranks(
    entries: Sequence[Entry],
    sign: float,
    values: Sequence[Values],
    groups: means.Groups,
    drawing: tuple[int, int],
) -> None:
    """How often each entry ranks first, and between which ranks it stands, under resampling."""
    replicates, seed = drawing
    rng = np.random.default_rng(seed)
    drawn = sign * rs.bootstrap_means(values, replicates, rng, enlarged=False, groups=groups)
    shares, (low, high) = rs.share_first(drawn), rs.rank_intervals(drawn)
    for entry, share, start, end in zip(entries, shares, low, high, strict=True):
        entry.first, entry.rank_low, entry.rank_high = float(share), float(start), float(end)
