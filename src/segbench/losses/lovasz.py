"""Lovász losses: the convex surrogate of the Jaccard loss, hinge for one channel, else softmax."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from segbench.losses import fused
from segbench.losses.base import SegmentationLoss
from segbench.losses.targets import (
    first_class,
    is_binary,
    mean_over_images,
    scored_images,
)
from segbench.types import IGNORE_INDEX

ROWS = 4  # sorted at once: as fast as all of them, in a fraction of the memory


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

    Written out that is 1 / U for a pixel of the region, else I / (U (U − 1)); the difference
    itself, of neighbours among millions, is noise in float32.
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
    """Errors ``(R, P)`` in descending order, those below 0 as 0, and the order.

    On a CPU an error's bits and its place are one integer: NumPy sorts those seven times as fast as
    torch sorts floats beside their places.
    """
    if not fused.on_cpu(errors) or errors.dtype != torch.float32:
        return errors.clamp_(min=0).sort(dim=-1, descending=True)
    bits = errors.clamp_(min=0).view(torch.int32)  # of floats from 0 on, in their order
    places = torch.arange(errors.shape[-1])
    keys = bits.to(torch.int64).neg_().bitwise_left_shift_(32).add_(places)
    keys.numpy().sort(axis=-1)
    order = keys.bitwise_and_(2**32 - 1)
    return errors.gather(-1, order), order


class LovaszSum(torch.autograd.Function):
    """Σ (e)₊ · step over each row's sorted errors e; the slope is made with it.

    e is 1 − z (2y − 1) of a hinge's logits z, or |y − p| of probabilities p; ignored pixels sort
    last and weigh nothing.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, region: Tensor, ignored: Tensor, hinge: bool) -> Tensor:
        """``(R,)`` of values, region and ignored ``(R, P)``."""
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
        """What the way forward left, scaled."""
        (slope,) = ctx.saved_tensors
        return slope * gradient.unsqueeze(1), None, None, None


class LovaszLoss(SegmentationLoss):
    """Lovász hinge for one channel, Lovász softmax for many.

    Each image (``per_image``) or the batch is sorted by its errors, class by class. For one channel
    an image without foreground counts its largest error. For many the mean runs over the classes
    that the image's target has; absent ones are left out. Then the mean over images with a pixel
    that is not ignored. At labels p ∈ {0, 1} the value is the mean Jaccard loss, and twice it for
    the hinge at z = ±1.

    Args:
        per_image: Sort within each image, or else the batch as one.
        ignore_index: The label of pixels left out.

    Source: Berman et al. 2018, arXiv 1705.08790; hinge: Yu and Blaschko 2015, arXiv 1512.07797.
    """

    def __init__(self, per_image: bool = True, ignore_index: int = IGNORE_INDEX) -> None:
        super().__init__(ignore_index)
        self.per_image = per_image

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean of the surrogates over classes, then images."""
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
