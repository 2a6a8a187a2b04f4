"""Binary losses in plain torch operations: what `losses/fused.py` and `regions.py` are beside them.

Like them they look on a CPU whether anything is ignored, and skip what ignoring costs.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from segbench.losses.overlap import focal_power, tversky_index
from segbench.types import IGNORE_INDEX

FAR = 1e38


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean binary cross-entropy of the valid pixels."""
    truth = target.to(logits.dtype)
    if truth.amax() <= 1:
        return F.binary_cross_entropy_with_logits(logits[:, 0], truth)
    ignored = target == IGNORE_INDEX
    truth.masked_fill_(ignored, 0)
    losses = F.binary_cross_entropy_with_logits(logits[:, 0], truth, reduction="none")
    return losses.masked_fill(ignored, 0).sum() / (~ignored).sum()


def region_loss(
    alpha: float, beta: float, smooth: float = 1e-5, gamma: float = 1.0
) -> Callable[[Tensor, Tensor], Tensor]:
    """Mean of (1 − TI)^γ over images; every image has valid pixels."""

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        truth = target.unsqueeze(1).to(logits.dtype)
        if truth.amax() > 1:
            ignored = (target == IGNORE_INDEX).unsqueeze(1)
            truth.masked_fill_(ignored, 0)
            logits = logits.masked_fill(ignored, -FAR)
        p = logits.sigmoid()
        sums = (x.sum((2, 3)) for x in (p * truth, p, truth))
        return focal_power(1 - tversky_index(*sums, alpha, beta, smooth), gamma).mean()

    return loss


PLAIN = {
    "ce": cross_entropy,
    "bce": cross_entropy,
    "dice": region_loss(0.5, 0.5, 0.5e-5),
    "jaccard": region_loss(1.0, 1.0),
    "tversky": region_loss(0.3, 0.7),
    "focal_tversky": region_loss(0.3, 0.7, gamma=0.75),
}
