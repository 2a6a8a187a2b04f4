"""One process at a time in a cell's folder; the system takes a lock back however that ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from segbench.errors import SegbenchError

LOCK = ".lock"


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder.

    Raises:
        SegbenchError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / LOCK, timeout=1):  # `is_locked` looks in for a moment
            yield
    except Timeout as error:
        raise SegbenchError(f"{folder}: another process is running this cell") from error


def is_locked(folder: Path) -> bool:
    """Whether a living process holds the folder."""
    path = folder / LOCK
    if not path.is_file():
        return False
    try:
        with FileLock(path, timeout=0.2):
            return False
    except Timeout:
        return True
