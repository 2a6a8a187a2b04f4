"""Images of any number of channels, with the values that are stored."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from segbench.data.decoding.channels import decode_channels
from segbench.data.decoding.picture_facts import TURNS
from segbench.errors import DataError

HERE = Path("p.tif")


def bands(count: int, kind: str = "f4") -> np.ndarray:
    made = np.random.default_rng(0).normal(900, 300, (20, 24, count)).clip(1, 4000)
    return made.astype(kind)


def tiff(array: np.ndarray, **options: Any) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, array, photometric="minisblack", **options)
    return out.getvalue()


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["u1", "u2", "f4", "f2", "f8", "i2", "u4"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_tiff_with_bands(kind: str, planar: str) -> None:
    values = bands(12, kind)
    stored = values if planar == "contig" else values.transpose(2, 0, 1)
    found = decode_channels(tiff(stored, planarconfig=planar), HERE, 12)
    np.testing.assert_array_equal(found, values.astype(found.dtype))
    assert found.dtype == (kind if kind in ("u1", "u2") else "f4")


def test_tiff_with_a_page_for_each_channel_and_compression() -> None:
    values = bands(5, "u2")
    pages = np.ascontiguousarray(values.transpose(2, 0, 1))
    np.testing.assert_array_equal(decode_channels(tiff(pages), HERE, 5), values)
    content = tiff(pages, compression="zlib", predictor=True)
    np.testing.assert_array_equal(decode_channels(content, HERE, 5), values)
    content = tiff(pages, bigtiff=True)
    np.testing.assert_array_equal(decode_channels(content, HERE, 5), values)


def test_arrays_with_channels_first_or_last() -> None:
    values = bands(7)
    np.testing.assert_array_equal(decode_channels(npy(values), HERE, 7), values)
    first = npy(values.transpose(2, 0, 1))
    np.testing.assert_array_equal(decode_channels(first, HERE, 7), values)
    np.testing.assert_array_equal(decode_channels(npy(values[..., 0]), HERE, 1), values[..., :1])


def test_pictures_keep_their_16_bits_and_lose_their_alpha() -> None:
    def png(array: np.ndarray) -> bytes:
        out = io.BytesIO()
        Image.fromarray(array).save(out, "PNG")
        return out.getvalue()

    deep = bands(1, "u2")
    found = decode_channels(png(deep[..., 0]), HERE, 1)
    np.testing.assert_array_equal(found, deep)
    assert found.dtype == np.uint16
    rgba = bands(4).astype("u1")
    np.testing.assert_array_equal(decode_channels(png(rgba), HERE, 3), rgba[..., :3])
    np.testing.assert_array_equal(decode_channels(png(rgba), HERE, 4), rgba)
    np.testing.assert_array_equal(decode_channels(png(rgba[..., 0]), HERE, 1), rgba[..., :1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tiff(bands(4), planarconfig="contig"), "4 channels, where data.in_channels=12 expects 12"),
        (tiff(bands(12), planarconfig="contig")[:900], "cannot be read"),
        (npy(bands(12))[:900], "cannot be read"),
        (npy(np.array([{"a": 1}], object)), "cannot be read"),
        (npy(np.zeros((2, 3, 4, 5))), "expected height, width, channels"),
        (npy(bands(12).astype("c8")), "values of type complex64"),
        (npy(np.where(bands(12) > 900, np.nan, bands(12))), r"\d+ values are not finite"),
        (npy(np.full((20, 24, 12), np.inf)), "5760 values are not finite"),
    ],
)
def test_what_cannot_be_read_says_why(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        decode_channels(content, HERE, 12)
    assert str(caught.value).startswith("p.tif: ")
    assert "\n" not in str(caught.value)


def test_the_limit_of_pixels_holds_before_the_pixels_are_decoded() -> None:
    content = tiff(np.zeros((4000, 5000, 4), "u1"), compression="zlib", planarconfig="contig")
    assert len(content) < 10**6
    for bomb in (content, npy(np.zeros((300, 400, 4), "u1"))):
        with pytest.raises(DataError, match=r"pixels, more than the limit of 10,000; data.max_pix"):
            decode_channels(bomb, HERE, 4, max_pixels=10_000)


@pytest.mark.parametrize("turn", range(1, 9))
def test_orientation_is_that_of_pillow(turn: int) -> None:
    values = bands(3, "u1")
    content = tiff(values, planarconfig="contig", extratags=[(274, "H", 1, turn, True)])
    rgb = Image.fromarray(values)
    upright = rgb.transpose(TURNS[turn]) if turn > 1 else rgb
    found = decode_channels(content, HERE, 3, upright=True)
    np.testing.assert_array_equal(found, np.asarray(upright))
    np.testing.assert_array_equal(decode_channels(content, HERE, 3), values)
