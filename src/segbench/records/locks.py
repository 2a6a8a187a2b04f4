"""Locks a cell's folder for one process, which touches a heartbeat file while it runs.

The system releases the lock however the process ends. On a network file system other machines may
not see the lock; the heartbeat shows them that the process is alive.
"""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from filelock import FileLock, Timeout

from segbench.errors import SegbenchError

LOCK, HEARTBEAT = ".lock", ".heartbeat"
BEAT = 10.0  # seconds from one heartbeat to the next
TEMPORARY = re.compile(r"\..+\.\d+\.tmp")  # as `atomic_write` names its files


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Lock the folder, keep its heartbeat, and remove half-written files of a killed process.

    Raises:
        SegbenchError: another process holds the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / LOCK, timeout=1):  # `is_locked` takes it for a moment
            _remove_temporary_files(folder)
            with _heartbeat(folder / HEARTBEAT):
                yield
    except Timeout as error:
        raise SegbenchError(f"{folder}: another process is running this cell") from error


def is_locked(folder: Path) -> bool:
    """Whether a running process holds the folder's lock."""
    path = folder / LOCK
    if not path.is_file():
        return False
    try:
        with FileLock(path, timeout=0.2):
            return False
    except Timeout:
        return True


def last_beat(folder: Path) -> int:
    """Time of the last heartbeat in nanoseconds since 1970; 0 if there was none."""
    try:
        return (folder / HEARTBEAT).stat().st_mtime_ns
    except OSError:
        return 0


def holder(folder: Path) -> str:
    """The process of the last heartbeat, as ``process 123 on node7``; empty if there was none."""
    try:
        host, _, process = (folder / HEARTBEAT).read_text().partition(" ")
    except (OSError, ValueError):
        return ""
    return f"process {process} on {host}" if process else ""


@contextmanager
def _heartbeat(path: Path) -> Iterator[None]:
    """Touch a file every ``BEAT`` seconds, and remove it at the end."""
    with suppress(OSError):  # a full disk
        path.write_text(f"{socket.gethostname()} {os.getpid()}", encoding="utf-8")
    ended = Event()
    thread = Thread(target=_beat, args=(path, ended), daemon=True, name="heartbeat")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with suppress(OSError):
            path.unlink()


def _beat(path: Path, ended: Event) -> None:
    while not ended.wait(BEAT):
        with suppress(OSError):
            path.touch()


def _remove_temporary_files(folder: Path) -> None:
    """Remove half-written files; while the folder is locked no other process writes any."""
    for path in folder.rglob(".*.tmp"):
        if TEMPORARY.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)
