"""Pretrained weights of torchvision, and first convolutions for images of any channel count."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path, PurePosixPath
from pickle import UnpicklingError
from typing import Literal

import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum, get_model_weights

from segbench.errors import WeightsError
from segbench.weights import in_own_folder

Weights = Literal["imagenet"]


def imagenet_weights(backbone: str, weights: Weights | None) -> WeightsEnum | None:
    """Torchvision's entry for ``backbone``: its first ImageNet weights, those of the studies.

    Raises:
        ValueError: ``weights`` is neither ``imagenet`` nor None.
    """
    if weights is None:
        return None
    if weights != "imagenet":
        raise ValueError(f"weights must be 'imagenet' or null, got {weights!r}")
    return get_model_weights(backbone)["IMAGENET1K_V1"]


@contextmanager
def naming_the_file(entry: WeightsEnum | None) -> Iterator[None]:
    """Replace an error in loading weights by one line that names the file and its folder.

    Raises:
        WeightsError: the weights could not be loaded.
    """
    try:
        yield
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        if entry is None:
            raise
        folder, name = Path(torch.hub.get_dir()) / "checkpoints", PurePosixPath(entry.url).name
        raise WeightsError(
            f"the weights {entry} could not be loaded ({error}): put {name} from {entry.url} "
            f"into {folder}, or train from scratch with model.weights=null"
        ) from error


def own_file(entry: WeightsEnum | None) -> Path | None:
    """The file of torchvision's weights in ``$SEGBENCH_WEIGHTS``; None where it is not there."""
    return in_own_folder(PurePosixPath(entry.url).name) if entry else None


def adapted_filters(filters: Tensor, in_channels: int) -> Tensor:
    """Filters ``(O, 3, k, k)`` for RGB to ``(O, in_channels, k, k)`` with the same mean response.

    For a grey image the three filters are summed, which gives the response to its RGB copy. For
    other counts they are repeated in turn and scaled by 3 / in_channels.
    """
    if in_channels == 1:
        return filters.sum(dim=1, keepdim=True)
    order = list(islice(cycle(range(3)), in_channels))
    return filters[:, order] * (3 / in_channels)


def adapt_first_convolution(net: nn.Module, in_channels: int, pretrained: bool) -> None:
    """Adapt the first convolution of a torchvision network to images that are not RGB.

    Without pretrained filters it is initialised as in torchvision: Kaiming normal, fan-out.
    """
    rgb = next(module for module in net.modules() if isinstance(module, nn.Conv2d))
    if in_channels == rgb.in_channels:
        return
    filters = rgb.weight.detach()
    if pretrained:
        adapted = adapted_filters(filters, in_channels)
    else:
        adapted = filters.new_empty(filters.shape[0], in_channels, *filters.shape[2:])
        nn.init.kaiming_normal_(adapted, mode="fan_out", nonlinearity="relu")
    rgb.in_channels, rgb.weight = in_channels, nn.Parameter(adapted)
