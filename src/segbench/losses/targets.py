"""The one home of one-hot, ``ignore_index`` and the branch between one channel and many.

``K = 1`` is a binary task, whose only channel is class 1 (sigmoid); ``K > 1`` has one channel for
each class (softmax). Nothing here waits for the device.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from segbench.losses.fused import BinaryFocal, PixelCrossEntropy

Reduction = Literal["mean", "sum"]


def check_reduction(reduction: str) -> None:
    """Raise a ValueError unless ``reduction`` is one that a loss over pixels knows."""
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
    """Whether logits have one channel, that of class 1, instead of one for each class."""
    return logits.shape[1] == 1


def class_count(logits: Tensor) -> int:
    """Number of classes, background included: 2 for one channel, else the channels."""
    return 2 if is_binary(logits) else logits.shape[1]


def class_probabilities(logits: Tensor) -> Tensor:
    """Probability of each channel's class, ``(N, K, H, W)``: sigmoid for one, softmax for many."""
    return logits.sigmoid() if is_binary(logits) else logits.softmax(dim=1)


def first_class(logits: Tensor) -> int:
    """Class id of the first channel: the background has none in a binary task."""
    return int(is_binary(logits))


def channel_ids(logits: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """Each pixel's own channel ``(N, H, W)`` int64, 0 where it has none."""
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

    Left unsummed: the sums of torch's own reductions are not deterministic on CUDA.
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
    """Sum or mean over valid pixels of a binary task's focal loss; of cross-entropy for γ = 0."""
    how = ignore_index, gamma, alpha, reduction == "mean"
    loss: Tensor = BinaryFocal.apply(logits, target, *how)
    return loss


def one_against_rest(
    logits: Tensor, target: Tensor, ignore_index: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Each pixel's binary cross-entropies, a sigmoid for each channel, without a one-hot target.

    Returns three tensors ``(N, H, W)``: the term of the pixel's own class, the sum over the other
    channels (a single 0 for one channel), both 0 where ignored, and a mask of the pixels whose own
    term is that of a positive: for one channel the foreground, else all that are not ignored.
    """
    valid = target != ignore_index
    if is_binary(logits):
        own = pixel_cross_entropy(logits, target, ignore_index)
        return own, own.new_zeros(()), (target == 1) & valid
    ids = channel_ids(logits, target, ignore_index)
    logit = logits.gather(1, ids.unsqueeze(1)).squeeze(1)
    # All channels count as negatives first; the own one is taken out again pixel by pixel.
    rest = F.softplus(logits).sum(dim=1) - F.softplus(logit)
    return F.softplus(-logit) * valid, rest * valid, valid


def class_logits(logits: Tensor) -> Tensor:
    """Logits of all classes, as softmax wants them: one channel ``z`` becomes ``(0, z)``."""
    return F.pad(logits, (0, 0, 0, 0, 1, 0)) if is_binary(logits) else logits


def reduce_pixels(
    losses: Tensor, weight: Tensor, reduction: Reduction, channels: int = 1
) -> Tensor:
    """Sum of ``losses``, which are 0 where ignored; ``mean`` divides it.

    The divisor is the sum of ``weight`` (1 or 0 for valid or ignored, or a class weight) times
    ``channels``. Without a single valid pixel the value is 0, with a graph whose gradient is 0.
    """
    total = losses.sum()
    if reduction == "sum":
        return total
    # A bool sums exactly, in int64; weights that sum to 0 leave a total of 0 as well.
    norm = weight.sum().to(losses.dtype) * channels
    return total / torch.where(norm > 0, norm, 1.0)


def mean_over_images(losses: Tensor, scored: Tensor) -> Tensor:
    """Mean of per-image losses ``(N,)`` over the images ``scored``, else 0."""
    return (losses * scored).sum() / scored.sum().clamp(min=1)


def scored_images(target: Tensor, ignore_index: int) -> Tensor:
    """Which images ``(N,)`` have a pixel that is not ignored."""
    return (target != ignore_index).flatten(1).any(dim=1)
