"""Networks: ``nn.Module``s from an image of any size to logits of the same size."""

from typing import TYPE_CHECKING

from segbench.exports import lazy_exports

if TYPE_CHECKING:
    from segbench.models.attention_unet import AttentionUNet as AttentionUNet
    from segbench.models.encoder_unet import EncoderUNet as EncoderUNet
    from segbench.models.monai import MONAIModel as MONAIModel
    from segbench.models.segnet import SegNet as SegNet
    from segbench.models.smp import SMPModel as SMPModel
    from segbench.models.torchvision_models import TorchvisionModel as TorchvisionModel
    from segbench.models.unet import UNet as UNet
    from segbench.models.unet3plus import UNet3Plus as UNet3Plus
    from segbench.models.unet_compact import UNetCompact as UNetCompact
    from segbench.models.unetpp import UNetPP as UNetPP
else:
    __getattr__, __dir__, __all__ = lazy_exports(
        __name__,
        {
            "attention_unet": ["AttentionUNet"],
            "encoder_unet": ["EncoderUNet"],
            "monai": ["MONAIModel"],
            "segnet": ["SegNet"],
            "smp": ["SMPModel"],
            "torchvision_models": ["TorchvisionModel"],
            "unet": ["UNet"],
            "unet3plus": ["UNet3Plus"],
            "unet_compact": ["UNetCompact"],
            "unetpp": ["UNetPP"],
        },
    )
