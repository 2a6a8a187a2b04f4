"""U-Net decoders on torchvision's classification networks, from scratch or pretrained.

ResNet: He et al. 2016, https://arxiv.org/abs/1512.03385. MobileNetV2: Sandler et al. 2018,
https://arxiv.org/abs/1801.04381. MobileNetV3: Howard et al. 2019, https://arxiv.org/abs/1905.02244.
The decoder: Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597.
"""

from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor, nn
from torchvision.models import get_model

from segbench.models.parts.blocks import (
    Up,
    UpBlock,
    channel_widths,
    crop_like,
    pad_to_multiple,
)
from segbench.models.parts.normalisation import accept_single_values
from segbench.models.parts.pretrained import (
    Weights,
    adapt_first_convolution,
    imagenet_weights,
    naming_the_file,
    own_file,
)
from segbench.weights import read_tensors

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
# Indices in torchvision's `features` where each of the five stages begins, and their end.
MOBILENETS = {"mobilenet_v2": (0, 2, 4, 7, 14, 19), "mobilenet_v3_large": (0, 2, 4, 7, 13, 17)}


def encoder_stages(encoder: str, in_channels: int, weights: Weights | None) -> nn.ModuleList:
    """The five stages of a torchvision network without its classifier, each halving H and W.

    Raises:
        ValueError: unknown ``encoder`` or ``weights``.
        WeightsError: the weights can be neither found nor fetched.
    """
    if encoder not in (*RESNETS, *MOBILENETS):
        raise ValueError(f"encoder must be one of {[*RESNETS, *MOBILENETS]}, got {encoder!r}")
    entry = imagenet_weights(encoder, weights)
    file = own_file(entry)
    with naming_the_file(entry):
        net = get_model(encoder, weights=None if file else entry)
        if file:
            net.load_state_dict(read_tensors(file))
    adapt_first_convolution(net, in_channels, pretrained=entry is not None)
    accept_single_values(net)
    if encoder in RESNETS:
        stem = nn.Sequential(net.conv1, net.bn1, net.relu)
        first = nn.Sequential(net.maxpool, net.layer1)
        return nn.ModuleList([stem, first, net.layer2, net.layer3, net.layer4])
    return nn.ModuleList(net.features[start:end] for start, end in pairwise(MOBILENETS[encoder]))


def stage_channels(stage: nn.Module) -> int:
    """Channels of a stage's output: those of its last convolution."""
    return [module.out_channels for module in stage.modules() if isinstance(module, nn.Conv2d)][-1]


def _torchvision_name(key: str, of_resnet: bool) -> str:
    """Torchvision's name of a weight of the encoder, such as ``layer2.0.conv1.weight``."""
    _, stage, part, rest = key.split(".", 3)
    if not of_resnet:
        return f"features.{part}.{rest}"
    if stage == "0":
        return f"{('conv1', 'bn1')[int(part)]}.{rest}"
    return f"layer1.{rest}" if stage == "1" else f"layer{stage}.{part}.{rest}"


class EncoderUNet(nn.Module):
    """A torchvision encoder and a U-Net decoder of five up-samplings, the last without a skip.

    Args:
        in_channels: channels of the image; the first convolution is adapted to it.
        out_channels: channels of the logits.
        encoder: ``resnet18`` to ``resnet152``, ``mobilenet_v2`` or ``mobilenet_v3_large``.
        weights: ``imagenet`` (torchvision's IMAGENET1K_V1), or None for random ones.
        base_channels: channels of the decoder's finest level, doubled at each coarser one.
        up: ``transpose`` or ``bilinear``.
        dropout: probability of dropping a value after the encoder, from 0 to 1.

    Example:
        >>> net = EncoderUNet(in_channels=3, out_channels=1, encoder="resnet18")
        >>> net(torch.zeros(1, 3, 50, 70)).shape
        torch.Size([1, 1, 50, 70])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        encoder: str = "resnet34",
        weights: Weights | None = None,
        base_channels: int = 16,
        up: Up = "transpose",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.of_resnet = encoder in RESNETS
        self.encoder = encoder_stages(encoder, in_channels, weights)
        self.loaded_from = own_file(imagenet_weights(encoder, weights))
        self.dropout = nn.Dropout(dropout)
        *skips, deepest = (stage_channels(stage) for stage in self.encoder)
        widths = list(reversed(channel_widths(base_channels, levels=5)))
        levels = zip(pairwise([deepest, *widths]), [*reversed(skips), 0], strict=True)
        self.decoder = nn.ModuleList(
            UpBlock(below, skip, here, up, bias=False) for (below, here), skip in levels
        )
        self.head = nn.Conv2d(base_channels, out_channels, kernel_size=1)

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of the encoder, which a run may freeze for its first epochs."""
        return self.encoder.parameters()

    def torchvision_names(self) -> dict[str, str]:
        """The encoder's weights by the names that they have in torchvision's files."""
        own = [f"encoder.{key}" for key in self.encoder.state_dict()]
        return {_torchvision_name(key, self.of_resnet): key for key in own}

    def forward(self, image: Tensor) -> Tensor:
        """Image ``(N, in_channels, H, W)`` to logits ``(N, out_channels, H, W)``."""
        x = pad_to_multiple(image, 2 ** len(self.encoder))
        skips: list[Tensor | None] = [None]
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        x = self.dropout(skips.pop())
        for block in self.decoder:
            x = block(x, skips.pop())
        return crop_like(self.head(x), image)
