"""The store of prepared images: pictures are decoded, checked and resized once.

A store is a memory-mapped folder ``<cache>/<data set>-<key>/``. The key is a digest of the data
set's options, the content of its files, the code of its class, and `VERSION`. A store is written
under a temporary name and renamed when complete, so that a kill leaves no incomplete store.
"""

import json
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from filelock import FileLock

from segbench.data.store.transforms import Array, Values, resize_image, resize_mask
from segbench.hardware.device import available_cores
from segbench.records.checksums import DamagedError, digest_bytes
from segbench.text.screen import say

CHECKED_AT_ONCE = 2**30  # bytes; in a larger store each case is checked when first used
VERSION = 5  # of the store's format; increase it with every change


@dataclass(frozen=True)
class Case:
    """One sample: its id and its files, the images first; generated cases have no files.

    The first ``images`` files are the image: one file, or one for each of its channels.

    Files are plain strings, because creating a `Path` for each of tens of thousands of files takes
    longer than opening the store.
    """

    id: str
    files: tuple[str, ...] = ()
    images: int = 1

    @property
    def image(self) -> Path | None:
        """The file of the image; None for a generated case."""
        return Path(self.files[0]) if self.files else None

    @property
    def name(self) -> str:
        """The name in messages: the image's file, or the id of a generated case."""
        return self.files[0] if self.files else self.id

    @property
    def masks(self) -> tuple[Path, ...]:
        """The files of the mask, which may have several."""
        return tuple(map(Path, self.files[self.images :]))


@dataclass(frozen=True)
class Decoded:
    """A case at its original size.

    Args:
        image: (H, W, C), of uint8, or with its stored values.
        mask: class ids (H, W) uint8.
        sha256: the SHA-256 of its concatenated files.
        notes: phrases for what reading left out or changed, without the file's name.
    """

    image: Values
    mask: Array
    sha256: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """All N cases at one size, with their original masks as PNG."""

    images: Values  # (N, H, W, C), uint8 or float32
    masks: Array  # (N, H, W)
    originals: Array  # PNG files of the original masks, one after another
    offsets: list[int]  # N + 1 byte positions in originals
    sha256: list[str]
    sizes: list[tuple[int, int]]  # (height, width) of the files
    labels: list[list[int]]  # the labels in the original mask
    pixels: list[list[tuple[int, int]]]  # label and its number of pixels in `masks`
    notes: list[list[str]]  # what reading left out or changed
    ranges: list[list[list[float]]]  # the least and the largest value of each channel, (C, 2)
    sums: list[str]  # checksum of each case's image, mask and original mask
    folder: Path | None = None  # of the store; None: in memory
    _checked: set[int] = field(default_factory=set, repr=False, compare=False)

    def check(self, indices: Iterable[int]) -> None:
        """Compare cases with their checksums, each case once.

        Raises:
            DamagedError: a case differs from its checksum.
        """
        for index in set(map(int, indices)) - self._checked:
            png = self.originals[self.offsets[index] : self.offsets[index + 1]]
            if _sum(self.images[index], self.masks[index], png) != self.sums[index]:
                raise DamagedError(
                    f"{self.folder}: the prepared images are damaged (case {index}); remove this "
                    "folder, and the next run prepares them again"
                )
            self._checked.add(index)

    def original(self, index: int) -> Array:
        """The mask (H_i, W_i) of a case at its original size."""
        self.check([index])
        png = self.originals[self.offsets[index] : self.offsets[index + 1]]
        return cv2.imdecode(np.asarray(png), cv2.IMREAD_UNCHANGED)  # type: ignore[return-value]


@dataclass(frozen=True)
class _Ready:
    """A case with the arrays and bytes that are stored."""

    image: Values
    mask: Array
    png: bytes
    facts: dict[str, Any]  # the case's entry in index.json


Read = Callable[[Case], Decoded]
Progress = Callable[[Iterable[Any], int], Iterable[Any]]


def prepare_in_memory(
    cases: list[Case],
    read: Read,
    shape: tuple[int, int, int],
    progress: Progress,
    kind: str = "|u1",
) -> Prepared:
    """Decode and resize all cases to ``shape`` = (height, width, channels), without a store.

    The images have the NumPy type ``kind``.
    """
    images = np.empty((len(cases), *shape), kind)
    masks = np.empty((len(cases), *shape[:2]), np.uint8)
    pngs, facts = [], []
    made = _prepare_all(cases, read, shape[:2], kind)
    for index, ready in enumerate(progress(made, len(cases))):
        images[index], masks[index] = ready.image, ready.mask
        pngs.append(ready.png)
        facts.append(ready.facts)
    originals = np.frombuffer(b"".join(pngs), np.uint8)
    return _with_facts(images, masks, originals, facts)


def prepare_on_disk(
    folder: Path,
    cases: list[Case],
    read: Read,
    shape: tuple[int, int, int],
    progress: Progress,
    kind: str = "|u1",
) -> Prepared:
    """Open the store in ``folder``; a missing or damaged one is created first.

    If several processes start at once, one of them creates it. If it cannot be written (a read-only
    folder, a full disk), the cases are prepared in memory with a warning.
    """
    store = open_store(folder)
    if store is not None:
        return store
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            store = open_store(folder)  # another process may have created it meanwhile
            if store is None:
                _make(folder, cases, read, shape, progress, kind)
                store = open_store(folder)
    except (
        OSError,
        NotImplementedError,
    ) as error:  # NotImplementedError: a file system without locks
        reason = getattr(error, "strerror", None) or error
        warnings.warn(
            f"cannot keep prepared images in {folder.parent} ({reason}): prepared in memory, "
            "again in each run; data.cache=… names another folder",
            stacklevel=2,
        )
    return store or prepare_in_memory(cases, read, shape, progress, kind)


_FILES = ("index.json", "images.npy", "masks.npy", "originals.bin")


def open_store(folder: Path) -> Prepared | None:
    """Memory-map a store; None if it is missing or damaged."""
    if not folder.is_dir():
        return None
    try:
        for name in _FILES:  # opening a pipe waits for ever
            if (folder / name).exists() and not (folder / name).is_file():
                raise ValueError(f"{name} is not a regular file")
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        facts = index["cases"]
        if digest_bytes(json.dumps(facts).encode()) != index["checksum"]:
            raise ValueError("index.json is damaged")
        images, masks = (np.load(folder / f"{n}.npy", mmap_mode="r") for n in ("images", "masks"))
        originals = np.memmap(folder / "originals.bin", np.uint8, "r")
        store = _with_facts(images, masks, originals, facts, folder)
        if not len(images) == len(masks) == len(facts) or store.offsets[-1] != len(originals):
            raise ValueError("pieces of it are missing")
        if images.nbytes + masks.nbytes + originals.nbytes <= CHECKED_AT_ONCE:
            store.check(range(len(facts)))
        return store
    except (OSError, EOFError, ValueError, LookupError, TypeError, DamagedError) as error:
        reason = " ".join(str(error).split())
        say(f"note: {folder}: damaged prepared images are made again ({reason})", sys.stderr)
        return None


def _with_facts(
    images: Values,
    masks: Array,
    originals: Array,
    facts: list[dict[str, Any]],
    folder: Path | None = None,
) -> Prepared:
    offsets = [0, *np.cumsum([each["bytes"] for each in facts]).tolist()]
    hashes, labels = [each["sha256"] for each in facts], [each["labels"] for each in facts]
    sizes = [(each["size"][0], each["size"][1]) for each in facts]
    pixels = [[(label, count) for label, count in each["pixels"]] for each in facts]
    notes = [each["notes"] for each in facts]
    ranges = [each["range"] for each in facts]
    sums = [str(each["sum"]) for each in facts]
    found = hashes, sizes, labels, pixels, notes, ranges, sums
    return Prepared(images, masks, originals, offsets, *found, folder)


def _make(
    folder: Path,
    cases: list[Case],
    read: Read,
    shape: tuple[int, int, int],
    progress: Progress,
    kind: str,
) -> None:
    """Create the store; the caller holds its lock."""
    for left in (
        folder,
        *folder.parent.glob(f".{folder.name}.*"),
    ):  # a damaged store, or files of a killed process
        shutil.rmtree(left, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        ready = progress(_prepare_all(cases, read, shape[:2], kind), len(cases))
        _write(temporary, ready, (len(cases), *shape), kind)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(folder: Path, cases: Iterable[_Ready], shape: tuple[int, ...], kind: str) -> None:
    """Write row by row, so that a full disk gives an error; a memory map would crash."""
    facts = []
    with (
        (folder / "images.npy").open("wb") as images,
        (folder / "masks.npy").open("wb") as masks,
        (folder / "originals.bin").open("wb") as originals,
    ):
        _write_header(images, shape, kind)
        _write_header(masks, shape[:3], "|u1")
        for ready in cases:
            images.write(ready.image.tobytes())
            masks.write(ready.mask.tobytes())
            originals.write(ready.png)
            facts.append(ready.facts)
    facts = json.loads(json.dumps(facts))  # tuples become lists, as when read back
    index = {"checksum": digest_bytes(json.dumps(facts).encode()), "cases": facts}
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")


def _write_header(file: BinaryIO, shape: tuple[int, ...], kind: str) -> None:
    header = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _prepare_all(
    cases: list[Case], read: Read, size: tuple[int, int], kind: str
) -> Iterator[_Ready]:
    cores = available_cores()  # more threads would be slower, since most of the time is computation
    with ThreadPoolExecutor(cores) as pool:  # decoders release the interpreter's lock
        window = 4 * cores  # so that a large data set is never completely in memory
        for start in range(0, len(cases), window):
            chosen = cases[start : start + window]
            yield from pool.map(lambda case: _prepare(read(case), size, kind), chosen)


def _sum(image: Values, mask: Array, png: Array | bytes) -> str:
    """The checksum of a case's stored image, mask and original mask."""
    return digest_bytes(image.data, mask.data, png if isinstance(png, bytes) else png.data)


def _prepare(case: Decoded, size: tuple[int, int], kind: str) -> _Ready:
    png = cv2.imencode(".png", case.mask)[1].tobytes()
    mask = resize_mask(case.mask, size)
    labels, counts = np.unique(mask, return_counts=True)
    image = np.ascontiguousarray(resize_image(case.image.astype(kind, copy=False), size))
    pixels = case.image.reshape(-1, case.image.shape[2])
    mask = np.ascontiguousarray(mask)
    facts = {
        "sum": _sum(image, mask, png),
        "bytes": len(png),
        "sha256": case.sha256,
        "size": case.mask.shape,
        "labels": np.unique(case.mask).tolist(),
        "pixels": list(zip(labels.tolist(), counts.tolist(), strict=True)),
        "range": np.stack([pixels.min(axis=0), pixels.max(axis=0)], 1).astype(float).tolist(),
        "notes": list(case.notes),
    }
    return _Ready(image, mask, png, facts)
