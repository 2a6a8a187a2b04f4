"""Rotates loaded pixels by their EXIF orientation, or back."""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.ImageFile import ImageFile

from segbench.data.decoding.picture_facts import ORIENTATION, TURNS

# The inverse of each transposition that undoes an EXIF orientation
_BACK = TURNS | {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


def turned(pixels: Image.Image, picture: ImageFile, turn: int, upright: bool) -> Image.Image:
    """Loaded pixels upright or as stored, whether or not Pillow has rotated them already.

    Args:
        pixels: the loaded pixels.
        picture: the opened file.
        turn: its EXIF orientation, 1 to 8.
        upright: whether upright pixels are wanted.
    """
    by_pillow = turn != 1 and picture.getexif().get(ORIENTATION, 1) == 1
    if turn == 1 or upright == by_pillow:
        return pixels
    return pixels.transpose(TURNS[turn] if upright else _BACK[turn])


def turned_array(values: npt.NDArray[Any], turn: int) -> npt.NDArray[Any]:
    """An array (H, W) or (H, W, C) upright.

    Args:
        values: as stored.
        turn: the EXIF orientation, 1 to 8.
    """
    if turn >= 5:
        values = values.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        values = values[::-1]
    if turn in (2, 3, 6, 7):
        values = values[:, ::-1]
    return np.ascontiguousarray(values)
