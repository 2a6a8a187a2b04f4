"""Plans: the spread is found again, and the power is that of the t test."""

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from segbench.report.statistics.planning import Spread, images_needed, power, spread

TRUE = Spread(pair=2 * 0.05**2, residual=0.03**2, seed=0.02**2, entries=60)


def made(rng: np.random.Generator, images: int = 150, copies: int = 1) -> list[np.ndarray]:
    """Scores ``(4, images × copies)`` of many configurations with the variances of ``TRUE``."""
    common = rng.normal(0.7, 0.15, images)
    values = [
        common
        + rng.normal(0, 0.05, images)
        + rng.normal(0, 0.02, (4, 1))
        + rng.normal(0, 0.03, (4, images))
        for _ in range(TRUE.entries)
    ]
    return [np.repeat(each, copies, axis=1) for each in values]


def test_the_spread_is_found_again() -> None:
    found = spread(made(np.random.default_rng(0)))
    for name in ("pair", "residual", "seed"):
        assert getattr(found, name) == pytest.approx(getattr(TRUE, name), rel=0.2), name


def test_copies_within_a_group_are_one_image() -> None:
    alone = spread(made(np.random.default_rng(1), 40))
    groups = np.repeat(np.arange(40), 3)
    copies = spread(made(np.random.default_rng(1), 40, copies=3), groups)
    assert vars(copies) == pytest.approx(vars(alone))


def test_without_a_spread_of_seeds_it_is_the_paired_t_test() -> None:
    found = Spread(pair=0.1**2, residual=0.0, seed=0.0, entries=2)
    expected = TTestPower().power(effect_size=0.3, nobs=60, alpha=0.05 / 3)
    assert power(found, 0.03, 5, 60, 3) == pytest.approx(expected, abs=1e-5)


def test_the_images_needed_are_the_fewest() -> None:
    for seeds in (5, 10, 20):
        needed = images_needed(TRUE, 0.06, seeds, 15)
        assert needed is not None
        assert power(TRUE, 0.06, seeds, needed, 15) >= 0.8
        assert power(TRUE, 0.06, seeds, needed - 1, 15) < 0.8
    assert images_needed(TRUE, 0.01, 2, 15) is None
    certain = Spread(pair=0.0, residual=0.0, seed=0.0, entries=2)
    assert (
        images_needed(certain, 0.1, 2, 1) == 6
    )  # the fewest whose signed ranks can be significant
