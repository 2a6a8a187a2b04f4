"""Counts of right and wrong pixels of each image and class, from which scores are computed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from segbench.arrays import row_blocks
from segbench.metrics.calibration import BINS, Calibration
from segbench.metrics.optional import OptionalScores
from segbench.metrics.registry import SURFACE, mask_scores
from segbench.metrics.scores import scored_classes
from segbench.metrics.surface import TOLERANCE

LABELS = 256  # masks are uint8 on disk, so that every label is below this
CONFUSED = range(3, 65)  # numbers of classes whose confusions are counted
_STATES = ("index", "counts", "sizes", "surface", "optional", "confusion", "reliability")
OUTSIDE = LABELS - 1  # the label that ignored pixels are set to; never a class


@dataclass
class Scores:
    """Counts and surface scores, one row for each image, in the order of the data set's cases."""

    index: NDArray[np.int64]  # (n,) index of the case in the data set
    counts: NDArray[np.int64]  # (n, C, 3): true positive, false positive, false negative
    sizes: NDArray[np.int64]  # (n, 2): height and width in pixels
    surface: NDArray[np.float64] | None  # (n, C, S): the scores SURFACE of the registry
    # (n, C) of each of the scores that were asked for
    optional: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    # (C, C): pixels of all images by true and predicted class, of `CONFUSED` classes
    confusion: NDArray[np.int64] | None = None
    # (BINS, 3) of `Calibration`, summed over all images, where probabilities were scored
    reliability: NDArray[np.float64] | None = None


def image_counts(
    prediction: Tensor, target: Tensor, num_classes: int, ignore_index: int = 255
) -> Tensor:
    """True positive, false positive and false negative pixels of every image and class.

    Pixels whose target is ``ignore_index`` are not counted. A target that is neither a class nor
    ignored counts as a false positive of the predicted class and as no class's false negative, so
    that the sums of both differ; ``score_table`` refuses such counts.

    Args:
        prediction: ``(N, H, W)`` labels in ``[0, num_classes)``.
        target: ``(N, H, W)`` labels in ``[0, 256)``.
        num_classes: number of classes C, the background included.
        ignore_index: the target's label of pixels that do not count.

    Returns:
        ``(N, C, 3)`` int64 on the device of the input, which the host does not wait for.

    Example:
        >>> prediction, target = torch.tensor([[[1, 1, 0]]]), torch.tensor([[[1, 0, 255]]])
        >>> image_counts(prediction, target, num_classes=2)[0, 1]  # tp, fp and fn of class 1
        tensor([1, 1, 0])
    """
    # bincount is the fastest on a CPU, but makes the host wait for any other device.
    count = _count_by_bins if prediction.device.type == "cpu" else _count_by_comparison
    hit, predicted, actual = count(prediction, target, num_classes, ignore_index)
    return torch.stack([hit, predicted - hit, actual - hit], dim=-1)


def _count_by_bins(
    prediction: Tensor, target: Tensor, num_classes: int, ignore_index: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Hit, predicted and true pixels ``(N, C)`` of each class, from one table for each image."""
    size = LABELS * num_classes  # of an image's table of true by predicted labels
    count = len(prediction)
    tables = torch.zeros(count * size, dtype=torch.int64)
    for rows in row_blocks(prediction.shape[1], count * prediction.shape[2]):
        labels, truth = prediction[:, rows].long(), target[:, rows].long()
        pairs = torch.add(labels, truth, alpha=num_classes).flatten(1)
        pairs += torch.arange(0, count * size, size).unsqueeze(1)
        tables += pairs.flatten().bincount(minlength=count * size)
    confusion = tables.view(count, LABELS, num_classes)
    confusion[:, ignore_index] = 0
    classes = confusion[:, :num_classes]
    return classes.diagonal(dim1=1, dim2=2), confusion.sum(dim=1), classes.sum(dim=2)


def _count_by_comparison(
    prediction: Tensor, target: Tensor, num_classes: int, ignore_index: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The same counts from comparisons alone: deterministic, without waiting for the device."""
    ignored = target == ignore_index
    labels = prediction.to(torch.uint8).masked_fill(ignored, OUTSIDE)
    truth = target.to(torch.uint8).masked_fill(ignored, OUTSIDE)
    predicted = [labels == c for c in range(num_classes)]
    actual = [truth == c for c in range(num_classes)]
    hit = [p & a for p, a in zip(predicted, actual, strict=True)]
    hits, predictions, actuals = (
        torch.stack([mask.sum(dim=(1, 2)) for mask in masks], dim=1)
        for masks in (hit, predicted, actual)
    )
    return hits, predictions, actuals


def confusion_of(
    prediction: NDArray[np.uint8], truth: NDArray[np.uint8], num_classes: int
) -> NDArray[np.int64]:
    """The pixels ``(N, C, C)`` of images ``(N, H, W)`` by their true and their predicted class.

    Pixels whose prediction or truth is no class are left out.

    Example:
        >>> prediction, truth = (np.array([[[1, 1, 0]]], np.uint8), np.array([[[1, 0, 255]]]))
        >>> confusion_of(prediction, truth.astype(np.uint8), 2).tolist()
        [[[0, 1], [0, 1]]]
    """
    found = np.zeros((len(truth), num_classes**2), np.int64)
    for counts, image, mask in zip(found, prediction, truth, strict=True):
        for rows in row_blocks(len(image), image[:1].size):
            inside = (mask[rows] < num_classes) & (image[rows] < num_classes)
            pairs = mask[rows][inside].astype(np.int64) * num_classes + image[rows][inside]
            counts += np.bincount(pairs, minlength=num_classes**2)
    return found.reshape(-1, num_classes, num_classes)


class ImageScores(Metric):
    """Collects the counts, and optionally the surface scores, of every image.

    Memory grows by one row for each image. Under DDP ``compute`` gathers the rows of all processes,
    and a case that was seen twice (a sampler's padding) counts once.

    Args:
        num_classes: number of classes, the background included.
        ignore_index: the target's label of pixels that do not count.
        surface: whether to compute surface scores too, which copies the labels to the host.
        tolerance: the tolerance of NSD, in pixels.
        optional: the scores that are asked for; None: none are.

    Raises:
        ValueError: if ``num_classes`` or ``ignore_index`` does not fit the labels of a mask.

    Example:
        >>> scores = ImageScores(num_classes=2)
        >>> scores.update(torch.tensor([[[1, 1]]]), torch.tensor([[[1, 0]]]), torch.tensor([7]))
        >>> scores.compute().counts[0, 1]  # tp, fp and fn of class 1 in case 7
        array([1, 1, 0])
    """

    full_state_update = False

    def __init__(
        self,
        num_classes: int,
        ignore_index: int = 255,
        surface: bool = False,
        tolerance: float = TOLERANCE,
        optional: OptionalScores | None = None,
    ) -> None:
        super().__init__()
        if not 2 <= num_classes < LABELS:
            raise ValueError(f"num_classes must be from 2 to {LABELS - 1}, got {num_classes}")
        if not 0 <= ignore_index < LABELS:
            raise ValueError(
                f"ignore_index must be a mask's label, from 0 to {LABELS - 1}, got {ignore_index}; "
                "a mask without ignored pixels can name 255"
            )
        self.num_classes, self.ignore_index = num_classes, ignore_index
        self.with_surface, self.tolerance = surface, tolerance
        self.asked = optional or OptionalScores()
        self.index: list[Tensor]
        self.counts: list[Tensor]
        self.sizes: list[Tensor]
        self.surface: list[Tensor]
        self.optional: list[Tensor]
        self.confusion: list[Tensor]
        self.reliability: list[Tensor]
        for name in _STATES:
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(
        self,
        prediction: Tensor,
        target: Tensor,
        index: Tensor,
        objects: Sequence[NDArray[Any]] | None = None,
        calibrations: Sequence[Calibration] | None = None,
    ) -> None:
        """Add a row for each image.

        Args:
            prediction: labels ``(N, H, W)``.
            target: labels ``(N, H, W)``.
            index: ``(N,)``, the index of each image's case in the data set.
            objects: for each image the number of the true object at each pixel ``(H, W)``, if
                objects are scored.
            calibrations: of each image, if probabilities are scored.

        Raises:
            ValueError: if the three shapes do not fit one another.
        """
        if prediction.ndim != 3 or prediction.shape != target.shape or len(index) != len(target):
            raise ValueError(
                "prediction and target must both be (N, H, W) and index (N,), got "
                f"{tuple(prediction.shape)}, {tuple(target.shape)} and {tuple(index.shape)}"
            )
        counts = image_counts(prediction, target, self.num_classes, self.ignore_index)
        index = index.to(counts.device, torch.int64, non_blocking=True)
        self.index.append(index)
        self.counts.append(counts)
        # Filled on the device: the host would wait for a tensor made from a list of numbers.
        height, width = (torch.full_like(index, side) for side in target.shape[1:])
        self.sizes.append(torch.stack([height, width], dim=1))
        if self.with_surface:
            self.surface.append(self._surface(prediction, target).to(counts.device))
        if self.asked.names:
            found = self._optional(prediction, target, objects, calibrations)
            self.optional.append(found.to(counts.device))
        if self.asked.probabilities and calibrations is not None:
            bins = np.stack([each.bins for each in calibrations])
            self.reliability.append(torch.from_numpy(bins).to(counts.device))

    def _optional(
        self,
        prediction: Tensor,
        target: Tensor,
        objects: Sequence[NDArray[Any]] | None,
        calibrations: Sequence[Calibration] | None,
    ) -> Tensor:
        """The scores ``(N, C, F)`` float64 that are asked for."""
        rows = []
        on_host = (x.to("cpu", torch.uint8).numpy() for x in (prediction, target))
        for place, (labels, truth) in enumerate(zip(*on_host, strict=True)):
            rows.append(
                self.asked.of_image(
                    labels,
                    truth,
                    self.num_classes,
                    self.ignore_index,
                    None if objects is None else objects[place],
                    None if calibrations is None else calibrations[place],
                )
            )
        return torch.from_numpy(np.stack(rows))

    def _surface(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Surface scores ``(N, C, S)`` float64 of the scored classes, NaN for others."""
        ignored = target == self.ignore_index
        labels, truth = (
            x.masked_fill(ignored, OUTSIDE).to(torch.uint8).cpu().numpy()
            for x in (prediction, target)
        )
        scores = np.full((len(labels), self.num_classes, len(SURFACE)), np.nan)
        if self.num_classes in CONFUSED:
            pixels = confusion_of(labels, truth, self.num_classes)
            self.confusion.append(torch.from_numpy(pixels).to(target.device))
        for c in scored_classes(self.num_classes):
            for row, p, t in zip(scores, labels == c, truth == c, strict=True):
                row[c] = mask_scores(p, t, self.tolerance)
        return torch.from_numpy(scores)

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Gather the rows of all processes; a process without images gives an empty table."""
        # torchmetrics' own empty state is 1-D and float32, which does not fit the other tables.
        if not self.index:
            rows = torch.zeros(0, self.num_classes, 3, dtype=torch.int64, device=self.device)
            self.index.append(rows[:, 0, 0])
            self.counts.append(rows)
            self.sizes.append(rows[:, 0, :2])
            if self.with_surface:
                empty = (0, self.num_classes, len(SURFACE))
                self.surface.append(torch.zeros(empty, dtype=torch.float64, device=self.device))
            if self.with_surface and self.num_classes in CONFUSED:
                self.confusion.append(rows[:, :, :1].repeat(1, 1, self.num_classes))
            if names := self.asked.names:
                none = torch.zeros(0, self.num_classes, len(names), dtype=torch.float64)
                self.optional.append(none.to(self.device))
            if self.asked.probabilities:
                none = torch.zeros(0, BINS, 3, dtype=torch.float64)
                self.reliability.append(none.to(self.device))
        super().sync(*args, **kwargs)

    def compute(self) -> Scores:
        """The rows of all processes so far, each case once, sorted by its index."""
        tables = (self.index, self.counts, self.sizes)
        index, counts, sizes = (dim_zero_cat(table).cpu().numpy() for table in tables)
        order = np.unique(index, return_index=True)[1]
        surface = dim_zero_cat(self.surface).cpu().numpy()[order] if self.with_surface else None
        optional = {}
        if len(self.optional):
            known = dim_zero_cat(self.optional).cpu().numpy()[order]
            optional = dict(zip(self.asked.names, np.moveaxis(known, -1, 0), strict=True))
        confusion, reliability = (
            dim_zero_cat(each).cpu().numpy()[order].sum(axis=0) if len(each) else None
            for each in (self.confusion, self.reliability)
        )
        facts = index[order], counts[order], sizes[order], surface, optional
        return Scores(*facts, confusion, reliability)
