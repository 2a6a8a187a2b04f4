"""U-Net: Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation".

MICCAI 2015, https://arxiv.org/abs/1505.04597. As in most later work the convolutions are padded
and followed by a normalisation.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from segbench.models.parts.blocks import (
    ConvBlock,
    DropoutAt,
    SideHeads,
    Up,
    UpBlock,
    channel_widths,
    dropout_rates,
    pad_to_multiple,
)
from segbench.models.parts.normalisation import Norm


class UNet(nn.Module):
    """Encoder and decoder of ``depth`` levels with concatenated skips, (conv 3×3, BN, ReLU) × 2.

    Args:
        in_channels: channels of the image.
        out_channels: channels of the logits.
        base_channels: channels of the finest level, doubled at each coarser one.
        depth: number of down-samplings.
        up: ``transpose`` halves the channels while up-sampling, ``bilinear`` keeps them.
        dropout: probability of dropping a value, from 0 to 1.
        bias: whether the 3 × 3 convolutions have a bias besides that of the normalisation.
        norm: ``batch``, ``instance``, ``group`` or ``none``.
        dropout_at: ``bottleneck``: after the encoder; ``encoder``: after each of its convolutions;
            ``each``: after each convolution of the encoder and the decoder.
        deep_supervision: whether the coarser decoder levels have a head too; in training a list of
            all heads' logits is returned.

    Example:
        >>> net = UNet(in_channels=3, out_channels=1, base_channels=4)
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
        super().__init__()
        widths = channel_widths(base_channels, depth + 1)
        self.multiple = 2**depth
        last, down, upward = dropout_rates(dropout, dropout_at)
        self.encoder = nn.ModuleList(
            ConvBlock((before, after, after), bias=bias, norm=norm, dropout=down)
            for before, after in pairwise([in_channels, *widths])
        )
        self.dropout = nn.Dropout(last)
        self.decoder = nn.ModuleList(
            UpBlock(below, here, here, up, bias=bias, norm=norm, dropout=upward)
            for below, here in pairwise(reversed(widths))
        )
        self.head = nn.Conv2d(base_channels, out_channels, kernel_size=1)
        supervised = widths[depth - 1 : 0 : -1] if deep_supervision else []
        self.side_heads = SideHeads(supervised, out_channels)

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Image ``(N, in_channels, H, W)`` to logits ``(N, out_channels, H, W)``.

        In training with deep supervision, a list of every head's logits, the coarsest first.
        """
        x = self.encoder[0](pad_to_multiple(image, self.multiple))
        skips = []
        for block in self.encoder[1:]:
            skips.append(x)
            x = block(F.max_pool2d(x, 2))
        x = self.dropout(x)
        levels = []
        for up_block in self.decoder:
            x = up_block(x, skips.pop())
            levels.append(x)
        output: Tensor | list[Tensor] = self.side_heads(levels[:-1], self.head(x), image)
        return output
