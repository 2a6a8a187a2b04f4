"""Rotates loaded pixels by their EXIF orientation, or back."""

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
