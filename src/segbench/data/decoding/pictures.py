"""Decodes images and masks with limits, and reports what decoding leaves out."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, Jpeg2KImagePlugin, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin
from PIL.ImageFile import ImageFile

from segbench.errors import DataError

Array = npt.NDArray[np.uint8]
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
MAX_PIXELS = 178_956_970  # Pillow's own: twice its MAX_IMAGE_PIXELS
# Formats that Pillow decodes without starting other programs.
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "DIB", "GIF", "WEBP", "PPM", "JPEG2000")
_PLUGINS = (TiffImagePlugin, WebPImagePlugin, Jpeg2KImagePlugin)  # known to Pillow when imported
_LOSSY_FORMATS = ("JPEG", "MPO", "JPEG2000")
_LOSSY_TIFF = (6, 7, 34712, 34892, 50001)  # JPEG of both kinds, JPEG 2000, DNG's JPEG, WebP
_ORIENTATION, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _EXTRA = 274, 258, 259, 262, 277, 338
_FORMAT = 339  # 3: floating-point numbers
_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}  # bands of a TIFF's colour, by photometric
# The transposition that undoes each EXIF orientation; _BACK has the inverse ones.
_Turn = Image.Transpose
_TURNS = {
    2: _Turn.FLIP_LEFT_RIGHT,
    3: _Turn.ROTATE_180,
    4: _Turn.FLIP_TOP_BOTTOM,
    5: _Turn.TRANSPOSE,
    6: _Turn.ROTATE_270,
    7: _Turn.TRANSVERSE,
    8: _Turn.ROTATE_90,
}
_BACK = _TURNS | {6: _Turn.ROTATE_90, 8: _Turn.ROTATE_270}


def max_bytes(max_pixels: int) -> int:
    """The largest file that is read, in bytes: eight bytes per pixel, at least 64 MB."""
    return max(64 << 20, 8 * max_pixels)


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
        channels: 1, 3 or 4.
        white: the value of 16-bit grey pictures that becomes 255, as do larger values.
        upright: whether to rotate the picture by its EXIF orientation.
        max_pixels: the largest accepted number of pixels.

    Raises:
        DataError: the file cannot be read, has floating-point numbers, several pictures or more
            than ``max_pixels``, or has bands other than alpha where 4 channels are wanted.
    """
    with _opened(content, path, max_pixels) as picture:
        if picture.mode == "F":
            raise DataError(f"{path}: floating-point numbers; expected 8 or 16 bits: convert it")
        further = _further_bands(picture)
        if channels == 4 and further and (further > 1 or picture.mode != "RGBA"):
            raise DataError(
                f"{path}: {further} of its bands neither colours nor alpha (near infrared, say); "
                "data.in_channels=4 reads RGB and alpha alone: mark a band that is alpha as alpha "
                "(TIFF's ExtraSamples), or leave the bands out with data.in_channels=3"
            )
        turn = _orientation(picture, content)
        pixels = _load(picture)
        if picture.mode.startswith("I"):
            grey = np.asarray(pixels).astype(np.float32) * (255 / white)
            pixels = Image.fromarray(grey.round().clip(0, 255).astype(np.uint8))
        pixels = _turned(_convert(pixels, MODES[channels]), picture, turn, upright)
        image: Array = np.asarray(pixels)
    return image.reshape(*image.shape[:2], channels)


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
    with _opened(content, path, max_pixels) as picture:
        if not blurred and is_lossy(picture, content):
            raise DataError(
                f"{path}: a mask saved as {picture.format} with loss, which blurs class ids into "
                "others; export it as PNG, or give masks/<class>/<name>, black and white, one "
                "folder for each class (data=folder), which may be JPEG"
            )
        turn = _orientation(picture, content)
        if upright and turn != 1:
            raise DataError(
                f"{path}: a mask with an EXIF orientation ({turn}), which is ambiguous; "
                "save it without, or give data.exif=ignore, which takes all files as stored"
            )
        pixels = _load(picture)
        if mode == "L" and pixels.mode.startswith(("I", "F")):
            stored = np.asarray(pixels)
            if stored.min() < 0 or stored.max() > 255 or (stored != stored.astype(np.uint8)).any():
                raise DataError(f"{path}: values outside 0 to 255; expected a mask of 8 bits")
            pixels = Image.fromarray(stored.astype(np.uint8))
        pixels = _turned(_convert(pixels, mode) if mode else pixels, picture, turn, upright)
        return np.asarray(pixels)


def image_notices(
    content: bytes, channels: int, upright: bool, max_pixels: int = MAX_PIXELS
) -> list[str]:
    """Phrases for what decoding a picture leaves out or changes; none if it cannot be decoded.

    The phrases name no file, so that equal ones can be counted.
    """
    try:
        with _opened(content, Path(), max_pixels) as picture:
            return [*_notices(picture, content, channels, upright)]
    except DataError:
        return []


def _notices(picture: ImageFile, content: bytes, channels: int, upright: bool) -> Iterator[str]:
    turn = _orientation(picture, content)
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
    if picture.mode in ("RGB", "RGBA", "LA") and _bits(picture, content) > 8:
        yield "colours of 16 bits, of which the upper 8 are kept"
    if _further_bands(picture) and channels != 4:
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


def holds_loss(content: bytes) -> bool:
    """Whether a file's content is a picture that `is_lossy`; False for other files."""
    try:
        with _opened(content, Path(), 1 << 62) as picture:
            return is_lossy(picture, content)
    except DataError:
        return False


def stored_as(content: bytes) -> str:
    """The true format and mode of a picture, such as ``"PNG RGBA"``; empty if unknown."""
    try:
        with _opened(content, Path(), 1 << 62) as picture:
            return f"{picture.format} {picture.mode}"
    except DataError:  # a format for a decoder other than Pillow
        return ""


@contextmanager
def _opened(content: bytes, path: Path, max_pixels: int) -> Iterator[ImageFile]:
    """Open a picture and read its header; all errors of decoders become a DataError."""
    try:
        with _without_pillows_bound():
            picture = Image.open(io.BytesIO(content), formats=_FORMATS)
        with picture:
            _check_bounds(picture, path, max_pixels)
            yield picture
    except DataError:
        raise
    except Exception as error:  # decoders raise many kinds of errors for damaged files
        raise DataError(
            f"{path}: cannot be read as a picture ({_reason(error, content)}); "
            "replace the file or move its case out of the data set"
        ) from error


_BOUND = RLock()


@contextmanager
def _without_pillows_bound() -> Iterator[None]:
    """Disable Pillow's limit of pixels, which is global, while our own is applied."""
    with _BOUND:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _check_bounds(picture: ImageFile, path: Path, max_pixels: int) -> None:
    width, height = picture.size
    if width * height > max_pixels:
        raise DataError(
            f"{path}: {width} x {height} pixels, more than the limit of {max_pixels:,}; "
            f"data.max_pixels={width * height} (of predict: max_pixels=) lets it pass"
        )
    count = getattr(picture, "n_frames", 1)
    if count > 1 and picture.format != "MPO":  # a camera's picture, with a preview behind it
        what = "a stack" if picture.format == "TIFF" else "an animation"
        raise ValueError(f"{what} of {count} pictures; give one file for each")


def _load(picture: ImageFile) -> Image.Image:
    """Load the pixels; Pillow rotates TIFFs by their orientation itself."""
    if Image.MAX_IMAGE_PIXELS and picture.width * picture.height > Image.MAX_IMAGE_PIXELS:
        with _without_pillows_bound():
            picture.load()
    else:
        picture.load()
    return picture


def _convert(picture: Image.Image, mode: str) -> Image.Image:
    if picture.mode == "P" and "transparency" in picture.info:
        picture = picture.convert("RGBA")  # Pillow warns about a direct conversion
    return picture.convert(mode)


def _orientation(picture: ImageFile, content: bytes) -> int:
    """The EXIF orientation, 2 to 8; 1 where it is missing or invalid."""
    if picture.format == "PNG" and not _HAS_EXIF.search(content):
        return 1  # Pillow would decode the whole picture to find out
    try:
        turn = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF does not affect the pixels
        return 1
    return int(turn) if turn in _TURNS else 1


_HAS_EXIF = re.compile(rb"[eE][xX][iI][fF]|Orientation")


def _turned(pixels: Image.Image, picture: ImageFile, turn: int, upright: bool) -> Image.Image:
    """Loaded pixels upright or as stored, whether or not Pillow has rotated them already."""
    by_pillow = turn != 1 and picture.getexif().get(_ORIENTATION, 1) == 1
    if turn == 1 or upright == by_pillow:
        return pixels
    return pixels.transpose(_TURNS[turn] if upright else _BACK[turn])


def _further_bands(picture: ImageFile) -> int:
    """The number of bands of a TIFF that are neither colours nor declared as alpha."""
    if not isinstance(picture, TiffImagePlugin.TiffImageFile):
        return 0
    tags = picture.tag_v2
    samples = int(tags.get(_SAMPLES, 1))
    further = samples - _COLOURS.get(int(tags.get(_PHOTOMETRIC, -1)), samples)
    declared = tags.get(_EXTRA, ())
    is_alpha = further == 1 and declared in (1, 2, (1,), (2,))
    return 0 if is_alpha else max(0, further)


def _bits(picture: ImageFile, content: bytes) -> int:
    """The number of bits per colour in the file."""
    if picture.format == "PNG":
        return content[24]
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        return _largest(picture.tag_v2.get(_BITS, 8))
    if picture.format == "PPM" and (found := _PPM_WHITE.match(content)):
        return 16 if int(found[1]) > 255 else 8
    return 8


_GAP = rb"(?:\s|#[^\n]*\n)+"
_PPM_WHITE = re.compile(rb"P\d" + _GAP + rb"\d+" + _GAP + rb"\d+" + _GAP + rb"(\d{1,9})")


def _largest(value: Any) -> int:
    return int(max(value) if isinstance(value, tuple) else value)


def _reason(error: Exception, content: bytes) -> str:
    if isinstance(error, UnidentifiedImageError):  # its own text names an object in memory
        return _tiff_reason(content) or "unknown or damaged format"
    return (str(error).splitlines() or [type(error).__name__])[0]


def _tiff_reason(content: bytes) -> str:
    """The bands and numbers of a TIFF that Pillow cannot read; empty for other files."""
    big = content[2:4] in (b"+\0", b"\0+")
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(content[: 16 if big else 8])
        file = io.BytesIO(content)
        file.seek(tags.next)
        tags.load(file)
        bands, bits = int(tags.get(_SAMPLES, 1)), _largest(tags.get(_BITS, 1))
        real = 3 in _as_tuple(tags.get(_FORMAT, ()))
    except Exception:  # no TIFF, or a damaged one
        return ""
    numbers = "floating-point numbers" if real else f"{bits} bits"
    return f"a TIFF of {bands} bands of {numbers}; grey, RGB and RGB with alpha are read"


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
