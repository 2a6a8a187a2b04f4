"""The decode-once store: every picture decoded, checked and resized once, then memory-mapped.

A store is a folder ``<cache>/<data set>-<key>/``; the key is over the data set's options, its
files' names, sizes and times, the size asked for, and this code's version. It is made under
another name and renamed when whole, so a killed preparation leaves nothing that is taken for one.
"""

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from filelock import FileLock

from segbench.data.transforms import Array, resize_image, resize_mask
from segbench.errors import DataError
from segbench.hardware import available_cores

VERSION = 3  # raise it when what is stored changes


@dataclass(frozen=True)
class Case:
    """One sample: its id and the files that it is read from, the image first.

    A generated one has no files. They are plain strings: a data set may have tens of thousands,
    and making a `Path` of each takes longer than opening the store.
    """

    id: str
    files: tuple[str, ...] = ()

    @property
    def image(self) -> Path | None:
        """The image's file."""
        return Path(self.files[0]) if self.files else None

    @property
    def masks(self) -> tuple[Path, ...]:
        """The mask's file, or those of its parts."""
        return tuple(map(Path, self.files[1:]))


@dataclass(frozen=True)
class Decoded:
    """A case at its own size: ``image`` (H, W, C), ``mask`` (H, W), and a hash of its files."""

    image: Array
    mask: Array
    sha256: str


@dataclass(frozen=True)
class Prepared:
    """All cases at one size, with the original masks within reach."""

    images: Array  # (N, H, W, C)
    masks: Array  # (N, H, W)
    originals: Array  # PNG files of the original masks, one after another
    offsets: list[int]  # N + 1 places in originals
    sha256: list[str]
    sizes: list[tuple[int, int]]  # (height, width) of the files
    labels: list[list[int]]  # which labels the original mask holds
    pixels: list[list[tuple[int, int]]]  # label and its number of pixels in `masks`

    def original(self, index: int) -> Array:
        """The mask (H_i, W_i) of a case in its file's own size."""
        png = self.originals[self.offsets[index] : self.offsets[index + 1]]
        return cv2.imdecode(np.asarray(png), cv2.IMREAD_UNCHANGED)  # type: ignore[return-value]


@dataclass(frozen=True)
class _Ready:
    """A case as it is stored."""

    image: Array
    mask: Array
    png: bytes
    facts: dict[str, Any]  # what index.json holds of it


Read = Callable[[Case], Decoded]
Progress = Callable[[Iterable[Any], int], Iterable[Any]]


def store_key(cases: Iterable[Case], options: dict[str, Any]) -> str:
    """Sixteen digits that change with any option or file (its name, size or time).

    Raises:
        DataError: a file is gone, or a link leads nowhere.
    """
    digest = hashlib.sha256(json.dumps([VERSION, options], sort_keys=True).encode())
    stat, separator = os.stat, os.sep
    try:
        for case in cases:
            words = [case.id]
            for file in case.files:
                facts = stat(file)
                folder_and_name = file.rsplit(separator, 2)[-2:]  # so that a moved set keeps it
                words += [*folder_and_name, str(facts.st_size), str(facts.st_mtime_ns)]
            digest.update("\n".join(words).encode(errors="surrogateescape"))
    except OSError as error:
        raise DataError(
            f"{error.filename}: {error.strerror}; restore the file or remove its case"
        ) from error
    return digest.hexdigest()[:16]


def prepare_in_memory(
    cases: list[Case], read: Read, shape: tuple[int, int, int], progress: Progress
) -> Prepared:
    """Decode and resize all cases to ``shape`` = (height, width, channels), keeping no files."""
    images = np.empty((len(cases), *shape), np.uint8)
    masks = np.empty((len(cases), *shape[:2]), np.uint8)
    pngs, facts = [], []
    for place, ready in enumerate(progress(_prepare_all(cases, read, shape[:2]), len(cases))):
        images[place], masks[place] = ready.image, ready.mask
        pngs.append(ready.png)
        facts.append(ready.facts)
    originals = np.frombuffer(b"".join(pngs), np.uint8)
    return _with_facts(images, masks, originals, facts)


def prepare_on_disk(
    folder: Path, cases: list[Case], read: Read, shape: tuple[int, int, int], progress: Progress
) -> Prepared:
    """Open the store in ``folder``, making it first where it is missing or damaged.

    Several processes that start at once make it once. Where it cannot be written (a read-only
    folder, a full disk), the cases are prepared in memory and a warning says so.
    """
    store = open_store(folder)
    if store is not None:
        return store
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            store = open_store(folder)  # another process may have made it meanwhile
            if store is None:
                _make(folder, cases, read, shape, progress)
                store = open_store(folder)
    except (OSError, NotImplementedError) as error:  # the second: a disk that knows no locks
        reason = getattr(error, "strerror", None) or error
        warnings.warn(
            f"cannot keep prepared images in {folder.parent} ({reason}): prepared in memory, "
            "again in each run; data.cache=… names another folder",
            stacklevel=2,
        )
    return store or prepare_in_memory(cases, read, shape, progress)


def open_store(folder: Path) -> Prepared | None:
    """Memory-map a store; None where there is none, or a damaged one."""
    try:
        facts = json.loads((folder / "index.json").read_text())
        images, masks = (np.load(folder / f"{n}.npy", mmap_mode="r") for n in ("images", "masks"))
        originals = np.memmap(folder / "originals.bin", np.uint8, "r")
        store = _with_facts(images, masks, originals, facts)
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None
    whole = len(store.images) == len(store.masks) == len(facts)
    return store if whole and store.offsets[-1] == len(originals) else None


def _with_facts(
    images: Array, masks: Array, originals: Array, facts: list[dict[str, Any]]
) -> Prepared:
    offsets = [0, *np.cumsum([each["bytes"] for each in facts]).tolist()]
    hashes, labels = [each["sha256"] for each in facts], [each["labels"] for each in facts]
    sizes = [(each["size"][0], each["size"][1]) for each in facts]
    pixels = [[(label, count) for label, count in each["pixels"]] for each in facts]
    return Prepared(images, masks, originals, offsets, hashes, sizes, labels, pixels)


def _make(
    folder: Path, cases: list[Case], read: Read, shape: tuple[int, int, int], progress: Progress
) -> None:
    """Make the store; the caller holds its lock."""
    for left in (folder, *folder.parent.glob(f".{folder.name}.*")):  # damaged, or by a killed one
        shutil.rmtree(left, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        ready = progress(_prepare_all(cases, read, shape[:2]), len(cases))
        _write(temporary, ready, (len(cases), *shape))
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(folder: Path, cases: Iterable[_Ready], shape: tuple[int, ...]) -> None:
    """Write row by row: a full disk is then an error, where a written memory map would crash."""
    facts = []
    with (
        (folder / "images.npy").open("wb") as images,
        (folder / "masks.npy").open("wb") as masks,
        (folder / "originals.bin").open("wb") as originals,
    ):
        _write_header(images, shape)
        _write_header(masks, shape[:3])
        for ready in cases:
            images.write(ready.image.tobytes())
            masks.write(ready.mask.tobytes())
            originals.write(ready.png)
            facts.append(ready.facts)
    (folder / "index.json").write_text(json.dumps(facts))


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _prepare_all(cases: list[Case], read: Read, size: tuple[int, int]) -> Iterator[_Ready]:
    cores = available_cores()  # more threads than these take longer: much of it is computing
    with ThreadPoolExecutor(cores) as pool:  # decoders release the interpreter's lock
        window = 4 * cores  # so that a large data set is never in memory whole
        for start in range(0, len(cases), window):
            chosen = cases[start : start + window]
            yield from pool.map(lambda case: _prepare(read(case), size), chosen)


def _prepare(case: Decoded, size: tuple[int, int]) -> _Ready:
    png = cv2.imencode(".png", case.mask)[1].tobytes()
    mask = resize_mask(case.mask, size)
    labels, counts = np.unique(mask, return_counts=True)
    facts = {
        "bytes": len(png),
        "sha256": case.sha256,
        "size": case.mask.shape,
        "labels": np.unique(case.mask).tolist(),
        "pixels": list(zip(labels.tolist(), counts.tolist(), strict=True)),
    }
    return _Ready(resize_image(case.image, size), mask, png, facts)
