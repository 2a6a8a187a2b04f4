"""Checksums by which damaged files are recognised when they are read.

XXH3 with 128 bits is as fast as memory and finds accidental damage. It does not protect against
deliberate changes, whose author can compute the checksum too.
"""

import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from xxhash import xxh3_128

from segbench.errors import SegbenchError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

LENGTH = 32  # hexadecimal digits
BLOCK = 2**20  # bytes read at once
MARK = b"\nxxh3-128 of all bytes before this line: "
TAIL = len(MARK) + LENGTH
END = b"PK\5\6"  # the beginning of the last 22 bytes of a zip file without a comment
SMALL = 2**16  # bytes that are hashed faster than another thread starts


class DamagedError(SegbenchError):
    """A file does not hold what was written to it."""


def digest_bytes(*pieces: "ReadableBuffer") -> str:
    """The checksum of concatenated bytes or contiguous arrays, 32 hexadecimal digits."""
    summed = xxh3_128()
    for piece in pieces:
        summed.update(piece)
    return summed.hexdigest()


def digest(path: Path) -> str:
    """The checksum of a file's content, 32 hexadecimal digits.

    Args:
        path: a regular file. It is read rather than mapped, because a bad sector of a mapped file
            ends the process.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        return digest_open(file, os.fstat(file.fileno()).st_size)


def digest_open(file: io.FileIO, count: int) -> str:
    """The checksum of the next ``count`` bytes of an open file, or of those up to its end."""
    summed, block = xxh3_128(), memoryview(bytearray(BLOCK))
    while count > 0 and (read := file.readinto(block[: min(count, BLOCK)])):
        summed.update(block[:read])
        count -= read
    return summed.hexdigest()


def verify(path: Path, expected: str, advice: str) -> None:
    """Compare a file with the checksum that was recorded when it was written.

    Args:
        path: the file.
        expected: the recorded checksum.
        advice: what the user can do about a damaged file; it ends the message.

    Raises:
        DamagedError: the file has changed since, or it cannot be read.
    """
    try:
        found = digest(path)
    except OSError as error:
        raise DamagedError(f"{path}: cannot be read ({error.strerror}); {advice}") from error
    if found != expected:
        raise DamagedError(
            f"{path}: damaged: its checksum is {found}, but {expected} was expected; {advice}"
        )


def check_whole(path: Path) -> None:
    """Compare a checkpoint with its checksum; files of older versions, without one, pass.

    Raises:
        DamagedError: they differ, or the end of the file is missing.
    """
    try:
        if path.exists() and not path.is_file():
            raise DamagedError(f"{path}: damaged: not a regular file")
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - TAIL))
            tail = file.read(TAIL)
            if not size:
                raise DamagedError(f"{path}: damaged: the file is empty")
            if not tail.startswith(MARK):
                if tail[-22:].startswith(END):
                    return
                raise DamagedError(f"{path}: damaged: its end is missing ({size} bytes are there)")
            file.seek(0)
            if digest_open(file, size - TAIL).encode() != tail[len(MARK) :]:
                raise DamagedError(f"{path}: damaged: its content does not have its checksum")
    except OSError as error:
        raise DamagedError(f"{path}: cannot be read ({error.strerror})") from error


class DigestingFile:
    """A file that is written from start to end while its checksum is computed.

    Another thread hashes large pieces while the system copies them, which hides nearly all of the
    time of hashing.

    Args:
        file: the open file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = xxh3_128()
        self._thread = ThreadPoolExecutor(1)
        self.failure: OSError | None = None  # why the last write failed, if one did

    def write(self, piece: "ReadableBuffer") -> int:
        """Write a piece completely and add it to the checksum; returns its number of bytes."""
        view = memoryview(piece).cast("B")
        if len(view) < SMALL:
            self._hash.update(view)
            return self._write(view)
        hashing = self._thread.submit(self._hash.update, view)
        try:
            return self._write(view)
        finally:
            hashing.result()

    def _write(self, view: memoryview) -> int:
        try:
            return self._file.write(view)
        except OSError as error:
            self.failure = error
            raise

    def flush(self) -> None:
        """Pass buffered bytes to the system."""
        self._file.flush()

    def digest(self) -> str:
        """The checksum of the bytes written so far, 32 hexadecimal digits."""
        return self._hash.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown()
