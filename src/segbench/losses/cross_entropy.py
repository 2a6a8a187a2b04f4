"""Cross-entropy over all classes (``ce``) and of each class against the rest (``bce``)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from segbench.losses.base import SegmentationLoss
from segbench.losses.channels import (
    Reduction,
    binary_focal,
    channel_ids,
    check_reduction,
    class_count,
    class_logits,
    is_binary,
    one_against_rest,
    pixel_cross_entropy,
    reduce_pixels,
)
from segbench.losses.class_weights import (
    ClassWeights,
    Weights,
    balanced_class_weights,
    balanced_pos_weight,
)
from segbench.types import IGNORE_INDEX


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    ignore_index: int,
    weights: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Each pixel's (1 − ε) w_y (−log p_y) + ε/C Σ_c w_c (−log p_c), ``(N, H, W)``, 0 where ignored.

    Args:
        logits: ``(N, K, H, W)``.
        target: class ids ``(N, H, W)``.
        ignore_index: the label of pixels that are left out.
        weights: w ``(num_classes,)``; None is 1 for each class.
        label_smoothing: ε in [0, 1].
    """
    if weights is None and label_smoothing == 0:
        return pixel_cross_entropy(logits, target, ignore_index)
    return F.cross_entropy(
        class_logits(logits),
        target,
        weights,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        reduction="none",
    )


class CELoss(SegmentationLoss):
    """Cross-entropy of softmax probabilities, or of a sigmoid for one channel.

    ``mean`` divides the sum over all pixels of the batch by the sum of their weights w_y, which
    without weights is the number of valid pixels. A class absent from the batch has no effect.

    Args:
        class_weights: one weight of at least 0 for each class, background first (two for a binary
            task), ``balanced``, or None.
        label_smoothing: ε in [0, 1]; the target becomes (1 − ε) · one-hot + ε / C.
        reduction: ``mean`` or ``sum``.
        ignore_index: the label of pixels that are left out.

    Example:
        >>> logits = torch.zeros(1, 3, 1, 2)  # three classes of equal probability
        >>> CELoss()(logits, torch.tensor([[[2, 255]]]))  # log 3; the second pixel is ignored
        tensor(1.0986)

    Source: ``torch.nn.CrossEntropyLoss``; label smoothing: Szegedy et al. 2016, arXiv 1512.00567.
    """

    def __init__(
        self,
        class_weights: Weights = None,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
        ignore_index: int = IGNORE_INDEX,
    ) -> None:
        super().__init__(ignore_index)
        check_reduction(reduction)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing is in [0, 1], got {label_smoothing}")
        self.class_weights = ClassWeights("class_weights", class_weights, balanced_class_weights)
        self.label_smoothing = label_smoothing
        self.reduction = reduction

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the weighted cross-entropy, its mean or sum over the valid pixels."""
        weights = self.class_weights(class_count(logits), logits)
        if is_binary(logits) and weights is None and self.label_smoothing == 0:
            return binary_focal(logits, target, self.ignore_index, self.reduction)
        losses = cross_entropy(logits, target, self.ignore_index, weights, self.label_smoothing)
        valid = target != self.ignore_index
        norm = valid if weights is None else weights[torch.where(valid, target, 0)] * valid
        return reduce_pixels(losses, norm, self.reduction)


class BCELoss(SegmentationLoss):
    """Binary cross-entropy of logits; for many channels, of each class against the rest.

    Each pixel and channel costs −[w y log σ(z) + (1 − y) log(1 − σ(z))]; ``mean`` divides by the
    number of valid pixels of the batch times the channels. The channel of a class that is absent
    from the batch has negatives only.

    Args:
        pos_weight: weight w of the positives: one number, one for each channel, ``balanced``
            (negatives over positives of the training split), or None.
        reduction: ``mean`` or ``sum``.
        ignore_index: the label of pixels that are left out.

    Example:
        >>> BCELoss()(torch.zeros(1, 1, 1, 2), torch.tensor([[[1, 0]]]))  # log 2
        tensor(0.6931)
        >>> BCELoss(pos_weight=3)(torch.zeros(1, 1, 1, 2), torch.tensor([[[1, 0]]]))  # 2 log 2
        tensor(1.3863)

    Source: ``torch.nn.BCEWithLogitsLoss``.
    """

    def __init__(
        self,
        pos_weight: Weights = None,
        reduction: Reduction = "mean",
        ignore_index: int = IGNORE_INDEX,
    ) -> None:
        super().__init__(ignore_index)
        check_reduction(reduction)
        self.pos_weight = ClassWeights("pos_weight", pos_weight, balanced_pos_weight)
        self.reduction = reduction

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the binary cross-entropy, its mean or sum over valid pixels and channels."""
        weights = self.pos_weight(logits.shape[1], logits)
        if is_binary(logits) and weights is None:
            return binary_focal(logits, target, self.ignore_index, self.reduction)
        own, rest, positive = one_against_rest(logits, target, self.ignore_index)
        if weights is not None:
            ids = channel_ids(logits, target, self.ignore_index)
            own = own * torch.where(positive, weights[ids], 1.0)
        valid = target != self.ignore_index
        return reduce_pixels(own + rest, valid, self.reduction, logits.shape[1])
