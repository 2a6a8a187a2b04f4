"""Parts that several networks share: padding, convolution blocks, up-sampling, widths.

Every layer keeps PyTorch's default initialisation, as in the six studies.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Up = Literal["transpose", "bilinear"]
Order = Literal["conv-bn-relu", "conv-relu-bn"]
# One 3 × 3 convolution between two levels of WIDEST channels has 2.4 · 10^9 weights.
DEEPEST, WIDEST = 10, 2**14


def pad_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Pad ``(N, C, H, W)`` at the bottom and the right to multiples of ``multiple``.

    The border pixels are repeated, which unlike mirroring works for 1 × 1 pixel too.
    """
    height, width = image.shape[-2:]
    return F.pad(image, (0, -width % multiple, 0, -height % multiple), mode="replicate")


def crop_like(logits: Tensor, image: Tensor) -> Tensor:
    """Undo ``pad_to_multiple``: the top left part of ``logits`` of the image's H × W."""
    return logits[..., : image.shape[-2], : image.shape[-1]]


def channel_widths(base_channels: int, levels: int) -> list[int]:
    """Channels of each level, doubled from one to the next: ``base_channels · 2^i``.

    Raises:
        ValueError: there are fewer than two levels, or more levels or channels than fit in memory.
    """
    if base_channels < 1 or levels < 2:
        raise ValueError(
            f"base_channels and depth must be at least 1, got base_channels={base_channels} "
            f"and depth={levels - 1}"
        )
    if levels - 1 > DEEPEST or base_channels * 2 ** (levels - 1) > WIDEST:
        raise ValueError(
            f"base_channels={base_channels} and depth={levels - 1}: expected a depth of at most "
            f"{DEEPEST}, and base_channels · 2^depth of at most {WIDEST}"
        )
    return [base_channels * 2**level for level in range(levels)]


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation that trains on one value per channel, for which torch's raises an error.

    One image of 1 × 1 pixel has no batch statistics: the running statistics are used.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise ``(N, C, H, W)`` channel by channel."""
        if self.training and input.shape[0] * input.shape[2] * input.shape[3] == 1:
            mean, var = self.running_mean, self.running_var
            return F.batch_norm(input, mean, var, self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(input)


def accept_single_values(net: nn.Module) -> nn.Module:
    """Turn every ``nn.BatchNorm2d`` of another library's network into a ``BatchNorm``."""
    for module in net.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = BatchNorm
    return net


class ConvBlock(nn.Sequential):
    """Convolution, batch normalisation and ReLU, once for each step of ``channels``.

    ``channels=(3, 64, 64)`` is the block of two 3 × 3 convolutions of U-Net and VGG.
    """

    def __init__(
        self,
        channels: Sequence[int],
        kernel_size: int = 3,
        bias: bool = True,
        order: Order = "conv-bn-relu",
    ) -> None:
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            conv = nn.Conv2d(before, after, kernel_size, padding=kernel_size // 2, bias=bias)
            norm, relu = BatchNorm(after), nn.ReLU(inplace=True)
            layers += [conv, norm, relu] if order == "conv-bn-relu" else [conv, relu, norm]
        super().__init__(*layers)


def bilinear_upsampling(scale: int = 2) -> nn.Upsample:
    """Bilinear up-sampling with aligned corners, as in the code of the studies."""
    return nn.Upsample(scale_factor=scale, mode="bilinear", align_corners=True)


def upsampling(up: Up, in_channels: int, out_channels: int) -> tuple[nn.Module, int]:
    """A layer that doubles H and W, and its output channels; bilinear keeps ``in_channels``."""
    if up == "bilinear":
        return bilinear_upsampling(), in_channels
    if up == "transpose":
        return nn.ConvTranspose2d(in_channels, out_channels, kernel_size=2, stride=2), out_channels
    raise ValueError(f"up must be 'transpose' or 'bilinear', got {up!r}")


class UpBlock(nn.Module):
    """One decoder level: up-sampling, the encoder's features joined, two convolutions."""

    def __init__(
        self, in_channels: int, skip_channels: int, out_channels: int, up: Up, bias: bool = True
    ) -> None:
        super().__init__()
        self.up, channels = upsampling(up, in_channels, out_channels)
        self.conv = ConvBlock((channels + skip_channels, out_channels, out_channels), bias=bias)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        """``(N, in, H, W)`` and ``(N, skip, 2H, 2W)`` to ``(N, out, 2H, 2W)``."""
        x = self.up(x)
        x = x if skip is None else torch.cat([skip, x], dim=1)
        out: Tensor = self.conv(x)
        return out
