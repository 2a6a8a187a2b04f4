"""Lovász losses: the convex surrogate of the Jaccard loss, hinge for one channel, else softmax."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from segbench.losses import fused
from segbench.losses.base import SegmentationLoss
from segbench.losses.channels import (
    first_class,
    is_binary,
    mean_over_images,
    scored_images,
)
from segbench.types import IGNORE_INDEX

ROWS = 4  # rows sorted at once: as fast as sorting all, with a fraction of the memory


def lovasz_gradient(errors: Tensor, region: Tensor) -> Tensor:
    """Gradient of the Lovász extension of the Jaccard loss at ``errors``, of the same shape.

    Args:
        errors: ``(R, P)``, one row for each image.
        region: ``(R, P)`` bool, the true region.

    Source: Berman et al. 2018, arXiv 1705.08790, algorithm 1.
    """
    order = errors.argsort(dim=-1, descending=True)
    steps = jaccard_steps(region.gather(-1, order), errors.dtype)
    return torch.empty_like(errors).scatter_(-1, order, steps)


def jaccard_steps(is_region: Tensor, dtype: torch.dtype) -> Tensor:
    """J_i − J_(i−1) ``(R, P)``, where J = 1 − I / U is the loss if the first i pixels were wrong.

    The step is computed as 1 / U for a pixel of the region and as I / (U (U − 1)) for another one.
    The difference of two neighbouring J among millions would be rounding error in float32.
    """
    found = is_region.cumsum(-1, dtype=torch.int32)
    size = found[:, -1:]
    own, intersection = is_region.to(dtype), (size - found).to(dtype)
    union = torch.arange(1, found.shape[-1] + 1, dtype=dtype, device=found.device) + intersection
    step = intersection.div_((union - 1).clamp_(min=0.5))  # U is 1 at the first pixel alone
    step.addcmul_(step, own, value=-1).add_(own)
    # Without a region the first pixel makes the whole loss: J goes from 0 to 1.
    step[:, 0].add_(size[:, 0] == 0)
    return step.div_(union)


def sorted_errors(errors: Tensor) -> tuple[Tensor, Tensor]:
    """Errors ``(R, P)`` in descending order, with 0 for those below 0, and their indices.

    On a CPU the bits of an error and its index are packed into one integer: NumPy sorts these seven
    times as fast as torch sorts floats with their indices.
    """
    if not fused.on_cpu(errors) or errors.dtype != torch.float32:
        return errors.clamp_(min=0).sort(dim=-1, descending=True)
    bits = errors.clamp_(min=0).view(torch.int32)  # of floats ≥ 0: integers in the same order
    indices = torch.arange(errors.shape[-1])
    keys = bits.to(torch.int64).neg_().bitwise_left_shift_(32).add_(indices)
    keys.numpy().sort(axis=-1)
    order = keys.bitwise_and_(2**32 - 1)
    return errors.gather(-1, order), order


class LovaszSum(torch.autograd.Function):
    """Σ (e)₊ · step over each row's sorted errors e, together with its gradient.

    e is 1 − z (2y − 1) for the logits z of a hinge, or |y − p| for probabilities p; ignored pixels
    come last and have the step 0.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, region: Tensor, ignored: Tensor, hinge: bool) -> Tensor:
        """Sums ``(R,)`` of values, region and ignored ``(R, P)``."""
        slope, sums = torch.empty_like(values), []
        whole = values, region, slope, ignored
        for v, y, out, gone in zip(*(torch.split(each, ROWS) for each in whole), strict=True):
            sign = 1 - 2 * y.to(v.dtype)
            errors = torch.addcmul(v.new_ones(()) if hinge else y.to(v.dtype), sign, v)
            errors, order = sorted_errors(errors.masked_fill_(gone, -1))
            steps = jaccard_steps(y.gather(-1, order), v.dtype).mul_(errors > 0)
            sums.append(errors.mul_(steps).sum(dim=1))
            out.scatter_(-1, order, steps).mul_(sign)
        ctx.save_for_backward(slope)
        return torch.cat(sums)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient that the forward pass computed, times the given one."""
        (slope,) = ctx.saved_tensors
        return slope * gradient.unsqueeze(1), None, None, None


class LovaszLoss(SegmentationLoss):
    """Lovász hinge for one channel, Lovász softmax for many.

    The pixels of each image (``per_image``) or of the batch are sorted by their errors, class by
    class. For one channel an image without foreground counts its largest error. For many channels
    the mean is over the classes in the image's target; absent ones are left out. The loss is the
    mean over the images with a valid pixel. For probabilities p ∈ {0, 1} the value is the mean
    Jaccard loss; for the hinge at z = ±1 it is twice that.

    Args:
        per_image: whether to sort within each image, or else the batch as one.
        ignore_index: the label of pixels that are left out.

    Example:
        >>> logits = torch.tensor([[[[1.0, -1.0]]]])  # one of the two pixels is found: IoU ½
        >>> LovaszLoss()(logits, torch.tensor([[[1, 1]]]))
        tensor(1.)

    Source: Berman et al. 2018, arXiv 1705.08790; hinge: Yu and Blaschko 2015, arXiv 1512.07797.
    """

    def __init__(self, per_image: bool = True, ignore_index: int = IGNORE_INDEX) -> None:
        super().__init__(ignore_index)
        self.per_image = per_image

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the mean of the surrogates over the classes, then over the images."""
        ignored = (target == self.ignore_index).flatten(1)
        rows, binary = len(target) if self.per_image else 1, is_binary(logits)
        channels = logits if binary else logits.softmax(dim=1)
        losses, present = [], []  # K of (rows,)
        for class_id, values in enumerate(channels.unbind(dim=1), first_class(logits)):
            region = (target == class_id).flatten(1) & ~ignored
            parts = (part.reshape(rows, -1) for part in (values, region, ignored))
            losses.append(LovaszSum.apply(*parts, binary))
            present.append(region.view(rows, -1).any(dim=1) | binary)
        counted = torch.stack(present)  # (K, rows)
        loss = (torch.stack(losses) * counted).sum(dim=0) / counted.sum(dim=0).clamp(min=1)
        if not self.per_image:
            return loss.mean()
        return mean_over_images(loss, scored_images(target, self.ignore_index))
