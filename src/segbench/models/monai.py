"""Networks of MONAI, https://github.com/Project-MONAI/MONAI, in two dimensions.

The package comes with the extra ``monai`` and is imported when one of its networks is built.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from segbench.models.parts.blocks import crop_like, pad_to_multiple
from segbench.models.parts.packages import as_plain

NETWORKS = {"dynunet": "DynUNet", "segresnet": "SegResNet", "swin_unetr": "SwinUNETR"}
MEDNEXT = {f"mednext_{size.lower()}": size for size in "SBML"}


class MONAIModel(nn.Module):
    """A network of MONAI by its name.

    Args:
        in_channels: channels of the image.
        out_channels: channels of the logits.
        arch: ``dynunet``, ``segresnet``, ``swin_unetr``, or ``mednext_s`` to ``mednext_l``.
        options: further arguments of the network in MONAI, by name.
        multiple: both sides of an image are padded to multiples of this number of pixels.
        smallest: both sides are padded to this number of pixels at least, a multiple of
            ``multiple``, because instance normalisation cannot train on a single value.

    Raises:
        ImportError: the package is not installed.
        ValueError: there is no such network, or it does not know an option.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        arch: str,
        options: Mapping[str, Any] | None = None,
        multiple: int = 32,
        smallest: int = 64,
    ) -> None:
        super().__init__()
        build = _builder(arch)
        chosen = {"spatial_dims": 2, "in_channels": in_channels, "out_channels": out_channels}
        try:
            self.net: nn.Module = build(**{**chosen, **as_plain(options or {})})
        except TypeError as error:
            raise ValueError(f"options={options}: {error}") from error
        self.multiple, self.smallest = multiple, smallest

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Image ``(N, in_channels, H, W)`` to logits ``(N, out_channels, H, W)``.

        In training with deep supervision, a list of every head's logits, the coarsest first.
        """
        output: Tensor = self.net(pad_to_multiple(image, self.multiple, self.smallest))
        if output.ndim == 5:  # (N, heads, K, H, W), the finest head first
            return [crop_like(head, image) for head in reversed(output.unbind(dim=1))]
        return crop_like(output, image)


def _builder(arch: str) -> Callable[..., nn.Module]:
    """The class or function of MONAI that builds a network.

    Raises:
        ImportError: the package is not installed.
        ValueError: there is no such network.
    """
    if arch not in (*NETWORKS, *MEDNEXT):
        raise ValueError(f"arch must be one of {[*NETWORKS, *MEDNEXT]}, got {arch!r}")
    try:
        from monai.networks import nets
        from monai.networks.nets.mednext import create_mednext
    except ImportError as error:
        raise ImportError(
            f"model={arch} needs monai ({error}): pip install 'segbench[monai]'"
        ) from error
    if arch in MEDNEXT:
        return lambda **options: create_mednext(MEDNEXT[arch], **options)
    return getattr(nets, NETWORKS[arch])  # type: ignore[no-any-return]
