"""Any network of segmentation_models.pytorch, https://github.com/qubvel-org/segmentation_models.pytorch.

The package comes with the extra ``smp`` and is imported when one of its networks is built.
"""

import re
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from segbench.models.blocks import crop_like, pad_to_multiple
from segbench.models.normalisation import accept_single_values
from segbench.models.pretrained import WeightsError

STRIDE = 32  # of the coarsest features of the package's encoders


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

    Args:
        in_channels: channels of the image; the package adapts the first convolution.
        out_channels: channels of the logits.
        arch: name of the decoder: ``unet``, ``fpn``, ``deeplabv3plus`` …
        encoder_name: name of the encoder: ``resnet34``, ``efficientnet-b0``, ``tu-convnext_tiny`` …
        weights: ``imagenet``, another of the package's names for the encoder, or None.

    Raises:
        ImportError: the package is not installed.
        ValueError: the package does not know a name or the weights.
        WeightsError: the weights can be neither found nor fetched.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        arch: str = "unet",
        encoder_name: str = "resnet34",
        weights: str | None = None,
    ) -> None:
        super().__init__()
        if not re.fullmatch(r"[\w.+-]+", encoder_name):  # timm would fetch hf-hub:owner/name
            raise ValueError(f"encoder_name must be a plain name, got {encoder_name!r}")
        smp = import_smp()
        # an encoder of timm has one set of weights, which is chosen by True or False
        chosen = weights is not None if encoder_name.startswith("tu-") else weights
        try:
            net = smp.create_model(arch, encoder_name, chosen or None, in_channels, out_channels)
        except KeyError as error:
            raise ValueError(error.args[0]) from error
        except OSError as error:
            from huggingface_hub.constants import HF_HUB_CACHE

            raise WeightsError(
                f"the weights {weights} of encoder_name={encoder_name} could not be loaded "
                f"({error}): their model.safetensors belongs in {HF_HUB_CACHE}, fetch it once with "
                "a network, or train from scratch with model.weights=null"
            ) from error
        self.net = accept_single_values(net)

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of the encoder, which a run may freeze for its first epochs."""
        return self.net.get_submodule("encoder").parameters()

    def forward(self, image: Tensor) -> Tensor:
        """Image ``(N, in_channels, H, W)`` to logits ``(N, out_channels, H, W)``."""
        return crop_like(self.net(pad_to_multiple(image, STRIDE)), image)
