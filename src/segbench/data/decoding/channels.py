"""Reads images of any number of channels with the values that are stored: 8 or 16 bits, or floats.

TIFF files with several bands or pages are read by tifffile, ``.npy`` files by NumPy, and all others
by Pillow.
"""

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from segbench.data.decoding.opening import MAX_PIXELS, MOST_CHANNELS, as_array, load, opened
from segbench.data.decoding.picture_facts import ORIENTATION, TURNS, orientation
from segbench.data.decoding.turning import turned, turned_array
from segbench.errors import DataError

Values = npt.NDArray[Any]
NPY = b"\x93NUMPY"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_KEPT = (np.dtype(np.uint8), np.dtype(np.uint16))


def decode_channels(
    content: bytes,
    path: Path,
    channels: int,
    upright: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Values:
    """An image (H, W, channels) with its stored values: uint8, uint16, or else float32.

    Args:
        content: the file's content.
        path: its name, for messages.
        channels: the expected number of channels.
        upright: whether to rotate the image by its EXIF orientation.
        max_pixels: the largest accepted number of pixels.

    Raises:
        DataError: the file cannot be read, has another number of channels or more than
            ``max_pixels``, or values that are not finite.
    """
    values = read_array(content, path, channels, max_pixels, upright)
    if values is None:
        values = _from_picture(content, path, channels, upright, max_pixels)
    if values.ndim == 2:
        values = values[:, :, None]
    if values.shape[2] != channels:
        raise DataError(
            f"{path}: {values.shape[2]} channels, where data.in_channels={channels} expects "
            f"{channels}; give data.in_channels={values.shape[2]} if all images have so many"
        )
    return _checked(values, path)


def read_array(
    content: bytes, path: Path, channels: int, max_pixels: int, upright: bool = False
) -> Values | None:
    """The stored values (H, W) or (H, W, C) of a TIFF or ``.npy`` file; None for other files.

    Args:
        content: the file's content.
        path: its name, for messages.
        channels: the expected number, which tells (C, H, W) from (H, W, C) in ``.npy`` files.
        max_pixels: the largest accepted number of pixels.
        upright: whether to rotate a TIFF by its orientation.
    """
    try:
        if content.startswith(NPY):
            values = np.load(io.BytesIO(content), allow_pickle=False)
            axes = "YXS" if values.ndim == 3 else "YX" + "?" * (values.ndim - 2)
            if values.ndim == 3 and values.shape[0] == channels != values.shape[2]:
                axes = "SYX"
        elif content.startswith(_TIFF):
            return _from_tiff(content, path, max_pixels, upright)
        else:
            return None
    except DataError:
        raise
    except Exception as error:  # decoders raise many kinds of errors for damaged files
        raise _unreadable(path, error) from error
    return _channels_last(values, axes, path, max_pixels)


def _from_tiff(content: bytes, path: Path, max_pixels: int, upright: bool) -> Values:
    with io.BytesIO(content) as stream, tifffile.TiffFile(stream) as file:
        first = file.pages.first
        _check_pixels(first.imagewidth * first.imagelength, path, max_pixels)
        several = len(file.series)
        if several > 1:
            raise DataError(
                f"{path}: {several} pictures of different sizes; give one file for each"
            )
        series = file.series[0]
        bands = math.prod(series.shape) // (first.imagewidth * first.imagelength)
        if bands > MOST_CHANNELS:
            raise DataError(f"{path}: {bands} bands and pages; at most {MOST_CHANNELS} are read")
        values = _channels_last(series.asarray(), series.axes, path, max_pixels)
        tag = first.tags.get(ORIENTATION)
        turn = int(tag.value) if tag is not None and upright else 1
        return turned_array(values, turn) if turn in TURNS else values


def _channels_last(values: Values, axes: str, path: Path, max_pixels: int) -> Values:
    """Values as (H, W) or (H, W, C), by the name of each axis."""
    kept = [k for k, side in enumerate(values.shape) if side > 1 or axes[k] in "YX"]
    values, axes = (
        values.squeeze(tuple(set(range(values.ndim)) - set(kept))),
        "".join(axes[k] for k in kept),
    )
    if values.ndim not in (2, 3) or "Y" not in axes or "X" not in axes:
        raise DataError(
            f"{path}: an array of shape {values.shape}; expected height, width, channels"
        )
    order = [axes.index("Y"), axes.index("X")]
    order += [k for k in range(values.ndim) if k not in order]
    moved = values.transpose(order)
    _check_pixels(moved.shape[0] * moved.shape[1], path, max_pixels)
    return moved


def _from_picture(
    content: bytes, path: Path, channels: int, upright: bool, max_pixels: int
) -> Values:
    with opened(content, path, max_pixels) as picture:
        turn = orientation(picture, content)
        pixels: Image.Image = load(picture)
        if pixels.mode == "P":
            pixels = pixels.convert("RGBA" if "transparency" in pixels.info else "RGB")
        if channels == 3 and pixels.mode in ("RGBA", "CMYK", "YCbCr", "LAB"):
            pixels = pixels.convert("RGB")  # alpha is dropped
        if channels == 1 and pixels.mode in ("LA", "1"):
            pixels = pixels.convert("L")
        return as_array(turned(pixels, picture, turn, upright))


def _checked(values: Values, path: Path) -> Values:
    if values.dtype.kind not in "buif":
        raise DataError(f"{path}: values of type {values.dtype}; expected whole numbers or floats")
    if values.dtype in _KEPT:
        return np.ascontiguousarray(values)
    found = values.astype(np.float32)
    if wrong := int(found.size - np.isfinite(found).sum()):
        raise DataError(
            f"{path}: {wrong} values are not finite (NaN or infinite); replace them, by 0 say, or "
            "remove the case"
        )
    return np.ascontiguousarray(found)


def _check_pixels(pixels: int, path: Path, max_pixels: int) -> None:
    if pixels > max_pixels:
        raise DataError(
            f"{path}: {pixels:,} pixels, more than the limit of {max_pixels:,}; "
            f"data.max_pixels={pixels} (of predict: max_pixels=) lets it pass"
        )


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    if "imagecodecs" in reason:
        reason = f"{reason}: `pip install imagecodecs`"
    return DataError(
        f"{path}: cannot be read ({reason}); replace the file or move its case out of the data set"
    )
