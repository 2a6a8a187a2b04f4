"""Which GPU a process of a pool takes: its own, for as long as it lives."""

from pathlib import Path

import torch
from filelock import FileLock, Timeout

_held: dict[Path, tuple[FileLock, int]] = {}


def take_device(folder: Path, count: int | None = None) -> int | None:
    """The GPU of this process in a sweep in ``folder``; None where there is none.

    The first process to come gets slot 0, the next slot 1 …; slot k stands for GPU k modulo their
    number. A slot is a lock, which the system gives back when its process ends.
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
