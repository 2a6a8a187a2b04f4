"""Any network of segmentation_models.pytorch, https://github.com/qubvel-org/segmentation_models.pytorch.

The package comes with the extra ``smp`` and is imported when one of its networks is built.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from segbench.errors import WeightsError
from segbench.models.parts.blocks import crop_like, pad_to_multiple
from segbench.models.parts.normalisation import accept_single_values
from segbench.models.parts.packages import as_plain, drop_unused
from segbench.models.parts.starting_weights import load_fitting
from segbench.types import IMAGENET_MEAN, IMAGENET_STD
from segbench.weights import encoder_file, read_tensors

STRIDE = 32  # of the coarsest features of most encoders of the package
# Options with which an encoder of timm takes images of other sizes than those it was trained on
ANY_SIZE: tuple[dict[str, Any], ...] = (
    {"dynamic_img_size": True},  # vision transformers
    {"strict_img_size": False},  # Swin transformers
    {},
)
Triple = tuple[float, float, float]


def import_smp() -> Any:
    """The package segmentation_models_pytorch.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import segmentation_models_pytorch
    except ImportError as error:
        raise ImportError(
            f"model=smp needs segmentation_models_pytorch ({error}): pip install 'segbench[smp]'"
        ) from error
    return segmentation_models_pytorch


class SMPModel(nn.Module):
    """A network of segmentation_models.pytorch by its names.

    Pretrained weights are given images with the mean and standard deviation that they were trained
    with. The network converts the images itself, so that every user of its weights does the same.

    Args:
        in_channels: channels of the image; the package adapts the first convolution.
        out_channels: channels of the logits.
        arch: name of the decoder: ``unet``, ``fpn``, ``deeplabv3plus`` …
        encoder_name: name of the encoder: ``resnet34``, ``efficientnet-b0``, ``tu-convnext_tiny`` …
        weights: ``imagenet``, another of the package's names for the encoder, or None.
        options: further arguments of the package's ``create_model``, by name.

    Raises:
        ImportError: the package is not installed.
        ValueError: the package does not know a name, the weights or an option.
        WeightsError: the weights can be neither found nor fetched.
    """

    scale: Tensor  # (1, C, 1, 1), from segbench's images to those of the weights
    offset: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        arch: str = "unet",
        encoder_name: str = "resnet34",
        weights: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if not re.fullmatch(r"[\w.+-]+", encoder_name):  # timm would fetch hf-hub:owner/name
            raise ValueError(f"encoder_name must be a plain name, got {encoder_name!r}")
        smp = import_smp()
        self.encoder_name = encoder_name
        file = self.loaded_from = encoder_file(encoder_name, weights) if weights else None
        # an encoder of timm has one set of weights, which is chosen by True or False
        chosen = None if file else weights is not None if self._by_timm else weights
        shape = arch, encoder_name, chosen or None, in_channels, out_channels
        with _explained(encoder_name, weights):
            net = _create(smp, shape, as_plain(options or {}))
        if file:
            load_fitting(net, read_tensors(file), str(file))
        self.multiple = _multiple(net)
        self.unused = drop_unused(net, torch.empty(2, in_channels, *2 * [2 * self.multiple]))
        self.net = accept_single_values(net)
        for name, value in (("scale", torch.ones), ("offset", torch.zeros)):
            self.register_buffer(name, value(1, in_channels, 1, 1))
        if weights is not None:
            with _explained(encoder_name, weights):
                self._convert(weights)
        self.register_load_state_dict_pre_hook(_adapt_state)  # type: ignore[no-untyped-call]

    @property
    def _by_timm(self) -> bool:
        return self.encoder_name.startswith("tu-")

    def _convert(self, weights: str) -> None:
        """Convert images to those that the encoder's weights were trained on, from now on."""
        values = _conversion(import_smp().encoders, self.encoder_name, weights)
        for buffer, triple in zip((self.scale, self.offset), values, strict=True):
            row = [triple[channel % 3] for channel in range(buffer.shape[1])]
            buffer.copy_(torch.tensor(row).view(buffer.shape))

    def expect_pretrained_images(self) -> None:
        """Convert images as for timm's own weights of the encoder, which were loaded from a file.

        The package's other encoders have several sets of weights; their images stay segbench's own.
        """
        if self._by_timm:
            self._convert("imagenet")

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of the encoder, which a run may freeze for its first epochs."""
        return self.net.get_submodule("encoder").parameters()

    def forward(self, image: Tensor) -> Tensor:
        """Image ``(N, in_channels, H, W)`` to logits ``(N, out_channels, H, W)``."""
        converted = image * self.scale + self.offset
        return crop_like(self.net(pad_to_multiple(converted, self.multiple)), image)


@contextmanager
def _explained(encoder_name: str, weights: str | None) -> Iterator[None]:
    """Turn the package's errors about names and files into segbench's."""
    try:
        yield
    except KeyError as error:
        raise ValueError(error.args[0]) from error
    except OSError as error:
        from huggingface_hub.constants import HF_HUB_CACHE

        raise WeightsError(
            f"the weights {weights} of encoder_name={encoder_name} could not be loaded "
            f"({error}): their model.safetensors belongs in {HF_HUB_CACHE}, fetch it once with "
            "a network, or train from scratch with model.weights=null"
        ) from error


def _create(smp: Any, shape: tuple[Any, ...], options: dict[str, Any]) -> nn.Module:
    """Build a network, with an encoder of timm that takes images of any size where it can."""
    tries = ANY_SIZE if shape[1].startswith("tu-") else ({},)
    for k, size in enumerate(tries):
        try:
            net: nn.Module = smp.create_model(*shape, **{**size, **options})
        except TypeError as error:
            unknown = k + 1 < len(tries) and any(name in str(error) for name in size)
            if unknown and not any(name in str(error) for name in options):
                continue
            raise ValueError(f"options={options}: {error}") from error
        return net
    raise AssertionError("the last try has no option that could be unknown")


def _multiple(net: nn.Module) -> int:
    """What both sides of an image must be a multiple of.

    The coarsest features of a vision transformer are half as fine as its patches.
    """
    stride = int(getattr(net.get_submodule("encoder"), "output_stride", STRIDE))
    return STRIDE if STRIDE % stride == 0 else 2 * stride


def _conversion(encoders: Any, encoder_name: str, weights: str) -> tuple[Triple, Triple]:
    """Scale and offset of each channel, from segbench's images to those of the weights."""
    named = () if encoder_name.startswith("tu-") else (weights,)
    asked = encoders.get_preprocessing_params(encoder_name, *named)
    if asked.get("input_space", "RGB") != "RGB":
        raise ValueError(f"encoder_name={encoder_name}: its weights expect {asked['input_space']}")
    largest = float((asked.get("input_range") or (0, 1))[1])
    triples = list(zip(IMAGENET_MEAN, IMAGENET_STD, asked["mean"], asked["std"], strict=True))
    scale = [own_std * largest / std for _, own_std, _, std in triples]
    offset = [(own * largest - mean) / std for own, _, mean, std in triples]
    return (scale[0], scale[1], scale[2]), (offset[0], offset[1], offset[2])


def _adapt_state(net: SMPModel, state: dict[str, Any], prefix: str, *_: object) -> None:
    """Load weights of before, which had unused layers and images of segbench's own only."""
    unused = tuple(f"{prefix}net.{name}." for name in net.unused)
    for key in [key for key in state if key.startswith(unused)]:
        del state[key]
    for name, value in (("scale", torch.ones_like), ("offset", torch.zeros_like)):
        state.setdefault(f"{prefix}{name}", value(getattr(net, name)))
