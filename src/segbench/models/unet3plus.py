"""UNet 3+: Huang et al., "UNet 3+: A Full-Scale Connected UNet for Medical Image Segmentation".

ICASSP 2020, https://arxiv.org/abs/2004.08790. Its classification-guided module is left out.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segbench.models.parts.blocks import (
    ConvBlock,
    DropoutAt,
    bilinear_upsampling,
    channel_widths,
    crop_like,
    dropout_rates,
    pad_to_multiple,
)
from segbench.models.parts.normalisation import Norm


class FullScaleBlock(nn.Module):
    """One decoder level: the features of all levels at this scale, ``channels`` of each, joined.

    Args:
        widths: channels of the features of each level, finest first.
        level: index of this level, 0 for the finest; finer features are pooled, coarser ones
            up-sampled.
        channels: number of channels that each level contributes.
        options: arguments of ``ConvBlock``.
    """

    def __init__(self, widths: list[int], level: int, channels: int, **options: Any) -> None:
        super().__init__()
        self.resize = nn.ModuleList()
        for source in range(len(widths)):
            factor = 2 ** abs(source - level)
            pool, up = nn.MaxPool2d(factor), bilinear_upsampling(factor)
            self.resize.append(nn.Identity() if factor == 1 else pool if source < level else up)
        self.reduce = nn.ModuleList(ConvBlock((width, channels), **options) for width in widths)
        joined = channels * len(widths)
        self.join = ConvBlock((joined, joined), **options)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Features of all levels, finest first, to ``(N, channels · levels, H_i, W_i)``."""
        levels = zip(self.reduce, self.resize, features, strict=True)
        joined = torch.cat([reduce(resize(x)) for reduce, resize, x in levels], dim=1)
        out: Tensor = self.join(joined)
        return out


class UNet3Plus(nn.Module):
    """U-Net whose decoder levels use features of all scales, with a head on every level.

    Args:
        in_channels: channels of the image.
        out_channels: channels of the logits.
        base_channels: channels of the encoder's finest level, doubled at each coarser one, and
            channels that each level contributes to each decoder block.
        depth: number of down-samplings.
        dropout: probability of dropping a value, from 0 to 1.
        deep_supervision: whether each level has a head; in training all logits are returned.
        norm: ``batch``, ``instance``, ``group`` or ``none``.
        dropout_at: ``bottleneck``: after the encoder; ``encoder``: after each of its convolutions;
            ``each``: after each convolution of the encoder and the decoder.

    Example:
        >>> net = UNet3Plus(in_channels=3, out_channels=1, base_channels=4, depth=2)
        >>> len(net(torch.zeros(1, 3, 50, 70)))  # in training: of two levels and the bottleneck
        3
        >>> net.eval()(torch.zeros(1, 3, 50, 70)).shape
        torch.Size([1, 1, 50, 70])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        base_channels: int = 64,
        depth: int = 4,
        dropout: float = 0.0,
        deep_supervision: bool = True,
        norm: Norm = "batch",
        dropout_at: DropoutAt = "bottleneck",
    ) -> None:
        super().__init__()
        last, down, upward = dropout_rates(dropout, dropout_at)
        widths = channel_widths(base_channels, depth + 1)
        self.encoder = nn.ModuleList(
            ConvBlock((before, here, here), norm=norm, dropout=down)
            for before, here in pairwise([in_channels, *widths])
        )
        self.dropout = nn.Dropout(last)
        self.decoder = nn.ModuleList()  # finest first, like the heads
        decoded = base_channels * (depth + 1)
        for level in range(depth):
            coarser = [decoded] * (depth - 1 - level) + [widths[-1]]
            sources = [*widths[: level + 1], *coarser]
            options = {"norm": norm, "dropout": upward}
            self.decoder.append(FullScaleBlock(sources, level, base_channels, **options))
        channels = [decoded] * depth + [widths[-1]] if deep_supervision else [decoded]
        self.heads = nn.ModuleList(nn.Conv2d(c, out_channels, 3, padding=1) for c in channels)

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Image ``(N, in_channels, H, W)`` to logits ``(N, out_channels, H, W)``.

        In training with deep supervision, a list of every head's logits, the bottleneck's first.
        """
        features = self._encode(pad_to_multiple(image, 2 ** len(self.decoder)))
        for level in reversed(range(len(self.decoder))):
            features[level] = self.decoder[level](features)
        if self.training and len(self.heads) > 1:
            outputs = [
                F.interpolate(head(x), scale_factor=2.0**level, mode="bilinear", align_corners=True)
                for level, (head, x) in enumerate(zip(self.heads, features, strict=True))
            ]
            return [crop_like(logits, image) for logits in reversed(outputs)]
        return crop_like(self.heads[0](features[0]), image)

    def _encode(self, x: Tensor) -> list[Tensor]:
        features: list[Tensor] = []
        for block in self.encoder:
            features.append(block(F.max_pool2d(features[-1], 2) if features else x))
        features[-1] = self.dropout(features[-1])
        return features
