"""Focal losses: that of Lin et al., and one whose factor is on the positive pixels alone."""

import torch
from torch import Tensor

from segbench.losses.base import SegmentationLoss
from segbench.losses.channels import (
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
    """(1 − p)^γ · (−log p) computed from −log p; 1 − p is constant below ``floor``.

    Without the floor, the gradient at p = 1 would be NaN for γ below 1.
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
    """Focal loss −α_y (1 − p_y)^γ log p_y of a softmax, or of a sigmoid for one channel.

    ``mean`` divides the sum over all pixels of the batch by the number of valid pixels (the paper
    divides by the number of matched boxes). A class absent from the batch has no effect.

    Args:
        gamma: γ, at least 0; 0 is cross-entropy.
        alpha: weight in [0, 1] of every foreground class; the background's is 1 − α. None is no
            weighting.
        reduction: ``mean`` or ``sum``.
        ignore_index: the label of pixels that are left out.

    Example:
        >>> logits, target = torch.zeros(1, 1, 1, 1), torch.tensor([[[1]]])  # p = ½
        >>> FocalLoss(gamma=2, alpha=0.25)(logits, target)  # ¼ · (½)² · log 2
        tensor(0.0433)

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
        """Compute the focal loss, its mean or sum over the valid pixels."""
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

    p is a sigmoid, for many channels of each class against the rest. ``mean`` divides by the number
    of valid pixels of the batch times the channels. The channel of a class that is absent from the
    batch has negatives only.

    Args:
        gamma: γ, at least 0; 0 is binary cross-entropy.
        reduction: ``mean``, or ``sum`` as in the study.
        ignore_index: the label of pixels that are left out.

    Example:
        >>> logits, target = torch.zeros(1, 1, 1, 2), torch.tensor([[[1, 0]]])  # p = ½
        >>> FocalPositiveLoss(gamma=2, reduction="sum")(logits, target)  # (¼ + 1) · log 2
        tensor(0.8664)

    Source: the ``ph2_losses`` study (docs/losses.md); it is not the loss of Lin et al.
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
        """Compute the loss, its mean or sum over valid pixels and channels."""
        own, rest, positive = one_against_rest(logits, target, self.ignore_index)
        losses = torch.where(positive, modulated(own, self.gamma), own) + rest
        valid = target != self.ignore_index
        return reduce_pixels(losses, valid, self.reduction, logits.shape[1])
