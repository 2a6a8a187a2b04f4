"""One-hot targets, ``ignore_index`` and the difference between one channel and many.

``K = 1`` is a binary task, whose only channel is class 1 (sigmoid); ``K > 1`` has one channel for
each class (softmax). No function synchronises with the device.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from segbench.losses.fused import BinaryFocal, PixelCrossEntropy

Reduction = Literal["mean", "sum"]


def check_reduction(reduction: str) -> None:
    """Raise a ValueError unless ``reduction`` is ``mean`` or ``sum``."""
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction is 'mean' or 'sum', got {reduction!r}")


def check_shapes(logits: Tensor, target: Tensor) -> None:
    """Raise a ValueError unless logits are ``(N, K, H, W)`` and target ``(N, H, W)`` int64."""
    if logits.dim() != 4 or logits.shape[1] < 1 or not logits.is_floating_point():
        raise ValueError(f"logits are (N, K, H, W) float, got {describe(logits)}")
    expected = (logits.shape[0], *logits.shape[2:])
    if target.shape != expected or target.dtype != torch.int64:
        raise ValueError(
            f"target is {expected} int64 for logits {tuple(logits.shape)}, got {describe(target)};"
            " class ids, not one-hot: mask.squeeze(1).long() or mask.argmax(1) makes them"
        )


def describe(tensor: Tensor) -> str:
    """Shape and dtype of a tensor, for messages."""
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def is_binary(logits: Tensor) -> bool:
    """Whether logits have only the channel of class 1 instead of one channel for each class."""
    return logits.shape[1] == 1


def class_count(logits: Tensor) -> int:
    """Number of classes, background included: 2 for one channel, else the channels."""
    return 2 if is_binary(logits) else logits.shape[1]


def class_probabilities(logits: Tensor) -> Tensor:
    """Probabilities ``(N, K, H, W)``: the sigmoid for one channel, the softmax for many."""
    return logits.sigmoid() if is_binary(logits) else logits.softmax(dim=1)


def first_class(logits: Tensor) -> int:
    """Class id of the first channel: 1 in a binary task, where the background has no channel."""
    return int(is_binary(logits))


def channel_ids(logits: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """Channel of each pixel's class, ``(N, H, W)`` int64; 0 where the class has no channel."""
    ids = torch.where(target == ignore_index, 0, target - first_class(logits))
    return ids.clamp(min=0)


def channel_masks(logits: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """One-hot target ``(N, K, H, W)`` bool of class ids ``(N, H, W)``, False where ignored."""
    classes = torch.arange(logits.shape[1], device=target.device) + first_class(logits)
    masks = target.unsqueeze(1) == classes.view(-1, 1, 1)
    if ignore_index < class_count(logits):
        masks = masks & (target != ignore_index).unsqueeze(1)
    return masks


def pixel_cross_entropy(logits: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """Minus the log-probability of each pixel's own class, ``(N, H, W)``; 0 where ignored.

    It is not summed here, because the sums of torch's own reductions are not deterministic on CUDA.
    """
    if not is_binary(logits):
        losses: Tensor = PixelCrossEntropy.apply(logits, target, ignore_index)
        return losses
    foreground = (target == 1).to(logits.dtype)
    valid = (target != ignore_index).to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits[:, 0], foreground, valid, reduction="none")


def binary_focal(
    logits: Tensor,
    target: Tensor,
    ignore_index: int,
    reduction: Reduction,
    gamma: float = 0.0,
    alpha: float | None = None,
) -> Tensor:
    """Focal loss of a binary task, its sum or mean over valid pixels; γ = 0 is cross-entropy."""
    how = ignore_index, gamma, alpha, reduction == "mean"
    loss: Tensor = BinaryFocal.apply(logits, target, *how)
    return loss


def one_against_rest(
    logits: Tensor, target: Tensor, ignore_index: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Binary cross-entropies of each pixel, a sigmoid for each channel, without a one-hot target.

    Returns:
        Three tensors ``(N, H, W)``: the term of the pixel's own class; the sum over the other
        channels (a single 0 for one channel), both 0 where ignored; and a mask of the pixels whose
        own term is that of a positive: for one channel the foreground, else all valid pixels.
    """
    valid = target != ignore_index
    if is_binary(logits):
        own = pixel_cross_entropy(logits, target, ignore_index)
        return own, own.new_zeros(()), (target == 1) & valid
    ids = channel_ids(logits, target, ignore_index)
    logit = logits.gather(1, ids.unsqueeze(1)).squeeze(1)
    # All channels are summed as negatives; the pixel's own channel is then subtracted.
    rest = F.softplus(logits).sum(dim=1) - F.softplus(logit)
    return F.softplus(-logit) * valid, rest * valid, valid


def class_logits(logits: Tensor) -> Tensor:
    """Logits of all classes for a softmax: one channel ``z`` becomes the two ``(0, z)``."""
    return F.pad(logits, (0, 0, 0, 0, 1, 0)) if is_binary(logits) else logits


def reduce_pixels(
    losses: Tensor, weight: Tensor, reduction: Reduction, channels: int = 1
) -> Tensor:
    """Sum of ``losses``, which are 0 where ignored; ``mean`` divides the sum.

    The divisor is the sum of ``weight`` (1 for valid and 0 for ignored pixels, or a class weight)
    times ``channels``. Without any valid pixel the value is 0 and its gradient is 0.
    """
    total = losses.sum()
    if reduction == "sum":
        return total
    # A bool is summed exactly, in int64; where the weights sum to 0 the total is 0 too.
    norm = weight.sum().to(losses.dtype) * channels
    return total / torch.where(norm > 0, norm, 1.0)


def mean_over_images(losses: Tensor, scored: Tensor) -> Tensor:
    """Mean of the images' losses ``(N,)`` over those that are ``scored``; 0 if none is."""
    return (losses * scored).sum() / scored.sum().clamp(min=1)


def scored_images(target: Tensor, ignore_index: int) -> Tensor:
    """Which images ``(N,)`` have a pixel that is not ignored."""
    return (target != ignore_index).flatten(1).any(dim=1)
