"""Tests over data sets, each of which counts once: Friedman's, and Nemenyi's after it."""

from typing import NamedTuple

import numpy as np
from scipy import stats

from segbench.arrays import Values
from segbench.report.statistics.means import rounded
from segbench.report.statistics.student import ALPHA

FEWEST = 5  # data sets; of fewer, ranks support no test


class RankTest(NamedTuple):
    """What the ranks of configurations on several data sets say."""

    sets: int
    mean_ranks: Values  # (k,), 1 is the best
    p: float  # Friedman's: that all configurations are equal
    critical: float  # by Nemenyi's test, mean ranks that differ by more are different


def rank_test(means: Values) -> RankTest | None:
    """Friedman's and Nemenyi's tests; None with fewer than five data sets or two configurations.

    Args:
        means: ``(N, k)`` of each data set and configuration; the highest is the best.

    Source:
        Demšar 2006, JMLR 7, 1–30 (equation 1 with ties as SciPy has them, and section 3.2.2).
    """
    sets, entries = means.shape
    if sets < FEWEST or entries < 2:
        return None
    ranks = stats.rankdata(rounded(-means), axis=1)
    return RankTest(sets, ranks.mean(axis=0), _friedman(ranks), _critical(sets, entries))


def _friedman(ranks: Values) -> float:
    """Friedman's p, corrected for ties, from ranks ``(N, k)``; that of SciPy for three or more."""
    sets, entries = ranks.shape
    total = ((ranks.sum(axis=0) - sets * (entries + 1) / 2) ** 2).sum()
    spread = (ranks**2).sum() - sets * entries * (entries + 1) ** 2 / 4
    if not spread > 0:  # all tie on every data set
        return 1.0
    return float(stats.chi2.sf((entries - 1) * total / spread, entries - 1))


def _critical(sets: int, entries: int) -> float:
    quantile = stats.studentized_range.ppf(1 - ALPHA, entries, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(entries * (entries + 1) / (6 * sets)))
