"""Decodes images and masks with limits."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from segbench.arrays import row_blocks
from segbench.data.decoding.channels import NPY, Values, decode_channels, read_array
from segbench.data.decoding.opening import LARGE, MAX_PIXELS, as_array, load, opened
from segbench.data.decoding.picture_facts import (
    bits,
    further_bands,
    is_lossy,
    is_plain,
    orientation,
)
from segbench.data.decoding.turning import turned
from segbench.errors import DataError

Array = npt.NDArray[np.uint8]
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def decode_image(
    content: bytes,
    path: Path,
    channels: int,
    white: int = 65535,
    upright: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Array:
    """Decode a picture as (H, W, channels): 1 for grey, 3 for RGB, 4 for RGB and alpha.

    Of 16-bit colours the upper 8 bits are kept.

    Args:
        content: the file's content.
        path: its name, for messages.
        channels: 1, 3 or 4; a TIFF with four bands of 8 bits, of which none is alpha, has 4 too.
        white: the value of 16-bit grey pictures that becomes 255, as do larger values.
        upright: whether to rotate the picture by its EXIF orientation.
        max_pixels: the largest accepted number of pixels.

    Raises:
        DataError: the file cannot be read, has floating-point numbers, several pictures or more
            than ``max_pixels``, or has bands other than alpha where 4 channels are wanted.
    """
    if content.startswith(NPY):
        return _of_8_bits(decode_channels(content, path, channels, upright, max_pixels), path)
    with opened(content, path, max_pixels) as picture:
        if picture.mode == "F":
            raise DataError(
                f"{path}: floating-point numbers; data.normalize=train or percentile reads them"
            )
        further = further_bands(picture)
        if channels == 4 and further and bits(picture, content) == 8:  # near infrared, say
            return decode_channels(content, path, channels, upright, max_pixels)
        if channels == 4 and further:
            raise DataError(
                f"{path}: {further} of its bands neither colours nor alpha (near infrared, say), "
                "of more than 8 bits; data.normalize=train reads them as they are stored"
            )
        turn = orientation(picture, content)
        if picture.width * picture.height > LARGE and is_plain(picture, content, MODES[channels]):
            if picture.format == "TIFF":
                return decode_channels(content, path, channels, upright, max_pixels)
            if turn == 1:
                return _large_png(content, channels)
        pixels = load(picture)
        if picture.mode.startswith("I"):
            grey = np.asarray(pixels).astype(np.float32) * (255 / white)
            pixels = Image.fromarray(grey.round().clip(0, 255).astype(np.uint8))
        pixels = turned(_convert(pixels, MODES[channels]), picture, turn, upright)
        image: Array = as_array(pixels)
    return image.reshape(*image.shape[:2], channels)


def _large_png(content: bytes, channels: int) -> Array:
    """A PNG of 8 bits as (H, W, channels), without the copy that Pillow makes of all pixels.

    Raises:
        ValueError: the file is damaged.
    """
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise ValueError("the image file is truncated or damaged")
    image = np.asarray(decoded)
    image = image.reshape(*image.shape[:2], channels)
    if channels >= 3:  # OpenCV has blue first
        for rows in row_blocks(len(image), image[:1].size):
            image[rows, :, :3] = image[rows, :, 2::-1].copy()
    return image.astype(np.uint8, copy=False)


def decode_mask(
    content: bytes,
    path: Path,
    mode: str | None = None,
    upright: bool = False,
    max_pixels: int = MAX_PIXELS,
    blurred: bool = False,
) -> npt.NDArray[Any]:
    """Decode a mask (H, W) or (H, W, C), always in its stored orientation.

    Args:
        content: the file's content.
        path: its name, for messages.
        mode: Pillow's mode, such as "RGB" or "L"; None: indices of indexed pictures, and stored
            values of all others.
        upright: whether images are rotated by their EXIF orientation; a mask with an orientation of
            its own is then refused, because its meaning is ambiguous.
        max_pixels: the largest accepted number of pixels.
        blurred: whether formats with lossy compression, such as JPEG, are accepted.

    Raises:
        DataError: the file cannot be read, has several pictures, or was compressed with loss, which
            changes class ids at edges.
    """
    stored = read_array(content, path, 1, max_pixels) if content.startswith(NPY) else None
    if stored is not None:
        return stored
    with opened(content, path, max_pixels) as picture:
        if not blurred and is_lossy(picture, content):
            raise DataError(
                f"{path}: a mask saved as {picture.format} with loss, which blurs class ids into "
                "others; export it as PNG, or give masks/<class>/<name>, black and white, one "
                "folder for each class (data=folder), which may be JPEG"
            )
        turn = orientation(picture, content)
        if upright and turn != 1:
            raise DataError(
                f"{path}: a mask with an EXIF orientation ({turn}), which is ambiguous; "
                "save it without, or give data.exif=ignore, which takes all files as stored"
            )
        pixels = load(picture)
        if mode == "L" and pixels.mode.startswith(("I", "F")):
            stored = np.asarray(pixels)
            if stored.min() < 0 or stored.max() > 255 or (stored != stored.astype(np.uint8)).any():
                raise DataError(f"{path}: values outside 0 to 255; expected a mask of 8 bits")
            pixels = Image.fromarray(stored.astype(np.uint8))
        pixels = turned(_convert(pixels, mode) if mode else pixels, picture, turn, upright)
        return as_array(pixels)


def _of_8_bits(values: Values, path: Path) -> Array:
    if values.dtype != np.uint8:
        raise DataError(
            f"{path}: values of type {values.dtype}; data.normalize=train or percentile reads them"
        )
    return values


def _convert(picture: Image.Image, mode: str) -> Image.Image:
    if picture.mode == "P" and "transparency" in picture.info:
        picture = picture.convert("RGBA")  # Pillow warns about a direct conversion
    return picture if picture.mode == mode else picture.convert(mode)
