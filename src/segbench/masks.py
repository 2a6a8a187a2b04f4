"""What `predict` writes for a picture: its mask, its probabilities, its overlay."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torchvision.utils import draw_segmentation_masks

from segbench.data.transforms import Array
from segbench.inference import Floats
from segbench.report.record import whole_file

Palette = Sequence[tuple[int, int, int]]
_QUALITY = 92  # of an overlay's JPEG


def write_mask(path: Path, labels: Array, palette: Palette) -> None:
    """Class ids (H, W) as an indexed PNG, which viewers show in colours."""
    picture = Image.fromarray(labels)
    picture.putpalette([value for colour in palette for value in colour])
    with whole_file(path) as temporary:
        # masks are flat: more effort than the least takes longer and gains little
        picture.save(temporary, "PNG", compress_level=1)


def write_probabilities(path: Path, shares: Floats, class_names: Sequence[str], kind: str) -> None:
    """Probabilities (num_classes, H, W); ``path`` has no suffix.

    ``npy`` is one file of float16. ``png16`` is a grey PNG of 16 bits for each class, in which
    65535 is 1; of two classes the foreground's alone.
    """
    if kind == "npy":
        with whole_file(path.with_name(f"{path.name}.npy")) as temporary, temporary.open("wb") as f:
            np.save(f, shares.astype(np.float16))
        return
    for name, share in list(zip(class_names, shares, strict=True))[len(shares) == 2 :]:
        tail = "" if len(shares) == 2 else f".{name}".replace("/", "_")
        grey = (share * 65535).round().astype(np.uint16)
        with whole_file(path.with_name(f"{path.name}{tail}.png")) as temporary:
            temporary.write_bytes(cv2.imencode(".png", grey)[1].tobytes())


def draw_overlay(image: Array, labels: Array, palette: Palette) -> Array:
    """A picture (H, W, C) with its classes but the background tinted, (H, W, 3)."""
    rgb = image[:, :, :3] if image.shape[2] >= 3 else np.repeat(image[:, :, :1], 3, axis=2)
    picture = torch.tensor(rgb).permute(2, 0, 1)
    classes = torch.arange(1, len(palette)).view(-1, 1, 1)
    shown = draw_segmentation_masks(
        picture, torch.from_numpy(labels) == classes, alpha=0.5, colors=list(palette[1:])
    )
    drawn: Array = shown.permute(1, 2, 0).numpy()
    return drawn


def write_overlay(path: Path, overlay: Array) -> None:
    """Write an overlay as JPEG."""
    with whole_file(path) as temporary:
        Image.fromarray(np.ascontiguousarray(overlay)).save(temporary, "JPEG", quality=_QUALITY)
