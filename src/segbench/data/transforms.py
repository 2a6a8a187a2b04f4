"""Reading, resizing and normalising pictures and masks."""

import io
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from segbench.errors import DataError

Array = npt.NDArray[np.uint8]
# Statistics of ImageNet, which every pretrained torchvision encoder expects; harmless to others.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def decode(content: bytes, path: Path, mode: str | None = None) -> Array:
    """Decode a picture, whatever its format, in Pillow's ``mode`` ("RGB", "L", …).

    Without a mode: as it is stored, so that an indexed picture gives its indices, and one of 16
    bits its 16 bits.

    Raises:
        DataError: the file is no picture, ends too early, or holds more than one.
    """
    try:
        with Image.open(io.BytesIO(content)) as opened:
            count = getattr(opened, "n_frames", 1)
            if opened.format == "TIFF" and count > 1:
                raise ValueError(f"a stack of {count} pictures; give one file for each")
            opened.load()
            picture: Image.Image = opened
            if mode and picture.mode == "P" and "transparency" in picture.info:
                picture = picture.convert("RGBA")  # Pillow warns of the direct way
            return np.asarray(picture.convert(mode) if mode else picture)
    except Exception as error:  # decoders of foreign bytes raise whatever they stumble on
        raise DataError(
            f"{path}: cannot be read as a picture ({_first_line(error)}); "
            "replace the file or move its case out of the data set"
        ) from error


def _first_line(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # its own text names an object in memory
        return "unknown or damaged format"
    return (str(error).splitlines() or [type(error).__name__])[0]


MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def decode_image(
    content: bytes, path: Path, channels: int, white: int = 65535, upright: bool = False
) -> Array:
    """Decode a picture as (H, W, channels): 1 for grey, 3 for RGB, 4 for RGB and alpha.

    Of a grey picture of 16 bits ``white`` becomes 255, and whatever is brighter too; coloured ones
    keep their upper 8 bits. ``upright`` turns a photograph as its camera says that it was held.

    Raises:
        DataError: the file cannot be read, or holds floating-point numbers.
    """
    mode, turn = _peek(content)
    if mode.startswith("I"):
        grey = decode(content, path).astype(np.float32) * (255 / white)
        pixels = Image.fromarray(grey.round().clip(0, 255).astype(np.uint8))
        image = np.asarray(pixels.convert(MODES[channels]))
    elif mode == "F":
        raise DataError(f"{path}: floating-point numbers; expected 8 or 16 bits: convert the file")
    else:
        image = decode(content, path, MODES[channels])
    if upright and turn is not None:
        image = np.asarray(Image.fromarray(image).transpose(turn))
    return image.reshape(*image.shape[:2], channels)


# What undoes each of EXIF's orientations.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _peek(content: bytes) -> tuple[str, Image.Transpose | None]:
    """Pillow's mode of a picture, and how to turn it upright; ("", None) where it is none."""
    try:
        with Image.open(io.BytesIO(content)) as picture:
            return picture.mode, _TURNS.get(picture.getexif().get(0x0112, 1))
    except Exception:  # told of by whoever decodes it
        return "", None


def resize_image(image: Array, size: tuple[int, int]) -> Array:
    """Resize (H, W, C) to ``size`` = (height, width): area averages down, bilinear up."""
    shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(image, size[::-1], interpolation=how)
    return resized.reshape(*size, image.shape[2])  # type: ignore[return-value]  # cv2 drops C = 1


def resize_mask(mask: Array, size: tuple[int, int]) -> Array:
    """Resize labels (H, W) by nearest neighbour: anything smoother would invent labels."""
    return cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)  # type: ignore[return-value]


def normalise(image: Tensor) -> Tensor:
    """uint8 ``(N, C, H, W)`` to float32 with ImageNet's mean and deviation (repeated for C ≠ 3)."""
    offset, scale = _statistics(image.shape[1], image.shape[3], image.device)
    return torch.sub(image, offset).div_(scale)


@cache  # a copy to the device in each step would make the host wait for it
def _statistics(channels: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """For a whole row of pixels: in channels_last three times as fast as for a single one."""
    rows = []
    for values in (_MEAN, _STD):
        repeated = [values[c % 3] for c in range(channels)] if channels > 1 else [sum(values) / 3]
        row = 255 * torch.tensor(repeated, device=device).view(1, channels, 1, 1)
        row = row.expand(1, channels, 1, width)
        rows.append(row.contiguous(memory_format=torch.channels_last))
    return rows[0], rows[1]
