"""Adam and AdamW that update weights in channels_last without copies of their gradients."""

from typing import Any

import torch
from torch import Tensor


class _InMemoryOrder:
    """Hands 4-D tensors to the step as views in the order of their memory, on a CPU.

    A fused step there makes a contiguous copy of every gradient that lies in channels_last: half of
    its time. The same tensors as ``(O, H, W, I)`` are contiguous; the numbers do not change.
    """

    def _init_group(self, group: dict[str, Any], *lists: list[Tensor]) -> bool:
        """Parameters, gradients and averages as views; the optimizer's state stays as it is."""
        complex_ones: bool = super()._init_group(group, *lists)  # type: ignore[misc]
        turned = [_in_channels_last(parameter) for parameter in lists[0]]
        for tensors in filter(None, lists):  # amsgrad's are empty without it
            tensors[:] = [
                tensor.permute(0, 2, 3, 1) if turn and tensor.dim() == 4 else tensor
                for tensor, turn in zip(tensors, turned, strict=True)
            ]
        return complex_ones


def _in_channels_last(tensor: Tensor) -> bool:
    """Whether it is in channels_last and in that order alone, on a CPU."""
    return (
        tensor.device.type == "cpu"
        and tensor.dim() == 4
        and not tensor.is_contiguous()
        and tensor.is_contiguous(memory_format=torch.channels_last)
    )


class Adam(_InMemoryOrder, torch.optim.Adam):
    """``torch.optim.Adam``, with its arguments; Kingma and Ba 2015, arXiv 1412.6980."""


class AdamW(_InMemoryOrder, torch.optim.AdamW):
    """``torch.optim.AdamW``, with its arguments; Loshchilov and Hutter 2019, arXiv 1711.05101."""
