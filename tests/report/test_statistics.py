"""Statistics against SciPy, statsmodels, numbers worked by hand, and simulation."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from segbench.report import statistics as st
from segbench.report.analysis import are_different


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def made(rng: np.random.Generator, seeds: int, images: int, spread: float = 0.0) -> np.ndarray:
    """Scores whose seeds differ by ``spread`` beyond the noise of each image."""
    noise = rng.normal(0, 0.05, (seeds, images))
    return 0.7 + rng.normal(0, spread, (seeds, 1)) + noise


@pytest.mark.parametrize("n", [1, 5, 12, 50])
def test_signed_ranks_without_ties_are_scipys_exact_ones(rng: np.random.Generator, n: int) -> None:
    d = rng.normal(0.3, 1, n)
    assert st.signed_rank(d)[0] == pytest.approx(stats.wilcoxon(d, method="exact").pvalue)


@pytest.mark.parametrize("n", [6, 9])
def test_signed_ranks_with_ties_and_zeros_are_scipys_permutations(
    rng: np.random.Generator, n: int
) -> None:
    d = rng.integers(-1, 4, n).astype(float)
    d[0] = 0
    assert len(np.unique(np.abs(d))) < n
    # a permutation test may take one zero both ways, which changes nothing
    expected = stats.wilcoxon(d, zero_method="pratt", method=stats.PermutationMethod()).pvalue
    assert st.signed_rank(d)[0] == pytest.approx(expected)


def test_signed_ranks_of_many_are_scipys_approximation(rng: np.random.Generator) -> None:
    d = np.round(rng.normal(0.1, 1, 90), 1)
    assert (d == 0).any()
    expected = stats.wilcoxon(d, zero_method="pratt", method="asymptotic").pvalue
    assert st.signed_rank(np.append(d, np.nan))[0] == pytest.approx(expected)


def test_no_difference_is_no_finding() -> None:
    assert st.signed_rank(np.zeros(20)) == (1.0, 0.0)
    assert st.signed_rank(np.array([np.nan])) == (1.0, 0.0)
    assert st.signed_rank(np.full(8, 1e-15))[0] == 1  # the rounding of an average over seeds


def test_few_differences_among_many_zeros_are_few() -> None:
    d = np.append(np.zeros(95), [0.1, 0.2, 0.3, 0.4, 0.5])
    assert st.signed_rank(d) == (pytest.approx(2 / 2**5), 1.0)


def test_rank_biserial_by_hand() -> None:
    # ranks 1, 2, 3, 4; 8 of 10 speak for it
    assert st.signed_rank(np.array([1.0, -2, 3, 4]))[1] == pytest.approx(0.6)
    # the zero takes rank 1 and speaks for neither: 2 + 4 of 9 for, 3 against
    assert st.signed_rank(np.array([0.0, 1, -2, 3]))[1] == pytest.approx(1 / 3)
    assert st.signed_rank(-np.arange(1.0, 7))[1] == -1


def test_the_smallest_p_is_that_of_one_sided_differences() -> None:
    for n in (1, 5, 8):
        assert st.smallest_p(n) == pytest.approx(st.signed_rank(np.arange(1.0, n + 1))[0])


def test_wins_count_ties_half() -> None:
    assert st.wins(np.array([1.0, 2, 0, -1, np.nan])) == pytest.approx(2.5 / 4)


def test_holm_by_hand() -> None:
    # 0.01 × 3, then 0.03 × 2, then the larger of 0.04 and the one before
    assert st.holm([0.01, np.nan, 0.04, 0.03]) == pytest.approx(
        [0.03, np.nan, 0.06, 0.06], nan_ok=True
    )
    assert np.isnan(st.holm([np.nan])).all()


def test_satterthwaite_of_two_means_is_welchs_test(rng: np.random.Generator) -> None:
    a, b = rng.normal(0, 1, 7), rng.normal(1, 3, 12)
    parts = [a.var(ddof=1) / 7, b.var(ddof=1) / 12, np.nan]
    error, df = st.satterthwaite(parts, [6, 11, 0])
    welch = stats.ttest_ind(a, b, equal_var=False)
    assert df == pytest.approx(welch.df)
    assert st.student_p(a.mean() - b.mean(), error, df) == pytest.approx(welch.pvalue)


def test_the_test_over_images_and_seeds_is_min_f(rng: np.random.Generator) -> None:
    """Clark 1973: min F′ = F₁ F₂ / (F₁ + F₂), over images and over seeds."""
    a, b = made(rng, 3, 25, 0.02), made(rng, 4, 25, 0.02) + 0.05
    over_images = stats.ttest_rel(a.mean(axis=0), b.mean(axis=0)).statistic ** 2
    over_seeds = stats.ttest_ind(a.mean(axis=1), b.mean(axis=1), equal_var=False).statistic ** 2
    parts = [st.image_variances([a, b])[0, 1], st.seed_variance(a), st.seed_variance(b)]
    error, _ = st.satterthwaite(parts, [24, 2, 3])
    expected = over_images * over_seeds / (over_images + over_seeds)
    assert ((a.mean() - b.mean()) / error) ** 2 == pytest.approx(expected)


def test_nothing_varies() -> None:
    error, df = st.satterthwaite([[0.0], [0.0]], [[19], [2]])
    assert (error, df) == (0, 2)
    assert st.student_p([0.0, 0.1], 0.0, 2).tolist() == [1, 0]
    assert np.isnan(st.satterthwaite([np.nan, np.nan], [0, 0])[0])


def test_image_variances_are_those_of_the_paired_t_test(rng: np.random.Generator) -> None:
    a, b = made(rng, 3, 25), made(rng, 2, 25)
    found = st.image_variances([a, b])
    d = a.mean(axis=0) - b.mean(axis=0)
    assert found[0, 1] == pytest.approx(d.var(ddof=1) / 25)
    assert found[1, 1] == pytest.approx(b.mean(axis=0).var(ddof=1) / 25)
    assert d.mean() / np.sqrt(found[0, 1]) == pytest.approx(stats.ttest_1samp(d, 0).statistic)
    assert np.isnan(st.image_variances([a[:, :1], b[:, :1]])).all()


def test_variances_with_missing_scores_are_the_bootstraps(rng: np.random.Generator) -> None:
    a, b = made(rng, 1, 200), made(rng, 1, 200)
    a[:, 20:80], b[:, 70:90] = np.nan, np.nan
    drawn = st.bootstrap_means([a, b], 4000, rng)
    found = st.image_variances([a, b])
    assert drawn.var(axis=0) == pytest.approx(found.diagonal(), rel=0.12)
    assert (drawn[:, 0] - drawn[:, 1]).var() == pytest.approx(found[0, 1], rel=0.12)
    assert st.influence(a).sum() == pytest.approx(0, abs=1e-9)


def test_all_entries_get_the_same_images(rng: np.random.Generator) -> None:
    a = made(rng, 1, 30)
    drawn = st.bootstrap_means([a, a + 0.125], 50, rng)
    assert drawn[:, 1] - drawn[:, 0] == pytest.approx(0.125)
    assert drawn[:, 0].std() > 0


@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_redrawn_seeds_vary_as_their_mean_does(rng: np.random.Generator, seeds: int) -> None:
    values = np.repeat(rng.normal(0.7, 0.1, (seeds, 1)), 5, axis=1)  # images all alike
    drawn = st.bootstrap_means([values], 20_000, rng)
    assert drawn.var() == pytest.approx(values[:, 0].var(ddof=1) / seeds, rel=0.05)
    assert st.seed_variance(values) == pytest.approx(values[:, 0].var(ddof=1) / seeds)


def test_intervals_of_many_are_percentiles_and_of_few_are_students() -> None:
    drawn = np.random.default_rng(0).normal(0.5, 1, (100_000, 2))
    low, high = st.interval([0.5, 0.5], drawn, [np.inf, 2])
    assert [low[0], high[0]] == pytest.approx(np.quantile(drawn[:, 0], [0.025, 0.975]))
    assert high[1] - 0.5 == pytest.approx(stats.t.ppf(0.975, 2), rel=0.02)


def test_the_share_of_first_places_by_hand() -> None:
    drawn = np.array([[3.0, 1, 2], [1, 1, 0], [0, 2, 1], [5, 1, np.nan]])
    assert st.share_first(drawn).tolist() == [2.5 / 4, 1.5 / 4, 0]


def test_detectable_is_what_the_power_of_a_t_test_says() -> None:
    sd, n, tests = 0.1, 60, 3
    needed = TTestPower().solve_power(nobs=n, alpha=0.05 / tests, power=0.8)
    found = st.detectable(sd / np.sqrt(n), n - 1, tests)
    assert found == pytest.approx(needed * sd, rel=0.01)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """With three seeds that differ; percentiles alone hold it too rarely."""
    rng = np.random.default_rng(2)
    held = plain = 0
    trials, n = 300, 60
    for _ in range(trials):
        values = made(rng, 3, n, spread=0.05)
        drawn = st.bootstrap_means([values], 300, rng)
        parts = [st.image_variances([values])[0, 0], st.seed_variance(values)]
        low, high = st.interval(
            st.seed_means(values).mean(), drawn[:, 0], st.satterthwaite(parts, [n - 1, 2])[1]
        )
        held += bool(low <= 0.7 <= high)
        low, high = np.quantile(drawn, [0.025, 0.975])
        plain += bool(low <= 0.7 <= high)
    assert 0.91 <= held / trials <= 0.99
    assert plain / trials < 0.85


def test_seeds_alone_make_no_difference() -> None:
    """Of two equal models signed ranks tell the seeds apart; the rule does not."""
    rng = np.random.default_rng(3)
    over_images = told_apart = 0
    trials, n = 400, 60
    for _ in range(trials):
        hard = rng.normal(0, 0.1, n)
        a, b = (made(rng, 3, n, spread=0.02) + hard for _ in range(2))
        p, effect = st.signed_rank(st.image_means(a) - st.image_means(b))
        parts = [st.image_variances([a, b])[0, 1], st.seed_variance(a), st.seed_variance(b)]
        error, df = st.satterthwaite(parts, [n - 1, 2, 2])
        gap = st.seed_means(a).mean() - st.seed_means(b).mean()
        over_images += p < 0.05
        told_apart += are_different(p, float(st.student_p(gap, error, df)), abs(effect))
    assert over_images / trials > 0.3
    assert told_apart / trials <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / trials)


def test_true_differences_are_seen() -> None:
    """As often as the power says at the difference that it says."""
    rng = np.random.default_rng(4)
    n, seen, trials = 60, 0, 200
    error = np.sqrt(2 * 0.05**2 / 3 / n + 2 * 0.01**2 / 3)
    gap = float(st.detectable(error, 6, 1))
    for _ in range(trials):
        a, b = made(rng, 3, n, spread=0.01) + gap, made(rng, 3, n, spread=0.01)
        parts = [st.image_variances([a, b])[0, 1], st.seed_variance(a), st.seed_variance(b)]
        found, df = st.satterthwaite(parts, [n - 1, 2, 2])
        difference = st.seed_means(a).mean() - st.seed_means(b).mean()
        p, effect = st.signed_rank(st.image_means(a) - st.image_means(b))
        seen += are_different(p, float(st.student_p(difference, found, df)), effect)
    assert 0.65 < seen / trials < 0.95


def test_as_drawn_no_mean_lies_beyond_what_was_seen() -> None:
    lucky = np.repeat([[0.8], [0.8], [0.0]], 30, axis=1)
    steady = np.full((3, 30), 0.82)
    rng = np.random.default_rng(0)
    plain = st.bootstrap_means([lucky, steady], 2000, rng, enlarged=False)
    assert plain[:, 0].max() == pytest.approx(0.8)
    assert st.share_first(plain).tolist() == [0, 1]
    assert st.bootstrap_means([lucky, steady], 2000, rng)[:, 0].max() > 0.82
