"""Boundary loss: errors weighted by their distance to the true border."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segbench.losses.base import SegmentationLoss
from segbench.losses.targets import (
    channel_masks,
    class_probabilities,
    first_class,
    reduce_pixels,
)


def signed_distance(region: NDArray[np.bool_], rest: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance in pixels to the border between region and rest, negative in the region.

    It is the exact Euclidean distance to the nearest pixel of the other side, less the half pixel
    to the border. 0 on pixels of neither side, and everywhere if a side is empty.

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
    """Signed distances of every channel's class, in shape, dtype and device those of ``logits``.

    It waits for the device once: the distances are computed on the CPU.
    """
    labels = target.cpu().numpy()
    valid = labels != ignore_index
    first = first_class(logits)
    distances = np.empty(logits.shape, np.float32)
    for image, channel in np.ndindex(distances.shape[:2]):
        region = (labels[image] == channel + first) & valid[image]
        distances[image, channel] = signed_distance(region, valid[image] & ~region)
    return torch.from_numpy(distances).to(logits)


class BoundaryLoss(SegmentationLoss):
    """Boundary loss Σ φ (p − y) / n in pixels: φ the signed distance to the true border.

    p is softmax, a sigmoid for one channel. φ is negative inside, so that every wrong pixel costs
    its distance to the border and a perfect prediction 0: the paper's loss, which is Σ φ p, differs
    by a constant. n are the valid pixels of the batch times the channels. A class that an image
    lacks, or that fills it, has no border there and counts 0, whatever is predicted: add it to a
    loss of regions (``compound``). It is the one loss that waits for the device, once a step.

    Args:
        ignore_index: The label of pixels left out; they are on neither side of a border.

    Source: Kervadec et al. 2019, arXiv 1812.07032.
    """

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean over pixels and channels of the distance-weighted error."""
        distances = signed_distances(logits, target, self.ignore_index)
        masks = channel_masks(logits, target, self.ignore_index)
        errors = class_probabilities(logits) - masks.to(logits.dtype)
        valid = target != self.ignore_index
        return reduce_pixels(distances * errors, valid, "mean", logits.shape[1])
