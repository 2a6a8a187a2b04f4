"""Scores of borders: how far the predicted border lies from the true one."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

Mask = NDArray[np.bool_]
Distances = NDArray[np.float64]

# Measured from 96 to 1600 pixels a side: a tree over the borders' pixels takes 16 times as long for
# each of them as a distance transform takes for each pixel of the window.
TREE_COST = 16


def surface_scores(
    prediction: Mask, truth: Mask, tolerance: float = 2.0
) -> tuple[float, float, float]:
    """ASSD, HD95 and NSD of two masks.

    With P and G the borders and d(p → G) the distance of a border pixel to the nearest one of the
    other border: ASSD = (Σ d(p → G) + Σ d(g → P)) / (|P| + |G|); HD95 is the larger of the 95th
    percentiles of d(p → G) and of d(g → P); NSD is the share of both borders' pixels with
    d ≤ ``tolerance``.

    Args:
        prediction: ``(H, W)`` bool.
        truth: ``(H, W)`` bool.
        tolerance: Of NSD, in pixels.

    Returns:
        ASSD and HD95 in pixels and NSD in [0, 1]. All NaN where both masks are empty; the image's
        diagonal, twice, and 0 where one is.

    Source:
        Heimann et al. 2009, doi:10.1109/TMI.2009.2013851 (ASSD); Maier-Hein, Reinke et al. 2024,
        "Metrics Reloaded", doi:10.1038/s41592-023-02151-z (all three); Nikolov et al. 2021,
        doi:10.2196/26151 (NSD).
    """
    present = prediction.any(), truth.any()
    if not any(present):
        return np.nan, np.nan, np.nan
    if not all(present):
        diagonal = float(np.hypot(*truth.shape))
        return diagonal, diagonal, 0.0
    one_way = surface_distances(prediction, truth)
    both_ways = np.concatenate(one_way)
    hd95 = max(float(np.percentile(distances, 95)) for distances in one_way)
    return float(both_ways.mean()), hd95, float((both_ways <= tolerance).mean())


def surface_distances(prediction: Mask, truth: Mask) -> tuple[Distances, Distances]:
    """Distances in pixels of P's pixels to G, and of G's to P; neither mask may be empty."""
    window = _bounding_box(prediction | truth)
    p, g = border(prediction[window]), border(truth[window])
    short = TREE_COST * (np.count_nonzero(p) + np.count_nonzero(g)) < p.size
    distances = _distances_by_tree if short else _distances_by_transform
    return distances(p, g), distances(g, p)


def border(mask: Mask) -> Mask:
    """The mask without its 4-connected erosion; outside the image is background."""
    m = np.pad(mask, 1)
    inner = m[:-2, 1:-1] & m[2:, 1:-1] & m[1:-1, :-2] & m[1:-1, 2:]
    edge: Mask = mask & ~inner
    return edge


def _bounding_box(mask: Mask) -> tuple[slice, slice]:
    """The smallest window around a mask that is not empty."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _distances_by_tree(source: Mask, other: Mask) -> Distances:
    """Distances of the source's pixels to the nearest of the other's: fast for short borders."""
    tree = KDTree(np.argwhere(other), leafsize=32, balanced_tree=False, compact_nodes=False)
    distances: Distances = tree.query(np.argwhere(source))[0]
    return distances


def _distances_by_transform(source: Mask, other: Mask) -> Distances:
    """The same numbers from a distance transform of the whole window: fast for long borders."""
    image = cv2.distanceTransform((~other).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # A squared distance between pixels is whole: rounding it removes the float32 of OpenCV.
    return np.sqrt(np.rint(np.square(image[source], dtype=np.float64)))
