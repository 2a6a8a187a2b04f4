import io
import math
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics as sklearn

from segbench.metrics.counts import ImageScores
from segbench.metrics.registry import BY_NAME, REGISTRY, SURFACE, thresholded_iou
from segbench.metrics.scores import (
    COLUMNS,
    aggregate,
    check_consistency,
    score_table,
    scored_classes,
)

NAMES = ["background", "cell", "wall"]
RATIOS = {
    "iou": sklearn.jaccard_score,
    "dice": sklearn.f1_score,
    "precision": sklearn.precision_score,
    "recall": sklearn.recall_score,
}


def tabulate(counts, class_names=None, surface=None) -> pd.DataFrame:
    """A table with the given surface scores, the first of the registry; the others are NaN."""
    counts = np.asarray(counts)
    if surface is not None:
        others = ((0, 0), (0, 0), (0, len(SURFACE) - surface.shape[-1]))
        surface = np.pad(surface, others, constant_values=np.nan)
    n, num_classes, _ = counts.shape
    class_names = class_names or [f"c{c}" for c in range(num_classes)]
    sizes = np.full((n, 2), [30, 40])
    return score_table([f"image {i}" for i in range(n)], class_names, counts, sizes, surface)


def random_masks(num_classes: int, n: int = 6) -> tuple[list, list, pd.DataFrame]:
    """Valid labels of n images, each without some of the classes, and their table."""
    rng = np.random.default_rng(num_classes)
    scores = ImageScores(num_classes, surface=True)
    predictions, truths = [], []
    for index in range(n):
        some = rng.choice(num_classes, size=rng.integers(1, num_classes + 1), replace=False)
        truth = rng.choice(some, size=(12, 11))
        prediction = np.where(rng.random((12, 11)) < 0.6, truth, rng.integers(num_classes))
        truth[rng.random((12, 11)) < 0.1] = 255
        scores.update(*torch.tensor(np.stack([prediction, truth]))[:, None], torch.tensor([index]))
        predictions.append(prediction[truth < 255])
        truths.append(truth[truth < 255])
    result = scores.compute()
    names = [f"c{c}" for c in range(num_classes)]
    ids = [f"image {i}" for i in result.index]
    return predictions, truths, score_table(ids, names, result.counts, result.sizes, result.surface)


def by_scikit_learn(score, truth, prediction, classes) -> np.ndarray:
    """The score of each class, NaN where a class is in neither."""
    values = RATIOS[score](truth, prediction, labels=classes, average=None, zero_division=0)
    return np.where(np.isin(classes, np.union1d(truth, prediction)), values, np.nan)


@pytest.mark.parametrize("score", RATIOS)
@pytest.mark.parametrize("num_classes", [2, 3, 9])
def test_overlap_scores_equal_scikit_learns(num_classes, score):
    predictions, truths, table = random_masks(num_classes)
    classes = scored_classes(num_classes)
    found = aggregate(table, [f"c{c}" for c in range(num_classes)])
    expected = np.stack(
        [by_scikit_learn(score, t, p, classes) for p, t in zip(predictions, truths, strict=True)]
    )
    assert np.isnan(expected).any()  # the case of an absent class is among those compared
    pooled = by_scikit_learn(score, np.concatenate(truths), np.concatenate(predictions), classes)
    there = ~np.isnan(expected).all(axis=1)
    assert found[score] == pytest.approx(np.nanmean(expected[there], axis=1).mean(), rel=1e-12)
    assert found[f"{score}_dataset"] == pytest.approx(np.nanmean(pooled), rel=1e-12)
    for k, c in enumerate(classes):
        assert found[f"{score}/c{c}"] == pytest.approx(np.nanmean(expected[:, k]), rel=1e-12)
        assert found[f"{score}_dataset/c{c}"] == pytest.approx(pooled[k], rel=1e-12)
        assert found[f"images_without/c{c}"] == np.isnan(expected[:, k]).sum()
    assert found["images_without"] == (~there).sum()
    if score in table:
        column = table.loc[table["class"].isin([f"c{c}" for c in classes]), score]
        np.testing.assert_allclose(column, expected.ravel(), rtol=1e-12)


@pytest.mark.parametrize("num_classes", [2, 3, 9])
def test_pixel_accuracies_equal_scikit_learns(num_classes):
    predictions, truths, table = random_masks(num_classes)
    truth, prediction = np.concatenate(truths), np.concatenate(predictions)
    found = aggregate(table, [f"c{c}" for c in range(num_classes)])
    balanced = sklearn.balanced_accuracy_score(truth, prediction)
    assert found["pixel_accuracy"] == pytest.approx(sklearn.accuracy_score(truth, prediction))
    assert found["mean_pixel_accuracy"] == pytest.approx(balanced, rel=1e-12)
    recall = sklearn.recall_score(truth, prediction, average=None)
    by_class = [found[f"pixel_accuracy/c{c}"] for c in range(num_classes)]
    np.testing.assert_allclose(by_class, recall, rtol=1e-12)


# Two images of 30 × 40 pixels; in the second there is no wall, and the cell is missed altogether.
WORKED = [[[900, 100, 50], [90, 40, 60], [10, 10, 40]], [[1000, 200, 0], [0, 0, 200], [0, 0, 0]]]
WORKED_SURFACE = [[[2, 3, 0.5]] * 3, [[4, 9, 0.25], [50, 50, 0], [np.nan] * 3]]


def test_table_by_hand():
    table = tabulate(WORKED, NAMES, np.asarray(WORKED_SURFACE, dtype=float))
    assert list(table) == COLUMNS
    assert list(table["id"]) == ["image 0"] * 3 + ["image 1"] * 3
    assert list(table["class"]) == NAMES * 2
    assert table[["tp", "fp", "fn"]].to_numpy().tolist() == [row for x in WORKED for row in x]
    iou = [900 / 1050, 90 / 190, 10 / 60, 1000 / 1200, 0, np.nan]
    np.testing.assert_allclose(table["iou"], iou, rtol=1e-15)
    np.testing.assert_allclose(table["dice"], [2 * x / (1 + x) for x in iou], rtol=1e-15)
    np.testing.assert_array_equal(table["hd95"], [3, 3, 3, 9, 50, np.nan])
    assert (table["height"].unique().item(), table["width"].unique().item()) == (30, 40)


def test_averages_by_hand():
    table = tabulate(WORKED, NAMES, np.asarray(WORKED_SURFACE, dtype=float))
    expected = {
        "iou": ((900 / 1050 + 90 / 190 + 10 / 60) / 3 + (1000 / 1200 + 0) / 2) / 2,
        "iou/background": (900 / 1050 + 1000 / 1200) / 2,
        "iou/cell": 90 / 190 / 2,
        "iou/wall": 10 / 60,
        "dice/wall": 20 / 70,
        "precision/cell": 90 / 130 / 2,
        "recall/cell": 90 / 150 / 2,
        "iou_dataset": (1900 / 2250 + 90 / 390 + 10 / 60) / 3,
        "iou_dataset/cell": 90 / 390,
        "dice_dataset/cell": 180 / 480,
        "precision_dataset/cell": 90 / 130,
        "recall_dataset/cell": 90 / 350,
        "iou_thresholded": ((0.8 + 0 + 0) / 3 + (0.7 + 0) / 2) / 2,
        "pixel_accuracy": 2000 / 2350,
        "pixel_accuracy/wall": 10 / 50,
        "mean_pixel_accuracy": (1900 / 1950 + 90 / 350 + 10 / 50) / 3,
        "assd": (2 + (4 + 50) / 2) / 2,
        "hd95/cell": (3 + 50) / 2,
        "nsd/wall": 0.5,
        "surface_failures": 1,
        "surface_failures/cell": 1,
        "surface_failures/wall": 0,
        "images_without": 0,
        "images_without/wall": 1,
    }
    found = aggregate(table, NAMES)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-14)


def test_every_name_is_there_once_and_surface_scores_only_if_measured():
    overlap = ["iou", "dice", "precision", "recall"]
    scored = [*overlap, *(f"{x}_dataset" for x in overlap), "iou_thresholded", "images_without"]
    measured = ["assd", "hd95", "nsd", "boundary_iou", "surface_failures"]
    accuracy = ["pixel_accuracy", "pixel_accuracy/background", "pixel_accuracy/cell"]

    def names(scores):
        return {*accuracy, "mean_pixel_accuracy", *scores, *(f"{x}/cell" for x in scores)}

    counts = [[[5, 2, 3], [8, 3, 2]]]
    plain = aggregate(tabulate(counts, NAMES[:2]), NAMES[:2])
    assert plain.keys() == names(scored)
    surface = np.array([[[np.nan] * 4, [1, 2, 0.5, 0.25]]])
    with_surface = aggregate(tabulate(counts, NAMES[:2], surface), NAMES[:2])
    assert with_surface.keys() == names(scored + measured)
    assert all(type(value) is float for value in with_surface.values())


def test_of_two_classes_the_foreground_alone_is_scored():
    counts = [[[90, 4, 6], [20, 6, 4]], [[100, 0, 0], [0, 0, 0]]]
    table = tabulate(counts, NAMES[:2], np.ones((2, 2, 3)))
    assert table.loc[table["class"] == "background", "iou":"boundary_iou"].isna().all(axis=None)
    found = aggregate(table, NAMES[:2])
    assert found["iou"] == found["iou/cell"] == found["iou_dataset"] == 20 / 30
    assert found["images_without"] == found["images_without/cell"] == 1


def test_the_empty_cases():
    found = aggregate(tabulate([[[0, 0, 0]] * 3]), ["c0", "c1", "c2"])
    counted = {name for name in found if name.startswith("images_without")}
    assert all(found[name] == 1 for name in counted)
    assert all(math.isnan(found[name]) for name in found.keys() - counted)
    one_alone = tabulate([[[9, 3, 0], [0, 0, 3], [0, 0, 0]], [[9, 0, 3], [0, 3, 0], [0, 0, 0]]])
    found = aggregate(one_alone, ["c0", "c1", "c2"])
    assert [found[f"{score}/c1"] for score in RATIOS] == [0, 0, 0, 0]
    assert all(math.isnan(found[f"{score}/c2"]) for score in RATIOS)
    # A class that the truth never holds has no accuracy; the mean is over those that it holds.
    never = aggregate(tabulate([[[9, 0, 3], [8, 0, 0], [0, 3, 0]]]), ["c0", "c1", "c2"])
    assert math.isnan(never["pixel_accuracy/c2"])
    assert never["mean_pixel_accuracy"] == (0.75 + 1) / 2


def test_thresholded_iou_at_and_around_every_threshold():
    tp, union = np.meshgrid(np.arange(101), np.arange(1, 101))
    tp, union = tp[tp <= union], union[tp <= union]
    counts = np.stack([tp, union - tp, np.zeros_like(tp)], axis=-1)
    thresholds = [Fraction(k, 20) for k in range(10, 20)]
    expected = [
        sum(Fraction(int(t), int(u)) > x for x in thresholds) / 10
        for t, u in zip(tp, union, strict=True)
    ]
    assert thresholded_iou(counts).tolist() == expected
    assert len(set(expected)) == 11


def test_a_table_read_from_its_file_gives_the_same_averages():
    _, _, table = random_masks(3)
    file = io.StringIO(table.to_csv(index=False))
    read = pd.read_csv(file)
    names = ["c0", "c1", "c2"]
    assert aggregate(read, names) == pytest.approx(aggregate(table, names), rel=1e-14)


def test_iou_is_below_dice_in_every_row_and_average():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 30, (500, 4, 3)) * rng.integers(0, 2, (500, 4, 3))
    counts[:, 3, 1:] = 0
    surplus = counts[..., 1].sum(axis=1) - counts[..., 2].sum(axis=1)
    counts[:, 3, 1], counts[:, 3, 2] = np.maximum(-surplus, 0), np.maximum(surplus, 0)
    table = tabulate(counts)
    assert not (table["iou"] > table["dice"]).any()
    found = aggregate(table, [f"c{c}" for c in range(4)])
    pairs = [(found[x], found["dice" + x[3:]]) for x in found if "dice" + x[3:] in found]
    assert len(pairs) == 2 * (1 + 4)
    assert all(iou < dice for iou, dice in pairs)


@pytest.mark.parametrize(
    "scores",
    [
        {"iou": 0.6733, "dice": 0.5811},
        {"iou_dataset/cell": 0.5 + 1e-9, "dice_dataset/cell": 0.5},
        {"iou": [0.2, 0.9], "dice": [0.3, 0.8]},
        {"iou": [0.2, np.nan], "dice": [0.3, 0.8]},
    ],
)
def test_an_iou_that_its_dice_contradicts_is_refused(scores):
    with pytest.raises(ValueError, match=r"^iou.* beside dice.*: over the same images"):
        check_consistency(scores)
    check_consistency(dict.fromkeys(scores, 0.5))


def test_the_mean_dice_below_the_mean_iou_of_folder_8class():
    # Eight classes of 10,000 pixels each in mask or prediction, two of them never hit.
    hits = np.array([9966, 7934, 7934, 7934, 3316, 3316, 0, 0])
    wrong = (10_000 - hits) // 2
    table = tabulate(np.stack([hits, wrong, wrong], axis=-1)[None])
    iou, dice = table["iou"], table["dice"]
    # The study's two means: over the classes with an IoU above 0, and over all.
    assert round(iou[iou > 0].mean(), 4) == 0.6733
    assert round(dice.mean(), 4) == 0.5811
    # Over one set of classes, either one, the Dice is above.
    assert iou.mean() < dice.mean()
    assert iou[iou > 0].mean() < dice[iou > 0].mean()
    found = aggregate(table, [f"c{c}" for c in range(8)])
    assert found["iou"] == found["iou_dataset"] == pytest.approx(0.505)
    assert found["dice"] == found["dice_dataset"] == pytest.approx(0.5811, abs=5e-5)


def test_masks_with_foreign_labels_are_refused():
    scores = ImageScores(3)
    for index in range(3):
        target = torch.full((1, 4, 4), 7 if index else 2)
        scores.update(torch.ones(1, 4, 4, dtype=torch.int64), target, torch.tensor([index]))
    with pytest.raises(ValueError, match=r"mask of 'image 1' \(and 1 more\) .* the 3 classes"):
        tabulate(scores.compute().counts)


def test_arguments_that_do_not_fit_are_refused():
    counts, sizes = np.zeros((2, 3, 3), dtype=int), np.ones((2, 2), dtype=int)
    for ids, names, size in [(["a"], NAMES, sizes), (["a", "b"], NAMES[:2], sizes)]:
        with pytest.raises(ValueError, match="class_names need counts"):
            score_table(ids, names, counts, size)
    table = score_table(["a", "b"], NAMES, counts, sizes)
    for wrong in [table[:-1], table[::-1]]:
        with pytest.raises(ValueError, match="table must hold"):
            aggregate(wrong, NAMES)


def test_docs_describe_every_score() -> None:
    text = (Path(__file__).parents[2] / "docs" / "scores.md").read_text()
    rows = {row.split("|")[1].strip(): row for row in text.splitlines() if row.startswith("| `")}
    named = {name for cell in rows for name in re.findall("`([a-z0-9_]+)`", cell)}
    assert BY_NAME.keys() <= named
    for score in REGISTRY:  # each formula in a row of its own
        if score.per_image:
            assert (score.unit == "px") == (", pixels |" in rows[f"`{score.name}`"])
            in_pixels = score.unit == "px"
            assert ("| diagonal |" in rows[f"`{score.name}`"]) == in_pixels
