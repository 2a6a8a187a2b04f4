"""EpochIoU: the scores of an epoch's images at the network's size."""

from collections.abc import Sequence

import torch
from torch import Tensor

from segbench.metrics.counts import ImageScores
from segbench.metrics.scores import aggregate, score_table
from segbench.types import IGNORE_INDEX


class EpochIoU(ImageScores):
    """Mean IoU of an epoch's images at the network's size, for curves and model selection.

    Args:
        class_names: background first.
        ignore_index: the label of pixels that scores ignore.
        surface: whether the scores of borders are computed too, which takes time in each step.

    Attributes:
        averages: all averages of the last ``compute``, by name.
    """

    def __init__(
        self, class_names: Sequence[str], ignore_index: int = IGNORE_INDEX, surface: bool = False
    ) -> None:
        super().__init__(len(class_names), ignore_index, surface)
        self.class_names = list(class_names)
        self.averages: dict[str, float] = {}

    def compute(self) -> Tensor:  # type: ignore[override]
        """The mean IoU of the epoch's images, a scalar tensor."""
        scores = super().compute()
        ids = [str(i) for i in scores.index]
        facts = scores.counts, scores.sizes, scores.surface
        self.averages = aggregate(score_table(ids, self.class_names, *facts), self.class_names)
        return torch.tensor(self.averages["iou"], device=self.device)
