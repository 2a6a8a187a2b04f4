"""Losses of single pixels that make their own gradients: few passes over memory, few copies.

Such losses are bound by memory, not by arithmetic: what torch allocates for each operation, and
keeps for the way back, costs more than the operation. Here a loss leaves its gradient in the place
of what it needs no longer. Nothing waits for the device; derivatives are of first order.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

FAR = 1e38  # a logit so sure that its loss and its gradient are exactly 0


def on_cpu(tensor: Tensor) -> bool:
    """Whether passes over memory are the cost, and looking at a value is none."""
    return tensor.device.type == "cpu"


Labels = tuple[Tensor, bool]
_Shared = dict[tuple[int, torch.dtype, int], tuple[Tensor, Labels]]
_SHARED: ContextVar[_Shared | None] = ContextVar("_SHARED", default=None)


@contextmanager
def sharing_labels() -> Iterator[None]:
    """Within, losses of one target make its labels once."""
    before = _SHARED.set({})
    try:
        yield
    finally:
        _SHARED.reset(before)


def binary_labels(logits: Tensor, target: Tensor, ignore_index: int) -> Labels:
    """A binary task's labels ``(N, 1, H, W)`` as floats, and whether none is known to be ignored.

    They are not to be written to.
    """
    shared, key = _SHARED.get(), (id(target), logits.dtype, ignore_index)
    if shared is not None and key in shared:
        return shared[key][1]
    labels = target.unsqueeze(1).to(logits.dtype)
    found = labels, _all_valid(labels, ignore_index)
    if shared is not None:
        shared[key] = target, found  # an id is a tensor's own as long as it lives
    return found


def _all_valid(labels: Tensor, ignore_index: int) -> bool:
    """Whether no label is ignored, of 0, 1 and the ignored one; asked on a CPU alone.

    There the answer costs a pass and saves three; elsewhere the host would wait for the device.
    """
    if not on_cpu(labels) or ignore_index in (0, 1) or not labels.numel():
        return False
    return bool(labels.amax() <= 1 if ignore_index > 1 else labels.amin() >= 0)


def minus_where_ignored(labels: Tensor, ignore_index: int) -> Tensor:
    """0 where a binary task's labels, as floats, are 0 or 1, and −1 or less where ignored."""
    if ignore_index in (0, 1):
        return labels.sub(ignore_index).eq_(0).neg_()
    return torch.addcmul(labels, labels, labels, value=-1)  # y − y² is 0 for 0 and 1


def ignored_in_rows(minus: Tensor, ignore_index: int) -> Tensor:
    """Number of ignored pixels ``(…, H)``, exact in float32, of ``minus_where_ignored``."""
    each = max(1, ignore_index**2 - ignore_index)
    return minus.sum(dim=-1).div_(-each).round_()


class BinaryFocal(torch.autograd.Function):
    """Σ a (1 − p)^γ (−log p) over a binary task's pixels, p the probability of a pixel's own class.

    a is α on the foreground and 1 − α on the background, or 1 on both if α is None. −log p is
    softplus(m) of the margin m = (1 − 2y) z, and 1 − p its sigmoid.
    """

    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        target: Tensor,
        ignore_index: int,
        gamma: float,
        alpha: float | None,
        mean: bool,
    ) -> Tensor:
        """Sum or mean over valid pixels, of logits ``(N, 1, H, W)`` and target ``(N, H, W)``."""
        truth, all_valid = binary_labels(logits, target, ignore_index)
        valid: Tensor | int = target.numel()
        if all_valid:
            margin = torch.addcmul(logits, truth, logits, value=-2)
        else:
            margin = minus_where_ignored(truth, ignore_index)
            valid = (valid - ignored_in_rows(margin, ignore_index).sum()).clamp_(min=1)
            margin.mul_(FAR).add_(logits).addcmul_(truth, logits, value=-2)
        total, slope = _focal(margin, truth, gamma, alpha)
        slope.addcmul_(truth, slope, value=-2)  # times 1 − 2y
        if mean:
            total, slope = total / valid, slope.div_(valid)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(slope)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """What the way forward left, scaled."""
        (slope,) = ctx.saved_tensors
        scaled = slope if on_cpu(gradient) and gradient == 1 else slope * gradient
        return scaled, None, None, None, None, None


def _focal(
    margin: Tensor, truth: Tensor, gamma: float, alpha: float | None
) -> tuple[Tensor, Tensor]:
    """Σ a q^γ l of −log p = l and q = 1 − p, and its slope by the margin, in the margin's place.

    The slope is a q^γ (γ (1 − q) l + q): q alone without the factor.
    """
    loss = torch.logaddexp(margin, margin.new_zeros(()))
    miss = margin.sigmoid_()
    if gamma == 0 and alpha is None:
        return loss.sum(), miss
    factor = miss.pow(gamma)
    if alpha is not None:
        factor.mul_(truth.mul(2 * alpha - 1).add_(1 - alpha))
    total = factor.mul(loss).sum()
    loss.mul_(gamma).addcmul_(loss, miss, value=-1)
    return total, miss.add_(loss).mul_(factor)


class PixelCrossEntropy(torch.autograd.Function):
    """−log p of each pixel's own class among many, 0 where ignored; keeps the softmax alone."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, ignore_index: int) -> Tensor:
        """``(N, H, W)`` of logits ``(N, K, H, W)``."""
        valid = target != ignore_index
        own = (target * valid).unsqueeze(1)
        logs = logits.log_softmax(dim=1)
        losses = logs.gather(1, own).squeeze(1).neg_().mul_(valid)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(logs.exp_(), own, valid)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The softmax, less 1 at the own class."""
        softmax, own, valid = ctx.saved_tensors
        gradient = (gradient * valid).unsqueeze(1)
        slope = softmax * gradient
        slope.scatter_(1, own, slope.gather(1, own) - gradient)
        return slope, None, None
