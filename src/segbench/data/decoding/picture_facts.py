"""What the file of a picture says of it: orientation, bands, bits, compression with loss."""

import re
import struct
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, TiffImagePlugin
from PIL.ImageFile import ImageFile

from segbench.data.decoding.opening import BITS, MAX_PIXELS, SAMPLES, largest, opened
from segbench.errors import DataError

ORIENTATION = 274  # tag of EXIF
# The transposition that undoes each EXIF orientation.
_Turn = Image.Transpose
TURNS = {
    2: _Turn.FLIP_LEFT_RIGHT,
    3: _Turn.ROTATE_180,
    4: _Turn.FLIP_TOP_BOTTOM,
    5: _Turn.TRANSPOSE,
    6: _Turn.ROTATE_270,
    7: _Turn.TRANSVERSE,
    8: _Turn.ROTATE_90,
}
_COMPRESSION, _PHOTOMETRIC, _EXTRA = 259, 262, 338  # tags of a TIFF
_LOSSY_FORMATS = ("JPEG", "MPO", "JPEG2000")
_LOSSY_TIFF = (6, 7, 34712, 34892, 50001)  # JPEG of both kinds, JPEG 2000, DNG's JPEG, WebP
_PLAIN = (1, 2)  # grey with 0 as black, and RGB
_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}  # bands of a TIFF's colour, by photometric


def image_notices(
    content: bytes, channels: int, upright: bool, max_pixels: int = MAX_PIXELS
) -> list[str]:
    """Phrases for what decoding a picture leaves out or changes; none if it cannot be decoded.

    The phrases name no file, so that equal ones can be counted.
    """
    try:
        with opened(content, Path(), max_pixels) as picture:
            return [*_notices(picture, content, channels, upright)]
    except DataError:
        return []


def _notices(picture: ImageFile, content: bytes, channels: int, upright: bool) -> Iterator[str]:
    turn = orientation(picture, content)
    if turn != 1 and upright:
        yield (
            "rotated by its EXIF orientation (data.exif=apply); masks that were drawn "
            "on the stored pixels need data.exif=ignore"
        )
    elif turn != 1:
        yield (
            "taken as stored, against its EXIF orientation (data.exif=ignore); masks that were "
            "drawn on the upright picture need data.exif=apply"
        )
    if picture.mode == "CMYK":
        yield "CMYK, converted to RGB without its colour profile; better convert it yourself"
    if picture.mode in ("RGB", "RGBA", "LA") and bits(picture, content) > 8:
        yield "colours of 16 bits, of which the upper 8 are kept"
    if further_bands(picture) and channels != 4:
        yield f"bands beside the colours, left out with data.in_channels={channels}"
    if channels == 4 and not picture.has_transparency_data:
        yield "without alpha, so that the fourth channel is 255 everywhere"


def is_lossy(picture: ImageFile, content: bytes) -> bool:
    """Whether a picture is compressed with loss: JPEG, lossy WebP, or TIFF with such data."""
    if picture.format == "WEBP":
        return b"VP8 " in content
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        return picture.tag_v2.get(_COMPRESSION) in _LOSSY_TIFF
    return picture.format in _LOSSY_FORMATS


def is_plain(picture: ImageFile, content: bytes, mode: str) -> bool:
    """Whether a picture is a PNG or uncompressed TIFF of 8 bits whose pixels are those of ``mode``.

    Args:
        picture: the opened file.
        content: the file's content.
        mode: Pillow's name, ``L``, ``RGB`` or ``RGBA``.
    """
    if picture.mode != mode or bits(picture, content) != 8 or "transparency" in picture.info:
        return False
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        tags = picture.tag_v2
        stored = tags.get(_COMPRESSION, 1) == 1 and tags.get(_PHOTOMETRIC) in _PLAIN
        return stored and tags.get(SAMPLES, 1) == len(mode)
    return picture.format == "PNG"


def holds_loss(content: bytes) -> bool:
    """Whether a file's content is a picture that `is_lossy`; False for other files."""
    try:
        with opened(content, Path(), 1 << 62) as picture:
            return is_lossy(picture, content)
    except DataError:
        return False


def orientation(picture: ImageFile, content: bytes) -> int:
    """The EXIF orientation, 2 to 8; 1 where it is missing or invalid."""
    if picture.format == "PNG" and not any(map(_HAS_EXIF.search, _texts_of_png(content))):
        return 1  # Pillow would decode the whole picture to find out
    try:
        turn = picture.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged EXIF does not affect the pixels
        return 1
    return int(turn) if turn in TURNS else 1


def _texts_of_png(content: bytes) -> Iterator[bytes]:
    """The chunks of a PNG, with their types, that can hold an orientation."""
    place = len(b"\x89PNG\r\n\x1a\n")
    while place + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        if kind in (b"eXIf", b"tEXt", b"zTXt", b"iTXt"):
            yield content[place + 4 : place + 8 + length]
        place += 12 + length  # with the length before and the checksum after it


_HAS_EXIF = re.compile(rb"[eE][xX][iI][fF]|Orientation")


def further_bands(picture: ImageFile) -> int:
    """The number of bands of a TIFF that are neither colours nor declared as alpha."""
    if not isinstance(picture, TiffImagePlugin.TiffImageFile):
        return 0
    tags = picture.tag_v2
    samples = int(tags.get(SAMPLES, 1))
    further = samples - _COLOURS.get(int(tags.get(_PHOTOMETRIC, -1)), samples)
    declared = tags.get(_EXTRA, ())
    is_alpha = further == 1 and declared in (1, 2, (1,), (2,))
    return 0 if is_alpha else max(0, further)


def bits(picture: ImageFile, content: bytes) -> int:
    """The number of bits per colour in the file."""
    if picture.format == "PNG":
        return content[24]
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        return largest(picture.tag_v2.get(BITS, 8))
    if picture.format == "PPM" and (found := _PPM_WHITE.match(content)):
        return 16 if int(found[1]) > 255 else 8
    return 8


_GAP = rb"(?:\s|#[^\n]*\n)+"
_PPM_WHITE = re.compile(rb"P\d" + _GAP + rb"\d+" + _GAP + rb"\d+" + _GAP + rb"(\d{1,9})")
