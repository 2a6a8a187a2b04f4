"""The compact U-Net of the study of losses on PH2: few convolutions after a 1 × 1 bottleneck.

After Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597. Its layers are derived from the
study's parameter counts (13,599,425 at 64 base channels, 214,361 at 8), which fix
3316 c² + 267 c + 1.
"""

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segbench.models.parts.blocks import (
    ConvBlock,
    DropoutAt,
    SideHeads,
    Up,
    channel_widths,
    dropout_rates,
    pad_to_multiple,
    upsampling,
)
from segbench.models.parts.normalisation import Norm


class UNetCompact(nn.Module):
    """Encoder of (conv 3×3, ReLU, norm) × 2 blocks, a 1 × 1 bottleneck, and a narrowing decoder.

    Every decoder block has as many output channels as the next finer level, so that no convolution
    is needed after the bilinear up-sampling. The last convolution, 3 × 3, gives the logits.

    Args:
        in_channels: channels of the image.
        out_channels: channels of the logits.
        base_channels: channels of the finest level, doubled at each coarser one.
        depth: number of down-samplings; the bottleneck widens to ``2^depth · base_channels``.
        up: ``bilinear`` or ``transpose``.
        dropout: probability of dropping a value, from 0 to 1.
        norm: ``batch``, ``instance``, ``group`` or ``none``.
        dropout_at: ``bottleneck``: after the encoder; ``encoder``: after each of its convolutions;
            ``each``: after each convolution of the encoder and the decoder.
        deep_supervision: whether the coarser decoder levels have a head too; in training a list of
            all heads' logits is returned.

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
        norm: Norm = "batch",
        dropout_at: DropoutAt = "bottleneck",
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        last, down, upward = dropout_rates(dropout, dropout_at)
        block = partial(ConvBlock, order="conv-relu-norm", norm=norm)
        *widths, widest = channel_widths(base_channels, depth + 1)
        self.multiple = 2**depth
        self.encoder = nn.ModuleList(
            block((before, here, here), dropout=down)
            for before, here in pairwise([in_channels, *widths])
        )
        self.bottleneck = block((widths[-1], widest, widths[-1]), 1, dropout=down)
        self.dropout = nn.Dropout(last)
        self.ups = nn.ModuleList(upsampling(up, here, here)[0] for here in reversed(widths))
        self.decoder = nn.ModuleList(
            block((2 * here, here, finer), dropout=upward)
            for here, finer in pairwise([*reversed(widths), base_channels])
        )
        self.head = nn.Conv2d(base_channels, out_channels, kernel_size=3, padding=1)
        supervised = widths[-2::-1] if deep_supervision else []
        self.side_heads = SideHeads(supervised, out_channels)

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Image ``(N, in_channels, H, W)`` to logits ``(N, out_channels, H, W)``.

        In training with deep supervision, a list of every head's logits, the coarsest first.
        """
        x = pad_to_multiple(image, self.multiple)
        skips = []
        for block in self.encoder:
            skips.append(block(x))
            x = F.max_pool2d(skips[-1], 2)
        x = self.dropout(self.bottleneck(x))
        levels = []
        for up, block in zip(self.ups, self.decoder, strict=True):
            x = block(torch.cat([skips.pop(), up(x)], dim=1))
            levels.append(x)
        output: Tensor | list[Tensor] = self.side_heads(levels[:-1], self.head(x), image)
        return output
