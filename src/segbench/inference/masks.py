"""Writes the mask, the probabilities and the overlay of a picture."""

import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torchvision.utils import draw_segmentation_masks

from segbench.colours import ClassColours
from segbench.data.store.transforms import Array
from segbench.inference.predictor import Floats
from segbench.records.record import atomic_write

Palette = Sequence[tuple[int, int, int]]
_QUALITY = 92  # of an overlay's JPEG


def write_mask(path: Path, labels: Array, palette: Palette) -> None:
    """Write class ids (H, W) uint8 as an indexed PNG, which viewers show in colours."""
    picture = Image.fromarray(labels)
    picture.putpalette([value for colour in palette for value in colour])
    with atomic_write(path) as temporary:
        # higher compression levels take longer and save little on flat masks
        picture.save(temporary, "PNG", compress_level=1)


def write_probabilities(
    path: Path, probabilities: Floats, class_names: Sequence[str], kind: str
) -> None:
    """Write probabilities.

    Args:
        path: the file without its suffix.
        probabilities: (num_classes, H, W), 0 to 1.
        class_names: background first.
        kind: ``npy``, one file of float16, or ``png16``, a grey 16-bit PNG for each class in which
            65535 is 1. Of two classes only the foreground is written.
    """
    if kind == "npy":
        with (
            atomic_write(path.with_name(f"{path.name}.npy")) as temporary,
            temporary.open("wb") as f,
        ):
            np.save(f, probabilities.astype(np.float16))
        return
    written = list(zip(_tails(class_names), probabilities, strict=True))
    for tail, values in written[1:] if len(written) == 2 else written:
        grey = (values * 65535).round().astype(np.uint16)
        with atomic_write(path.with_name(f"{path.name}{tail}.png")) as temporary:
            temporary.write_bytes(cv2.imencode(".png", grey)[1].tobytes())


def _tails(class_names: Sequence[str]) -> list[str]:
    """The endings of the file names of each class: the class's name without special characters."""
    if len(class_names) == 2:
        return ["", ""]
    plain = [re.sub(r"[^\w .()+-]", "_", name)[:60] for name in class_names]
    alike = {name for name in plain if plain.count(name) > 1}
    return [f".{name}-{label}" if name in alike else f".{name}" for label, name in enumerate(plain)]


def draw_overlay(image: Array, labels: Array, classes: ClassColours) -> Array:
    """A picture (H, W, 3) with all classes except the background tinted."""
    picture = torch.tensor(image).permute(2, 0, 1)
    first = 0 if classes.background is None else 1
    tinted = torch.arange(first, len(classes.colours)).view(-1, 1, 1)
    colours = list(classes.colours[first:])
    shown = draw_segmentation_masks(
        picture, torch.from_numpy(labels) == tinted, alpha=0.5, colors=colours
    )
    drawn: Array = shown.permute(1, 2, 0).numpy()
    return drawn


def write_overlay(path: Path, overlay: Array) -> None:
    """Write an overlay (H, W, 3) as JPEG."""
    with atomic_write(path) as temporary:
        Image.fromarray(np.ascontiguousarray(overlay)).save(temporary, "JPEG", quality=_QUALITY)
