"""Torchvision's own segmentation networks, with logits instead of a dictionary.

DeepLabV3: Chen et al. 2017, https://arxiv.org/abs/1706.05587. FCN: Long et al. 2015,
https://arxiv.org/abs/1411.4038. LR-ASPP: Howard et al. 2019, https://arxiv.org/abs/1905.02244.
"""

from collections.abc import Iterator

from torch import Tensor, nn
from torchvision.models import get_model

from segbench.models.parts.normalisation import accept_single_values
from segbench.models.parts.pretrained import (
    Weights,
    adapt_first_convolution,
    imagenet_weights,
    naming_the_file,
    own_file,
)
from segbench.models.parts.starting_weights import load_fitting
from segbench.weights import read_tensors

BACKBONES = {
    "deeplabv3_resnet50": "resnet50",
    "deeplabv3_resnet101": "resnet101",
    "deeplabv3_mobilenet_v3_large": "mobilenet_v3_large",
    "fcn_resnet50": "resnet50",
    "fcn_resnet101": "resnet101",
    "lraspp_mobilenet_v3_large": "mobilenet_v3_large",
}


class TorchvisionModel(nn.Module):
    """One of torchvision's networks, without its auxiliary head.

    Args:
        in_channels: channels of the image; the first convolution is adapted to it.
        out_channels: channels of the logits.
        arch: its name in torchvision.
        weights: ``imagenet`` for the backbone's weights, or None for random ones.

    Raises:
        ValueError: unknown ``arch`` or ``weights``.
        WeightsError: the weights can be neither found nor fetched.

    Example:
        >>> net = TorchvisionModel(3, out_channels=2, arch="lraspp_mobilenet_v3_large").eval()
        >>> net(torch.zeros(1, 3, 50, 70)).shape
        torch.Size([1, 2, 50, 70])
    """

    def __init__(
        self, in_channels: int, out_channels: int, arch: str, weights: Weights | None = None
    ) -> None:
        super().__init__()
        if arch not in BACKBONES:
            raise ValueError(f"arch must be one of {list(BACKBONES)}, got {arch!r}")
        entry = imagenet_weights(BACKBONES[arch], weights)
        file = self.loaded_from = own_file(entry)
        with naming_the_file(entry):
            backbone = None if file else entry
            net = get_model(arch, weights=None, weights_backbone=backbone, num_classes=out_channels)
            if file:
                load_fitting(net.backbone, read_tensors(file), str(file))
        adapt_first_convolution(net, in_channels, pretrained=entry is not None)
        self.net = accept_single_values(net)

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of the backbone, which a run may freeze for its first epochs."""
        return self.net.get_submodule("backbone").parameters()

    def forward(self, image: Tensor) -> Tensor:
        """Image ``(N, in_channels, H, W)`` to logits ``(N, out_channels, H, W)``."""
        logits: Tensor = self.net(image)["out"]
        return logits
