"""How many seeds and images it takes to find a difference, from a finished experiment's spread."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from segbench.arrays import Values
from segbench.report.statistics.means import Groups, image_variances, influence, seed_means
from segbench.report.statistics.signed_ranks import smallest_p
from segbench.report.statistics.student import ALPHA, POWER, missed, satterthwaite

SEEDS = (2, 3, 4, 5, 7, 10, 15, 20)
MOST = 10**7  # images (or groups); what takes more is not to be had


@dataclass(frozen=True)
class Spread:
    """Variances of a score by what causes them; an image is a group of images where there are some.

    Args:
        pair: of the difference of two configurations from image to image; the mean over pairs.
        residual: of one image's score from seed to seed, beside the seed's mean.
        seed: of a configuration's mean from seed to seed.
        entries: the number of configurations.
    """

    pair: float
    residual: float
    seed: float
    entries: int

    def error(self, seeds: int, images: int) -> tuple[float, float]:
        """Standard error of a difference, and its degrees of freedom, as the pairs' test has it."""
        by_images = (self.pair + 2 * self.residual / seeds) / images
        by_seeds = 2 * (self.seed + self.residual / images) / seeds
        freedoms = [images - 1, self.entries * (seeds - 1)]
        error, df = satterthwaite([by_images, by_seeds], freedoms)
        return float(error), float(df)


def spread(values: Sequence[Values], groups: Groups = None) -> Spread:
    """The variances in the scores of several configurations with several seeds each.

    Args:
        values: of each configuration ``(S, n)``, without NaN rows.
        groups: ``(n,)`` the index of each image's group.
    """
    units = values[0].shape[1] if groups is None else int(groups.max()) + 1
    residual = _residual(values, groups, units)
    seeds = np.array([len(each) for each in values])
    own = np.array([seed_means(each).var(ddof=1) for each in values])
    seed = float((own * (seeds - 1)).sum() / (seeds - 1).sum())
    a, b = np.triu_indices(len(values), 1)
    by_pair = image_variances(values, groups)[a, b] * units - residual * (
        1 / seeds[a] + 1 / seeds[b]
    )
    pair = float(np.maximum(by_pair.mean(), 0.0))
    return Spread(pair, residual, max(seed - residual / units, 0.0), len(values))


def _residual(values: Sequence[Values], groups: Groups, units: int) -> float:
    """Variance of an image's score from seed to seed, beside the seed's and the image's mean."""
    squares, freedom = 0.0, 0
    for each in values:
        pulls = np.stack([influence(row[None], groups) for row in each])
        squares += float(((pulls - pulls.mean(axis=0)) ** 2).sum())
        freedom += (len(each) - 1) * (units - 1)
    return squares / freedom


def power(found: Spread, difference: float, seeds: int, images: int, tests: int) -> float:
    """The probability that a true difference is found, at Holm's strictest step of ``tests``."""
    if tests * smallest_p(images) >= ALPHA:
        return 0.0
    error, df = found.error(seeds, images)
    if not error > 0:
        return 1.0
    critical = stats.t.ppf(1 - ALPHA / tests / 2, df)
    return float(1 - missed(df, difference / error, critical))


def images_needed(found: Spread, difference: float, seeds: int, tests: int) -> int | None:
    """The smallest number of images that finds a difference with 80 % power; None if none does."""
    if power(found, difference, seeds, MOST, tests) < POWER:
        return None
    low, high = 2, MOST
    while low < high:
        middle = (low + high) // 2
        enough = power(found, difference, seeds, middle, tests) >= POWER
        low, high = (low, middle) if enough else (middle + 1, high)
    return low
