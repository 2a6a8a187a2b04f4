"""SegNet: Badrinarayanan et al., "SegNet: A Deep Convolutional Encoder-Decoder Architecture".

2015, https://arxiv.org/abs/1511.00561. The widths are those of the study of losses on PH2, derived
from its parameter counts (17,195,149 at 64 base channels, 270,493 at 8), which fix
4194 c² + 258 c + 13.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segbench.models.parts.blocks import ConvBlock, channel_widths, crop_like, pad_to_multiple


def max_unpool(x: Tensor, index: Tensor) -> Tensor:
    """Put each value back to the pixel that 2 × 2 max-pooling took it from, with 0 elsewhere.

    The result equals that of ``F.max_unpool2d``, which does not run under
    ``torch.use_deterministic_algorithms``.

    Args:
        x: ``(N, C, H, W)``.
        index: ``(N, C, H, W)``, the indices of ``max_pool2d(return_indices=True)``.

    Returns:
        ``(N, C, 2H, 2W)``.
    """
    height, width = x.shape[-2:]
    pixels = torch.arange(4 * height * width, device=x.device).view(height, 2, width, 2)
    taken = index[:, :, :, None, :, None] == pixels  # (N, C, H, 2, W, 2)
    return torch.where(taken, x[:, :, :, None, :, None], 0).flatten(4, 5).flatten(2, 3)


class SegNet(nn.Module):
    """Encoder and decoder that share max-pooling's indices and have no concatenated skips.

    A block has two 3 × 3 convolutions (conv, BN, ReLU), and three in the decoder except on the two
    finest levels. The bottleneck widens to ``2^depth · base_channels`` and narrows again.

    Args:
        in_channels: channels of the image.
        out_channels: channels of the logits.
        base_channels: channels of the finest level, doubled at each coarser one.
        depth: number of down-samplings.
        dropout: probability of dropping a value after the encoder, from 0 to 1.

    Example:
        >>> net = SegNet(in_channels=3, out_channels=1, base_channels=4)
        >>> net(torch.zeros(1, 3, 50, 70)).shape
        torch.Size([1, 1, 50, 70])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        base_channels: int = 64,
        depth: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        *widths, widest = channel_widths(base_channels, depth + 1)
        self.multiple = 2**depth
        self.encoder = nn.ModuleList(
            ConvBlock((before, here, here)) for before, here in pairwise([in_channels, *widths])
        )
        self.bottleneck = ConvBlock((widths[-1], widest, widths[-1]))
        self.dropout = nn.Dropout(dropout)
        self.decoder = nn.ModuleList(
            ConvBlock((widths[level], *[widths[level - 1]] * (2 if level == 1 else 3)))
            for level in range(depth - 1, 0, -1)
        )
        self.decoder.append(ConvBlock((base_channels, out_channels)))
        self.head = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Image ``(N, in_channels, H, W)`` to logits ``(N, out_channels, H, W)``."""
        x = pad_to_multiple(image, self.multiple)
        indices = []
        for block in self.encoder:
            x, index = F.max_pool2d(block(x), 2, return_indices=True)
            indices.append(index)
        x = self.dropout(self.bottleneck(x))
        for block in self.decoder:
            x = block(max_unpool(x, indices.pop()))
        return crop_like(self.head(x), image)
