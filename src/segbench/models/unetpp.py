"""UNet++: Zhou et al., "UNet++: A Nested U-Net Architecture for Medical Image Segmentation".

DLMIA 2018, https://arxiv.org/abs/1807.10165. Deep supervision and pruning: its section 2.2.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segbench.models.parts.blocks import (
    ConvBlock,
    DropoutAt,
    Up,
    channel_widths,
    crop_like,
    dropout_rates,
    pad_to_multiple,
    upsampling,
)
from segbench.models.parts.normalisation import Norm


def node(row: int, column: int) -> str:
    """Name of the paper's X^{row, column}: after ``row`` poolings and ``column`` up-samplings."""
    return f"x{row}_{column}"


class UNetPP(nn.Module):
    """Nested U-Nets of 1 to ``depth`` levels with dense skips along each row.

    Args:
        in_channels: channels of the image.
        out_channels: channels of the logits.
        base_channels: channels of the finest row, doubled at each coarser one.
        depth: number of down-samplings, and of heads under deep supervision.
        up: ``bilinear`` keeps the channels while up-sampling, ``transpose`` halves them.
        dropout: probability of dropping a value, from 0 to 1.
        deep_supervision: whether each nested U-Net has a head; in training all logits are returned.
        level: number of nested U-Nets that are built (the paper's pruning); None builds all. A
            pruned network loads the whole network's state dict.
        norm: ``batch``, ``instance``, ``group`` or ``none``.
        dropout_at: ``bottleneck``: after the encoder; ``encoder``: after each of its convolutions;
            ``each``: after each convolution of the encoder and the decoder.

    Example:
        >>> net = UNetPP(3, out_channels=1, base_channels=4, depth=3, deep_supervision=True)
        >>> [logits.shape[-2:] for logits in net(torch.zeros(2, 3, 50, 70))]  # of three heads
        [torch.Size([50, 70]), torch.Size([50, 70]), torch.Size([50, 70])]
        >>> net.eval()(torch.zeros(2, 3, 50, 70)).shape
        torch.Size([2, 1, 50, 70])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        base_channels: int = 32,
        depth: int = 4,
        up: Up = "bilinear",
        dropout: float = 0.0,
        deep_supervision: bool = False,
        level: int | None = None,
        norm: Norm = "batch",
        dropout_at: DropoutAt = "bottleneck",
    ) -> None:
        super().__init__()
        last, down, upward = dropout_rates(dropout, dropout_at)
        widths = channel_widths(base_channels, depth + 1)
        self.depth, self.level = depth, _valid_level(level, depth, deep_supervision)
        self.nodes, self.ups = nn.ModuleDict(), nn.ModuleDict()
        for row in range(self.level + 1):
            before = in_channels if row == 0 else widths[row - 1]
            here = widths[row]
            self.nodes[node(row, 0)] = ConvBlock((before, here, here), norm=norm, dropout=down)
            for column in range(1, self.level + 1 - row):
                layer, channels = upsampling(up, widths[row + 1], here)
                shape = channels + column * here, here, here
                self.ups[node(row, column)] = layer
                self.nodes[node(row, column)] = ConvBlock(shape, norm=norm, dropout=upward)
        self.dropout = nn.Dropout(last)
        columns = range(1 if deep_supervision else self.level, self.level + 1)
        self.heads = nn.ModuleDict(
            {str(column): nn.Conv2d(base_channels, out_channels, 1) for column in columns}
        )
        self.deep_supervision = deep_supervision
        self.register_load_state_dict_pre_hook(_drop_pruned)  # type: ignore[no-untyped-call]

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Image ``(N, in_channels, H, W)`` to logits ``(N, out_channels, H, W)``.

        In training with deep supervision, a list of every head's logits, shallowest first.
        """
        rows = self._rows(pad_to_multiple(image, 2**self.depth))
        if self.training and self.deep_supervision:
            outputs = [head(rows[0][int(column)]) for column, head in self.heads.items()]
            return [crop_like(logits, image) for logits in outputs]
        return crop_like(self.heads[str(self.level)](rows[0][-1]), image)

    def _rows(self, x: Tensor) -> list[list[Tensor]]:
        """Outputs of all nodes; ``rows[i][j]`` is the paper's X^{i, j}."""
        rows: list[list[Tensor]] = []
        for row in range(self.level + 1):
            x = self.nodes[node(row, 0)](x if row == 0 else F.max_pool2d(x, 2))
            rows.append([self.dropout(x) if row == self.depth else x])
            for column in range(1, row + 1):  # the nodes whose inputs are now complete
                above = row - column
                below = self.ups[node(above, column)](rows[above + 1][-1])
                joined = torch.cat([*rows[above], below], dim=1)
                rows[above].append(self.nodes[node(above, column)](joined))
        return rows


def _valid_level(level: int | None, depth: int, deep_supervision: bool) -> int:
    if level is None:
        return depth
    if not deep_supervision:
        raise ValueError(f"level={level} needs deep_supervision=True: only then each has a head")
    if not 1 <= level <= depth:
        raise ValueError(f"level must be null or from 1 to depth={depth}, got {level}")
    return level


def _drop_pruned(net: UNetPP, state_dict: dict[str, Any], prefix: str, *_: object) -> None:
    """Remove the weights that a pruned network lacks from the whole network's state dict."""
    rows = range(net.depth + 1)
    pruned = [(row, column) for row in rows for column in rows if row + column > net.level]
    names = [f"{group}.{node(*place)}." for group in ("nodes", "ups") for place in pruned]
    names += [f"heads.{column}." for column in rows if column > net.level]
    surplus = tuple(prefix + name for name in names)
    for key in [key for key in state_dict if key.startswith(surplus)]:
        del state_dict[key]
