"""What every loss shares: checked shapes, float32 whatever the precision, balanced weights."""

import torch
from torch import Tensor, nn

from segbench.losses.targets import check_shapes
from segbench.losses.weights import ClassWeights
from segbench.types import IGNORE_INDEX


class SegmentationLoss(nn.Module):
    """A scalar float32 loss of logits ``(N, K, H, W)`` and class ids ``(N, H, W)`` int64.

    A subclass writes ``compute``; it sees float32 (float64 stays as it is) outside any autocast.
    """

    def __init__(self, ignore_index: int = IGNORE_INDEX) -> None:
        super().__init__()
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Loss of logits ``(N, K, H, W)`` of any float dtype against ``(N, H, W)`` int64."""
        check_shapes(logits, target)
        with torch.autocast(logits.device.type, enabled=False):
            return self.compute(logits if logits.dtype == torch.float64 else logits.float(), target)

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        """The formula, in full precision."""
        raise NotImplementedError

    def set_pixel_counts(self, counts: Tensor) -> None:
        """Turn the training split's pixel counts into every ``balanced`` weight in here.

        Args:
            counts: ``(num_classes,)`` int64, background first, ignored pixels left out.
        """
        for module in self.modules():
            if isinstance(module, ClassWeights):
                module.set_pixel_counts(counts)
