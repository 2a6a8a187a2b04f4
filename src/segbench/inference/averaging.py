"""Averages the probabilities of several networks, or of several views of an image."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segbench.errors import ConfigError

FLIPS: tuple[tuple[int, ...], ...] = ((), (3,), (2,), (2, 3))  # dimensions of (N, C, H, W)


def mean_logits(logits: Sequence[Tensor]) -> Tensor:
    """Logits ``(N, K, H, W)`` of the mean of several networks' probabilities.

    All is computed in logarithms, so that logits stay finite for probabilities near 0 or 1.

    Args:
        logits: one or more, each ``(N, K, H, W)``.
    """
    if len(logits) == 1:
        return logits[0]
    stacked = torch.stack([each.float() for each in logits])
    if stacked.shape[2] > 1:
        return stacked.log_softmax(dim=2).logsumexp(dim=0)
    return F.logsigmoid(stacked).logsumexp(dim=0) - F.logsigmoid(-stacked).logsumexp(dim=0)


class Averaged(nn.Module):
    """A network whose probabilities are the mean of those of several networks.

    Args:
        networks: each takes images ``(N, C, H, W)`` and returns logits ``(N, K, H, W)``.
        flips: whether to average over the image and its three mirror images too.
    """

    def __init__(self, networks: Sequence[nn.Module], flips: bool = False) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.views = FLIPS if flips else FLIPS[:1]

    def forward(self, image: Tensor) -> Tensor:
        """Logits ``(N, K, H, W)`` of the mean probability."""
        answers = []
        for dims in self.views:
            view = image.flip(dims) if dims else image
            for network in self.networks:
                logits = network(view)
                answers.append(logits.flip(dims) if dims else logits)
        return mean_logits(answers)


def check_tta(tta: str | None) -> bool:
    """Whether the option ``tta`` asks for flips.

    Raises:
        ConfigError: the value is neither None nor ``flips``.
    """
    if tta not in (None, "flips"):
        raise ConfigError(f"tta={tta}: expected null or flips")
    return tta == "flips"
