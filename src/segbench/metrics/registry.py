"""The registry of scores: one entry has all facts of a score.

A new score needs a formula and an entry here. The columns of ``scores.csv``, the averages in
``run.json``, all tables, the page, the bounds that a file is checked against and the values of
``compare score=`` follow from it. Tables show a dash for a score that cells of older versions lack.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.arrays import Values
from segbench.metrics import calibration, objects, surface, topology
from segbench.metrics.calibration import Calibration
from segbench.metrics.objects import FindObjects, Matching
from segbench.metrics.surface import Mask, MaskPair

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Score:
    """A score of one class in one image, or of one class over all images.

    Args:
        name: name in files and options.
        label: name in tables and figures.
        of_counts: formula from counts ``(…, 3)`` (tp, fp, fn) to values ``(…)``.
        of_masks: formula from a pair of masks, neither of them empty, to a value.
        of_objects: formula from the matching of an image's objects to a value.
        of_probabilities: formula from the calibration of an image's pixels to a value, which is
            the same for all classes.
        optional: whether it is computed only if ``scores`` asks for it.
        unit: ``"px"`` or ``"objects"``, or empty for a fraction.
        lower_is_better: whether the best value is the lowest.
        upper: the largest possible value; the smallest is 0.
        per_image: whether it is a mean over images; else its counts are summed over all images.
        column: whether it is a column of ``scores.csv``; a formula on counts needs none.
        headline: whether a cell's table on the terminal shows it.
        shown: whether a comparison's page shows it beside the compared score.
        heading: a shorter label for the terminal.

    Example:
        >>> BY_NAME["hd95"].title
        'HD95 (px)'
        >>> BY_NAME["iou"].of_counts(np.array([2, 1, 1])).item()  # tp / (tp + fp + fn)
        0.5
    """

    name: str
    label: str
    of_counts: Callable[[Counts], Values] | None = None
    of_masks: Callable[[MaskPair], float] | None = None
    of_objects: Callable[[Matching], float] | None = None
    of_probabilities: Callable[[Calibration], float] | None = None
    optional: bool = False
    unit: str = ""
    lower_is_better: bool = False
    upper: float = 1.0
    per_image: bool = True
    column: bool = False
    headline: bool = False
    shown: bool = False
    heading: str = ""

    @property
    def title(self) -> str:
        """The label with its unit, such as ``HD95 (px)``."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def missed(self, diagonal: float) -> float:
        """The worst value, which a class gets that only one of the two masks holds.

        Args:
            diagonal: length of the image's diagonal in pixels.
        """
        return min(self.upper, diagonal) if self.lower_is_better else 0.0


def _ratio(part: Callable[..., Any], whole: Callable[..., Any]) -> Callable[[Counts], Values]:
    """A formula of a ratio of counts: NaN where tp, fp and fn are 0, else 0 where tp is 0."""

    def formula(counts: Counts) -> Values:
        tp, fp, fn = np.moveaxis(counts, -1, 0)
        ratio = part(tp, fp, fn) / np.maximum(whole(tp, fp, fn), 1)
        return np.where(tp + fp + fn > 0, ratio, np.nan)

    return formula


def thresholded_iou(counts: Counts) -> Values:
    """Fraction of the thresholds 0.50, 0.55 … 0.95 that the IoU of counts ``(…, 3)`` exceeds.

    It is ⌈clamp(20 · (IoU − ½), 0, 10)⌉ / 10, computed in integers, because in floating point an
    IoU of exactly 0.55 exceeds 0.55. NaN where the class is in neither mask.

    Example:
        >>> thresholded_iou(np.array([[7, 2, 1], [0, 0, 0]]))  # IoU 0.7 exceeds 0.50 to 0.65
        array([0.4, nan])
    """
    tp, union = counts[..., 0], counts.sum(axis=-1)
    passed = np.clip(-((10 * union - 20 * tp) // np.maximum(union, 1)), 0, 10)  # −⌊−x⌋ = ⌈x⌉
    return np.where(union > 0, passed / 10, np.nan)


_iou = _ratio(lambda tp, fp, fn: tp, lambda tp, fp, fn: tp + fp + fn)
_dice = _ratio(lambda tp, fp, fn: 2 * tp, lambda tp, fp, fn: 2 * tp + fp + fn)
_precision = _ratio(lambda tp, fp, fn: tp, lambda tp, fp, fn: tp + fp)
_recall = _ratio(lambda tp, fp, fn: tp, lambda tp, fp, fn: tp + fn)
_OVER_ALL: dict[str, Any] = {"per_image": False}  # counts are summed over all images first
_ASKED: dict[str, Any] = {"column": True, "optional": True}

REGISTRY = (
    Score("iou", "IoU", _iou, column=True, headline=True, shown=True),
    Score("dice", "Dice", _dice, column=True, headline=True, shown=True),
    Score("precision", "precision", _precision),
    Score("recall", "recall", _recall),
    Score("iou_thresholded", "thresholded IoU", thresholded_iou),
    Score(
        "iou_dataset", "IoU over the data set", _iou, **_OVER_ALL, headline=True, shown=True,
        heading="IoU, data set",
    ),
    Score("dice_dataset", "Dice over the data set", _dice, **_OVER_ALL),
    Score("precision_dataset", "precision over the data set", _precision, **_OVER_ALL),
    Score("recall_dataset", "recall over the data set", _recall, **_OVER_ALL),
    Score("loss", "loss", per_image=False, lower_is_better=True, upper=math.inf, shown=True),
    Score("pixel_accuracy", "pixel accuracy", per_image=False),
    Score("mean_pixel_accuracy", "mean pixel accuracy", per_image=False),
    Score(
        "assd", "ASSD", of_masks=surface.assd, unit="px", lower_is_better=True, upper=math.inf,
        column=True, headline=True, shown=True,
    ),
    Score(
        "hd95", "HD95", of_masks=surface.hd95, unit="px", lower_is_better=True, upper=math.inf,
        column=True, headline=True, shown=True,
    ),
    Score("nsd", "NSD", of_masks=surface.nsd, column=True, headline=True, shown=True),
    Score("boundary_iou", "Boundary IoU", of_masks=surface.boundary_iou, column=True, shown=True),
    Score("cldice", "clDice", of_masks=topology.cldice, **_ASKED, shown=True),
    Score("ap50", "AP50 of objects", of_objects=objects.ap50, **_ASKED),
    Score("ap", "AP of objects", of_objects=objects.ap, **_ASKED, shown=True, heading="AP"),
    Score("pq", "panoptic quality", of_objects=objects.pq, **_ASKED, shown=True, heading="PQ"),
    Score("sq", "segmentation quality", of_objects=objects.sq, **_ASKED),
    Score("rq", "recognition quality", of_objects=objects.rq, **_ASKED),
    Score("aji", "AJI", of_objects=objects.aji, **_ASKED, shown=True),
    Score(
        "count_error", "error of the count", of_objects=objects.count_error, unit="objects",
        lower_is_better=True, upper=math.inf, **_ASKED, shown=True, heading="count error",
    ),
    Score(
        "ece", "expected calibration error", of_probabilities=calibration.ece,
        lower_is_better=True, **_ASKED, shown=True, heading="ECE",
    ),
    Score(
        "brier", "Brier score", of_probabilities=calibration.brier, lower_is_better=True, upper=2.0,
        **_ASKED, shown=True, heading="Brier",
    ),
)  # fmt: skip
BY_NAME = {score.name: score for score in REGISTRY}
PER_IMAGE = {score.name: score for score in REGISTRY if score.per_image}
OF_COUNTS = {score.name: score.of_counts for score in REGISTRY if score.of_counts}
OF_MASKS = {
    score.name: score.of_masks for score in REGISTRY if score.of_masks and not score.optional
}
SURFACE = list(OF_MASKS)
OPTIONAL = [score.name for score in REGISTRY if score.optional]
OF_SKELETONS = [score.name for score in REGISTRY if score.of_masks and score.optional]
OF_OBJECTS = [score.name for score in REGISTRY if score.of_objects]
OF_PROBABILITIES = [score.name for score in REGISTRY if score.of_probabilities]


def find_score(name: str) -> Score:
    """The entry of a score such as ``hd95`` or ``hd95/nucleus``; a new one for unknown names.

    Example:
        >>> find_score("hd95/nucleus").lower_is_better
        True
    """
    plain = name.partition("/")[0]
    return BY_NAME.get(plain) or Score(plain, plain, per_image=False)


def mask_scores(prediction: Mask, truth: Mask, tolerance: float = surface.TOLERANCE) -> Values:
    """The scores ``SURFACE`` (ASSD, HD95, NSD, Boundary IoU) of two masks, in this order.

    Args:
        prediction: ``(H, W)`` bool.
        truth: ``(H, W)`` bool.
        tolerance: the tolerance of NSD, in pixels.

    Returns:
        One value for each score: NaN where both masks are empty; where only one of them is, the
        score's worst value, which for a distance is the image's diagonal.

    Example:
        >>> truth = np.zeros((9, 9), bool)
        >>> truth[2:7, 2:7] = True
        >>> mask_scores(np.roll(truth, 1, axis=1), truth).round(3)  # moved by one pixel
        array([0.5  , 1.   , 1.   , 0.333])
    """
    return _mask_scores([BY_NAME[name] for name in SURFACE], prediction, truth, tolerance)


def skeleton_scores(prediction: Mask, truth: Mask) -> Values:
    """The scores ``OF_SKELETONS`` of two masks (H, W), as `mask_scores` gives the others.

    Raises:
        ValueError: scikit-image is not installed.

    Example:
        >>> truth = np.zeros((3, 9), bool)
        >>> truth[1] = True  # a line, and a prediction that has a gap
        >>> skeleton_scores(truth & (np.arange(9) != 4), truth).round(2)
        array([0.94])
    """
    return _mask_scores([BY_NAME[name] for name in OF_SKELETONS], prediction, truth)


def _mask_scores(
    scores: list[Score], prediction: Mask, truth: Mask, tolerance: float = surface.TOLERANCE
) -> Values:
    present = prediction.any(), truth.any()
    if not any(present):
        return np.full(len(scores), np.nan)
    if not all(present):
        diagonal = float(np.hypot(*truth.shape))
        return np.array([score.missed(diagonal) for score in scores])
    pair = MaskPair(prediction, truth, tolerance)
    return np.array([score.of_masks(pair) for score in scores if score.of_masks])


def object_scores(
    prediction: Mask, truth: NDArray[Any], find: FindObjects, ignored: Mask | None = None
) -> Values:
    """The scores ``OF_OBJECTS`` of a predicted mask (H, W) against true objects, in this order.

    Args:
        prediction: the mask, whose objects ``find`` finds.
        truth: ``(H, W)``, the number of the object at each pixel, 0 for none.
        find: finds the predicted objects.
        ignored: ``(H, W)``, pixels that do not count; a predicted object is found with them, and
            scored without them.

    Returns:
        One value for each score: NaN where there are neither predicted nor true objects. Where
        there is only one kind, all are 0 but the count error.

    Example:
        >>> truth = np.repeat([[1, 1, 1, 0, 2, 2, 2]], 3, axis=0)
        >>> found = object_scores(truth == 1, truth, FindObjects())
        >>> dict(zip(OF_OBJECTS, found.round(2).tolist()))["ap"]  # one of two objects, exactly
        0.5
    """
    found_objects = find(np.ascontiguousarray(prediction))
    if ignored is not None:
        found_objects = np.where(ignored, 0, found_objects)
        truth = np.where(ignored, 0, truth)
    found = Matching.of(found_objects, truth)
    if not len(found.predicted) + len(found.true):
        return np.full(len(OF_OBJECTS), np.nan)
    formulas = [score.of_objects for score in REGISTRY if score.of_objects]
    return np.array([formula(found) for formula in formulas])


def probability_scores(found: Calibration) -> Values:
    """The scores ``OF_PROBABILITIES`` of an image, in this order; NaN where no pixel counts.

    Example:
        >>> found = Calibration()
        >>> found.add(np.array([[[0.0]], [[1.0]]]), np.array([[1]]))  # certain, and right
        >>> probability_scores(found)
        array([0., 0.])
    """
    formulas = [score.of_probabilities for score in REGISTRY if score.of_probabilities]
    return np.array([formula(found) if found.pixels else np.nan for formula in formulas])
