import numpy as np
import pytest
import torch
from sklearn.metrics import multilabel_confusion_matrix

from segbench.metrics.counts import (
    ImageScores,
    _count_by_bins,
    _count_by_comparison,
    image_counts,
)
from segbench.metrics.registry import mask_scores

IGNORE = 255


def label_maps(n: int, num_classes: int, ignored: float = 0.2, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    shape = (n, 13, 17)
    prediction = torch.randint(num_classes, shape, generator=generator)
    target = torch.randint(num_classes, shape, generator=generator)
    target[torch.rand(shape, generator=generator) < ignored] = IGNORE
    return prediction, target


@pytest.mark.parametrize("num_classes", [2, 3, 8, 21])
def test_counts_equal_scikit_learns(num_classes):
    prediction, target = label_maps(4, num_classes)
    counts = image_counts(prediction, target, num_classes, IGNORE)
    assert counts.dtype == torch.int64
    for row, p, t in zip(counts.numpy(), prediction.numpy(), target.numpy(), strict=True):
        valid = t != IGNORE
        matrix = multilabel_confusion_matrix(t[valid], p[valid], labels=range(num_classes))
        np.testing.assert_array_equal(row[:, 0], matrix[:, 1, 1])
        np.testing.assert_array_equal(row[:, 1], matrix[:, 0, 1])
        np.testing.assert_array_equal(row[:, 2], matrix[:, 1, 0])


@pytest.mark.parametrize("ignore_index", [IGNORE, 0, 1])
@pytest.mark.parametrize("ignored", [0.0, 0.3, 1.0])
def test_both_ways_of_counting_agree(ignored, ignore_index):
    prediction, target = label_maps(3, 4, ignored)
    by_bins = _count_by_bins(prediction, target, 4, ignore_index)
    by_comparison = _count_by_comparison(prediction, target, 4, ignore_index)
    assert torch.equal(torch.stack(by_bins), torch.stack(by_comparison))


def test_a_mask_of_uint8_counts_like_one_of_int64():
    prediction, target = label_maps(2, 8)
    expected = image_counts(prediction, target, 8)
    assert torch.equal(image_counts(prediction, target.byte(), 8), expected)


def test_ignored_pixels_have_no_influence():
    prediction, target = label_maps(2, 3)
    changed = torch.where(target == IGNORE, (prediction + 1) % 3, prediction)
    assert torch.equal(image_counts(prediction, target, 3), image_counts(changed, target, 3))
    assert not image_counts(prediction, torch.full_like(target, IGNORE), 3).any()


def test_update_never_asks_a_device_for_a_value():
    # A tensor on the meta device has none to give: each op that waits for one raises there.
    prediction, target = (x.to("meta") for x in label_maps(4, 3))
    scores = ImageScores(3)
    scores.update(prediction, target, torch.arange(4))
    assert scores.counts[0].shape == (4, 3, 3)
    assert {scores.counts[0].device, scores.sizes[0].device} == {torch.device("meta")}
    with pytest.raises((RuntimeError, NotImplementedError)):
        _count_by_bins(prediction, target, 3, IGNORE)


def test_rows_are_sorted_and_a_case_seen_twice_counts_once():
    prediction, target = label_maps(4, 3)
    scores = ImageScores(3, surface=True)
    scores.update(prediction[:3], target[:3], torch.tensor([5, 0, 2]))
    scores.update(prediction[[3, 0]], target[[3, 0]], torch.tensor([1, 5]))
    result = scores.compute()
    np.testing.assert_array_equal(result.index, [0, 1, 2, 5])
    order = [1, 3, 2, 0]
    np.testing.assert_array_equal(result.counts, image_counts(prediction, target, 3)[order])
    np.testing.assert_array_equal(result.sizes, [[13, 17]] * 4)
    assert result.surface is not None
    assert (result.counts.dtype, result.surface.dtype) == (np.int64, np.float64)


def test_images_of_different_sizes_share_a_table():
    scores = ImageScores(2)
    for index, (height, width) in enumerate([(4, 9), (7, 3)]):
        ones = torch.ones(1, height, width, dtype=torch.int64)
        scores.update(ones, ones, torch.tensor([index]))
    result = scores.compute()
    np.testing.assert_array_equal(result.sizes, [[4, 9], [7, 3]])
    np.testing.assert_array_equal(result.counts[:, 1], [[36, 0, 0], [21, 0, 0]])
    assert result.surface is None


def test_reset_forgets_the_rows():
    scores = ImageScores(3)
    for seed in range(2):
        scores.reset()
        scores.update(*label_maps(2, 3, seed=seed), torch.arange(2))
    expected = image_counts(*label_maps(2, 3, seed=1), 3)
    np.testing.assert_array_equal(scores.compute().counts, expected)


@pytest.mark.filterwarnings("ignore:The ``compute`` method:UserWarning")
def test_no_image_gives_an_empty_table():
    result = ImageScores(3, surface=True).compute()
    assert result.surface is not None
    assert [len(x) for x in (result.index, result.counts, result.sizes, result.surface)] == [0] * 4


@pytest.mark.parametrize("num_classes", [2, 3])
def test_surface_scores_are_of_the_scored_classes_without_ignored_pixels(num_classes):
    prediction, target = label_maps(2, num_classes)
    scores = ImageScores(num_classes, surface=True, tolerance=1.0)
    scores.update(prediction, target, torch.arange(2))
    surface = scores.compute().surface
    assert surface is not None
    valid = (target != IGNORE).numpy()
    for n in range(2):
        for c in range(num_classes):
            masks = ((x[n].numpy() == c) & valid[n] for x in (prediction, target))
            expected = mask_scores(*masks, 1.0) if c or num_classes > 2 else np.nan
            np.testing.assert_array_equal(surface[n, c], expected)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"num_classes": 1}, "num_classes must be from 2 to 255, got 1"),
        ({"num_classes": 256}, "num_classes must be from 2 to 255, got 256"),
        ({"num_classes": 3, "ignore_index": -100}, "ignore_index .* got -100"),
    ],
)
def test_settings_that_no_mask_can_meet_are_refused(settings, named):
    with pytest.raises(ValueError, match=named):
        ImageScores(**settings)


def test_labels_that_do_not_belong_together_are_refused():
    prediction, target = label_maps(2, 3)
    for arguments in [
        (prediction, target[:1], torch.arange(2)),
        (prediction, target, torch.arange(3)),
        (prediction[0], target[0], torch.arange(13)),
    ]:
        with pytest.raises(ValueError, match="prediction and target must both be"):
            ImageScores(3).update(*arguments)
