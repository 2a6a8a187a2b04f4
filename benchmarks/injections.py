"""Faults that a command meets in its own process, and damage to files between two commands."""

import errno
import io
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

MIXED = "an older version's middle"
_CHANGES = {"os.rename", "os.mkdir", "os.link", "os.symlink", "os.truncate"}
Act = Callable[[int, str | None], None]  # (number of the operation from 1, file or None)


class _Watched(io.FileIO):
    """A file of which each write is an operation."""

    before_write: Callable[[None], None]

    def write(self, piece: Any) -> int:
        type(self).before_write(None)
        return super().write(piece)


def watch(folder: Path, act: Act) -> None:
    """Call ``act`` before each operation of this process that changes something in ``folder``.

    Operations are files opened for writing, writes of Python's own files, files that get another
    name, new folders, and `os.fsync`. What ``act`` raises is what the operation raises.
    """
    place, counted, sync, opened = str(folder.resolve()), [0], os.fsync, io.open

    def step(path: str | None) -> None:
        counted[0] += 1
        act(counted[0], path)

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if (writes or event in _CHANGES) and isinstance(arguments[0], str | bytes | os.PathLike):
            path = os.path.abspath(os.fsdecode(arguments[0]))
            if path.startswith(place) and not os.path.basename(path).startswith((".out", ".err")):
                step(path)

    def open_watched(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **kind: Any):
        inside = isinstance(file, str | os.PathLike) and os.path.abspath(file).startswith(place)
        if not inside or mode.strip("bt") not in ("w", "a", "x") or "opener" in kind:
            return opened(file, mode, buffering, *rest, **kind)
        raw = _Watched(file, mode.replace("b", "").replace("t", ""))
        if "b" in mode:
            return io.BufferedWriter(raw) if buffering else raw
        return io.TextIOWrapper(
            io.BufferedWriter(raw), *rest, **kind, line_buffering=buffering == 1
        )

    def fsync(descriptor: int) -> None:
        step(None)
        sync(descriptor)

    _Watched.before_write = staticmethod(step)  # type: ignore[assignment]
    io.open = sys.modules["builtins"].open = open_watched  # type: ignore[assignment]
    os.fsync = fsync
    sys.addaudithook(on_event)


def count_into(file: Path) -> Act:
    """Write the number of the last operation into a file outside the watched folder."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
    return lambda number, _: os.pwrite(descriptor, b"%09d" % number, 0) and None


def kill_at(chosen: int) -> Act:
    """Kill the process before an operation."""
    return lambda number, _: os.kill(os.getpid(), signal.SIGKILL) if number == chosen else None


def fail_at(chosen: int, code: int = errno.ENOSPC, lasts: bool = True) -> Act:
    """A disk that is full at an operation, and from then on where it ``lasts``."""

    def act(number: int, path: str | None) -> None:
        if number == chosen or (lasts and number > chosen):
            raise OSError(code, os.strerror(code), *([path] if path else []))

    return act


def limit_file_size(size: int) -> None:
    """No file of this process grows beyond so many bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def limit_files(more: int) -> None:
    """So many more files than now can be open at once."""
    limit = max(map(int, os.listdir("/proc/self/fd"))) + 1 + more
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def limit_memory(more: int) -> None:
    """So many more bytes of addresses than now can be taken."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _flip(share: float) -> Callable[[Path, bytes], None]:
    def flip(path: Path, older: bytes) -> None:
        content = bytearray(path.read_bytes())
        content[int(share * len(content))] ^= 1
        path.write_bytes(content)

    return flip


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _mix(path: Path, older: bytes) -> None:
    content = path.read_bytes()
    start, end = len(content) // 3, 2 * len(content) // 3
    path.write_bytes(content[:start] + older[start:end].ljust(end - start, b" ") + content[end:])


# Of each damage what it does to a file, given the content that an older version of it has.
DAMAGES: dict[str, Callable[[Path, bytes], object]] = {
    "truncated": lambda path, older: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path, older: os.truncate(path, 0),
    **{f"bit flipped at {share:.0%}": _flip(share) for share in (0.1, 0.3, 0.5, 0.7, 0.9)},
    "zeros": lambda path, older: path.write_bytes(bytes(path.stat().st_size)),
    MIXED: _mix,
    "removed": lambda path, older: _remove(path),
    "a folder": lambda path, older: (_remove(path), path.mkdir()),
    "a pipe": lambda path, older: (_remove(path), os.mkfifo(path)),
}
