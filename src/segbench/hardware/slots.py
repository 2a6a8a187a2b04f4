"""Assigns a GPU to each process of a pool, for as long as the process lives."""

from pathlib import Path

import torch
from filelock import FileLock, Timeout

_held: dict[Path, tuple[FileLock, int]] = {}


def take_device(folder: Path, count: int | None = None) -> int | None:
    """The index of this process's GPU; None on a machine without one.

    The first process gets slot 0, the next slot 1 …; slot k means GPU k modulo the number of GPUs.
    A slot is a lock on a file, which the system releases when its process ends.

    Args:
        folder: the folder of the sweep, which holds the locks.
        count: the number of GPUs; None asks torch.
    """
    count = torch.cuda.device_count() if count is None else count
    if not count:
        return None
    if folder not in _held:
        _held[folder] = _take_slot(folder)
    return _held[folder][1] % count


def _take_slot(folder: Path) -> tuple[FileLock, int]:
    (folder / ".slots").mkdir(parents=True, exist_ok=True)
    slot = 0
    while True:
        lock = FileLock(folder / ".slots" / f"{slot}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            slot += 1
            continue
        return lock, slot
