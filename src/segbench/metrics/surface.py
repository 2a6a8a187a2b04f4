"""Surface scores: distances between the predicted and the true border, and their overlap."""

from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

Mask = NDArray[np.bool_]
Distances = NDArray[np.float64]

# Measured on sides of 96 to 1600 pixels: a tree takes 22 times as long for each border pixel as a
# distance transform takes for each pixel of the window. Up to TABLE_SIZE pairs of border pixels, a
# table of all pairs is faster than either.
TREE_COST = 22
TABLE_SIZE = 1_000_000
TOLERANCE = 2.0  # default of NSD, in pixels
WIDTH_OF_BAND = 0.02  # of Boundary IoU, as a fraction of the image's diagonal
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


class MaskPair:
    """Two masks of one shape, neither of them empty, and the distances between their borders.

    Args:
        prediction: ``(H, W)`` bool.
        truth: ``(H, W)`` bool.
        tolerance: the tolerance of NSD, in pixels.

    Example:
        >>> pair = MaskPair(np.array([[False, True, True]]), np.array([[True, True, False]]))
        >>> pair.one_way  # of the predicted pixels to the true ones, and back
        (array([0., 1.]), array([1., 0.]))
        >>> assd(pair), hd95(pair), nsd(pair), boundary_iou(pair)
        (0.5, 0.95, 1.0, 0.3333333333333333)
    """

    def __init__(self, prediction: Mask, truth: Mask, tolerance: float = TOLERANCE) -> None:
        self.prediction, self.truth, self.tolerance = prediction, truth, tolerance

    @cached_property
    def one_way(self) -> tuple[Distances, Distances]:
        """Distance in pixels of each border pixel to the nearest one of the other border."""
        return surface_distances(self.prediction, self.truth)

    @cached_property
    def both_ways(self) -> Distances:
        """The distances of ``one_way``, concatenated."""
        return np.concatenate(self.one_way)


def assd(pair: MaskPair) -> float:
    """Average symmetric surface distance in pixels, from 0 on.

    It is (Σ d(p → G) + Σ d(g → P)) / (|P| + |G|), where P and G are the borders and d(p → G) is the
    distance of the border pixel p to the nearest pixel of G.

    Source:
        Heimann et al. 2009, doi:10.1109/TMI.2009.2013851.
    """
    return float(pair.both_ways.mean())


def hd95(pair: MaskPair) -> float:
    """The larger of the 95th percentiles of d(p → G) and of d(g → P), in pixels, from 0 on.

    Source:
        Maier-Hein, Reinke et al. 2024, "Metrics Reloaded", doi:10.1038/s41592-023-02151-z.
    """
    return max(_percentile_95(distances) for distances in pair.one_way)


def nsd(pair: MaskPair) -> float:
    """Normalised surface distance, from 0 to 1: fraction of the border pixels within the tolerance.

    Source:
        Nikolov et al. 2021, doi:10.2196/26151.
    """
    return float((pair.both_ways <= pair.tolerance).mean())


def boundary_iou(pair: MaskPair) -> float:
    """IoU, from 0 to 1, of the two masks' pixels that lie within a distance of their border.

    The distance is 2 % of the image's diagonal, rounded to whole pixels and at least 1, counted in
    steps to any of the eight neighbours. Pixels outside the image count as background.

    Source:
        Cheng et al. 2021, "Boundary IoU", arXiv:2103.16562.
    """
    width = max(1, round(WIDTH_OF_BAND * float(np.hypot(*pair.truth.shape))))
    window = _bounding_box(pair.prediction | pair.truth)
    p, g = (_band(mask[window], width) for mask in (pair.prediction, pair.truth))
    return float(np.count_nonzero(p & g) / np.count_nonzero(p | g))


def _band(mask: Mask, width: int) -> Mask:
    """The pixels of a mask that are at most ``width`` steps from the background."""
    kernel = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    band: Mask = mask ^ _eroded(mask, kernel)
    return band


def _eroded(mask: Mask, kernel: NDArray[np.uint8]) -> Mask:
    outside = {"borderType": cv2.BORDER_CONSTANT, "borderValue": 0}
    return cv2.erode(mask.view(np.uint8), kernel, **outside).view(np.bool_)  # type: ignore[call-overload, no-any-return]


def _percentile_95(values: Distances) -> float:
    """NumPy's linear percentile, in a tenth of its time for a few hundred values."""
    position = 0.95 * (len(values) - 1)
    low = int(position)
    high = min(low + 1, len(values) - 1)
    ordered = np.partition(values, (low, high))
    return float(ordered[low] + (position - low) * (ordered[high] - ordered[low]))


def surface_distances(prediction: Mask, truth: Mask) -> tuple[Distances, Distances]:
    """Distances in pixels from the predicted border to the true one, and back.

    Args:
        prediction: ``(H, W)`` bool, not empty.
        truth: ``(H, W)`` bool, not empty.
    """
    window = _bounding_box(prediction | truth)
    p, g = border(prediction[window]), border(truth[window])
    points = _points(p), _points(g)
    if len(points[0]) * len(points[1]) <= TABLE_SIZE:
        return _distances_by_table(*points)
    if TREE_COST * sum(map(len, points)) < p.size:
        return _distances_by_tree(*points), _distances_by_tree(*points[::-1])
    return _distances_by_transform(p, g), _distances_by_transform(g, p)


def border(mask: Mask) -> Mask:
    """The border of a mask: the mask without its 4-connected erosion, background outside."""
    edge: Mask = mask ^ _eroded(mask, _CROSS)
    return edge


def _bounding_box(mask: Mask) -> tuple[slice, slice]:
    """The smallest window around a mask that is not empty."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _points(mask: Mask) -> NDArray[np.int32]:
    """Coordinates ``(n, 2)`` of a mask's pixels; NumPy takes ten times as long to find them."""
    return np.asarray(cv2.findNonZero(mask.view(np.uint8)), np.int32).reshape(-1, 2)


def _distances_by_table(p: NDArray[np.int32], g: NDArray[np.int32]) -> tuple[Distances, Distances]:
    """Distances in both directions from a table of all pairs: the fastest for few pixels.

    |p − g|² = |p|² − 2 p·g + |g|² is a product of matrices of integers, which float32 represents
    exactly for coordinates up to 1024.
    """
    exact: Any = np.float32 if max(p.max(), g.max()) <= 1024 else np.float64
    left = np.column_stack([-2 * p, np.square(p).sum(axis=1), np.ones(len(p))])
    right = np.column_stack([g, np.ones(len(g)), np.square(g).sum(axis=1)])
    table = left.astype(exact) @ right.astype(exact).T
    to_g, to_p = (table.min(axis=axis).astype(np.float64) for axis in (1, 0))
    return np.sqrt(to_g), np.sqrt(to_p)


def _distances_by_tree(source: NDArray[np.int32], other: NDArray[np.int32]) -> Distances:
    """Distances to the nearest pixel of the other border by a tree: fast for short borders."""
    tree = KDTree(other, leafsize=32, balanced_tree=False, compact_nodes=False)
    distances: Distances = tree.query(source)[0]
    return distances


def _distances_by_transform(source: Mask, other: Mask) -> Distances:
    """The same distances by a distance transform of the window: fast for long borders."""
    image = cv2.distanceTransform((~other).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # A squared distance between pixels is an integer: rounding removes OpenCV's float32 error.
    return np.sqrt(np.rint(np.square(image[source], dtype=np.float64)))
