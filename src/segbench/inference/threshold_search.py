"""Finds the foreground's threshold with the best mean IoU on the val part."""

import math

import torch
from lightning import LightningModule, Trainer
from torch import Tensor

from segbench.cell.task import SegmentationTask
from segbench.data.base import SegmentationDataModule
from segbench.inference.thresholds import BEST
from segbench.metrics.counts import image_counts
from segbench.metrics.registry import BY_NAME
from segbench.metrics.scores import known_mean
from segbench.text.screen import say
from segbench.types import Batch, predicted_labels

CANDIDATES = tuple(k / 20 for k in range(1, 20))


class ThresholdIoU(LightningModule):
    """Computes the foreground's IoU of each image for each candidate of a threshold.

    Args:
        task: the task whose network predicts, of two classes.
    """

    def __init__(self, task: SegmentationTask) -> None:
        super().__init__()
        self.task = task
        self.counts: list[Tensor] = []  # of each image (T, 3): tp, fp and fn of the foreground

    def test_step(self, batch: Batch, batch_idx: int) -> dict[str, list[Tensor]]:
        """Count pixels at the original size of each image; returns the labels for ½."""
        ignore_index, masks = self.task.scores.ignore_index, batch["original"]
        found = []
        strips_of = self.task.strips(batch, [mask.shape for mask in masks], [])
        for strips, mask in zip(strips_of, masks, strict=True):
            counts = torch.zeros(len(CANDIDATES), 3, dtype=torch.int64)
            labels = torch.empty_like(mask)
            for top, logits in strips:
                rows = slice(top, top + logits.shape[1])
                for counted, threshold in zip(counts, CANDIDATES, strict=True):
                    predicted = predicted_labels(logits[None], threshold)
                    own = image_counts(predicted, mask[None, rows], 2, ignore_index)
                    counted += own[0, 1].cpu()
                labels[rows] = predicted_labels(logits[None])[0]
            self.counts.append(counts)
            found.append(labels)
        return {"labels": found}

    def mean_iou(self) -> list[float]:
        """The mean over the images of the IoU with each candidate."""
        counts = torch.stack(self.counts, dim=1).numpy()
        formula = BY_NAME["iou"].of_counts
        assert formula is not None
        return [float(value) for value in known_mean(formula(counts), axis=1)]


def find_threshold(
    asked: float | str, task: SegmentationTask, data: SegmentationDataModule, trainer: Trainer
) -> tuple[float, str]:
    """The threshold, and where it comes from: ``given``, or ``best mean IoU on val``.

    Of equally good thresholds the one nearest to ½ is taken.
    """
    if asked != BEST:
        return float(asked), "given"
    search = ThresholdIoU(task)
    data.scored_part = "val"
    trainer.test(search, datamodule=data, verbose=False)
    ious = [-1.0 if math.isnan(iou) else iou for iou in search.mean_iou()]
    iou, _, threshold = max(
        (iou, -abs(each - 0.5), each) for iou, each in zip(ious, CANDIDATES, strict=True)
    )
    half = ious[CANDIDATES.index(0.5)]
    say(f"threshold {threshold}: the best on val, IoU {iou:.4f} (with 0.5: {half:.4f})")
    return threshold, "best mean IoU on val"
