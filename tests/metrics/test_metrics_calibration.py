"""Scores of probabilities against scikit-learn, torchmetrics, and cases by hand."""

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.metrics import brier_score_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from segbench.metrics.calibration import BINS, Calibration, brier, ece
from segbench.metrics.registry import probability_scores


def drawn(classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (K, H, W) that are right a little more often than not, and the truth."""
    chance = np.random.default_rng(seed)
    truth = chance.integers(0, classes, (40, 30)).astype(np.uint8)
    logits = chance.normal(size=(classes, 40, 30)) * 2
    logits += 1.5 * (np.arange(classes)[:, None, None] == truth)
    return softmax(logits, axis=0).astype(np.float32), truth


def found_of(chances: np.ndarray, truth: np.ndarray, strips: int = 1) -> Calibration:
    found = Calibration()
    parts = zip(np.split(chances, strips, axis=1), np.split(truth, strips), strict=True)
    for one, other in parts:
        found.add(one, other)
    return found


@pytest.mark.parametrize("classes", [2, 3, 11])
@pytest.mark.parametrize("ignored", [0, 7])
def test_oracles(classes: int, ignored: int) -> None:
    chances, truth = drawn(classes)
    truth[:ignored] = 255
    rows, labels = chances[:, ignored:].reshape(classes, -1).T, truth[ignored:].ravel()
    found = found_of(chances, truth, strips=4)
    expected = multiclass_calibration_error(
        torch.from_numpy(rows), torch.from_numpy(labels).long(), classes, n_bins=BINS, norm="l1"
    )
    assert ece(found) == pytest.approx(expected.item(), abs=1e-6)
    if classes == 2:
        assert brier(found) == pytest.approx(brier_score_loss(labels == 1, rows[:, 1]), abs=1e-6)
    else:
        one = np.eye(classes)[labels]
        assert brier(found) == pytest.approx(np.square(rows - one).sum(axis=1).mean(), abs=1e-6)
        told = brier_score_loss(labels, rows, labels=range(classes))
        assert brier(found) == pytest.approx(told, abs=1e-6)


def test_strips_and_whole_pictures_agree() -> None:
    chances, truth = drawn(3)
    one, other = (found_of(chances, truth, strips) for strips in (1, 8))
    np.testing.assert_allclose(one.bins, other.bins, rtol=1e-12)
    assert one.squares == pytest.approx(other.squares, rel=1e-12)


def test_bins_are_open_below_and_closed_above() -> None:
    found = Calibration()
    edges = np.array([[0.6, 0.8, 1.0, 1 - 1e-9]])  # of 15 bins, 0.6 and 0.8 are edges
    found.add(np.stack([1 - edges, edges]), np.ones((1, 4), np.uint8))
    assert np.flatnonzero(found.bins[:, 0]).tolist() == [8, 11, 14]
    assert found.bins[14, 0] == 2


def test_the_sure_and_right_the_sure_and_wrong_and_nothing() -> None:
    sure = np.array([[[0.0]], [[1.0]]])
    for truth, expected in ((1, [0, 0]), (0, [1, 1]), (255, [np.nan, np.nan]), (9, [np.nan] * 2)):
        found = Calibration()
        found.add(sure, np.array([[truth]], np.uint8))
        np.testing.assert_array_equal(probability_scores(found), expected)
    found = Calibration()
    found.add(np.full((2, 1, 1), np.nan), np.array([[1]], np.uint8))
    assert np.isnan(probability_scores(found)).all()
    found = Calibration()
    found.add(np.eye(3)[:, :, None], np.array([[1], [1], [1]], np.uint8))
    assert brier(found) == pytest.approx(4 / 3)  # two of three pixels are sure and wrong: 2 each
