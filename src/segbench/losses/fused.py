"""Losses over single pixels with gradients of their own: few passes over memory, few copies.

Such losses are bound by memory, not by arithmetic: the tensors that torch allocates for each
operation, and keeps for the backward pass, cost more than the operation. These functions write the
gradient into memory that is no longer needed. They do not synchronise with the device, and have
first derivatives only. docs/speed.md has what they bring beside plain functions.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

FAR = 1e38  # a logit so large that its loss and its gradient are exactly 0


def on_cpu(tensor: Tensor) -> bool:
    """Whether a tensor is on the CPU, where reading a value needs no synchronisation."""
    return tensor.device.type == "cpu"


Labels = tuple[Tensor, bool]
_Shared = dict[tuple[int, torch.dtype, int], tuple[Tensor, Labels]]
_SHARED: ContextVar[_Shared | None] = ContextVar("_SHARED", default=None)


@contextmanager
def sharing_labels() -> Iterator[None]:
    """Let the losses of one target that are computed in this context share its labels."""
    before = _SHARED.set({})
    try:
        yield
    finally:
        _SHARED.reset(before)


def binary_labels(logits: Tensor, target: Tensor, ignore_index: int) -> Labels:
    """Labels ``(N, 1, H, W)`` of a binary task as floats, and whether none is surely ignored.

    The labels may be shared and must not be written to.
    """
    shared, key = _SHARED.get(), (id(target), logits.dtype, ignore_index)
    if shared is not None and key in shared:
        return shared[key][1]
    labels = target.unsqueeze(1).to(logits.dtype)
    found = labels, _all_valid(labels, ignore_index)
    if shared is not None:
        shared[key] = (
            target,
            found,
        )  # the tensor is kept, because ids are unique only while it exists
    return found


def _all_valid(labels: Tensor, ignore_index: int) -> bool:
    """Whether no label is ignored; False on devices other than a CPU.

    On a CPU the answer costs one pass over memory and saves three. On other devices the host would
    have to wait for it.
    """
    if not on_cpu(labels) or ignore_index in (0, 1) or not labels.numel():
        return False
    return bool(labels.amax() <= 1 if ignore_index > 1 else labels.amin() >= 0)


def minus_where_ignored(labels: Tensor, ignore_index: int) -> Tensor:
    """0 where the labels of a binary task are 0 or 1, and −1 or less where they are ignored."""
    if ignore_index in (0, 1):
        return labels.sub(ignore_index).eq_(0).neg_()
    return torch.addcmul(labels, labels, labels, value=-1)  # y − y² is 0 for 0 and 1


def ignored_in_rows(minus: Tensor, ignore_index: int) -> Tensor:
    """Number of ignored pixels ``(…, H)`` of each row, exact in float32.

    Args:
        minus: ``(…, H, W)``, the result of ``minus_where_ignored``.
        ignore_index: the label of ignored pixels.
    """
    each = max(1, ignore_index**2 - ignore_index)
    return minus.sum(dim=-1).div_(-each).round_()


class BinaryFocal(torch.autograd.Function):
    """Σ a (1 − p)^γ (−log p) over a binary task's pixels, p the probability of a pixel's own class.

    a is α on the foreground and 1 − α on the background, or 1 on both if α is None. With the margin
    m = (1 − 2y) z, −log p is softplus(m) and 1 − p is sigmoid(m).
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
        """Return the gradient that the forward pass computed, times the given one."""
        (slope,) = ctx.saved_tensors
        scaled = slope if on_cpu(gradient) and gradient == 1 else slope * gradient
        return scaled, None, None, None, None, None


def _focal(
    margin: Tensor, truth: Tensor, gamma: float, alpha: float | None
) -> tuple[Tensor, Tensor]:
    """Σ a q^γ l with l = −log p and q = 1 − p, and its derivative, in the margin's memory.

    The derivative by the margin is a q^γ (γ (1 − q) l + q), or q for γ = 0 and α = None.
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
    """−log p of each pixel's class among many, 0 where ignored; only the softmax is kept."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, ignore_index: int) -> Tensor:
        """Losses ``(N, H, W)`` of logits ``(N, K, H, W)`` and class ids ``(N, H, W)``."""
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
        """The softmax, minus 1 in the channel of the pixel's class, times the given gradient."""
        softmax, own, valid = ctx.saved_tensors
        gradient = (gradient * valid).unsqueeze(1)
        slope = softmax * gradient
        slope.scatter_(1, own, slope.gather(1, own) - gradient)
        return slope, None, None
