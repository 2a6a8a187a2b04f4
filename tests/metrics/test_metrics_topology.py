"""clDice against its definition, and cases by hand."""

import sys

import cv2
import numpy as np
import pytest
from skimage.morphology import skeletonize

from segbench.metrics.registry import skeleton_scores
from segbench.metrics.surface import MaskPair
from segbench.metrics.topology import check_installed, cldice


def vessels(seed: int, side: int = 64) -> np.ndarray:
    """A few thick curves."""
    chance = np.random.default_rng(seed)
    drawn = np.zeros((side, side), np.uint8)
    for _ in range(4):
        points = chance.integers(0, side, (4, 2)).astype(np.int32)
        cv2.polylines(drawn, [points], False, 1, int(chance.integers(1, 5)))
    return drawn > 0


@pytest.mark.parametrize("seed", range(4))
def test_the_definition_read_naively(seed: int) -> None:
    prediction, truth = vessels(seed), np.roll(vessels(seed), 1, axis=0) & (vessels(seed + 9) == 0)
    precision = skeletonize(prediction)[truth].sum() / skeletonize(prediction).sum()
    recall = skeletonize(truth)[prediction].sum() / skeletonize(truth).sum()
    expected = 2 * precision * recall / (precision + recall)
    assert cldice(MaskPair(prediction, truth)) == pytest.approx(expected)


def test_a_gap_costs_more_than_its_pixels() -> None:
    truth = np.zeros((9, 60), bool)
    truth[3:6] = True
    thin, cut = truth.copy(), truth.copy()
    thin[3] = thin[5] = False  # two thirds of the pixels are missing, and the line is whole
    cut[:, 20:40] = False  # one third is missing, and the line is cut
    assert skeleton_scores(thin, truth)[0] == pytest.approx(1, abs=0.03)
    assert skeleton_scores(cut, truth)[0] < 0.85


def test_empty_masks() -> None:
    full, empty = np.ones((5, 5), bool), np.zeros((5, 5), bool)
    assert np.isnan(skeleton_scores(empty, empty)).all()
    assert skeleton_scores(full, empty) == skeleton_scores(empty, full) == 0
    apart = np.zeros((9, 9), bool), np.zeros((9, 9), bool)
    apart[0][:3], apart[1][6:] = True, True
    assert skeleton_scores(*apart) == 0


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 7), (3, 3)])
def test_small_masks_have_a_skeleton(shape: tuple[int, int]) -> None:
    mask = np.zeros((9, 9), bool)
    mask[1 : 1 + shape[0], 1 : 1 + shape[1]] = True
    assert skeleton_scores(mask, mask) == 1


def test_without_scikit_image_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.morphology", None)
    with pytest.raises(ValueError, match=r"scores=\[cldice\]: .*segbench\[objects\]"):
        check_installed()
