"""The expected best of several trials, against every possible draw."""

from itertools import product

import numpy as np
import pytest

from segbench.report.figures.tuning_figures import expected_best


@pytest.mark.parametrize("lower", [False, True])
def test_it_is_the_mean_over_all_draws(lower: bool) -> None:
    scores = [0.3, 0.9, 0.3, 0.5]
    best = min if lower else max
    draws = [np.mean([best(d) for d in product(scores, repeat=k)]) for k in range(1, 5)]
    assert expected_best(scores, lower) == pytest.approx(draws)
