"""Attention U-Net: Oktay et al., "Attention U-Net: Learning Where to Look for the Pancreas".

MIDL 2018, https://arxiv.org/abs/1804.03999, in two dimensions, with one attention map for
each gate.
"""

from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from segbench.models.parts.blocks import (
    DropoutAt,
    Up,
    UpBlock,
    bilinear_upsampling,
    channel_widths,
    dropout_rates,
)
from segbench.models.parts.normalisation import Norm
from segbench.models.unet import UNet


class AttentionGate(nn.Module):
    """Additive gate, the paper's equations 1 and 2: weighs a skip's pixels by coarser features.

    α = σ(ψᵀ ReLU(W_x x + W_g g + b_g) + b_ψ) is computed on the coarser grid, where W_x has stride
    2, and interpolated bilinearly to the skip's grid.
    """

    def __init__(self, skip_channels: int, gating_channels: int) -> None:
        super().__init__()
        inner = max(skip_channels // 2, 1)
        self.skip = nn.Conv2d(skip_channels, inner, kernel_size=2, stride=2, bias=False)
        self.gating = nn.Conv2d(gating_channels, inner, kernel_size=1)
        self.attention = nn.Conv2d(inner, 1, kernel_size=1)
        self.up = bilinear_upsampling()

    def forward(self, skip: Tensor, gating: Tensor) -> Tensor:
        """``(N, skip, 2H, 2W)`` and ``(N, gating, H, W)`` to the weighted skip."""
        attention = self.attention(F.relu(self.skip(skip) + self.gating(gating))).sigmoid()
        gated: Tensor = skip * self.up(attention)
        return gated


class GatedUpBlock(nn.Module):
    """A decoder level whose skip is gated by the features of the coarser level."""

    def __init__(self, in_channels: int, channels: int, up: Up, **options: Any) -> None:
        super().__init__()
        self.gate = AttentionGate(channels, in_channels)
        self.block = UpBlock(in_channels, channels, channels, up, **options)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """``(N, in, H, W)`` and ``(N, skip, 2H, 2W)`` to ``(N, out, 2H, 2W)``."""
        out: Tensor = self.block(x, self.gate(skip, x))
        return out


class AttentionUNet(UNet):
    """``UNet`` with an attention gate on every skip but the finest, which the paper leaves out.

    It takes the arguments of ``UNet``.

    Example:
        >>> net = AttentionUNet(in_channels=3, out_channels=1, base_channels=4)
        >>> net(torch.zeros(1, 3, 50, 70)).shape
        torch.Size([1, 1, 50, 70])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        base_channels: int = 64,
        depth: int = 4,
        up: Up = "transpose",
        dropout: float = 0.0,
        bias: bool = False,
        norm: Norm = "batch",
        dropout_at: DropoutAt = "bottleneck",
        deep_supervision: bool = False,
    ) -> None:
        widths = channel_widths(base_channels, depth + 1)
        shape = in_channels, out_channels, base_channels, depth, up
        super().__init__(*shape, dropout, bias, norm, dropout_at, deep_supervision)
        _, _, rate = dropout_rates(dropout, dropout_at)
        for level, (below, here) in enumerate(pairwise(reversed(widths[1:]))):
            self.decoder[level] = GatedUpBlock(below, here, up, bias=bias, norm=norm, dropout=rate)
