"""Scores of objects: how many predicted ones match true ones, such as nuclei one by one.

Predicted objects are the connected parts of a mask, or those of a watershed. In the formulas an
object is the set of its pixels, and IoU that of two such sets.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix

from segbench.metrics.surface import Mask

Ids = NDArray[np.int32]  # (H, W): 0 where there is no object, else the object's number
METHODS = ("components", "watershed")
DISTANCE = 5  # pixels
STEPS = range(10)  # of the thresholds 0.50, 0.55 … 0.95


@dataclass(frozen=True)
class FindObjects:
    """Finds the objects of a mask.

    Args:
        method: ``components``: pixels that touch at a side or a corner are one object;
            ``watershed``: touching objects are cut where the distance to the background is least.
        distance: of ``watershed``: two objects' centres are at least so many pixels apart.

    Raises:
        ValueError: there is no such method, or the distance is below 1.

    Example:
        >>> mask = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 0]], bool)
        >>> int(FindObjects()(mask).max())
        2
    """

    method: str = METHODS[0]
    distance: int = DISTANCE

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"instances={self.method}: expected {' or '.join(METHODS)}")
        if isinstance(self.distance, bool) or not isinstance(self.distance, int):
            raise ValueError(f"instance_distance={self.distance}: expected a whole number")
        if self.distance < 1:
            raise ValueError(f"instance_distance={self.distance}: expected 1 or more pixels")
        if self.method == "watershed":
            _skimage()

    @property
    def record(self) -> dict[str, Any]:
        """The entry in a cell's record."""
        further = {"distance": self.distance} if self.method == "watershed" else {}
        return {"method": self.method, **further}

    def __call__(self, mask: Mask) -> Ids:
        """The objects (H, W) of a mask (H, W), numbered from 1."""
        if self.method == "components":
            return _components(mask)
        return _watershed(mask, self.distance)


def _components(mask: Mask) -> Ids:
    return np.asarray(cv2.connectedComponents(mask.view(np.uint8), connectivity=8)[1], np.int32)


def _watershed(mask: Mask, distance: int) -> Ids:
    """Parts of a mask around the peaks of the distance to the background."""
    feature, segmentation = _skimage()
    padded = np.pad(mask, 1).view(np.uint8)  # the outside of the image is background
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    whole = _components(mask)  # each has a peak, however small it is
    peaks = feature.peak_local_max(
        depth, min_distance=distance, labels=whole, exclude_border=False, num_peaks_per_label=np.inf
    )
    seeds = np.zeros(mask.shape, np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return np.asarray(segmentation.watershed(-depth, seeds, connectivity=2, mask=mask), np.int32)


def _skimage() -> tuple[Any, Any]:
    try:
        from skimage import feature, segmentation
    except ImportError as error:
        raise ValueError(
            "instances=watershed: scikit-image is not installed; pip install 'segbench[objects]'"
        ) from error
    return feature, segmentation


@dataclass(frozen=True)
class Matching:
    """Which predicted and true objects of an image overlap, of which there is at least one.

    Args:
        predicted: the predicted objects' pixels, (P,).
        true: the true objects' pixels, (T,).
        pairs: the indices of each predicted and true object that overlap, (M, 2).
        common: the pixels that each pair has in common, (M,).

    Example:
        >>> found = Matching.of(np.array([[4, 4, 0]]), np.array([[0, 9, 9]]))
        >>> found.predicted, found.true, found.common, found.unions
        (array([2]), array([2]), array([1]), array([3]))
    """

    predicted: NDArray[np.int64]
    true: NDArray[np.int64]
    pairs: NDArray[np.int64]
    common: NDArray[np.int64]

    @classmethod
    def of(cls, prediction: NDArray[Any], truth: NDArray[Any]) -> "Matching":
        """The matching of predicted and true objects (H, W), whose numbers need no order."""
        areas = [np.bincount(ids.ravel()) for ids in (prediction, truth)]
        numbers = []
        for area in areas:
            area[0] = 0
            numbers.append(np.cumsum(area > 0) - 1)  # the index of each object's number
        both = (prediction > 0) & (truth > 0)
        rows, columns = numbers[0][prediction[both]], numbers[1][truth[both]]
        shape = (max(1, np.count_nonzero(areas[0])), max(1, np.count_nonzero(areas[1])))
        ones = np.ones(len(rows), np.int64)
        table = coo_matrix((ones, (rows, columns)), shape).tocsr().tocoo()
        pairs = np.stack([table.row, table.col], axis=1).astype(np.int64)
        return cls(areas[0][areas[0] > 0], areas[1][areas[1] > 0], pairs, table.data)

    @property
    def unions(self) -> NDArray[np.int64]:
        """The pixels of either object of each pair, (M,)."""
        of_both = self.predicted[self.pairs[:, 0]] + self.true[self.pairs[:, 1]]
        return np.asarray(of_both - self.common)

    def hits(self, step: int) -> NDArray[np.bool_]:
        """The pairs whose IoU is above 0.5 + 0.05 · step; no object is in two of them.

        Computed in integers, since in floating point an IoU of exactly 0.55 exceeds 0.55.
        """
        return np.asarray(20 * self.common > (10 + step) * self.unions)


def ap50(found: Matching) -> float:
    """TP / (TP + FP + FN) of objects, where a hit has an IoU above 0.5; from 0 to 1.

    Source:
        Caicedo et al. 2019, doi:10.1038/s41592-019-0612-7.
    """
    return _average_precision(found, 0)


def ap(found: Matching) -> float:
    """The mean of TP / (TP + FP + FN) over IoUs above 0.50, 0.55 … 0.95; from 0 to 1.

    Source:
        The evaluation page of Kaggle's 2018 Data Science Bowl; Caicedo et al. 2019,
        doi:10.1038/s41592-019-0612-7.
    """
    return sum(_average_precision(found, step) for step in STEPS) / len(STEPS)


def _average_precision(found: Matching, step: int) -> float:
    hits = np.count_nonzero(found.hits(step))
    return float(hits / (len(found.predicted) + len(found.true) - hits))


def sq(found: Matching) -> float:
    """Segmentation quality: the mean IoU of the pairs with an IoU above 0.5; 0 without any.

    Source:
        Kirillov et al. 2019, arXiv:1801.00868.
    """
    hits = found.hits(0)
    return float((found.common[hits] / found.unions[hits]).mean()) if hits.any() else 0.0


def rq(found: Matching) -> float:
    """Recognition quality, TP / (TP + ½ FP + ½ FN) of objects, which is their F1; from 0 to 1.

    Source:
        Kirillov et al. 2019, arXiv:1801.00868.
    """
    hits = np.count_nonzero(found.hits(0))
    return float(2 * hits / (len(found.predicted) + len(found.true)))


def pq(found: Matching) -> float:
    """Panoptic quality, the product of `sq` and `rq`, from 0 to 1.

    Source:
        Kirillov et al. 2019, arXiv:1801.00868.
    """
    return sq(found) * rq(found)


def aji(found: Matching) -> float:
    """Aggregated Jaccard index, from 0 to 1.

    Each true object is paired with the predicted one of the largest IoU. The index is the sum of
    the pairs' common pixels, divided by the sum of their unions, of true objects without a pair and
    of predicted objects in no pair.

    Source:
        Kumar et al. 2017, doi:10.1109/TMI.2017.2677499.
    """
    order = np.lexsort((-found.common / found.unions, found.pairs[:, 1]))
    _, first = np.unique(found.pairs[order, 1], return_index=True)
    best = order[first]
    unpaired = np.delete(found.true, found.pairs[best, 1]).sum()
    unpaired += np.delete(found.predicted, found.pairs[best, 0]).sum()
    return float(found.common[best].sum() / (found.unions[best].sum() + unpaired))


def count_error(found: Matching) -> float:
    """The difference of the numbers of predicted and true objects, from 0 on."""
    return float(abs(len(found.predicted) - len(found.true)))
