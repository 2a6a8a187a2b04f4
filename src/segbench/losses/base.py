"""The base class of losses: it checks shapes, computes in float32 and sets balanced weights."""

import torch
from torch import Tensor, nn

from segbench.losses.channels import check_shapes
from segbench.losses.class_weights import ClassWeights
from segbench.types import IGNORE_INDEX


class SegmentationLoss(nn.Module):
    """A scalar float32 loss of logits ``(N, K, H, W)`` and class ids ``(N, H, W)`` int64.

    A subclass implements ``compute``, which gets float32 logits (float64 stays float64) with
    autocast switched off.

    Args:
        ignore_index: the label of pixels that are left out.

    Example:
        >>> class MeanLogit(SegmentationLoss):
        ...     def compute(self, logits, target):
        ...         return logits[:, 0][target != self.ignore_index].mean()
        >>> logits = torch.tensor([[[[1.0, 5.0]]]], dtype=torch.float16)
        >>> MeanLogit()(logits, torch.tensor([[[0, 255]]]))
        tensor(1.)
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
        """Compute the loss from logits in full precision."""
        raise NotImplementedError

    def set_pixel_counts(self, counts: Tensor) -> None:
        """Set every ``balanced`` weight of this loss from the training part's pixel counts.

        Args:
            counts: ``(num_classes,)`` int64, background first, ignored pixels left out.
        """
        for module in self.modules():
            if isinstance(module, ClassWeights):
                module.set_pixel_counts(counts)
