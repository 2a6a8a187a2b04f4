"""Lovász losses: the convex surrogate of the Jaccard loss, hinge for one channel, else softmax."""

from collections.abc import Iterator

import torch
from torch import Tensor

from segbench.losses.base import SegmentationLoss
from segbench.losses.targets import (
    class_probabilities,
    first_class,
    is_binary,
    mean_over_images,
)
from segbench.types import IGNORE_INDEX


@torch.no_grad()
def lovasz_gradient(errors: Tensor, region: Tensor) -> Tensor:
    """Gradient of the Lovász extension of the Jaccard loss at ``errors``, of the same shape.

    With errors sorted downwards, element i gets J_i − J_(i−1), where J = 1 − I / U is the Jaccard
    loss if the first i pixels were wrong. Written out that is 1 / U for a pixel of the region, else
    I / (U (U − 1)); the difference itself, of neighbours among millions, is noise in float32.

    Args:
        errors: ``(R, P)``, one row for each image.
        region: ``(R, P)`` bool, the true region.

    Source: Berman et al. 2018, arXiv 1705.08790, algorithm 1.
    """
    order = errors.argsort(dim=-1, descending=True)
    is_region = region.gather(-1, order)
    found = is_region.cumsum(-1, dtype=torch.int32)
    rank = torch.arange(1, errors.shape[-1] + 1, dtype=torch.int32, device=errors.device)
    size = found[:, -1:]
    intersection = (size - found).to(errors.dtype)
    union = (size + rank - found).to(errors.dtype)
    # Without a region the first pixel, with U = 1, makes the whole loss: J goes from 0 to 1.
    step = torch.where(is_region | (union == 1), 1, intersection / (union - 1)) / union
    return torch.empty_like(errors).scatter_(-1, order, step)


def pixel_errors(logits: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each channel's errors ``(N, H, W)`` of claiming its class, and of not claiming it.

    One channel: the hinge's 1 + z and 1 − z; many: p and 1 − p of the softmax.
    """
    if is_binary(logits):
        yield 1 + logits[:, 0], 1 - logits[:, 0]
        return
    for probability in class_probabilities(logits).unbind(dim=1):
        yield probability, 1 - probability


class LovaszLoss(SegmentationLoss):
    """Lovász hinge for one channel, Lovász softmax for many.

    Each image (``per_image``) or the batch is sorted by its errors, class by class. For one channel
    an image without foreground counts its largest error. For many the mean runs over the classes
    that the image's target has; absent ones are left out. Then the mean over images with a pixel
    that is not ignored. At labels p ∈ {0, 1} the value is the mean Jaccard loss, and twice it for
    the hinge at z = ±1.

    Args:
        per_image: Sort within each image, or else the batch as one.
        ignore_index: The label of pixels left out.

    Source: Berman et al. 2018, arXiv 1705.08790; hinge: Yu and Blaschko 2015, arXiv 1512.07797.
    """

    def __init__(self, per_image: bool = True, ignore_index: int = IGNORE_INDEX) -> None:
        super().__init__(ignore_index)
        self.per_image = per_image

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean of the surrogates over classes, then images."""
        ignored = target == self.ignore_index
        rows = len(target) if self.per_image else 1
        losses, present = [], []  # K of (rows,)
        for class_id, (wrong, right) in enumerate(pixel_errors(logits), first_class(logits)):
            region = ((target == class_id) & ~ignored).reshape(rows, -1)
            # Negative errors sort last and, rectified, weigh nothing: so do the ignored pixels.
            errors = torch.where(region, right.reshape(rows, -1), wrong.reshape(rows, -1))
            errors = errors.masked_fill(ignored.reshape(rows, -1), -1)
            weights = lovasz_gradient(errors.detach(), region)
            losses.append((errors.relu() * weights).sum(dim=1))
            present.append(region.any(dim=1) | is_binary(logits))
        counted = torch.stack(present)  # (K, rows)
        loss = (torch.stack(losses) * counted).sum(dim=0) / counted.sum(dim=0).clamp(min=1)
        return mean_over_images(loss, target, self.ignore_index) if self.per_image else loss.mean()
