"""Tests over data sets against SciPy and the example of the paper."""

import numpy as np
import pytest
from scipy import stats

from segbench.report.statistics.data_sets import _critical, _friedman, rank_test

# Demšar 2006, table 6: AUC of four variants of C4.5 on fourteen data sets
TABLE = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def test_the_papers_example() -> None:
    found = rank_test(TABLE)
    assert found is not None
    assert found.mean_ranks == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=1e-3)
    assert found.critical == pytest.approx(1.25, abs=0.01)  # its section 3.2.2, for four of 14


@pytest.mark.parametrize("ties", [False, True])
def test_friedman_is_scipys(ties: bool) -> None:
    means = np.random.default_rng(0).uniform(size=(12, 5)).round(1 if ties else 12)
    found = rank_test(means)
    assert found is not None
    assert found.p == pytest.approx(stats.friedmanchisquare(*means.T).pvalue)


def test_the_critical_differences_of_the_papers_table() -> None:
    # its table 5: the critical values of the two-tailed Nemenyi test at 0.05
    for entries, value in ((2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)):
        scale = np.sqrt(entries * (entries + 1) / (6 * 20))
        assert _critical(20, entries) / scale == pytest.approx(value, abs=1e-3)


def test_few_data_sets_and_ties_make_no_finding() -> None:
    assert rank_test(TABLE[:4]) is None
    assert rank_test(TABLE[:, :1]) is None
    assert _friedman(np.full((6, 3), 2.0)) == 1
