"""Pictures that hold more, or something else, than is read: refused or said, never silent."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_data import box, make_folder, make_pets, module, picture, save
from PIL import Image

from segbench import arrays
from segbench.data.check.check import check_data
from segbench.data.decoding import pictures
from segbench.data.decoding.picture_facts import image_notices
from segbench.data.decoding.pictures import decode_image, decode_mask
from segbench.errors import ConfigError, DataError

Run = Any
HERE = Path("p.tif")


def tiff(bands: np.ndarray, extra: tuple[int, ...] | None, photometric: int = 2) -> bytes:
    """A plain TIFF (H, W, bands), whose bands beyond colour are ``extra`` (0: unspecified)."""
    height, width, count = bands.shape
    kind = {"u": 1, "i": 2, "f": 3}[bands.dtype.kind]
    bits = [8 * bands.dtype.itemsize] * count
    entries = [(256, [width]), (257, [height]), (258, bits), (259, [1]), (262, [photometric])]
    entries += [(273, [0]), (277, [count]), (278, [height]), (279, [bands.nbytes])]
    entries += [(338, list(extra))] if extra else []
    entries += [(339, [kind] * count)]
    start = 8 + 2 + 12 * len(entries) + 4
    longer, words = b"", b""
    for tag, values in entries:
        packed = struct.pack(f"<{len(values)}H", *values)
        if tag in (273, 279):
            packed = struct.pack("<I", values[0])
        if len(packed) > 4:
            where = struct.pack("<I", start + len(longer))
            longer, packed = longer + packed + b"\0" * (len(packed) % 2), where
        kind_of = 4 if tag in (273, 279) else 3
        words += struct.pack("<HHI", tag, kind_of, len(values)) + packed.ljust(4, b"\0")
    place = words.index(struct.pack("<HHI", 273, 4, 1)) + 8
    words = words[:place] + struct.pack("<I", start + len(longer)) + words[place + 4 :]
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    return head + words + b"\0\0\0\0" + longer + bands.tobytes()


def encoded(image: Image.Image | np.ndarray, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    made = image if isinstance(image, Image.Image) else Image.fromarray(image)
    made.save(out, kind, **options)
    return out.getvalue()


def oriented(turn: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = turn
    return exif


def notices(content: bytes, channels: int = 3, upright: bool = False) -> str:
    return "; ".join(image_notices(content, channels, upright))


def test_near_infrared_is_no_alpha() -> None:
    bands = picture(0, channels=4)
    for extra in ((0,), None):
        content = tiff(bands, extra)
        found = decode_image(content, HERE, 3)
        np.testing.assert_array_equal(found, bands[:, :, :3])
        assert "bands beside the colours, left out with data.in_channels=3" in notices(content)
    for extra in ((0,), None):  # with four channels it is read as it is stored
        np.testing.assert_array_equal(decode_image(tiff(bands, extra), HERE, 4), bands)
    deep = tiff(bands.astype("u2"), (0,))
    with pytest.raises(DataError, match=r"(1 of its bands neither|4 bands of 16)"):
        decode_image(deep, HERE, 4)
    alpha = tiff(bands, (2,))
    np.testing.assert_array_equal(decode_image(alpha, HERE, 4), bands)
    assert notices(alpha) == notices(alpha, 4) == ""


@pytest.mark.parametrize(
    ("bands", "extra", "photometric", "said"),
    [
        (picture(0, channels=5), (0, 0), 2, "5 channels, where data.in_channels=4"),
        (picture(0, channels=5), (2, 0), 2, "5 channels, where data.in_channels=4"),
        (picture(0, channels=2), (0,), 1, "2 channels, where data.in_channels=4"),
        (picture(0, channels=6), (0, 0, 0), 2, "6 channels, where data.in_channels=4"),
        (picture(0, channels=4), (0, 0, 0), 1, "a TIFF of 4 bands of 8 bits"),
        (picture(0, channels=8).astype("u2"), (0,) * 5, 2, "a TIFF of 8 bands of 16 bits"),
        (picture(0).astype("f4"), None, 2, "a TIFF of 3 bands of floating-point numbers"),
        (picture(0, channels=1).astype("f4"), None, 1, "floating-point numbers"),
    ],
)
def test_bands_that_are_not_read(
    bands: np.ndarray, extra: tuple[int, ...] | None, photometric: int, said: str
) -> None:
    content = tiff(bands, extra, photometric)
    with pytest.raises(DataError, match=said) as caught:
        decode_image(content, HERE, 4)
    assert str(caught.value).startswith("p.tif: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "WEBP", "PNG"])
def test_of_several_pictures_in_a_file_none_is_chosen(kind: str) -> None:
    frames = [Image.fromarray(picture(k)) for k in range(3)]
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    for decode in (lambda: decode_image(content, HERE, 3), lambda: decode_mask(content, HERE)):
        with pytest.raises(DataError, match="of 3 pictures; give one file for each"):
            decode()


def test_what_changes_numbers_is_said() -> None:
    deep = tiff(picture(0).astype("u2") * 257, None)
    assert "16 bits, of which the upper 8 are kept" in notices(deep)
    ppm = b"P6\n# 16 bits\n2 1\n65535\n" + bytes(12)
    assert "upper 8" in notices(ppm)
    assert notices(b"P6 2 1 255\n" + bytes(6)) == ""
    cmyk = encoded(Image.fromarray(picture(0)).convert("CMYK"), "JPEG")
    assert "CMYK" in notices(cmyk)
    assert decode_image(cmyk, HERE, 4).shape == (20, 24, 4)
    plain = encoded(picture(0), "PNG")
    assert notices(plain) == ""
    assert "the fourth channel is 255 everywhere" in notices(plain, 4)
    for mode in ("RGBA", "LA"):
        content = encoded(Image.fromarray(picture(0)).convert(mode), "PNG")
        assert notices(content, 4) == notices(content) == ""


def test_a_png_of_16_bits_and_colours() -> None:
    import zlib

    def chunk(name: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc)

    head = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" + bytes(range(12)))
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    content = b"\x89PNG\r\n\x1a\n" + parts
    assert decode_image(content, HERE, 3).tolist() == [[[0, 2, 4], [6, 8, 10]]]
    assert "upper 8 are kept" in notices(content)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_every_orientation_in_every_format(kind: str, turn: int) -> None:
    stored = np.repeat(np.repeat(picture(0, 3, 4), 16, 0), 16, 1)
    options: dict[str, Any] = {
        "JPEG": {"quality": 100, "subsampling": 0},
        "WEBP": {"lossless": True},
    }
    content = encoded(stored, kind, exif=oriented(turn), **options.get(kind, {}))
    # EXIF: where the first stored row and column lie in the upright picture
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.swapaxes(0, 1),
        6: stored.swapaxes(0, 1)[:, ::-1],
        7: stored[::-1, ::-1].swapaxes(0, 1),
        8: stored.swapaxes(0, 1)[::-1],
    }[turn]
    for asked, expected in ((True, upright), (False, stored)):
        found = decode_image(content, HERE, 3, upright=asked)
        assert found.shape == expected.shape
        assert np.abs(found.astype(int) - expected).mean() < 3
        assert ("EXIF" in notices(content, upright=asked)) == (turn != 1)


def turned_folder(root: Path, turn: int, size: tuple[int, int]) -> None:
    """Eight photographs, the third and fourth turned, with masks drawn on the stored pixels."""
    for k in range(8):
        exif = oriented(turn if k in (2, 3) else 1)
        save(root / "images" / f"p{k}.jpg", picture(k, *size), exif=exif)
        save(root / "masks" / f"p{k}.png", box(k, *size))


NAMES = {"class_names": ["background", "cell"]}


def test_a_mask_on_stored_pixels_of_a_turned_photograph(tmp_path: Path) -> None:
    turned_folder(tmp_path, 6, (20, 24))
    with pytest.raises(DataError, match=r"p2\.png: .*one size\. .*EXIF.*data\.exif=ignore"):
        module("folder", tmp_path, **NAMES).setup()
    module("folder", tmp_path, exif="ignore", **NAMES).setup()


@pytest.mark.parametrize("turn", [3, 6])
def test_where_sizes_cannot_tell_a_notice_does(
    turn: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turned_folder(tmp_path, turn, (24, 24))
    stores = []
    for exif, way_out in (("apply", "ignore"), ("ignore", "apply"), ("ignore", "apply")):
        data = module("folder", tmp_path, exif=exif, **NAMES)
        for _ in range(2):
            data.setup()
        said = capsys.readouterr().out.splitlines()
        told = [line for line in said if line.startswith("notice: ")]
        assert len(told) == 1  # once in a run, in later ones too
        assert f"2 of 8 pictures, the first {tmp_path}/images/p2.jpg: " in told[0]
        assert f"data.exif={way_out}" in told[0]
        stores.append(np.array(data.prepared.images[2]))
    assert (stores[0] != stores[1]).any()
    found, _ = check_data(module("folder", tmp_path, **NAMES), lambda looks, total: looks)
    kinds = [(p["kind"], p["severity"]) for p in found["problems"]]
    assert ("how pictures are read", "notice") in kinds


def test_a_mask_that_has_an_orientation_of_its_own_is_in_doubt(tmp_path: Path) -> None:
    make_folder(tmp_path)
    for kind in ("png", "tif"):
        (tmp_path / "masks" / "b.png").unlink(missing_ok=True)
        (tmp_path / "masks" / "b.tif").unlink(missing_ok=True)
        save(tmp_path / "masks" / f"b.{kind}", box(1), exif=oriented(3))
        with pytest.raises(DataError, match=rf"b\.{kind}: a mask with an EXIF orientation"):
            module("folder", tmp_path).setup()
        data = module("folder", tmp_path, exif="ignore")
        data.setup()
        np.testing.assert_array_equal(data.prepared.original(1), box(1))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "JPEG2000", "TIFF"])
def test_masks_of_class_ids_that_a_format_blurs(kind: str, tmp_path: Path) -> None:
    make_folder(tmp_path)
    options = {"TIFF": {"compression": "jpeg"}, "JPEG": {"quality": 75}}.get(kind, {})
    (tmp_path / "masks" / "b.png").write_bytes(encoded(box(0), kind, **options))
    for more in ({}, {"mask_values": [0, 1, 2]}):
        with pytest.raises(DataError, match=r"b\.png: a mask saved .* with loss.*masks/<class>/"):
            module("folder", tmp_path, **more).setup()
    (tmp_path / "masks" / "b.png").write_bytes(encoded(box(0), "WEBP", lossless=True))
    if kind == "WEBP":
        module("folder", tmp_path).setup()


def test_blurred_masks_of_the_readers_of_published_sets(tmp_path: Path) -> None:
    make_pets(tmp_path)
    file = tmp_path / "oxford-iiit-pet" / "annotations" / "trimaps" / "beagle_1.png"
    file.write_bytes(encoded(box(1) + 1, "JPEG"))
    with pytest.raises(DataError, match=r"beagle_1\.png: a mask saved as JPEG with loss"):
        module("pets", tmp_path).setup()


def test_black_and_white_masks_from_jpeg(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_folder(tmp_path)
    for k, name in enumerate("abcdef"):
        (tmp_path / "masks" / f"{name}.png").unlink()
        mask = np.repeat(np.repeat(box(k), 8, 0), 8, 1) * 255
        save(tmp_path / "images" / f"{name}.png", picture(k, 160, 192))
        save(tmp_path / "masks" / "road" / f"{name}.jpg", mask, quality=60)
    # black that JPEG made 1 here and there is still black
    (tmp_path / "masks" / "road" / "f.jpg").write_bytes(
        encoded(np.eye(160, 192, dtype=np.uint8), "JPEG", quality=100)
    )
    data = module("folder", tmp_path, class_names=["background", "road"])
    data.setup()
    for k in range(5):
        mask = np.repeat(np.repeat(box(k), 8, 0), 8, 1)
        assert (data.prepared.original(k) != mask).mean() < 0.01
    assert data.prepared.original(5).sum() == 0
    assert "6 of 6 pictures" in capsys.readouterr().out


def test_large_pictures_by_the_option_that_is_named(tmp_path: Path) -> None:
    make_folder(tmp_path)
    with pytest.raises(DataError, match=r"24 x 20 pixels, more than .* 479; data.max_pixels=480"):
        module("folder", tmp_path, max_pixels=479).setup()
    module("folder", tmp_path, max_pixels=480).setup()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_pillows_bound_is_lifted_for_the_picture_alone(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = encoded(picture(0), kind)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # it warns above, and refuses twice as many
    assert decode_image(content, HERE, 3).shape == (20, 24, 3)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_a_bomb_is_refused_from_its_header() -> None:
    content = bytearray(encoded(picture(0), "BMP"))
    content[18:26] = struct.pack("<ii", 200_000, 200_000)
    with pytest.raises(DataError, match="200000 x 200000 pixels, more than .* 178,956,970"):
        decode_image(bytes(content), HERE, 3)


def test_formats_that_pillow_hands_to_other_programs_are_not_read() -> None:
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 2 2\n"
    with pytest.raises(DataError, match="unknown or damaged format"):
        decode_image(content, HERE, 3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"exif": "yes"}, "data.exif=yes: expected apply or ignore"),
        ({"max_pixels": 0}, "data.max_pixels=0: expected a whole number, 1 to"),
        ({"max_pixels": 1 << 40}, "data.max_pixels="),
        ({"max_pixels": 1e6}, "data.max_pixels=1000000.0"),
    ],
)
def test_slips_in_the_options(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        module("folder", tmp_path, **options)


LARGE_ONES = [
    ("PNG", "RGB", {}),
    ("PNG", "RGBA", {}),
    ("PNG", "L", {}),
    ("PNG", "P", {}),
    ("PNG", "1", {}),
    ("PNG", "LA", {}),
    ("PNG", "RGB", {"transparency": (1, 2, 3)}),
    ("TIFF", "RGB", {}),
    ("TIFF", "L", {}),
    ("TIFF", "RGBA", {}),
    ("TIFF", "RGB", {"compression": "tiff_deflate"}),
    ("TIFF", "CMYK", {}),
    ("JPEG", "RGB", {}),
    ("BMP", "RGB", {}),
]


@pytest.mark.parametrize(("kind", "mode", "options"), LARGE_ONES)
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("turn", [1, 6])
def test_large_pictures_have_the_pixels_of_small_ones(
    kind: str,
    mode: str,
    options: dict[str, Any],
    channels: int,
    turn: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exif = {"exif": oriented(turn)} if kind in ("PNG", "TIFF", "JPEG") and turn != 1 else {}
    content = encoded(Image.fromarray(picture(3, 40, 30)).convert(mode), kind, **options, **exif)
    for upright in (False, True):
        expected = decode_image(content, HERE, channels, upright=upright)
        with monkeypatch.context() as patch:
            patch.setattr(arrays, "BLOCK", 64)
            patch.setattr(pictures, "LARGE", 64)
            found = decode_image(content, HERE, channels, upright=upright)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("mode", ["L", "1", "P", "I;16"])
def test_large_masks_have_the_values_of_small_ones(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    grey = picture(3, 40, 30)[:, :, 0]
    made = Image.fromarray(grey.astype(np.uint16) if mode == "I;16" else grey)
    content = encoded(made if mode == "I;16" else made.convert(mode), "PNG")
    expected = decode_mask(content, HERE)
    monkeypatch.setattr(arrays, "BLOCK", 64)
    np.testing.assert_array_equal(decode_mask(content, HERE), expected)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("large", [False, True])
def test_truncated_pictures_of_any_size_are_refused(
    kind: str, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "LARGE", 64 if large else 1 << 30)
    content = encoded(Image.fromarray(picture(3, 90, 80)), kind)
    with pytest.raises(DataError, match=r"p\.tif: cannot be read .*(truncated|failed to read)"):
        decode_image(content[: len(content) // 2], HERE, 3)


def test_a_large_png_with_a_changed_byte_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "LARGE", 64)
    content = bytearray(encoded(Image.fromarray(picture(3, 90, 80)), "PNG"))
    content[len(content) // 2] ^= 0x55
    with pytest.raises(DataError, match="truncated or damaged"):
        decode_image(bytes(content), HERE, 3)
