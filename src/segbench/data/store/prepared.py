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

from segbench.data.store.ragged import Ragged
from segbench.data.store.transforms import Array, Values, resize_image, resize_mask
from segbench.hardware.device import available_cores
from segbench.records.checksums import DamagedError, digest_bytes
from segbench.text.screen import say

CHECKED_AT_ONCE = 2**30  # bytes; in a larger store each case is checked when first used
LOCATIONS = 1000  # pixels of each class that patches may be centred on, of each image
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
    """All N cases at one size, or each at its own, with their original masks as PNG."""

    images: Any  # (N, H, W, C) uint8 or float32, or Ragged of (H, W, C)
    masks: Any  # (N, H, W), or Ragged of (H, W)
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
    # at their own sizes: some pixels of each class, (n, 3): label, row, column
    locations: Ragged | None = None
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
    locations: Values  # (n, 3), see Prepared


Read = Callable[[Case], Decoded]
Progress = Callable[[Iterable[Any], int], Iterable[Any]]


def prepare_in_memory(
    cases: list[Case],
    read: Read,
    shape: tuple[int, int, int],
    progress: Progress,
    kind: str = "|u1",
    scale: float | None = None,
) -> Prepared:
    """Decode and resize all cases to ``shape`` = (height, width, channels), without a store.

    The images have the NumPy type ``kind``. With ``scale`` each case keeps its own size times this.
    """
    if scale is not None:
        ready_cases = [*progress(_prepare_all(cases, read, None, kind, scale), len(cases))]
        return _with_facts(
            Ragged.of([each.image for each in ready_cases], kind),
            Ragged.of([each.mask for each in ready_cases], "|u1"),
            np.frombuffer(b"".join(each.png for each in ready_cases), np.uint8),
            [each.facts for each in ready_cases],
            locations=Ragged.of([each.locations for each in ready_cases], "<i4"),
        )
    images = np.empty((len(cases), *shape), kind)
    masks = np.empty((len(cases), *shape[:2]), np.uint8)
    pngs, facts = [], []
    made = _prepare_all(cases, read, shape[:2], kind, scale)
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
    scale: float | None = None,
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
                _make(folder, cases, read, shape, progress, kind, scale)
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
    return store or prepare_in_memory(cases, read, shape, progress, kind, scale)


_FILES = ("index.json", "images.npy", "masks.npy", "originals.bin", "locations.bin")


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
        originals = np.memmap(folder / "originals.bin", np.uint8, "r")
        if facts and "stored" in facts[0]:
            images, masks, locations = _own_sizes(folder, facts)
            store = _with_facts(images, masks, originals, facts, folder, locations)
        else:
            images, masks = (
                np.load(folder / f"{n}.npy", mmap_mode="r") for n in ("images", "masks")
            )
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


def _own_sizes(folder: Path, facts: list[dict[str, Any]]) -> tuple[Ragged, Ragged, Ragged]:
    """The images, masks and locations of a store of cases at their own sizes."""
    shapes = [tuple(each["stored"]) for each in facts]
    kind = facts[0]["kind"]
    images = Ragged(np.memmap(folder / "images.npy", kind, "r"), shapes)
    masks = Ragged(np.memmap(folder / "masks.npy", np.uint8, "r"), [shape[:2] for shape in shapes])
    counts = [(each["locations"], 3) for each in facts]
    file = folder / "locations.bin"
    flat = np.memmap(file, "<i4", "r") if file.stat().st_size else np.empty(0, "<i4")
    return images, masks, Ragged(flat, counts)


def _with_facts(
    images: Any,
    masks: Any,
    originals: Array,
    facts: list[dict[str, Any]],
    folder: Path | None = None,
    locations: Ragged | None = None,
) -> Prepared:
    offsets = [0, *np.cumsum([each["bytes"] for each in facts]).tolist()]
    hashes, labels = [each["sha256"] for each in facts], [each["labels"] for each in facts]
    sizes = [(each["size"][0], each["size"][1]) for each in facts]
    pixels = [[(label, count) for label, count in each["pixels"]] for each in facts]
    notes = [each["notes"] for each in facts]
    ranges = [each["range"] for each in facts]
    sums = [str(each["sum"]) for each in facts]
    found = hashes, sizes, labels, pixels, notes, ranges, sums
    return Prepared(images, masks, originals, offsets, *found, folder, locations)


def _make(
    folder: Path,
    cases: list[Case],
    read: Read,
    shape: tuple[int, int, int],
    progress: Progress,
    kind: str,
    scale: float | None,
) -> None:
    """Create the store; the caller holds its lock."""
    for left in (
        folder,
        *folder.parent.glob(f".{folder.name}.*"),
    ):  # a damaged store, or files of a killed process
        shutil.rmtree(left, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        size = shape[:2] if scale is None else None
        ready = progress(_prepare_all(cases, read, size, kind, scale), len(cases))
        _write(temporary, ready, (len(cases), *shape) if size else None, kind)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(folder: Path, cases: Iterable[_Ready], shape: tuple[int, ...] | None, kind: str) -> None:
    """Write row by row, so that a full disk gives an error; a memory map would crash."""
    facts = []
    with (
        (folder / "images.npy").open("wb") as images,
        (folder / "masks.npy").open("wb") as masks,
        (folder / "originals.bin").open("wb") as originals,
        (folder / "locations.bin").open("wb") as locations,
    ):
        if shape:  # else the files have no header, as the sum of the sizes is not known yet
            _write_header(images, shape, kind)
            _write_header(masks, shape[:3], "|u1")
        for ready in cases:
            images.write(ready.image.tobytes())
            masks.write(ready.mask.tobytes())
            originals.write(ready.png)
            locations.write(ready.locations.tobytes())
            facts.append(ready.facts)
    facts = json.loads(json.dumps(facts))  # tuples become lists, as when read back
    index = {"checksum": digest_bytes(json.dumps(facts).encode()), "cases": facts}
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")


def _write_header(file: BinaryIO, shape: tuple[int, ...], kind: str) -> None:
    header = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _prepare_all(
    cases: list[Case], read: Read, size: tuple[int, int] | None, kind: str, scale: float | None
) -> Iterator[_Ready]:
    cores = available_cores()  # more threads would be slower, since most of the time is computation
    with ThreadPoolExecutor(cores) as pool:  # decoders release the interpreter's lock
        window = 4 * cores  # so that a large data set is never completely in memory
        for start in range(0, len(cases), window):
            chosen = cases[start : start + window]
            yield from pool.map(lambda case: _prepare(read(case), size, kind, scale), chosen)


def _sum(image: Values, mask: Array, png: Array | bytes) -> str:
    """The checksum of a case's stored image, mask and original mask."""
    return digest_bytes(image.data, mask.data, png if isinstance(png, bytes) else png.data)


def _prepare(
    case: Decoded, size: tuple[int, int] | None, kind: str, scale: float | None = None
) -> _Ready:
    own = size is None
    height, width = case.mask.shape
    if size is None:
        size = max(1, round(height * (scale or 1))), max(1, round(width * (scale or 1)))
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
    found = np.empty((0, 3), "<i4")
    if own:
        found = _locations(mask, labels.tolist())
        facts |= {"stored": image.shape, "kind": kind, "locations": len(found)}
    return _Ready(image, mask, png, facts, found)


def _locations(mask: Array, labels: list[int]) -> Values:
    """Up to `LOCATIONS` pixels of each label but 0, (n, 3): label, row, column."""
    chance, rows = np.random.default_rng(0), [np.empty((0, 3), "<i4")]
    for label in labels:
        if label == 0:
            continue
        flat = np.flatnonzero(mask == label)
        if len(flat) > LOCATIONS:
            flat = np.sort(chance.choice(flat, LOCATIONS, replace=False))
        places = np.stack(np.unravel_index(flat, mask.shape), axis=1)
        rows.append(np.insert(places, 0, label, axis=1).astype("<i4"))
    return np.concatenate(rows)
