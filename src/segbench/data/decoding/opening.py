"""Opens files of pictures within limits, and says in one line why one cannot be read."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, Jpeg2KImagePlugin, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin
from PIL.ImageFile import ImageFile

from segbench.arrays import row_blocks
from segbench.errors import DataError

MAX_PIXELS = 178_956_970  # Pillow's own: twice its MAX_IMAGE_PIXELS
LARGE = 1 << 25  # pixels; of larger pictures, one at a time is prepared
MOST_CHANNELS = 512  # the limit of OpenCV, which resizes images
BITS, SAMPLES = 258, 277  # tags of a TIFF
_FORMAT = 339  # 3: floating-point numbers
# Formats that Pillow decodes without starting other programs.
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "DIB", "GIF", "WEBP", "PPM", "JPEG2000")
_PLUGINS = (TiffImagePlugin, WebPImagePlugin, Jpeg2KImagePlugin)  # known to Pillow when imported


def max_bytes(max_pixels: int, channels: int = 4) -> int:
    """The largest file that is read, in bytes: eight bytes per pixel, at least 64 MB.

    Of more than four channels each may have eight bytes.
    """
    return max(64 << 20, 8 * max_pixels * (channels if channels > 4 else 1))


@contextmanager
def opened(content: bytes, path: Path, max_pixels: int) -> Iterator[ImageFile]:
    """Open a picture and read its header; all errors of decoders become a DataError."""
    try:
        with io.BytesIO(content) as file:  # closed, since cycles of objects keep it for a while
            with _without_pillows_bound():
                picture = Image.open(file, formats=_FORMATS)
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


def load(picture: ImageFile) -> Image.Image:
    """Load the pixels; Pillow rotates TIFFs by their orientation itself."""
    if Image.MAX_IMAGE_PIXELS and picture.width * picture.height > Image.MAX_IMAGE_PIXELS:
        with _without_pillows_bound():
            picture.load()
    else:
        picture.load()
    return picture


def is_large(file: str | Path) -> bool:
    """Whether a picture has more than `LARGE` pixels by its header, or as many bytes in its file.

    False for files that cannot be read, which decoding reports.
    """
    with suppress(Exception), _without_pillows_bound():
        if os.path.getsize(file) > LARGE:
            return True
        with Image.open(file, formats=_FORMATS) as picture:
            return picture.width * picture.height > LARGE
    return False


def stored_as(file: Path) -> str:
    """The true format and mode of a picture's file, such as ``"PNG RGBA"``; empty if unknown."""
    try:
        with _without_pillows_bound(), Image.open(file, formats=_FORMATS) as picture:
            return f"{picture.format} {picture.mode}"
    except Exception:  # a format for a decoder other than Pillow
        return ""


def as_array(pixels: Image.Image) -> npt.NDArray[Any]:
    """Loaded pixels (H, W) or (H, W, C), copied by rows, since Pillow itself makes two copies."""
    blocks = [*row_blocks(pixels.height, pixels.width * len(pixels.getbands()))]
    if len(blocks) < 2:
        return np.asarray(pixels)
    found = np.empty(0)
    for rows in blocks:
        part = np.asarray(pixels.crop((0, rows.start, pixels.width, rows.stop)))
        if not found.size:
            found = np.empty((pixels.height, *part.shape[1:]), part.dtype)
        found[rows] = part
    return found


def largest(value: Any) -> int:
    """The largest number of a tag with one or several."""
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
        bands, bits = int(tags.get(SAMPLES, 1)), largest(tags.get(BITS, 1))
        real = 3 in _as_tuple(tags.get(_FORMAT, ()))
    except Exception:  # no TIFF, or a damaged one
        return ""
    numbers = "floating-point numbers" if real else f"{bits} bits"
    way_out = f"data.in_channels={bands} data.normalize=train reads them as they are stored"
    return f"a TIFF of {bands} bands of {numbers}; {way_out}"


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
