"""Soft counts of each image's regions, which make their own gradients (see ``fused.py``)."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from segbench.losses.fused import FAR, all_valid, ignored_in_rows, minus_where_ignored
from segbench.losses.targets import is_binary


def region_sums(logits: Tensor, target: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Soft true positives Σpy, predicted Σp and true Σy pixels ``(3, N, K)``, none ignored.

    And which images have a valid pixel, ``(N,)``.
    """
    sums = BinarySums if is_binary(logits) else SoftmaxSums
    soft, true, scored = sums.apply(logits, target, ignore_index)
    return torch.cat([soft, true.unsqueeze(0)]), scored


class BinarySums(torch.autograd.Function):
    """Σpy and Σp of a sigmoid; keeps p and py."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, target: Tensor, ignore_index: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """``(2, N, 1)``, and Σy ``(N, 1)`` and which have valid pixels ``(N,)``."""
        truth = target.to(logits.dtype).unsqueeze(1)
        if all_valid(truth, ignore_index):
            true, scored = truth.sum((2, 3)), truth.new_ones(len(truth), dtype=torch.bool)
            p = logits.sigmoid()
        else:
            p = minus_where_ignored(truth, ignore_index)
            ignored = ignored_in_rows(p, ignore_index)
            scored = ignored.flatten(1).mean(dim=1) < p.shape[3]
            true = (truth.sum(dim=3) - ignore_index * ignored).sum(dim=2)
            torch.add(logits, p, alpha=FAR, out=p).sigmoid_()
        hit = truth.mul_(p)  # what is ignored stays in `truth`, but p is 0 there
        ctx.mark_non_differentiable(true, scored)
        ctx.save_for_backward(p, hit)
        return torch.stack([hit.sum((2, 3)), p.sum((2, 3))]), true, scored

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        """(g₀ yp + g₁ p) (1 − p)."""
        p, hit = ctx.saved_tensors
        of_hits, of_all = gradient[..., None, None]
        slope = hit.mul(of_hits).addcmul_(p, of_all)
        return slope.addcmul_(slope, p, value=-1), None, None


class SoftmaxSums(torch.autograd.Function):
    """Σpy and Σp of each class of a softmax; keeps its p alone."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, target: Tensor, ignore_index: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """``(2, N, K)``, and Σy ``(N, K)`` and which have valid pixels ``(N,)``."""
        valid = target != ignore_index
        own = (target * valid).unsqueeze(1)
        p = logits.softmax(dim=1).mul_(valid.unsqueeze(1).to(logits.dtype))
        hit = p.gather(1, own).squeeze(1)
        labels = own.squeeze(1).to(logits.dtype).masked_fill_(~valid, -1)
        true, hits = _by_class(labels, hit, logits.shape[1])
        scored = true.sum(dim=1) > 0
        ctx.mark_non_differentiable(true, scored)
        ctx.save_for_backward(p, own, hit)
        return torch.stack([hits, p.sum((2, 3))]), true, scored

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        """The softmax's p (d − Σ p d), d = g₁ of each class, and g₀ more of the pixel's own."""
        p, own, hit = ctx.saved_tensors
        of_hits, of_all = gradient
        shape = own.squeeze(1).shape
        extra = of_hits.gather(1, own.flatten(1)).view(shape).mul_(hit)
        mean = torch.bmm(of_all.unsqueeze(1), p.flatten(2)).view(shape).add_(extra)
        slope = (of_all[..., None, None] - mean.unsqueeze(1)).mul_(p)
        slope.scatter_(1, own, slope.gather(1, own).add_(extra.unsqueeze(1)))
        return slope, None, None


def _by_class(labels: Tensor, values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Number of pixels of each label, and the sum of their values, ``(N, K)``."""
    numbers, sums = [], []
    for label in range(count):
        mask = (labels - label).eq_(0)
        numbers.append(mask.sum((1, 2)))
        sums.append(mask.mul_(values).sum((1, 2)))
    return torch.stack(numbers, 1), torch.stack(sums, 1)
