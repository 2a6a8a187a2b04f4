import medpy.metric.binary as medpy
import numpy as np
import pytest
import torch
from monai.metrics import (
    compute_average_surface_distance,
    compute_hausdorff_distance,
    compute_surface_dice,
)
from scipy.ndimage import binary_erosion, gaussian_filter

from segbench.metrics.registry import SURFACE, mask_scores
from segbench.metrics.surface import (
    _distances_by_table,
    _distances_by_transform,
    _distances_by_tree,
    _percentile_95,
    _points,
    border,
    surface_distances,
)

TOLERANCE = 2.0
SHOWN = ["assd", "hd95", "nsd"]


def surface_scores(prediction, truth, tolerance: float = TOLERANCE) -> tuple[float, ...]:
    """ASSD, HD95 and NSD."""
    scores = dict(zip(SURFACE, mask_scores(prediction, truth, tolerance), strict=True))
    return tuple(scores[name] for name in SHOWN)


def boundary_iou(prediction, truth) -> float:
    return float(mask_scores(prediction, truth)[SURFACE.index("boundary_iou")])


def blobs(seed: int, shape: tuple[int, int], sigma: float, share: float = 0.4) -> np.ndarray:
    field = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), sigma)
    return field > np.quantile(field, 1 - share)


def noise(seed: int, shape: tuple[int, int], share: float) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < share


def box(shape: tuple[int, int], top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[top : top + height, left : left + width] = True
    return mask


SHAPE = (48, 65)
PAIRS = {
    "coarse blobs": (blobs(0, SHAPE, 6), blobs(1, SHAPE, 6)),
    "fine blobs": (blobs(2, SHAPE, 2), np.roll(blobs(2, SHAPE, 2), (1, -2), (0, 1))),
    "large blobs": (blobs(3, (300, 260), 25, 0.2), blobs(4, (300, 260), 25, 0.2)),
    "dense noise": (noise(0, SHAPE, 0.5), noise(1, SHAPE, 0.5)),
    "sparse noise": (noise(2, SHAPE, 0.02), noise(3, SHAPE, 0.02)),
    "blob and noise": (blobs(5, SHAPE, 5), noise(4, SHAPE, 0.1)),
    "thin lines": (box(SHAPE, 3, 2, 1, 60), box(SHAPE, 1, 30, 46, 1)),
    "single pixels": (box(SHAPE, 3, 4, 1, 1), box(SHAPE, 40, 60, 1, 1)),
    "the same pixel": (box(SHAPE, 3, 4, 1, 1), box(SHAPE, 3, 4, 1, 1)),
    "pixel and blob": (box(SHAPE, 0, 64, 1, 1), blobs(6, SHAPE, 6)),
    "touching the image's border": (box(SHAPE, 0, 0, 20, 30), box(SHAPE, 10, 40, 38, 25)),
    "along the image's border": (box(SHAPE, 0, 0, 48, 2), box(SHAPE, 46, 0, 2, 65)),
    "whole image": (box(SHAPE, 0, 0, *SHAPE), box(SHAPE, 0, 0, *SHAPE)),
    "whole image and blob": (box(SHAPE, 0, 0, *SHAPE), blobs(7, SHAPE, 6)),
    "whole image and pixel": (box(SHAPE, 0, 0, *SHAPE), box(SHAPE, 20, 20, 1, 1)),
    "far apart": (box((600, 700), 0, 0, 9, 9), box((600, 700), 580, 690, 12, 7)),
    "one inside the other": (box(SHAPE, 10, 10, 30, 30), box(SHAPE, 20, 18, 5, 9)),
    "one row": (noise(5, (1, 40), 0.5), noise(6, (1, 40), 0.5)),
}
pairs = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)


# MONAI 1.6 passes itself an argument that MONAI 1.5 deprecated.
@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
@pairs
def test_scores_agree_with_monai(pair):
    masks = [torch.from_numpy(mask)[None, None].float() for mask in pair]
    expected = (
        compute_average_surface_distance(*masks, include_background=True, symmetric=True),
        compute_hausdorff_distance(*masks, include_background=True, percentile=95),
        compute_surface_dice(*masks, [TOLERANCE], include_background=True),
    )
    # MONAI computes in float32: its relative error is 6e-8.
    expected = torch.stack(expected).flatten().tolist()
    assert surface_scores(*pair, TOLERANCE) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pairs
def test_assd_agrees_with_medpy(pair):
    assert surface_scores(*pair)[0] == pytest.approx(medpy.assd(*pair), rel=1e-12, abs=1e-12)


@pairs
def test_hd95_is_medpys_but_for_where_the_percentile_is_taken(pair):
    one_way = surface_distances(*pair)
    assert np.percentile(np.concatenate(one_way), 95) == pytest.approx(medpy.hd95(*pair), abs=1e-9)
    assert surface_scores(*pair)[1] == max(np.percentile(distances, 95) for distances in one_way)
    assert max(distances.max() for distances in one_way) == pytest.approx(medpy.hd(*pair), abs=1e-9)


@pairs
def test_all_ways_to_the_distances_give_equal_numbers(pair):
    p, g = (border(mask) for mask in pair)
    tables = _distances_by_table(_points(p), _points(g))
    for source, other, by_table in [(p, g, tables[0]), (g, p, tables[1])]:
        by_tree = _distances_by_tree(_points(source), _points(other))
        np.testing.assert_array_equal(by_tree, _distances_by_transform(source, other))
        np.testing.assert_array_equal(by_tree, by_table)
        assert len(by_tree) == np.count_nonzero(source)


def test_far_pixels_have_exact_distances_in_a_table():
    far = np.array([[4999, 4000], [4000, 4999]], np.int32)
    near = np.array([[4998, 4000], [0, 0]], np.int32)
    expected = np.sqrt([1.0, 998**2 + 999**2])
    np.testing.assert_array_equal(_distances_by_table(far, near)[0], expected)


@pytest.mark.parametrize("count", [1, 2, 3, 20, 21, 22, 997])
def test_percentile_is_numpys(count):
    values = np.random.default_rng(count).exponential(size=count)
    assert _percentile_95(values) == pytest.approx(np.percentile(values, 95), rel=1e-15)


@pairs
def test_scores_are_symmetric_and_bounded(pair):
    assd, hd95, nsd = surface_scores(*pair, TOLERANCE)
    assert surface_scores(*pair[::-1], TOLERANCE) == pytest.approx((assd, hd95, nsd), rel=1e-12)
    assert 0 <= assd <= np.hypot(*pair[0].shape)
    assert 0 <= nsd <= 1
    assert surface_scores(pair[0], pair[0]) == (0, 0, 1)


def test_scores_by_hand():
    # Columns 0 and 3 of a 1 × 8 image against column 5: d(P → G) = 5, 2 and d(G → P) = 2.
    prediction, truth = np.zeros((2, 1, 8), dtype=bool)
    prediction[0, [0, 3]], truth[0, 5] = True, True
    hd95 = 2 + 0.95 * 3
    assert surface_scores(prediction, truth) == pytest.approx((9 / 3, hd95, 2 / 3), rel=1e-15)
    assert surface_scores(prediction, truth, tolerance=1.9)[2] == 0
    assert surface_scores(prediction, truth, tolerance=5)[2] == 1


def test_the_border_is_four_connected_and_runs_along_the_edge_of_the_image():
    edge = border(np.ones((4, 5), dtype=bool))
    np.testing.assert_array_equal(edge, ~np.pad(np.ones((2, 3), dtype=bool), 1))
    plus = np.ones((3, 3), dtype=bool)
    plus[[0, 0, 2, 2], [0, 2, 0, 2]] = False
    assert not border(plus)[1, 1]  # its four neighbours are there, its diagonal ones are not


def test_empty_masks():
    empty, mask = np.zeros((30, 40), dtype=bool), box((30, 40), 2, 3, 4, 5)
    assert np.isnan(mask_scores(empty, empty)).all()
    for pair in [(mask, empty), (empty, mask)]:
        assert surface_scores(*pair) == (50, 50, 0)
        assert boundary_iou(*pair) == 0


def eroded_in_steps(mask: np.ndarray, steps: int) -> np.ndarray:
    """Without the pixels that a 3 × 3 erosion, repeated, takes; the padding is background."""
    eroded = binary_erosion(np.pad(mask, 1), np.ones((3, 3)), iterations=steps)
    return eroded[1:-1, 1:-1]


@pytest.mark.parametrize("name", PAIRS)
def test_boundary_iou_is_that_of_masks_without_their_erosion(name):
    pair = PAIRS[name]
    steps = max(1, round(0.02 * float(np.hypot(*pair[0].shape))))
    p, g = (mask & ~eroded_in_steps(mask, steps) for mask in pair)
    expected = np.count_nonzero(p & g) / np.count_nonzero(p | g)
    assert boundary_iou(*pair) == boundary_iou(*pair[::-1]) == expected
    assert boundary_iou(pair[0], pair[0]) == 1


def test_boundary_iou_by_hand():
    # The diagonal of 30 × 40 pixels is 50: a band of one pixel. Two squares of 5 × 5 pixels, one a
    # column to the right of the other: rings of 16 pixels; they share 4 pixels of the top row, 4 of
    # the bottom row and none of the columns, of 24 in all.
    prediction, truth = box((30, 40), 10, 10, 5, 5), box((30, 40), 10, 11, 5, 5)
    assert boundary_iou(prediction, truth) == pytest.approx(8 / 24, rel=1e-15)
    # The same in 60 × 80 pixels: a band of two leaves one pixel in the middle of each square.
    prediction, truth = box((60, 80), 10, 10, 5, 5), box((60, 80), 10, 11, 5, 5)
    assert boundary_iou(prediction, truth) == pytest.approx(18 / 30, rel=1e-15)
    # What touches the image's edge has its border there.
    whole = np.ones((30, 40), dtype=bool)
    without_ring = whole.copy()
    without_ring[1:-1, 1:-1] = False
    assert boundary_iou(whole, without_ring) == 1
