"""Focal losses: Lin's, and the one that weighs the positive pixels alone."""

import torch
from torch import Tensor

from segbench.losses.base import SegmentationLoss
from segbench.losses.targets import (
    Reduction,
    binary_focal,
    check_reduction,
    is_binary,
    one_against_rest,
    pixel_cross_entropy,
    reduce_pixels,
)
from segbench.types import IGNORE_INDEX


def modulated(cross_entropy: Tensor, gamma: float, floor: float = 1e-6) -> Tensor:
    """(1 − p)^γ · (−log p) of −log p; below ``floor``, 1 − p counts as constant.

    Without the floor, the gradient at p = 1 is not a number for γ below 1.
    """
    if gamma == 0:
        return cross_entropy
    miss = -torch.expm1(-cross_entropy)
    return miss.clamp(min=floor).pow(gamma) * cross_entropy


def check_gamma(gamma: float) -> None:
    """Raise a ValueError for a negative exponent."""
    if gamma < 0:
        raise ValueError(f"gamma is at least 0, got {gamma}")


class FocalLoss(SegmentationLoss):
    """Focal loss −α_y (1 − p_y)^γ log p_y, p softmax, a sigmoid for one channel.

    ``mean`` divides the sum over all pixels of the batch by the number of valid pixels (the paper:
    by that of matched boxes). A class absent from the batch changes nothing.

    Args:
        gamma: γ, at least 0; 0 is cross-entropy.
        alpha: Weight in [0, 1] of every foreground class, the background's is 1 − α; None: 1 each.
        reduction: ``mean`` or ``sum``.
        ignore_index: The label of pixels left out.

    Source: Lin et al. 2017, arXiv 1708.02002, equation 5.
    """

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: float | None = 0.25,
        reduction: Reduction = "mean",
        ignore_index: int = IGNORE_INDEX,
    ) -> None:
        super().__init__(ignore_index)
        check_reduction(reduction)
        check_gamma(gamma)
        if alpha is not None and not 0 <= alpha <= 1:
            raise ValueError(f"alpha is null or in [0, 1], got {alpha}")
        self.gamma, self.alpha, self.reduction = gamma, alpha, reduction

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        """Focal loss, mean or sum over pixels."""
        if is_binary(logits):
            how = self.reduction, self.gamma, self.alpha
            return binary_focal(logits, target, self.ignore_index, *how)
        cross_entropy = pixel_cross_entropy(logits, target, self.ignore_index)
        losses = modulated(cross_entropy, self.gamma)
        if self.alpha is not None:
            foreground = (target > 0).to(losses.dtype)
            losses = losses * (1 - self.alpha + (2 * self.alpha - 1) * foreground)
        return reduce_pixels(losses, target != self.ignore_index, self.reduction)


class FocalPositiveLoss(SegmentationLoss):
    """Focal loss with the factor on positives alone: −[(1 − p)^γ y log p + (1 − y) log(1 − p)].

    p is a sigmoid; for many classes each stands against the rest. ``mean`` divides by the valid
    pixels of the batch times the channels. A class absent from the batch is all negatives.

    Args:
        gamma: γ, at least 0; 0 is binary cross-entropy.
        reduction: ``mean``, or ``sum`` as the study has it.
        ignore_index: The label of pixels left out.

    Source: the ``ph2_losses`` study (docs/losses.md); it is not Lin's.
    """

    def __init__(
        self,
        gamma: float = 2.0,
        reduction: Reduction = "mean",
        ignore_index: int = IGNORE_INDEX,
    ) -> None:
        super().__init__(ignore_index)
        check_reduction(reduction)
        check_gamma(gamma)
        self.gamma, self.reduction = gamma, reduction

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        """Positive-focal loss, mean or sum over pixels and channels."""
        own, rest, positive = one_against_rest(logits, target, self.ignore_index)
        losses = torch.where(positive, modulated(own, self.gamma), own) + rest
        valid = target != self.ignore_index
        return reduce_pixels(losses, valid, self.reduction, logits.shape[1])
