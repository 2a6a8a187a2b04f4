"""The groups that are chosen, against brute force over all ways."""

from itertools import combinations, product

import numpy as np
import pytest

from segbench.data.groups.balance import nearest_sum, spread_evenly


@pytest.mark.parametrize("most", [2, 6])
def test_the_nearest_sum_is_that_of_brute_force(most: int) -> None:
    rng = np.random.default_rng(most)
    for _ in range(50):
        sizes, target = rng.integers(1, 30, 7).tolist(), int(rng.integers(1, 90))
        chosen = nearest_sum(sizes, target, most)
        ways = [each for n in range(1, most + 1) for each in combinations(sizes, n)]
        best = min(abs(sum(each) - target) for each in ways)
        assert 1 <= len(chosen) <= most
        assert abs(sum(sizes[k] for k in chosen) - target) == best


def test_spreading_is_near_the_best_of_all_ways() -> None:
    rng, shares = np.random.default_rng(0), np.array([0.5, 0.25, 0.25])

    def unevenness(counts: np.ndarray, places: np.ndarray) -> float:
        parts = np.stack([counts[places == part].sum(axis=0) for part in range(3)])
        return float(((parts / counts.sum(axis=0) - shares[:, None]) ** 2).sum())

    ours, best, random = [], [], []
    for _ in range(5):
        counts = rng.integers(1, 12, (8, 2)).astype(float)
        every = [unevenness(counts, np.array(way)) for way in product(range(3), repeat=8)]
        ours.append(unevenness(counts, spread_evenly(counts, shares, 3)))
        best.append(min(every))
        random.append(np.median(every))
    assert np.mean(best) <= np.mean(ours) < np.mean(best) + 0.05 * np.mean(random)


def test_equal_groups_go_around() -> None:
    places = spread_evenly(np.ones((6, 1)), np.full(3, 1 / 3), 3)
    assert places.tolist() == [0, 1, 2, 0, 1, 2]
