"""Converts pictures that Python code gives to the pixels that networks take."""

import warnings
from typing import Any

import numpy as np
from PIL import Image

from segbench.data.decoding.pictures import MODES
from segbench.data.store.transforms import Array, Values
from segbench.errors import DataError


def as_values(picture: Any, channels: int) -> Values:
    """An array with stored values as (H, W, channels) float32.

    Args:
        picture: an array (H, W) or (H, W, C), or a PIL image.
        channels: the expected number of channels.

    Raises:
        DataError: another number of channels, or values that are no numbers.
    """
    values = np.asarray(picture)
    values = values[:, :, None] if values.ndim == 2 else values
    expected = values.ndim == 3 and values.shape[2] == channels
    if not expected or values.dtype.kind not in "uif":
        raise DataError(
            f"a picture of {values.dtype} and shape {values.shape}: expected (height, width, "
            f"{channels}) with the values of the training images' files"
        )
    return values.astype(np.float32)


def as_pixels(picture: Any, channels: int) -> Array:
    """A picture as (H, W, channels) uint8.

    Args:
        picture: a PIL image or a NumPy array.
        channels: 1, 3 or 4.

    Raises:
        DataError: neither a PIL image nor a NumPy array of uint8, (H, W) or (H, W, 1, 3 or 4).
    """
    if isinstance(picture, np.ndarray):
        shown = picture[:, :, 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture
        depth = shown.shape[2] if shown.ndim == 3 else 1
        if depth == channels and depth not in MODES and picture.dtype == np.uint8:
            return picture
        if picture.dtype != np.uint8 or shown.ndim not in (2, 3) or depth not in MODES:
            raise DataError(
                f"a picture of {picture.dtype} and shape {picture.shape}: expected uint8 (0 to "
                "255) and (height, width) or (height, width, 1, 3 or 4)"
            )
        picture = Image.fromarray(shown)
    elif isinstance(picture, Image.Image) and picture.getexif().get(0x0112, 1) != 1:
        warnings.warn(
            "a picture with an EXIF orientation is taken as stored; PIL.ImageOps.exif_transpose "
            "turns it upright, as `predict` does with data.exif=apply",
            stacklevel=4,
        )
    if not isinstance(picture, Image.Image):
        kind = type(picture).__name__
        raise DataError(f"a picture of type {kind}: expected a PIL image or a NumPy array")
    if picture.mode == "F":
        raise DataError("a picture of floating-point numbers: expected 8 or 16 bits")
    if picture.mode.startswith("I"):  # 16 bits, of which Pillow would keep the lower 8
        grey = np.asarray(picture).astype(np.float32) * (255 / 65535)
        picture = Image.fromarray(grey.round().clip(0, 255).astype(np.uint8))
    if picture.mode == "P" and "transparency" in picture.info:
        picture = picture.convert("RGBA")  # Pillow warns about a direct conversion
    if channels == 4 and not picture.has_transparency_data:
        warnings.warn("a picture without alpha: its fourth channel is 255", stacklevel=4)
    pixels = np.asarray(picture.convert(MODES[channels]))
    return pixels.reshape(*pixels.shape[:2], channels)
