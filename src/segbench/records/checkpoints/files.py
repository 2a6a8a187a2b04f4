"""Writes a checkpoint file with its checksum, and checks it before reading."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, cast

import torch

from segbench.records.checksums import MARK, DamagedError, DigestingFile, check_whole


def write_checkpoint(content: Mapping[str, Any], path: Path) -> None:
    """Write a file that ``torch.load`` reads, with a checksum as its last line.

    The checksum is part of the file, so that a kill or a copy cannot separate them. Zip readers
    search for their index from the end of the file and skip the checksum.

    Another thread writes: signal handlers run in the main thread, and one that raises an error
    while PyTorch writes would end the process (Ctrl-C, or a loading process that was killed).
    """
    with ThreadPoolExecutor(1) as thread:  # which waits for the thread also after an error
        thread.submit(_write, content, path).result()


def _write(content: Mapping[str, Any], path: Path) -> None:
    summed = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(
        False
    )  # it takes a third of the time, and only zip tools check it
    try:
        with path.open("wb") as file:
            with DigestingFile(file) as digesting:
                try:
                    torch.save(dict(content), cast(IO[bytes], digesting))
                except RuntimeError as error:  # torch hides why a write failed (a full disk)
                    raise digesting.failure or error from error
            file.write(MARK + digesting.digest().encode())
    finally:
        torch.serialization.set_crc32_options(summed)


def read_checkpoint(path: Path, mmap: bool = False) -> dict[str, Any]:
    """Load a checkpoint on the CPU; only plain values and tensors are accepted.

    Args:
        path: the file.
        mmap: whether tensors stay in the file until they are used.

    Raises:
        DamagedError: the file does not hold what was written to it, or holds more than weights.
    """
    check_whole(path)
    try:
        state = torch.load(path, weights_only=True, map_location="cpu", mmap=mmap)
    except Exception as error:  # a damaged file without a checksum can cause any error
        raise DamagedError(f"{path}: damaged, or holds more than weights") from error
    if not isinstance(state, dict):
        raise DamagedError(f"{path}: not a checkpoint but a {type(state).__name__}")
    return state


def settle(temporary: Path, path: Path, previous: Path | None = None) -> None:
    """Rename a written file once it is on the disk, and keep the file that had the name.

    Args:
        temporary: the written file.
        path: its final name.
        previous: the new name of the file that is called ``path`` now; None replaces it.
    """
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    if previous and path.exists():
        os.replace(path, previous)
    os.replace(temporary, path)
    settle_folder(path.parent)


def settle_folder(folder: Path) -> None:
    """Write the names in a folder to the disk, so that they survive a power cut."""
    if os.name == "nt":  # Windows opens no folders
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
