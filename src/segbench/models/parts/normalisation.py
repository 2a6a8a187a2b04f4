"""Normalisation layers of the networks, for training on any number of values.

Batch: Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167. Instance: Ulyanov et al. 2016,
https://arxiv.org/abs/1607.08022. Group: Wu and He 2018, https://arxiv.org/abs/1803.08494.
"""

from math import gcd
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

Norm = Literal["batch", "instance", "group", "none"]
GROUPS = 32  # Wu and He's number


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


class SampleNorm(nn.GroupNorm):
    """Group normalisation that lets a group of one value pass, for which torch's raises an error.

    A group of each channel is instance normalisation.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each image of ``(N, C, H, W)`` group by group."""
        if input.shape[1] // self.num_groups * input.shape[2] * input.shape[3] == 1:
            return input * self.weight[:, None, None] + self.bias[:, None, None]
        return super().forward(input)


def normalisation(norm: Norm, channels: int) -> list[nn.Module]:
    """The layer that normalises ``channels`` channels; no layer for ``none``.

    Groups hold two channels at least, and there are 32 of them or fewer.

    Raises:
        ValueError: ``norm`` is none of ``batch``, ``instance``, ``group`` and ``none``.
    """
    if norm == "none":
        return []
    if norm == "batch":
        return [BatchNorm(channels)]
    if norm == "instance":
        return [SampleNorm(channels, channels)]
    if norm == "group":
        return [SampleNorm(gcd(GROUPS, channels // 2) if channels % 2 == 0 else 1, channels)]
    raise ValueError(f"norm must be batch, instance, group or none, got {norm!r}")
