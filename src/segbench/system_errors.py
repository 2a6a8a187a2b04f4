"""Explains errors of full disks and system limits in one line that tells what to do."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_AGAIN = "and the same command resumes"
_WAYS = {
    errno.ENOSPC: f"free some space, {_AGAIN}",
    errno.EDQUOT: f"free some of the quota, {_AGAIN}",
    errno.EFBIG: f"raise the limit of a file's size (ulimit -f), {_AGAIN}",
    errno.EMFILE: f"raise the limit of open files (ulimit -n), {_AGAIN}",
    errno.ENFILE: f"end programs that hold many open files, {_AGAIN}",
    errno.EROFS: f"make the file system writable, {_AGAIN}",
    errno.EIO: f"the disk may be failing; once it works, {_AGAIN[4:]}",
}
_THREADS = "can't start new thread"


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the file's name to system errors, which a failed write or fsync does not name."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = os.fspath(path)
        raise


def explain_lack(error: BaseException) -> str | None:
    """One line about a full disk or a system limit; None for other errors."""
    if isinstance(error, OSError) and error.errno in _WAYS:
        where = error.filename if error.filename2 is None else error.filename2
        named = f"{os.fsdecode(where)}: " if isinstance(where, str | bytes) else ""
        return f"{named}{os.strerror(error.errno).lower()}; {_WAYS[error.errno]}"
    if isinstance(error, RuntimeError) and str(error) == _THREADS:
        return f"{_THREADS}; free some memory, or raise its limits (ulimit -u, ulimit -v), {_AGAIN}"
    return None
