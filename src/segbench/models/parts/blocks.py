"""Parts that several networks share: padding, convolution blocks, up-sampling, widths.

Every layer keeps PyTorch's default initialisation, as in the six studies.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segbench.models.parts.normalisation import Norm, normalisation

Up = Literal["transpose", "bilinear"]
Order = Literal["conv-norm-relu", "conv-relu-norm"]
DropoutAt = Literal["bottleneck", "encoder", "each"]
# One 3 × 3 convolution between two levels of WIDEST channels has 2.4 · 10^9 weights.
DEEPEST, WIDEST = 10, 2**14


def pad_to_multiple(image: Tensor, multiple: int, smallest: int = 0) -> Tensor:
    """Pad ``(N, C, H, W)`` at the bottom and the right to multiples of ``multiple``.

    H and W become ``smallest``, itself such a multiple, at least.

    The border pixels are repeated, which unlike mirroring works for 1 × 1 pixel too.
    """
    height, width = image.shape[-2:]
    down, right = (max(-side % multiple, smallest - side) for side in (height, width))
    return F.pad(image, (0, right, 0, down), mode="replicate")


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


def dropout_rates(dropout: float, at: DropoutAt) -> tuple[float, float, float]:
    """Rates after the encoder, and after each convolution of the encoder and of the decoder.

    Raises:
        ValueError: ``at`` is none of ``bottleneck``, ``encoder`` and ``each``.
    """
    rates = {
        "bottleneck": (dropout, 0.0, 0.0),
        "encoder": (0.0, dropout, 0.0),
        "each": (0.0, dropout, dropout),
    }
    if at not in rates:
        raise ValueError(f"dropout_at must be one of {[*rates]}, got {at!r}")
    return rates[at]


class ConvBlock(nn.Sequential):
    """Convolution, normalisation, ReLU and perhaps dropout, once for each step of ``channels``.

    ``channels=(3, 64, 64)`` is the block of two 3 × 3 convolutions of U-Net and VGG. Without
    normalisation every convolution has a bias.
    """

    def __init__(
        self,
        channels: Sequence[int],
        kernel_size: int = 3,
        bias: bool = True,
        order: Order = "conv-norm-relu",
        norm: Norm = "batch",
        dropout: float = 0.0,
    ) -> None:
        layers: list[nn.Module] = []
        bias = bias or norm == "none"
        for before, after in pairwise(channels):
            layers += [nn.Conv2d(before, after, kernel_size, padding=kernel_size // 2, bias=bias)]
            after_conv = [*normalisation(norm, after), nn.ReLU(inplace=True)]
            layers += after_conv if order == "conv-norm-relu" else reversed(after_conv)
            layers += [nn.Dropout(dropout)] if dropout else []
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
    """One decoder level: up-sampling, the encoder's features joined, a ``ConvBlock`` of two.

    Further arguments are those of ``ConvBlock``.
    """

    def __init__(
        self, in_channels: int, skip_channels: int, out_channels: int, up: Up, **options: Any
    ) -> None:
        super().__init__()
        self.up, channels = upsampling(up, in_channels, out_channels)
        self.conv = ConvBlock((channels + skip_channels, out_channels, out_channels), **options)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        """``(N, in, H, W)`` and ``(N, skip, 2H, 2W)`` to ``(N, out, 2H, 2W)``."""
        x = self.up(x)
        x = x if skip is None else torch.cat([skip, x], dim=1)
        out: Tensor = self.conv(x)
        return out


class SideHeads(nn.ModuleList):
    """Deep supervision (Lee et al. 2015, https://arxiv.org/abs/1409.5185) of coarser levels.

    Args:
        channels: channels of the features of each supervised level.
        out_channels: channels of the logits.
    """

    def __init__(self, channels: Sequence[int], out_channels: int) -> None:
        super().__init__(nn.Conv2d(here, out_channels, kernel_size=1) for here in channels)

    def forward(
        self, features: Sequence[Tensor], logits: Tensor, image: Tensor
    ) -> Tensor | list[Tensor]:
        """The logits of all heads in training, the coarsest first; otherwise the finest alone.

        Args:
            features: ``(N, C_i, H_i, W_i)`` of each supervised level, the coarsest first.
            logits: those of the finest level, of the padded image's H × W.
            image: the image, to whose H × W all logits are cropped.
        """
        finest = crop_like(logits, image)
        if not self.training or not len(self):
            return finest
        size = list(logits.shape[-2:])
        resized = (
            F.interpolate(head(x), size, mode="bilinear", align_corners=True)
            for head, x in zip(self, features, strict=True)
        )
        return [*(crop_like(each, image) for each in resized), finest]
