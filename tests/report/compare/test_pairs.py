"""Pairs: over common images, over groups, adjusted intervals and equivalence."""

import numpy as np
import pytest
from scipy import stats

from segbench.arrays import Values
from segbench.report.compare.pairs import make_pairs
from segbench.report.sections.comparison import Entry, Pair
from segbench.report.statistics.means import seed_means

BOUNDS = (0.0, 1.0)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def pairs(
    *values: Values, groups: np.ndarray | None = None, margin: float | None = None
) -> list[Pair]:
    entries = [
        Entry(str(k), {}, seeds=list(range(len(each))), values=each, means=seed_means(each))
        for k, each in enumerate(values)
    ]
    return make_pairs(entries, values, groups, 1.0, BOUNDS, margin)


def test_one_seed_is_the_paired_t_test(rng: np.random.Generator) -> None:
    a, b = rng.uniform(size=(2, 1, 30))
    (pair,) = pairs(a, b)
    expected = stats.ttest_rel(a[0], b[0])
    gap = expected.confidence_interval()
    sign = 1 if a.mean() > b.mean() else -1
    assert pair.p_means == pytest.approx(expected.pvalue)
    assert sorted([pair.low, pair.high]) == pytest.approx(sorted([sign * gap.low, sign * gap.high]))
    assert not pair.adjusted


def test_all_is_over_the_images_that_both_have(rng: np.random.Generator) -> None:
    a, b = rng.uniform(size=(2, 3, 40))
    easy = a.copy()
    easy[:, 10:] = np.nan
    (pair,), (alone,) = pairs(easy, b), pairs(a[:, :10], b[:, :10])
    for name in ("images", "difference", "p_images", "effect", "wins", "better"):
        assert getattr(pair, name) == pytest.approx(getattr(alone, name)), name
    assert pair.images == 10


def test_each_image_a_group_changes_nothing(rng: np.random.Generator) -> None:
    a, b = rng.uniform(size=(2, 3, 25))
    (pair,), (grouped,) = pairs(a, b), pairs(a, b, groups=np.arange(25))
    told = vars(grouped) | {"groups": 0}
    assert told == {key: pytest.approx(value, nan_ok=True) if isinstance(value, float) else value
                    for key, value in vars(pair).items()}  # fmt: skip


def test_copies_of_images_in_a_group_say_no_more_than_one(rng: np.random.Generator) -> None:
    a, b = rng.uniform(size=(2, 2, 12))
    (alone,) = pairs(a, b)
    groups = np.repeat(np.arange(12), 5)
    (copies,) = pairs(np.repeat(a, 5, axis=1), np.repeat(b, 5, axis=1), groups=groups)
    for name in ("difference", "low", "high", "p_images", "p_means", "effect", "detectable"):
        assert getattr(copies, name) == pytest.approx(getattr(alone, name)), name
    assert (copies.images, copies.groups) == (60, 12)


def test_intervals_are_adjusted_for_the_pairs_of_which_the_same_is_said(
    rng: np.random.Generator,
) -> None:
    common = rng.uniform(0.4, 0.6, 80)
    good, alike, bad = (common + shift + rng.normal(0, 0.01, (1, 80)) for shift in (0.1, 0.1, -0.1))
    found = pairs(good, alike, bad)
    assert [pair.different for pair in found] == [False, True, True]
    for pair, share in zip(found, (1 / 3, 2 / 3, 2 / 3), strict=True):
        gap = np.concatenate([good, alike, bad])[[pair.better, pair.worse]]
        error = stats.sem(gap[0] - gap[1])
        half = stats.t.ppf(1 - 0.05 * share / 2, 79) * error
        assert pair.high - pair.difference == pytest.approx(half)
        assert pair.adjusted


def test_equivalent_is_what_two_one_sided_tests_find(rng: np.random.Generator) -> None:
    a = rng.uniform(0.4, 0.6, (1, 60))
    b = a + rng.normal(0.001, 0.02, (1, 60))
    gap = (a - b)[0]
    for margin in (0.0005, 0.004, 0.02):
        (pair,) = pairs(a, b, margin=margin)
        sides = [
            stats.ttest_1samp(gap, -margin, alternative="greater").pvalue,
            stats.ttest_1samp(gap, margin, alternative="less").pvalue,
        ]
        assert pair.p_margin == pytest.approx(max(sides))
        assert pair.equivalent == (max(sides) < 0.05)
    assert pair.equivalent
    assert np.isnan(pairs(a, b)[0].p_margin)


def test_ties_are_ties() -> None:
    values = [np.full((3, 20), 0.9), np.full((3, 20), 0.3) * 3, np.full((3, 20), 0.9 + 1e-15)]
    for pair in pairs(*values):
        assert pair.difference == 0
        assert not pair.different


def test_a_collapsed_training_does_not_widen_the_intervals_of_other_pairs(
    rng: np.random.Generator,
) -> None:
    common = rng.uniform(0.5, 0.9, 60)
    values = [
        common + shift + rng.normal(0, 0.01, (3, 1)) + rng.normal(0, 0.01, (3, 60))
        for shift in (0.05, 0.0, 0.0)
    ]
    values[2][1] = 0  # a seed that found nothing
    entries = [
        Entry(str(k), {}, seeds=[0, 1, 2], values=each, means=seed_means(each))
        for k, each in enumerate(values)
    ]
    blind = make_pairs(entries, values, None, 1.0, BOUNDS)
    entries[2].collapsed = {"seed 1": ["class"]}
    told = make_pairs(entries, values, None, 1.0, BOUNDS)
    alone = make_pairs(entries[:2], values[:2], None, 1.0, BOUNDS)
    assert blind[0].high - blind[0].low > 0.3
    assert told[0].different
    assert not blind[0].different
    assert told[0].p_means == pytest.approx(3 * alone[0].p_means)  # Holm's first of three
    assert not told[1].different  # of the collapsed one nothing is claimed
    expected = stats.sem(values[0].mean(1)) ** 2 + stats.sem(values[2].mean(1)) ** 2
    assert (told[1].high - told[1].difference) ** 2 > expected
