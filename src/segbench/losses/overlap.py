"""Losses of the overlap of two regions: Dice, Jaccard, Tversky and focal Tversky.

All are powers of 1 − TI, where TI = (TP + s) / (TP + α FP + β FN + s) is the Tversky index of the
soft counts TP = Σpy, FP = Σp(1 − y), FN = Σ(1 − p)y; α = β = ½ is Dice and
α = β = 1 is Jaccard.
"""

import torch
from torch import Tensor

from segbench.losses.base import SegmentationLoss
from segbench.losses.channels import is_binary, mean_over_images
from segbench.losses.regions import region_sums
from segbench.types import IGNORE_INDEX


def tversky_index(
    hits: Tensor, predicted: Tensor, true: Tensor, alpha: float, beta: float, smooth: float
) -> Tensor:
    """(TP + s) / (TP + α FP + β FN + s) of the sums Σpy, Σp and Σy; 1 where all sums are 0."""
    right = hits + smooth
    seen = torch.add(right, predicted - hits, alpha=alpha)
    index: Tensor = right / torch.add(seen, true - hits, alpha=beta)
    return index


def focal_power(loss: Tensor, gamma: float, floor: float = 1e-6) -> Tensor:
    """``loss ** gamma``, linear below ``floor``, so that the gradient at 0 stays finite."""
    return loss if gamma == 1 else loss * loss.clamp(min=floor).pow(gamma - 1)


class TverskyLoss(SegmentationLoss):
    """Tversky loss 1 − TI, TI = (TP + s) / (TP + α FP + β FN + s).

    TP, FP and FN are summed over each image (``per_image``) or over the batch; the loss is the mean
    over the classes, then over the images with a valid pixel. One channel is the foreground alone.
    A class in neither target nor prediction costs 0; one in the prediction alone costs nearly 1,
    with a gradient that is tiny unless s is of the size of the predicted area.

    Args:
        alpha: weight of false positives, at least 0.
        beta: weight of false negatives, at least 0.
        smooth: s, above 0, in pixels.
        per_image: whether to sum over each image, or else over the batch.
        include_background: whether class 0 counts in a task of many classes.
        ignore_index: the label of pixels that are left out.

    Example:
        >>> logits = torch.tensor([[[[100.0, -100.0]]]])  # one hit and one false negative
        >>> TverskyLoss(alpha=0.3, beta=0.7)(logits, torch.tensor([[[1, 1]]]))  # 1 − 1 / 1.7
        tensor(0.4118)

    Source: Salehi et al. 2017, arXiv 1706.05721.
    """

    gamma = 1.0

    def __init__(
        self,
        alpha: float = 0.3,
        beta: float = 0.7,
        smooth: float = 1e-5,
        per_image: bool = True,
        include_background: bool = True,
        ignore_index: int = IGNORE_INDEX,
    ) -> None:
        super().__init__(ignore_index)
        if alpha < 0 or beta < 0 or alpha + beta == 0:
            raise ValueError(f"alpha and beta are at least 0, not both 0, got {alpha} and {beta}")
        if smooth <= 0:
            raise ValueError(f"smooth is above 0 (absent classes divide by it), got {smooth}")
        self.alpha, self.beta, self.smooth = alpha, beta, smooth
        self.per_image = per_image
        self.include_background = include_background

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the mean of (1 − TI)^γ over the classes, then over the images."""
        hits, predicted, true, scored = region_sums(logits, target, self.ignore_index)
        if not self.per_image:
            hits, predicted, true = (x.sum(dim=0, keepdim=True) for x in (hits, predicted, true))
        weights = self.alpha, self.beta, self.smooth
        index = tversky_index(hits, predicted, true, *weights)  # (N, K)
        if not (is_binary(logits) or self.include_background):
            index = index[:, 1:]
        losses = focal_power(1 - index, self.gamma)
        if not self.per_image or scored is None:
            return losses.mean()
        return mean_over_images(losses.mean(dim=1), scored)


class FocalTverskyLoss(TverskyLoss):
    """Focal Tversky loss (1 − TI)^γ of each image and class; all else as in ``TverskyLoss``.

    Args:
        alpha: weight of false positives, at least 0.
        beta: weight of false negatives, at least 0.
        gamma: exponent above 0. An exponent below 1 stresses regions that are nearly right, one
            above 1 stresses the others; the paper's γ = 4/3 is 3/4 here.
        smooth: s, above 0, in pixels.
        per_image: whether to sum over each image, or else over the batch.
        include_background: whether class 0 counts in a task of many classes.
        ignore_index: the label of pixels that are left out.

    Example:
        >>> logits = torch.tensor([[[[100.0, -100.0]]]])  # one hit and one false negative
        >>> FocalTverskyLoss(gamma=0.75)(logits, torch.tensor([[[1, 1]]]))  # 0.4118 ** 0.75
        tensor(0.5140)

    Source: Abraham and Khan 2019, arXiv 1810.07842, whose exponent is 1/γ and whose α is our β.
    """

    def __init__(
        self,
        alpha: float = 0.3,
        beta: float = 0.7,
        gamma: float = 0.75,
        smooth: float = 1e-5,
        per_image: bool = True,
        include_background: bool = True,
        ignore_index: int = IGNORE_INDEX,
    ) -> None:
        super().__init__(alpha, beta, smooth, per_image, include_background, ignore_index)
        if gamma <= 0:
            raise ValueError(f"gamma is above 0, got {gamma}")
        self.gamma = gamma


class DiceLoss(TverskyLoss):
    """Soft Dice loss 1 − (2 Σpy + s) / (Σp + Σy + s); all else as in ``TverskyLoss``.

    Args:
        smooth: s, above 0, in pixels.
        per_image: whether to sum over each image, or else over the batch.
        include_background: whether class 0 counts in a task of many classes.
        ignore_index: the label of pixels that are left out.

    Example:
        >>> logits = torch.tensor([[[[100.0, -100.0]]]])  # (N, 1, H, W): the first pixel is found
        >>> DiceLoss()(logits, torch.tensor([[[1, 1]]]))  # 1 − 2 · 1 / (1 + 2)
        tensor(0.3333)

    Source: Drozdzal et al. 2016, arXiv 1608.04117 (without squares in the denominator).
    """

    def __init__(
        self,
        smooth: float = 1e-5,
        per_image: bool = True,
        include_background: bool = True,
        ignore_index: int = IGNORE_INDEX,
    ) -> None:
        # Σp + Σy = 2 TP + FP + FN: Tversky's formula at ½, ½ with its s doubled.
        super().__init__(0.5, 0.5, smooth / 2, per_image, include_background, ignore_index)


class JaccardLoss(TverskyLoss):
    """Soft Jaccard (IoU) loss 1 − (Σpy + s) / (Σp + Σy − Σpy + s); all else as in ``TverskyLoss``.

    Args:
        smooth: s, above 0, in pixels.
        per_image: whether to sum over each image, or else over the batch.
        include_background: whether class 0 counts in a task of many classes.
        ignore_index: the label of pixels that are left out.

    Example:
        >>> logits = torch.tensor([[[[100.0, -100.0]]]])  # one of the two pixels is found
        >>> JaccardLoss()(logits, torch.tensor([[[1, 1]]]))  # 1 − 1 / 2
        tensor(0.5000)

    Source: Rahman and Wang 2016, "Optimizing Intersection-Over-Union in Deep Neural Networks for
    Image Segmentation".
    """

    def __init__(
        self,
        smooth: float = 1e-5,
        per_image: bool = True,
        include_background: bool = True,
        ignore_index: int = IGNORE_INDEX,
    ) -> None:
        super().__init__(1.0, 1.0, smooth, per_image, include_background, ignore_index)
