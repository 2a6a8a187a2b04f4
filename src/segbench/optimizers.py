"""Adam and AdamW that update channels_last weights without copying their gradients."""

from typing import Any

import torch
from torch import Tensor


class _InMemoryOrder:
    """Passes 4-D tensors to the step as contiguous views, on a CPU.

    PyTorch's fused step on a CPU copies every channels_last gradient into contiguous memory, which
    takes half of its time. Viewed as ``(O, H, W, I)`` the same tensors are contiguous, and the
    results are equal.
    """

    def _init_group(self, group: dict[str, Any], *lists: list[Tensor]) -> bool:
        """Collect parameters, gradients and moments as views, and leave the optimizer's state."""
        complex_ones: bool = super()._init_group(group, *lists)  # type: ignore[misc]
        turned = [_in_channels_last(parameter) for parameter in lists[0]]
        for tensors in filter(None, lists):  # amsgrad's are empty without it
            tensors[:] = [
                tensor.permute(0, 2, 3, 1) if turn and tensor.dim() == 4 else tensor
                for tensor, turn in zip(tensors, turned, strict=True)
            ]
        return complex_ones


def _in_channels_last(tensor: Tensor) -> bool:
    """Whether a tensor on a CPU is contiguous in channels_last and in no other order."""
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
