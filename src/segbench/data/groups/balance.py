"""Which groups make parts of the sizes and strata that are asked for.

Without strata a part takes the groups whose sizes sum nearest to its own (a subset sum, solved
exactly). With strata, and for folds, the larger groups are dealt first, each to the part that lacks
its cases most, as scikit-learn's StratifiedGroupKFold does, and then pairs change places where that
evens the parts.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segbench.arrays import Values

_MOST_SWAPPED = 1000  # groups; more are spread evenly without it
_WORK = 20_000_000  # cells of the table of sums, in which the nearest one is looked for


def nearest_sum(sizes: Sequence[int], target: int, most: int) -> set[int]:
    """The places of sizes whose sum is nearest to a target, the earliest that give it.

    Args:
        sizes: positive numbers.
        target: the sum to come near to.
        most: the largest number of places, one at least.

    Example:
        >>> sorted(nearest_sum([10, 3, 3, 3], target=9, most=3))
        [1, 2, 3]
    """
    taken: set[int] = set()
    rest = list(range(len(sizes)))
    for place in rest[:]:  # of very many groups the first are taken, to bound the table
        if len(rest) * target <= _WORK or len(taken) == most - 1:
            break
        if sizes[place] <= target:
            taken.add(place)
            rest.remove(place)
            target -= sizes[place]
    return taken if not target else taken | _nearest(rest, sizes, target, most - len(taken))


def _nearest(places: Sequence[int], sizes: Sequence[int], target: int, most: int) -> set[int]:
    """As `nearest_sum`, among some places, by the fewest sizes that give each sum."""
    never = len(places) + 1
    top = max(2 * target, min(sizes[place] for place in places))
    fewest = [np.full(top + 1, never, np.int32)]  # row k: of the first k places
    fewest[0][0] = 0
    for place in places:
        row, size = fewest[-1].copy(), sizes[place]
        if size <= top:
            row[size:] = np.minimum(row[size:], fewest[-1][: top + 1 - size] + 1)
        fewest.append(row)
        if row[target] <= most:
            break
    sums = np.flatnonzero((fewest[-1] > 0) & (fewest[-1] <= most))
    left = int(sums[np.abs(sums - target).argmin()])
    chosen = set()
    for k in range(len(fewest) - 1, 0, -1):
        if fewest[k][left] < fewest[k - 1][left]:
            chosen.add(places[k - 1])
            left -= sizes[places[k - 1]]
    return chosen


def spread_evenly(counts: Values, shares: Values, needed: int) -> NDArray[np.int64]:
    """The part of each group, so that each part has its share of all cases and of each stratum.

    Args:
        counts: ``(G, S)`` cases of each group in each stratum, the groups in a random order.
        shares: ``(P,)`` of each part, with the sum 1.
        needed: the number of parts, the first ones, that need one group at least.

    Returns:
        ``(G,)`` numbers of parts.
    """
    strata = counts / counts.sum(axis=0) / np.sqrt(counts.shape[1])
    amounts = np.column_stack([strata, counts.sum(axis=1) / counts.sum()])
    missing = shares[:, None] * amounts.sum(axis=0)
    places = np.full(len(counts), -1)
    # of groups within a factor of two the random order decides
    rank = -np.floor(_rounded(np.log2(np.linalg.norm(amounts, axis=1))))
    for done, group in enumerate(np.argsort(rank, kind="stable")):
        empty = np.setdiff1d(np.arange(needed), places)
        may = empty if len(empty) >= len(counts) - done else np.arange(len(shares))
        part = may[_rounded(missing[may] @ amounts[group]).argmax()]
        places[group] = part
        missing[part] -= amounts[group]
    if len(counts) <= _MOST_SWAPPED:
        _swap(places, missing, amounts)
    return places


def _swap(places: NDArray[np.int64], missing: Values, amounts: Values) -> None:
    """Let each group once change places with the one that lessens what is missing most."""
    for group in range(len(places)):
        here, there = missing[places[group]], missing[places]
        change = amounts - amounts[group]  # (G, S + 1): what this group's part gains
        # the squares of here - change and there + change, less those of here and there
        growth = _rounded(2 * ((there - here) * change + change**2).sum(axis=1))
        growth[places == places[group]] = 0
        other = int(growth.argmin())
        if growth[other] < 0:
            missing[places[group]] -= change[other]
            missing[places[other]] += change[other]
            places[[group, other]] = places[[other, group]]


def _rounded(values: Values) -> Values:
    """Without the last digits, in which machines differ, so that ties are the same on all."""
    return np.round(values, 12)
