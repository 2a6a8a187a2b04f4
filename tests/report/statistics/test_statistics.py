"""Statistics against SciPy, statsmodels, numbers worked by hand, and simulation."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from segbench.report.compare.pairs import are_different
from segbench.report.statistics import means, student
from segbench.report.statistics import resampling as rs
from segbench.report.statistics import signed_ranks as sr

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


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
    assert sr.signed_rank(d)[0] == pytest.approx(stats.wilcoxon(d, method="exact").pvalue)


@pytest.mark.parametrize("n", [6, 9])
def test_signed_ranks_with_ties_and_zeros_are_scipys_permutations(
    rng: np.random.Generator, n: int
) -> None:
    d = rng.integers(-1, 4, n).astype(float)
    d[0] = 0
    assert len(np.unique(np.abs(d))) < n
    # a permutation test may take one zero both ways, which changes nothing
    expected = stats.wilcoxon(d, zero_method="pratt", method=stats.PermutationMethod()).pvalue
    assert sr.signed_rank(d)[0] == pytest.approx(expected)


def test_signed_ranks_of_many_are_scipys_approximation(rng: np.random.Generator) -> None:
    d = np.round(rng.normal(0.1, 1, 90), 1)
    assert (d == 0).any()
    expected = stats.wilcoxon(d, zero_method="pratt", method="asymptotic").pvalue
    assert sr.signed_rank(np.append(d, np.nan))[0] == pytest.approx(expected)


def test_no_difference_is_no_finding() -> None:
    assert sr.signed_rank(np.zeros(20)) == (1.0, 0.0)
    assert sr.signed_rank(np.array([np.nan])) == (1.0, 0.0)
    assert sr.signed_rank(np.full(8, 1e-15))[0] == 1  # the rounding of an average over seeds


def test_few_differences_among_many_zeros_are_few() -> None:
    d = np.append(np.zeros(95), [0.1, 0.2, 0.3, 0.4, 0.5])
    assert sr.signed_rank(d) == (pytest.approx(2 / 2**5), 1.0)


def test_rank_biserial_by_hand() -> None:
    # ranks 1, 2, 3, 4; 8 of 10 speak for it
    assert sr.signed_rank(np.array([1.0, -2, 3, 4]))[1] == pytest.approx(0.6)
    # the zero takes rank 1 and speaks for neither: 2 + 4 of 9 for, 3 against
    assert sr.signed_rank(np.array([0.0, 1, -2, 3]))[1] == pytest.approx(1 / 3)
    assert sr.signed_rank(-np.arange(1.0, 7))[1] == -1


def test_the_smallest_p_is_that_of_one_sided_differences() -> None:
    for n in (1, 5, 8):
        assert sr.smallest_p(n) == pytest.approx(sr.signed_rank(np.arange(1.0, n + 1))[0])


def test_wins_count_ties_half() -> None:
    assert sr.wins(np.array([1.0, 2, 0, -1, np.nan])) == pytest.approx(2.5 / 4)


def test_holm_is_statsmodels(rng: np.random.Generator) -> None:
    for size in (1, 2, 45):
        p = np.round(rng.random(size) ** 3, 2)  # with ties
        assert student.holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_holm_by_hand() -> None:
    # 0.01 × 3, then 0.03 × 2, then the larger of 0.04 and the one before
    assert student.holm([0.01, np.nan, 0.04, 0.03]) == pytest.approx(
        [0.03, np.nan, 0.06, 0.06], nan_ok=True
    )
    assert np.isnan(student.holm([np.nan])).all()


def test_satterthwaite_of_two_means_is_welchs_test(rng: np.random.Generator) -> None:
    a, b = rng.normal(0, 1, 7), rng.normal(1, 3, 12)
    parts = [a.var(ddof=1) / 7, b.var(ddof=1) / 12, np.nan]
    error, df = student.satterthwaite(parts, [6, 11, 0])
    welch = stats.ttest_ind(a, b, equal_var=False)
    assert df == pytest.approx(welch.df)
    assert student.student_p(a.mean() - b.mean(), error, df) == pytest.approx(welch.pvalue)


def test_the_test_over_images_and_seeds_is_min_f(rng: np.random.Generator) -> None:
    """Clark 1973: min F′ = F₁ F₂ / (F₁ + F₂), over images and over seeds."""
    a, b = made(rng, 3, 25, 0.02), made(rng, 4, 25, 0.02) + 0.05
    over_images = stats.ttest_rel(a.mean(axis=0), b.mean(axis=0)).statistic ** 2
    over_seeds = stats.ttest_ind(a.mean(axis=1), b.mean(axis=1), equal_var=False).statistic ** 2
    parts = [means.image_variances([a, b])[0, 1], means.seed_variance(a), means.seed_variance(b)]
    error, _ = student.satterthwaite(parts, [24, 2, 3])
    expected = over_images * over_seeds / (over_images + over_seeds)
    assert ((a.mean() - b.mean()) / error) ** 2 == pytest.approx(expected)


def test_nothing_varies() -> None:
    error, df = student.satterthwaite([[0.0], [0.0]], [[19], [2]])
    assert (error, df) == (0, 2)
    assert student.student_p([0.0, 0.1], 0.0, 2).tolist() == [1, 0]
    assert np.isnan(student.satterthwaite([np.nan, np.nan], [0, 0])[0])


def test_image_variances_are_those_of_the_paired_t_test(rng: np.random.Generator) -> None:
    a, b = made(rng, 3, 25), made(rng, 2, 25)
    found = means.image_variances([a, b])
    d = a.mean(axis=0) - b.mean(axis=0)
    assert found[0, 1] == pytest.approx(d.var(ddof=1) / 25)
    assert found[1, 1] == pytest.approx(b.mean(axis=0).var(ddof=1) / 25)
    assert d.mean() / np.sqrt(found[0, 1]) == pytest.approx(stats.ttest_1samp(d, 0).statistic)
    assert np.isnan(means.image_variances([a[:, :1], b[:, :1]])).all()


def test_variances_with_missing_scores_are_the_bootstraps(rng: np.random.Generator) -> None:
    a, b = made(rng, 1, 200), made(rng, 1, 200)
    a[:, 20:80], b[:, 70:90] = np.nan, np.nan
    drawn = rs.bootstrap_means([a, b], 4000, rng)
    found = means.image_variances([a, b])
    assert drawn.var(axis=0) == pytest.approx(found.diagonal(), rel=0.12)
    assert (drawn[:, 0] - drawn[:, 1]).var() == pytest.approx(found[0, 1], rel=0.12)
    assert means.influence(a).sum() == pytest.approx(0, abs=1e-9)


def test_all_entries_get_the_same_images(rng: np.random.Generator) -> None:
    a = made(rng, 1, 30)
    drawn = rs.bootstrap_means([a, a + 0.125], 50, rng)
    assert drawn[:, 1] - drawn[:, 0] == pytest.approx(0.125)
    assert drawn[:, 0].std() > 0


@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_redrawn_seeds_vary_as_their_mean_does(rng: np.random.Generator, seeds: int) -> None:
    values = np.repeat(rng.normal(0.7, 0.1, (seeds, 1)), 5, axis=1)  # images all alike
    drawn = rs.bootstrap_means([values], 20_000, rng)
    assert drawn.var() == pytest.approx(values[:, 0].var(ddof=1) / seeds, rel=0.05)
    assert means.seed_variance(values) == pytest.approx(values[:, 0].var(ddof=1) / seeds)


def test_intervals_of_many_are_percentiles_and_of_few_are_students() -> None:
    drawn = np.random.default_rng(0).normal(0.5, 1, (100_000, 2))
    low, high = rs.interval([0.5, 0.5], drawn, [np.inf, 2])
    assert [low[0], high[0]] == pytest.approx(np.quantile(drawn[:, 0], [0.025, 0.975]))
    assert high[1] - 0.5 == pytest.approx(stats.t.ppf(0.975, 2), rel=0.02)


def test_the_share_of_first_places_by_hand() -> None:
    drawn = np.array([[3.0, 1, 2], [1, 1, 0], [0, 2, 1], [5, 1, np.nan]])
    assert rs.share_first(drawn).tolist() == [2.5 / 4, 1.5 / 4, 0]


def test_detectable_is_what_the_power_of_a_t_test_says() -> None:
    sd, n, tests = 0.1, 60, 3
    needed = TTestPower().solve_power(nobs=n, alpha=0.05 / tests, power=0.8)
    found = student.detectable(sd / np.sqrt(n), n - 1, tests)
    assert found == pytest.approx(needed * sd, rel=0.01)


def test_a_seed_variance_below_the_mean_gives_way_to_it() -> None:
    rng = np.random.default_rng(1)
    entries = [made(rng, seeds, 40, 0.02) for seeds in (2, 3, 5)]
    own = np.array([means.seed_means(each).var(ddof=1) for each in entries])
    pooled = (own * [1, 2, 4]).sum() / 7
    found, freedom = means.pooled_seed_variances([*entries, made(rng, 1, 40, 0.02)])
    assert found[:3] == pytest.approx(np.maximum(own, pooled) / [2, 3, 5])
    assert np.isnan(found[3])
    assert freedom.tolist() == [7] * 4
    assert np.isnan(means.pooled_seed_variances([entries[0][:1]])[0]).all()


@pytest.mark.parametrize(("seeds", "configurations"), [(2, 8), (3, 6)])
def test_few_seeds_of_many_equal_configurations_make_no_difference(
    monkeypatch: pytest.MonkeyPatch, seeds: int, configurations: int
) -> None:
    """In 5 % of experiments at most, with a bound at four standard errors."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import calibration

    rounds = 60
    found = calibration.errors(calibration.World(60, configurations, seeds), rounds)
    assert found <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / rounds)


def test_one_seed_of_equal_means_and_unlike_shapes_makes_no_difference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Signed ranks alone find a winner in many experiments with so many images."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import calibration

    rounds, world = 100, calibration.World(500, 2, 1, seed=0.0, skewed=True)
    sections = list(calibration.experiments(world, rounds))
    told_apart = np.mean([section.pairs[0].different for section in sections])
    by_ranks = np.mean([section.pairs[0].p_images < 0.05 for section in sections])
    assert told_apart <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / rounds) < by_ranks


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """With three seeds that differ; percentiles alone hold it too rarely."""
    rng = np.random.default_rng(2)
    held = plain = 0
    trials, n = 300, 60
    for _ in range(trials):
        values = made(rng, 3, n, spread=0.05)
        drawn = rs.bootstrap_means([values], 300, rng)
        parts = [means.image_variances([values])[0, 0], means.seed_variance(values)]
        low, high = rs.interval(
            means.seed_means(values).mean(),
            drawn[:, 0],
            student.satterthwaite(parts, [n - 1, 2])[1],
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
        p, effect = sr.signed_rank(means.image_means(a) - means.image_means(b))
        parts = [
            means.image_variances([a, b])[0, 1],
            means.seed_variance(a),
            means.seed_variance(b),
        ]
        error, df = student.satterthwaite(parts, [n - 1, 2, 2])
        gap = means.seed_means(a).mean() - means.seed_means(b).mean()
        over_images += p < 0.05
        told_apart += are_different(p, float(student.student_p(gap, error, df)), abs(effect))
    assert over_images / trials > 0.3
    assert told_apart / trials <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / trials)


def test_true_differences_are_seen() -> None:
    """As often as the power says at the difference that it says."""
    rng = np.random.default_rng(4)
    n, seen, trials = 60, 0, 200
    error = np.sqrt(2 * 0.05**2 / 3 / n + 2 * 0.01**2 / 3)
    gap = float(student.detectable(error, 6, 1))
    for _ in range(trials):
        a, b = made(rng, 3, n, spread=0.01) + gap, made(rng, 3, n, spread=0.01)
        parts = [
            means.image_variances([a, b])[0, 1],
            means.seed_variance(a),
            means.seed_variance(b),
        ]
        found, df = student.satterthwaite(parts, [n - 1, 2, 2])
        difference = means.seed_means(a).mean() - means.seed_means(b).mean()
        p, effect = sr.signed_rank(means.image_means(a) - means.image_means(b))
        seen += are_different(p, float(student.student_p(difference, found, df)), effect)
    assert 0.65 < seen / trials < 0.95


def test_as_drawn_no_mean_lies_beyond_what_was_seen() -> None:
    lucky = np.repeat([[0.8], [0.8], [0.0]], 30, axis=1)
    steady = np.full((3, 30), 0.82)
    rng = np.random.default_rng(0)
    plain = rs.bootstrap_means([lucky, steady], 2000, rng, enlarged=False)
    assert plain[:, 0].max() == pytest.approx(0.8)
    assert rs.share_first(plain).tolist() == [0, 1]
    assert rs.bootstrap_means([lucky, steady], 2000, rng)[:, 0].max() > 0.82


def test_many_images_are_redrawn_as_the_bootstrap_would(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same means, variances and covariances, with missing scores as well."""
    a, b = made(rng, 2, 400), made(rng, 1, 400)
    b[:, 20:80] = np.nan
    drawn = rs.bootstrap_means([a, b], 20_000, np.random.default_rng(1))
    monkeypatch.setattr(rs, "LARGE", 399)
    normal = rs.bootstrap_means([a, b], 20_000, np.random.default_rng(1))
    assert normal.mean(axis=0) == pytest.approx(drawn.mean(axis=0), abs=2e-4)
    spread = np.cov(drawn.T)
    assert np.cov(normal.T) == pytest.approx(spread, abs=0.05 * spread.diagonal().min())
    for share in (0.025, 0.975):
        assert np.quantile(normal, share, axis=0) == pytest.approx(
            np.quantile(drawn, share, axis=0), abs=6e-4
        )


def test_kept_draws_are_those_of_the_generator(rng: np.random.Generator) -> None:
    values = made(rng, 2, 30)
    first, other = np.random.default_rng(3), np.random.default_rng(3)
    rs.bootstrap_means([values], 700, first)
    again = rs.bootstrap_means([values], 700, first)
    rs.bootstrap_means([values], 700, other)
    assert (rs.bootstrap_means([values], 700, other) == again).all()
    weights = np.random.default_rng(5).multinomial(30, np.full(30, 1 / 30), size=500)
    drawn = rs._redraw_images(values, 500, np.random.default_rng(5), None)
    assert drawn == pytest.approx(weights @ values.T / 30)


def test_power_where_scipys_noncentral_t_fails() -> None:
    rng = np.random.default_rng(0)
    for df, shift, critical in ((1, 400.0, 573.0), (1, 900.0, 573.0), (12, 47.0, 3.0)):
        t = (rng.normal(size=200_000) + shift) / np.sqrt(rng.chisquare(df, 200_000) / df)
        found = float(student.missed(df, shift, critical))
        assert found == pytest.approx((t < critical).mean(), abs=0.005)


def test_images_of_groups_make_no_difference_where_the_groups_are_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import calibration

    rounds, world = 60, calibration.World(600, 2, 1, seed=0.0, groups=10)
    unaware = calibration.World(**{**vars(world), "unaware": True})
    known, unknown = (calibration.errors(each, rounds) for each in (world, unaware))
    assert known <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / rounds) < unknown


def test_intervals_and_detectable_differences_hold_as_often_as_they_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import calibration

    rounds = 60
    world = calibration.World(133, 4, 3, difference=0.06)
    for different in (True, False):
        held = calibration.intervals(different)(world, rounds)
        assert held >= 0.95 - 4 * np.sqrt(0.05 * 0.95 / rounds)
    found = calibration.detected(calibration.World(133, 2, 3), rounds)
    assert abs(found - 0.8) <= 4 * np.sqrt(0.8 * 0.2 / rounds)
    margin = calibration.World(133, 2, 3, difference=0.02, margin=0.02)
    assert calibration.equivalent(margin, rounds) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / rounds)
