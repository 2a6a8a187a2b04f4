"""Wilcoxon's signed ranks of paired differences, with ties and zeros."""

import numpy as np
from scipy import stats

from segbench.arrays import Values
from segbench.report.statistics.means import rounded

EXACT = 50  # differences up to which signed ranks are counted out; SciPy draws the same line


def signed_rank(differences: Values) -> tuple[float, float]:
    """Wilcoxon's two-sided p and the matched-pairs rank-biserial correlation of differences.

    Zeros keep their ranks and count for neither side (Pratt): where they are dropped before
    ranking, differences that fall can look higher. The same numbers as
    ``scipy.stats.wilcoxon``, from one ranking for both.

    Source:
        Pratt 1959, doi:10.1080/01621459.1959.10501526; Kerby 2014, doi:10.2466/11.IT.3.1.
    """
    d = rounded(differences[~np.isnan(differences)])
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
    d = rounded(differences[~np.isnan(differences)])
    return float(((d > 0) + (d == 0) / 2).mean()) if len(d) else np.nan
