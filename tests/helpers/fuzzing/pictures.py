"""Folders of images and masks with a config of their own: looked at by ``check``, then loaded."""

import contextlib
import io
import os
import struct
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from fuzzing.values import BYTE_CHANGES, JSON, SCALARS, TEXT, changed, some
from fuzzing.ways import FUNCTIONS, WAYS
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from segbench.__main__ import main
from segbench.commands.check import print_check
from segbench.config.build import build
from segbench.config.registry import compose
from segbench.data.check.check import check_data
from segbench.data.check.contact_sheet import contact_sheet
from segbench.records.record import write_json

SAVED = (
    *(("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I")),
    *(
        ("TIFF", mode)
        for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "LAB")
    ),
    *(("JPEG", mode) for mode in ("L", "RGB", "CMYK")),
    *(("BMP", mode) for mode in ("1", "L", "P", "RGB", "RGBA")),
    *(("GIF", mode) for mode in ("L", "P", "RGB")),
    *(("WEBP", mode) for mode in ("RGB", "RGBA")),
    *(("PPM", mode) for mode in ("1", "L", "RGB", "I")),
    *(("JPEG2000", mode) for mode in ("L", "RGB", "RGBA")),
    *((kind, "L") for kind in ("ICO", "PCX", "TGA", "SGI", "EPS", "PDF")),
)
HEADERS = (
    *(
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0\x00\x10JFIF\0",
        b"GIF89a",
        b"BM",
        b"II*\0\x08\0\0\0",
    ),
    *(b"MM\0*\0\0\0\x08", b"RIFF\xff\0\0\0WEBPVP8 ", b"P6 ", b"P5\n", b"\0\0\0\x0cjP  \r\n\x87\n"),
    *(b"II+\0\x08\0\0\0", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"<svg xmlns=", b"\x80\x04.", b"\x93NUMPY"),
)
SIDES = st.sampled_from((0, 1, 2, 3, 24, 999, 12_000, 65_535, 2**16, 2**31 - 1, 2**32 - 1))
SUFFIXES = (".png", ".jpg", ".tif", ".bmp", ".gif", ".webp", ".pgm", ".PNG", ".jpeg")
OPTIONS: dict[str, Any] = {"root": "pictures", "size": 32, "batch_size": 2, "num_workers": 0}
OPTIONS["split"] = {"train": 0.6, "val": 0.2, "test": 0.2}
GOOD = 4  # cases that are whole, beside those that are not


def _declared(width: int, height: int, depth: int, colour: int, kind: str) -> bytes:
    """A file that says it has this size, and has not."""
    if kind == "ppm":
        return f"P6 {width} {height} 255\n".encode() + b"\0" * 99
    if kind == "bmp":
        sides = width % 2**31, height % 2**31
        head = struct.pack("<2sIHHIIii", b"BM", 99, 0, 0, 54, 40, *sides)
        return head + struct.pack("<HHIIiiII", 1, depth, 0, 0, 1, 1, 0, 0)
    if kind == "gif":
        return b"GIF89a" + struct.pack("<HHBBB", width % 2**16, height % 2**16, depth, 0, 0) + b",;"
    if kind == "tiff":
        tags = {256: width, 257: height, 258: depth, 259: 1, 262: colour, 273: 8, 277: 1, 279: 99}
        rows = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
        return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + rows + b"\0" * 99
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 999)), (b"IEND", b""))
    parts = [
        struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _saved(
    saved: tuple[str, str], width: int, height: int, frames: int, turn: int, top: int
) -> bytes:
    """A picture of a format and mode, with several frames or an EXIF orientation."""
    kind, mode = saved
    values = np.random.default_rng(top).integers(0, top + 1, (height, width), np.uint8)
    made = Image.fromarray(values)
    picture = (
        made
        if mode == "L"
        else made.convert("RGB").convert(mode)
        if mode == "LAB"
        else made.convert(mode)
    )
    written, exif = io.BytesIO(), Image.Exif()
    exif[274] = turn
    more: dict[str, Any] = (
        {"exif": exif} if kind in ("PNG", "JPEG", "TIFF", "WEBP") and turn else {}
    )
    if frames > 1 and kind in ("GIF", "TIFF", "WEBP", "PNG"):
        others = [picture.rotate(180) for _ in range(frames - 1)]
        more |= {"save_all": True, "append_images": others}
    with contextlib.suppress(OSError, ValueError):  # what cannot be saved so leaves a piece of it
        picture.save(written, kind, **more)
    return written.getvalue()


@dataclass(frozen=True)
class Odd:
    """A case with its files' contents."""

    name: bytes
    image: bytes
    mask: bytes | None
    folder: str = ""  # of the mask, below masks/


@dataclass(frozen=True)
class Pictures:
    """Cases beside whole ones, and options of the data set."""

    cases: tuple[Odd, ...]
    options: tuple[tuple[str, Any], ...] = ()
    way: str = FUNCTIONS


def _contents() -> st.SearchStrategy[bytes]:
    side = st.sampled_from((1, 2, 20, 24, 24, 24))
    tops = st.sampled_from((0, 1, 1, 1, 2, 255, 255))
    saved = st.builds(
        _saved,
        st.sampled_from(SAVED),
        side,
        side,
        st.sampled_from((1, 1, 1, 3)),
        st.integers(0, 9),
        tops,
    )
    kinds = st.sampled_from(("png", "png", "ppm", "bmp", "gif", "tiff"))
    depths, colours = st.sampled_from((0, 1, 8, 16, 32, 64, 255)), st.integers(0, 7)
    return st.one_of(
        saved,
        saved,
        st.builds(changed, saved, some(BYTE_CHANGES)),
        st.builds(_declared, SIDES, SIDES, depths, colours, kinds),
        st.builds(
            lambda start, rest: start + rest, st.sampled_from(HEADERS), st.binary(max_size=200)
        ),
        st.binary(max_size=50),
    )


def _names() -> st.SearchStrategy[bytes]:
    plain = st.sampled_from(
        ("a", "b", "c", "-x", "--help", "a/b", ".hidden", "x y", "${seed}", "é", "train")
    )
    words = TEXT.map(lambda text: text.replace("\0", "").replace("/", "")[:40])
    stems = st.one_of(plain, plain, words, st.text(max_size=9).map(lambda t: t.replace("/", "")))
    made = st.builds(lambda stem, suffix: stem + suffix, stems, st.sampled_from(SUFFIXES))
    return made.map(_as_bytes).filter(lambda name: b"\0" not in name and len(name) < 200)


def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _options() -> st.SearchStrategy[tuple[tuple[str, Any], ...]]:
    colours = st.one_of(st.lists(st.integers(-1, 256), min_size=2, max_size=4), JSON)
    names = st.sampled_from(("background", "foreground", "ignore", "a"))
    whole = {"background": [0, 0, 0], "foreground": [255, 255, 255]}
    choices = {
        "palette": st.one_of(st.just(whole), st.dictionaries(names, colours), JSON),
        "mask_values": st.one_of(
            st.just([0, 255]), st.lists(st.integers(-1, 300), max_size=3), JSON
        ),
        "class_names": st.one_of(st.lists(TEXT, max_size=4), JSON, st.just(["a", "b", "c"])),
        "ignore_index": st.one_of(st.sampled_from((0, 1, 254, 256)), SCALARS),
        "in_channels": st.one_of(st.sampled_from((1, 3, 4)), SCALARS),
        "white": st.one_of(st.sampled_from((1, 255, 4095, 65536)), SCALARS),
        "exif": st.sampled_from(("apply", "ignore", "x", None)),
        "max_pixels": st.sampled_from((1, 100, 10_000, 0, -1, "x", 10**12)),
        "split": st.one_of(
            st.fixed_dictionaries(dict.fromkeys(("train", "val", "test"), SCALARS)), JSON
        ),
        "stratify": st.one_of(st.sampled_from(("classes", "size", "name")), TEXT),
        "group": st.one_of(st.sampled_from(("^.", "(.)", "a|b", "x.csv", "(")), TEXT, SCALARS),
        "folds": st.one_of(st.integers(0, 9), SCALARS),
    }
    pairs = st.sampled_from(sorted(choices)).flatmap(
        lambda key: st.tuples(st.just(key), choices[key])
    )
    return st.lists(pairs, max_size=2).map(tuple)


def inputs() -> st.SearchStrategy[Pictures]:
    """One or two odd cases, and options; most are odd in one thing alone."""
    folders = st.sampled_from((*[""] * 9, "foreground", "ignore", "x", "train"))
    good = st.just(_saved(("PNG", "L"), 24, 24, 1, 0, 1))
    plain = st.sampled_from((b"a.png", b"b.png", b"c.tif"))
    cases = st.one_of(
        st.builds(Odd, plain, _contents(), good),
        st.builds(Odd, plain, good, _contents(), folders),
        st.builds(Odd, _names(), good, good, folders),
        st.builds(Odd, _names(), _contents(), st.one_of(_contents(), st.none()), folders),
    )
    options = st.one_of(st.just(()), _options())
    return st.builds(Pictures, st.lists(cases, min_size=1, max_size=2).map(tuple), options, WAYS)


def write(root: Path, asked: Pictures) -> None:
    """Write the data set: whole cases, then the odd ones."""
    for place in range(GOOD):
        values = np.zeros((24, 24), np.uint8)
        values[place : place + 9, 3:12] = 1
        for kind, array in (("images", values * (60 + place)), ("masks", values)):
            file = root / kind / f"good{place}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(file)
    for odd in asked.cases:
        _put(root / "images", odd.name, odd.image)
        if odd.mask is not None:
            _put(root / "masks" / odd.folder, odd.name, odd.mask)


def _put(folder: Path, name: bytes, content: bytes) -> None:
    file = Path(os.fsdecode(os.path.join(os.fsencode(folder), name)))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    except OSError:  # no file can be called so
        return


def run(asked: Pictures) -> int:
    """Check the data set, and load a batch of each part."""
    write(Path("pictures"), asked)
    options = {**OPTIONS, **dict(asked.options)}
    if asked.way != FUNCTIONS:
        return _checked(options)
    found, samples = check_data(_built(options), lambda looks, _: looks)
    print_check(found)
    write_json(Path("check.json"), found)
    data = _built(options)
    if samples:
        contact_sheet(data, samples)
    data.prepare_data()
    data.setup("fit")
    for name in ("train", "val", "test"):
        next(iter(getattr(data, f"{name}_dataloader")()))
    return 0


def _checked(options: dict[str, Any]) -> int:
    """The command."""
    file = Path("mine/data/mine.yaml")
    file.parent.mkdir(parents=True)
    text = yaml.safe_dump({"defaults": ["folder", "_self_"], **options}, allow_unicode=True)
    file.write_text(text, "utf-8", "surrogatepass")
    return main(["check", "--config-dir", "mine", "data=mine"])


def _built(options: dict[str, Any]) -> Any:
    """The data set as its YAML has it, with some options changed."""
    node = OmegaConf.merge(_folder(), options)
    whole = OmegaConf.create({"data": node, "augment": None, "seed": 0})
    return build(whole.data, "data")


@cache
def _folder() -> DictConfig:
    node: DictConfig = compose(overrides=["data=folder"]).data
    OmegaConf.set_struct(node, False)  # as in a file of the user's, any key may be there
    return node
