"""Scores of objects against MONAI, naive readings of the definitions, and cases by hand."""

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from monai.metrics.panoptic_quality import compute_panoptic_quality

from segbench.metrics.counts import ImageScores
from segbench.metrics.objects import FindObjects, Matching
from segbench.metrics.optional import OptionalScores
from segbench.metrics.registry import BY_NAME, OF_OBJECTS, object_scores


def discs(seed: int, count: int = 12, side: int = 60) -> np.ndarray:
    """Numbers of overlapping discs, of which a later one covers an earlier one."""
    chance = np.random.default_rng(seed)
    found = np.zeros((side, side), np.int32)
    for number in range(1, count + 1):
        disc = np.zeros((side, side), np.uint8)
        x, y = chance.integers(0, side, 2).tolist()
        cv2.circle(disc, (x, y), int(chance.integers(2, 9)), 1, -1)
        found[disc > 0] = 7 * number  # numbers need no order
    return found


def moved(seed: int) -> np.ndarray:
    """The discs of a seed, moved by a pixel, without one and with another one."""
    found = np.roll(discs(seed), 1, axis=1)
    found[found == 14] = 0
    extra = discs(seed + 100, count=1)
    return np.where((found == 0) & (extra > 0), 99, found)


def scores(prediction: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """All scores of two arrays with numbers of objects."""
    found = object_scores(prediction > 0, truth, lambda _: prediction)  # type: ignore[arg-type]
    return dict(zip(OF_OBJECTS, found.tolist(), strict=True))


def objects(numbers: np.ndarray) -> list[set[int]]:
    """Each object as the set of its pixels."""
    flat = numbers.ravel()
    return [set(np.flatnonzero(flat == n).tolist()) for n in np.unique(flat[flat > 0])]


def naive_precision(predicted: list[set[int]], true: list[set[int]], threshold: float) -> float:
    """Kaggle's definition: a predicted object is a hit if its IoU with a true one is above it."""
    hits = sum(any(len(p & t) / len(p | t) > threshold + 1e-12 for t in true) for p in predicted)
    return hits / (len(predicted) + len(true) - hits)


def naive_aji(predicted: list[set[int]], true: list[set[int]]) -> float:
    """Algorithm 1 of Kumar et al. 2017."""
    common, union, used = 0, 0, set()
    for t in true:
        ious = [len(p & t) / len(p | t) for p in predicted]
        if not ious or max(ious) == 0:
            union += len(t)
            continue
        best = int(np.argmax(ious))
        common += len(predicted[best] & t)
        union += len(predicted[best] | t)
        used.add(best)
    return common / (union + sum(len(p) for k, p in enumerate(predicted) if k not in used))


@pytest.mark.parametrize("seed", range(12))
def test_scores_are_those_of_their_definitions(seed: int) -> None:
    prediction, truth = moved(seed), discs(seed)
    found = scores(prediction, truth)
    predicted, true = objects(prediction), objects(truth)
    assert found["ap50"] == pytest.approx(naive_precision(predicted, true, 0.5))
    mean = np.mean([naive_precision(predicted, true, t) for t in np.arange(0.5, 1, 0.05)])
    assert found["ap"] == pytest.approx(mean)
    assert found["aji"] == pytest.approx(naive_aji(predicted, true))
    assert found["count_error"] == abs(len(predicted) - len(true))


@pytest.mark.parametrize("seed", range(12))
def test_panoptic_quality_is_monais(seed: int) -> None:
    prediction, truth = moved(seed), discs(seed)
    found = scores(prediction, truth)
    ordered = [
        np.unique(each, return_inverse=True)[1].reshape(each.shape) for each in (prediction, truth)
    ]
    for name in ("pq", "sq", "rq"):
        expected = compute_panoptic_quality(*map(torch.tensor, ordered), metric_name=name)
        assert found[name] == pytest.approx(float(expected), abs=1e-5)


ONE, NONE = np.array([[1, 1, 0, 0]]), np.zeros((1, 4), np.int64)
BY_HAND: list[tuple[Any, Any, dict[str, float]]] = [
    (ONE, ONE, {"ap50": 1, "ap": 1, "pq": 1, "sq": 1, "rq": 1, "aji": 1, "count_error": 0}),
    (ONE, NONE, {"ap50": 0, "ap": 0, "pq": 0, "sq": 0, "rq": 0, "aji": 0, "count_error": 1}),
    (NONE, ONE, {"ap50": 0, "ap": 0, "pq": 0, "sq": 0, "rq": 0, "aji": 0, "count_error": 1}),
    # two true objects as one: 3 of 6 pixels in common are no hit at an IoU of exactly ½
    ([[1] * 6], [[1] * 3 + [2] * 3], {"ap50": 0, "pq": 0, "aji": 6 / 12, "count_error": 1}),
    # an IoU of exactly 0.55 exceeds 0.50 alone
    ([[1] * 11 + [0] * 9], [[1] * 20], {"ap50": 1, "ap": 0.1, "pq": 0.55, "sq": 0.55, "rq": 1}),
]


@pytest.mark.parametrize(("prediction", "truth", "expected"), BY_HAND)
def test_cases_by_hand(prediction: Any, truth: Any, expected: dict[str, float]) -> None:
    found = scores(np.array(prediction), np.array(truth))
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_nothing_on_both_sides_has_no_score() -> None:
    assert np.isnan([*scores(NONE, NONE).values()]).all()


def test_touching_pixels_are_one_object_and_a_watershed_cuts_at_the_neck() -> None:
    mask = np.zeros((40, 80), np.uint8)
    for x in (25, 43):
        cv2.circle(mask, (x, 20), 10, 1, -1)
    cv2.circle(mask, (70, 20), 1, 1, -1)
    both = mask > 0
    assert FindObjects()(both).max() == 2
    cut = FindObjects("watershed")(both)
    assert cut.max() == 3
    assert ((cut > 0) == both).all()
    assert cut[20, 20] != cut[20, 48]
    assert abs(np.count_nonzero(cut == cut[20, 20]) - np.count_nonzero(cut == cut[20, 48])) < 30
    assert FindObjects("watershed", distance=30)(both).max() == 2
    for method in ("components", "watershed"):
        assert FindObjects(method)(np.zeros((5, 6), bool)).max() == 0
        assert FindObjects(method)(np.ones((5, 6), bool)).min() == 1
    assert FindObjects()(np.eye(3, dtype=bool)).max() == 1  # pixels touch at corners too


def test_ignored_pixels_do_not_count() -> None:
    truth = np.array([[1, 1, 0, 0, 2]])
    ignored = np.array([[False, False, True, True, True]])
    found = object_scores(np.array([[1, 1, 1, 0, 0]]) > 0, truth, FindObjects(), ignored)
    assert dict(zip(OF_OBJECTS, found.tolist(), strict=True))["ap"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("cells",), "instances=cells: expected components or watershed"),
        (("watershed", 0), "instance_distance=0: expected 1 or more"),
        (("watershed", 1.5), "instance_distance=1.5: expected a whole number"),
    ],
)
def test_slips(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FindObjects(*options)


def test_the_metric_collects_a_row_for_each_image() -> None:
    metric = ImageScores(2, optional=OptionalScores(find=FindObjects()))
    for index, seed in enumerate((3, 4)):
        truth = discs(seed)
        labels, mask = (torch.tensor(each > 0).long()[None] for each in (moved(seed), truth))
        metric.update(labels, mask, torch.tensor([index]), [truth])
    optional = metric.compute().optional
    found = np.stack([optional[name][:, 1] for name in OF_OBJECTS], axis=1)
    assert found is not None
    for row, seed in zip(found, (3, 4), strict=True):
        np.testing.assert_array_equal(
            row, object_scores(moved(seed) > 0, discs(seed), FindObjects())
        )
    assert BY_NAME["count_error"].lower_is_better


def test_a_matching_counts_each_pixel_once() -> None:
    found = Matching.of(moved(5), discs(5))
    assert found.predicted.sum() == np.count_nonzero(moved(5))
    assert found.true.sum() == np.count_nonzero(discs(5))
    assert found.common.sum() == np.count_nonzero((moved(5) > 0) & (discs(5) > 0))
    assert (found.unions >= found.common).all()
