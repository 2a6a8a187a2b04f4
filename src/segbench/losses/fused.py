"""Losses of single pixels that make their own gradients: few passes over memory, few copies.

Such losses are bound by memory, not by arithmetic: what torch allocates for each operation, and
keeps for the way back, costs more than the operation. Here a loss leaves its gradient in the place
of what it needs no longer. Nothing waits for the device; derivatives are of first order.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

FAR = 1e38  # a logit so sure that its loss and its gradient are exactly 0


def on_cpu(tensor: Tensor) -> bool:
    """Whether passes over memory are the cost, and looking at a value is none."""
    return tensor.device.type == "cpu"


def all_valid(labels: Tensor, ignore_index: int) -> bool:
    """Whether no pixel of a binary task's labels, as floats, is ignored; asked on a CPU alone.

    There the answer costs a pass and saves three; elsewhere the host would wait for the device.
    """
    if not on_cpu(labels) or ignore_index in (0, 1) or not labels.numel():
        return False
    low, high = labels.aminmax()
    return bool(low >= 0) and bool(high <= 1)


def minus_where_ignored(labels: Tensor, ignore_index: int) -> Tensor:
    """0 where a binary task's labels, as floats, are 0 or 1, and −1 or less where ignored."""
    if ignore_index in (0, 1):
        return labels.sub(ignore_index).eq_(0).neg_()
    return torch.addcmul(labels, labels, labels, value=-1)  # y − y² is 0 for 0 and 1


def ignored_in_rows(minus: Tensor, ignore_index: int) -> Tensor:
    """Number of ignored pixels ``(…, H)``, exact in float32, of ``minus_where_ignored``."""
    each = max(1, ignore_index**2 - ignore_index)
    return minus.sum(dim=-1).div_(-each).round_()


class BinaryFocalSum(torch.autograd.Function):
    """Σ a (1 − p)^γ (−log p) over a binary task's pixels, p the probability of a pixel's own class.

    a is α on the foreground and 1 − α on the background, or 1 on both if α is None. −log p is
    softplus(m) of the margin m = (1 − 2y) z.
    """

    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        target: Tensor,
        ignore_index: int,
        gamma: float,
        alpha: float | None,
    ) -> tuple[Tensor, Tensor]:
        """The sum, and the number of valid pixels, of logits and target ``(N, 1, H, W)``."""
        sign = target.to(logits.dtype)
        if all_valid(sign, ignore_index):
            torch.sub(sign.new_ones(()), sign, alpha=2, out=sign)
            loss, valid = sign * logits, sign.new_full((), target.numel())
        else:
            loss = minus_where_ignored(sign, ignore_index)
            valid = target.numel() - ignored_in_rows(loss, ignore_index).sum()
            torch.sub(sign.new_ones(()), sign, alpha=2, out=sign)
            loss.mul_(FAR).addcmul_(sign, logits)
        torch.logaddexp(loss, loss.new_zeros(()), out=loss)
        plain = gamma == 0 and alpha is None
        total, slope = _plain(loss, sign) if plain else _focal(loss, sign, gamma, alpha)
        ctx.mark_non_differentiable(valid)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(slope)
        return total, valid

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """What the way forward left, scaled."""
        (slope,) = ctx.saved_tensors
        return slope * gradient, None, None, None, None


def _plain(loss: Tensor, sign: Tensor) -> tuple[Tensor, Tensor]:
    """Σ l of −log p = l, and its slope (1 − 2y) (1 − e^−l)."""
    total = loss.sum()
    return total, sign.addcmul_(loss.neg_().exp_(), sign, value=-1)


def _focal(loss: Tensor, sign: Tensor, gamma: float, alpha: float | None) -> tuple[Tensor, Tensor]:
    """Σ a q^γ l, and its slope (1 − 2y) a q^γ (γ (1 − q) l + q), of −log p = l and q = 1 − p."""
    miss = loss.neg().expm1_().neg_()
    factor = miss.pow(gamma)
    if alpha is not None:
        factor.mul_(sign.mul(0.5 - alpha).add_(0.5))
    total = factor.mul(loss).sum()
    slope = loss.mul_(gamma).addcmul_(loss, miss, value=-1).add_(miss)
    return total, slope.mul_(factor).mul_(sign)


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
