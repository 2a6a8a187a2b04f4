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
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock

from segbench.data.store.prepared import Case, Prepared, with_facts
from segbench.data.store.preparing import (
    Form,
    Progress,
    Read,
    Ready,
    prepare_all,
    prepare_in_memory,
)
from segbench.data.store.ragged import Ragged
from segbench.records.checksums import DamagedError, digest_bytes
from segbench.text.screen import say

CHECKED_AT_ONCE = 2**30  # bytes; in a larger store each case is checked when first used
VERSION = 6  # of the store's format; increase it with every change


def prepare_on_disk(
    folder: Path,
    cases: list[Case],
    read: Read,
    form: Form,
    progress: Progress,
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
                _make(folder, cases, read, form, progress)
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
    return store or prepare_in_memory(cases, read, form, progress)


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
            store = with_facts(images, masks, originals, facts, folder, locations)
        else:
            images, masks = (
                np.load(folder / f"{n}.npy", mmap_mode="r") for n in ("images", "masks")
            )
            store = with_facts(images, masks, originals, facts, folder)
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
    # "c": tensors share their memory; what is written to it would never reach the file
    images = Ragged(np.memmap(folder / "images.npy", kind, "c"), shapes)
    masks = Ragged(np.memmap(folder / "masks.npy", np.uint8, "c"), [shape[:2] for shape in shapes])
    counts = [(each["locations"], 3) for each in facts]
    file = folder / "locations.bin"
    flat = np.memmap(file, "<i4", "r") if file.stat().st_size else np.empty(0, "<i4")
    return images, masks, Ragged(flat, counts)


def _make(folder: Path, cases: list[Case], read: Read, form: Form, progress: Progress) -> None:
    """Create the store; the caller holds its lock."""
    for left in (
        folder,
        *folder.parent.glob(f".{folder.name}.*"),
    ):  # a damaged store, or files of a killed process
        shutil.rmtree(left, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        ready = progress(prepare_all(cases, read, form), len(cases))
        _write(temporary, ready, form, len(cases))
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(folder: Path, cases: Iterable[Ready], form: Form, count: int) -> None:
    """Write row by row, so that a full disk gives an error; a memory map would crash."""
    facts = []
    with (
        (folder / "images.npy").open("wb") as images,
        (folder / "masks.npy").open("wb") as masks,
        (folder / "originals.bin").open("wb") as originals,
        (folder / "locations.bin").open("wb") as locations,
    ):
        if form.size:  # else the files have no header, as the sum of the sizes is not known yet
            _write_header(images, (count, *form.size, form.channels), form.kind)
            _write_header(masks, (count, *form.size), "|u1")
        for ready in cases:
            images.write(ready.image.data)
            masks.write(ready.mask.data)
            originals.write(ready.png)
            locations.write(ready.locations.tobytes())
            facts.append(ready.facts)
    facts = json.loads(json.dumps(facts))  # tuples become lists, as when read back
    index = {"checksum": digest_bytes(json.dumps(facts).encode()), "cases": facts}
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")


def _write_header(file: BinaryIO, shape: tuple[int, ...], kind: str) -> None:
    header = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
