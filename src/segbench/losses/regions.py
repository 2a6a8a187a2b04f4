"""Soft counts of each image's regions with gradients of their own (see ``fused.py``)."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from segbench.losses.channels import is_binary
from segbench.losses.fused import FAR, binary_labels, ignored_in_rows, minus_where_ignored

Sums = tuple[Tensor, Tensor, Tensor, Tensor | None]


def region_sums(logits: Tensor, target: Tensor, ignore_index: int) -> Sums:
    """Sums Σpy, Σp and Σy over the valid pixels of each image and channel.

    p is the probability and y is 1 on the channel's class, else 0.

    Args:
        logits: ``(N, K, H, W)``.
        target: class ids ``(N, H, W)``.
        ignore_index: the label of pixels that are left out.

    Returns:
        The three sums ``(N, K)`` in pixels, and which images have a valid pixel, ``(N,)`` bool, or
        None where it is known that all have.
    """
    sums = BinarySums if is_binary(logits) else SoftmaxSums
    found: Sums = sums.apply(logits, target, ignore_index)
    return found


class BinarySums(torch.autograd.Function):
    """Σpy and Σp of a sigmoid; p and y are kept for the backward pass."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, ignore_index: int) -> Sums:
        """Three sums ``(N, 1)``, and which images have valid pixels ``(N,)``, None for all."""
        truth, all_valid = binary_labels(logits, target, ignore_index)
        if all_valid:
            true, p, scored = truth.sum((2, 3)), logits.sigmoid(), None
        else:
            p = minus_where_ignored(truth, ignore_index)
            ignored = ignored_in_rows(p, ignore_index)
            scored = ignored.flatten(1).mean(dim=1) < p.shape[3]
            true = (truth.sum(dim=3) - ignore_index * ignored).sum(dim=2)
            torch.add(logits, p, alpha=FAR, out=p).sigmoid_()
        ctx.mark_non_differentiable(true)
        ctx.save_for_backward(p, truth)  # `truth` still holds the ignored label, but p is 0 there
        return (p * truth).sum((2, 3)), p.sum((2, 3)), true, scored

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, of_hits: Tensor, of_all: Tensor, *_: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Gradient (g₀ y + g₁) p (1 − p) by the logits; g₀ and g₁ are those of Σpy and Σp."""
        p, truth = ctx.saved_tensors
        slope = truth.mul(of_hits[..., None, None]).add_(of_all[..., None, None])
        return torch.ops.aten.sigmoid_backward.grad_input(slope, p, grad_input=slope), None, None


class SoftmaxSums(torch.autograd.Function):
    """Σpy and Σp of each class of a softmax; p is kept for the backward pass, y is not."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, ignore_index: int) -> Sums:
        """Three sums ``(N, K)``, and which images have valid pixels ``(N,)``."""
        valid = target != ignore_index
        own = (target * valid).unsqueeze(1)
        p = logits.softmax(dim=1).mul_(valid.unsqueeze(1).to(logits.dtype))
        hit = p.gather(1, own).squeeze(1)
        labels = own.squeeze(1).to(logits.dtype).masked_fill_(~valid, -1)
        true, hits = _by_class(labels, hit, logits.shape[1])
        scored = true.sum(dim=1) > 0
        ctx.mark_non_differentiable(true)
        ctx.save_for_backward(p, own, hit)
        return hits, p.sum((2, 3)), true, scored

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, of_hits: Tensor, of_all: Tensor, *_: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Gradient p (d − Σ p d) by the logits.

        d is g₁ of each class, plus g₀ of the pixel's own class; g₀ and g₁ are the gradients of
        Σpy and Σp.
        """
        p, own, hit = ctx.saved_tensors
        shape = own.squeeze(1).shape
        extra = of_hits.gather(1, own.flatten(1)).view(shape).mul_(hit)
        mean = torch.bmm(of_all.unsqueeze(1), p.flatten(2)).view(shape).add_(extra)
        slope = (of_all[..., None, None] - mean.unsqueeze(1)).mul_(p)
        slope.scatter_(1, own, slope.gather(1, own).add_(extra.unsqueeze(1)))
        return slope, None, None


def _by_class(labels: Tensor, values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Number of pixels of each label and the sum of their values, ``(N, K)`` each."""
    numbers, sums = [], []
    for label in range(count):
        mask = (labels - label).eq_(0)
        numbers.append(mask.sum((1, 2)))
        sums.append(mask.mul_(values).sum((1, 2)))
    return torch.stack(numbers, 1), torch.stack(sums, 1)
