"""Finds files of data sets and users below a folder, and reads them with limits.

Only regular files are opened. Named pipes, devices and sockets cause an error that names them,
because reading from them may never end.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from segbench.errors import DataError, printable

SUFFIXES = (
    ".png",
    ".jpg",
    ".jpeg",
    ".tif",
    ".tiff",
    ".bmp",
    ".gif",
    ".webp",
    ".pgm",
    ".ppm",
    ".npy",
)
MAX_TEXT = 64 << 20  # bytes of a list of ids, or of a split.json
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
OnFault = Callable[[DataError], object]


def read_file(file: str | Path, max_bytes: int) -> bytes:
    """The content of a regular file.

    Raises:
        DataError: the file cannot be read, has more than ``max_bytes``, or is not regular.
    """
    try:
        _check(file, os.stat(file), max_bytes)
        with open(file, "rb", opener=_without_waiting) as opened:
            facts = os.fstat(opened.fileno())  # another file may have replaced it meanwhile
            _check(file, facts, max_bytes)
            return opened.read(facts.st_size)
    except (OSError, ValueError) as error:  # ValueError: an impossible name
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"{file}: cannot be read ({reason}); repair the file or remove its case"
        ) from error


def read_text(file: Path) -> str:
    """The text of a small regular file in UTF-8, with or without a byte order mark.

    Raises:
        DataError: the file cannot be read, or is not text in UTF-8.
    """
    try:
        return read_file(file, MAX_TEXT).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not text in UTF-8 ({error.reason}); save it as UTF-8") from error


def _without_waiting(file: str, flags: int) -> int:
    return os.open(file, flags | getattr(os, "O_NONBLOCK", 0))


def _check(file: str | Path, facts: os.stat_result, max_bytes: int) -> None:
    if not stat.S_ISREG(facts.st_mode):
        kind = _KINDS.get(stat.S_IFMT(facts.st_mode), "no regular file")
        raise DataError(f"{file}: cannot be read: {kind}; a file is expected: remove it")
    if facts.st_size > max_bytes:
        raise DataError(
            f"{file}: cannot be read: {facts.st_size:,} bytes, more than the limit of "
            f"{max_bytes:,}; replace the file, or for a large picture raise data.max_pixels"
        )


def scan(folder: str | Path) -> list[os.DirEntry[str]]:
    """The entries of a folder without hidden ones, sorted by name.

    Raises:
        DataError: the folder cannot be read.
    """
    with _readable(folder), os.scandir(folder) as entries:
        shown = [entry for entry in entries if not entry.name.startswith(".")]
    return sorted(shown, key=lambda entry: entry.name)


def list_names(folder: str | Path, suffix: str) -> list[str]:
    """The names in a folder that end with ``suffix``, not hidden, sorted; faster than `scan`.

    Raises:
        DataError: the folder cannot be read.
    """
    with _readable(folder):
        names = os.listdir(folder)
    return sorted(name for name in names if name.endswith(suffix) and name[0] != ".")


@contextmanager
def _readable(folder: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{folder}: the folder cannot be read ({error.strerror}); change its permissions"
        ) from error


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one; False for a link that leads to itself."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def find_pictures(
    folder: str | Path, on_fault: OnFault, suffixes: tuple[str, ...] = SUFFIXES
) -> list[str]:
    """The picture files below a folder, by their suffix, without hidden ones; links are followed.

    Each folder is entered once, so that links to a parent folder cause no endless loop.

    Args:
        folder: the folder.
        on_fault: called with an error for each entry with a picture's suffix that is not a readable
            file, each folder that cannot be read, and each name that is not UTF-8 or has control
            characters.
        suffixes: in lower case, with their dots.
    """
    found: list[str] = []
    entered: dict[tuple[int, int], str] = {}
    named_as_pictures: list[str] = []
    waiting = [str(folder)]
    while waiting:
        where = waiting.pop()
        try:
            facts = os.stat(where)
            first = entered.setdefault((facts.st_dev, facts.st_ino), where)
            if first != where:
                text = f"a link to the folder {first}, whose pictures are taken there"
                raise DataError(f"{where}: {text}; remove the link")
            entries = scan(where)
        except OSError as error:
            on_fault(DataError(f"{where}: the folder cannot be read ({error.strerror})"))
            continue
        except DataError as error:
            on_fault(error)
            continue
        for entry in entries:
            is_picture = entry.name.lower().endswith(suffixes)
            inside = is_folder(entry)
            fault = check_name(entry.path, entry.name) if inside or is_picture else None
            if is_picture and not (inside or fault):
                fault = check_regular(entry.path)
            if fault:
                on_fault(fault)
            elif inside:
                waiting.append(entry.path)
                named_as_pictures += [entry.path] if is_picture else []
            elif is_picture:
                found.append(entry.path)
    for path in named_as_pictures:
        if not any(file.startswith(f"{path}{os.sep}") for file in found):
            on_fault(DataError(f"{path}: a folder without pictures, not a picture; remove it"))
    return sorted(found)


def check_name(path: str, name: str) -> DataError | None:
    """The error of a name that cannot be part of a case's id; None if it can."""
    if printable(name) == name:
        return None
    return DataError(f"{path}: a name with control characters, or one that is not UTF-8; rename it")


def check_regular(path: str) -> DataError | None:
    """The error of a path that cannot be read as a regular file; None if it can."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        what = "the link leads nowhere: " if os.path.islink(path) else ""
        return DataError(f"{path}: {what}{error.strerror}; restore the file or remove its case")
    if stat.S_ISREG(mode):
        return None
    kind = _KINDS.get(stat.S_IFMT(mode), "no regular file")
    return DataError(f"{path}: {kind}, not a picture; remove it")
