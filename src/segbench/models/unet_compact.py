"""The compact U-Net of the study of losses on PH2: few convolutions after a 1 × 1 bottleneck.

After Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597. Its layers are derived from the
study's parameter counts (13,599,425 at 64 base channels, 214,361 at 8), which fix
3316 c² + 267 c + 1.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segbench.models.blocks import (
    ConvBlock,
    Up,
    channel_widths,
    crop_like,
    pad_to_multiple,
    upsampling,
)


class UNetCompact(nn.Module):
    """Encoder of (conv 3×3, ReLU, BN) × 2 blocks, a 1 × 1 bottleneck, and a narrowing decoder.

    Every decoder block has as many output channels as the next finer level, so that no convolution
    is needed after the bilinear up-sampling. The last convolution, 3 × 3, gives the logits.

    Args:
        in_channels: channels of the image.
        out_channels: channels of the logits.
        base_channels: channels of the finest level, doubled at each coarser one.
        depth: number of down-samplings; the bottleneck widens to ``2^depth · base_channels``.
        up: ``bilinear`` or ``transpose``.
        dropout: probability of dropping a value after the encoder, from 0 to 1.

    Example:
        >>> net = UNetCompact(in_channels=3, out_channels=1, base_channels=4)
        >>> net(torch.zeros(1, 3, 50, 70)).shape
        torch.Size([1, 1, 50, 70])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        base_channels: int = 64,
        depth: int = 4,
        up: Up = "bilinear",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        *widths, widest = channel_widths(base_channels, depth + 1)
        self.multiple = 2**depth
        self.encoder = nn.ModuleList(
            ConvBlock((before, here, here), order="conv-relu-bn")
            for before, here in pairwise([in_channels, *widths])
        )
        self.bottleneck = ConvBlock((widths[-1], widest, widths[-1]), 1, order="conv-relu-bn")
        self.dropout = nn.Dropout(dropout)
        self.ups = nn.ModuleList(upsampling(up, here, here)[0] for here in reversed(widths))
        self.decoder = nn.ModuleList(
            ConvBlock((2 * here, here, finer), order="conv-relu-bn")
            for here, finer in pairwise([*reversed(widths), base_channels])
        )
        self.head = nn.Conv2d(base_channels, out_channels, kernel_size=3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Image ``(N, in_channels, H, W)`` to logits ``(N, out_channels, H, W)``."""
        x = pad_to_multiple(image, self.multiple)
        skips = []
        for block in self.encoder:
            skips.append(block(x))
            x = F.max_pool2d(skips[-1], 2)
        x = self.dropout(self.bottleneck(x))
        for up, block in zip(self.ups, self.decoder, strict=True):
            x = block(torch.cat([skips.pop(), up(x)], dim=1))
        return crop_like(self.head(x), image)
