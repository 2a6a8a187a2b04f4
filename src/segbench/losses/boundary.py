"""Boundary loss: errors weighted by their distance to the true border."""

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from segbench.losses.base import SegmentationLoss
from segbench.losses.channels import (
    channel_masks,
    class_probabilities,
    first_class,
    is_binary,
)


def signed_distance(region: NDArray[np.bool_], rest: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance in pixels to the border between region and rest, negative in the region.

    It is the exact Euclidean distance to the nearest pixel of the other side, minus the half pixel
    to the border. Pixels of neither side have the distance 0, and all pixels do if a side is empty.

    Args:
        region: ``(H, W)``, True on the class.
        rest: ``(H, W)``, True on the other classes.
    """
    if not (region.any() and rest.any()):
        return np.zeros(region.shape, np.float32)
    to_region, to_rest = (
        cv2.distanceTransform((~side).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        for side in (region, rest)
    )
    outside = np.where(rest, to_region - 0.5, 0)
    return np.where(region, 0.5 - to_rest, outside).astype(np.float32)


def signed_distances(logits: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """Signed distances of every channel's class, with the shape, dtype and device of ``logits``.

    The distances are computed on the CPU, which synchronises with the device once.
    """
    labels = target.cpu().numpy()
    valid = labels != ignore_index
    first = first_class(logits)
    distances = torch.empty(logits.shape)
    filled = distances.numpy()
    for image, channel in np.ndindex(filled.shape[:2]):
        region = (labels[image] == channel + first) & valid[image]
        filled[image, channel] = signed_distance(region, valid[image] & ~region)
    return distances.to(logits)


class WeighedErrors(torch.autograd.Function):
    """Σ φ (p − y), computed in the memory of y; only φ is kept for the backward pass."""

    @staticmethod
    def forward(
        ctx: Any, probabilities: Tensor, distances: Tensor, target: Tensor, ignore_index: int
    ) -> Tensor:
        """Sum over probabilities ``(N, K, H, W)`` and class ids ``(N, H, W)``; ignored: φ = 0."""
        ctx.save_for_backward(distances)
        if is_binary(probabilities):
            misses = target.to(probabilities.dtype).unsqueeze(1).eq_(1)
        else:
            misses = channel_masks(probabilities, target, ignore_index).to(probabilities.dtype)
        return misses.sub_(probabilities).mul_(distances).sum().neg()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradient φ of the probabilities, times the gradient of the loss."""
        (distances,) = ctx.saved_tensors
        return distances * gradient, None, None, None


class BoundaryLoss(SegmentationLoss):
    """Boundary loss Σ φ (p − y) / n in pixels: φ the signed distance to the true border.

    p is the softmax, or the sigmoid for one channel. φ is negative inside a region, so that every
    wrong pixel costs its distance to the border and a perfect prediction costs 0. The paper's loss
    Σ φ p differs by a constant. n is the number of valid pixels of the batch times the channels. A
    class that an image lacks, or that fills it, has no border there and counts 0, whatever is
    predicted: add this loss to a loss of regions (``CompoundLoss``). It is the only loss that
    synchronises with the device, once in each step.

    Args:
        ignore_index: the label of pixels left out; they are on neither side of a border.

    Example:
        >>> target = torch.tensor([[[0, 0, 1, 1]]])
        >>> everything = torch.full((1, 1, 1, 4), 100.0)  # the foreground is predicted everywhere
        >>> BoundaryLoss()(everything, target)  # two wrong pixels, 1.5 and 0.5 from the border
        tensor(0.5000)

    Source: Kervadec et al. 2019, arXiv 1812.07032.
    """

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean over pixels and channels of the distance-weighted error."""
        distances = signed_distances(logits, target, self.ignore_index)
        parts = class_probabilities(logits), distances, target, self.ignore_index
        valid = (target != self.ignore_index).count_nonzero() * logits.shape[1]
        loss: Tensor = WeighedErrors.apply(*parts) / valid.clamp(min=1)
        return loss
