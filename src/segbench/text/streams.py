"""Keeps a closed or broken output stream from ending the run; only its text is lost."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, TextIO, cast


class Lasting:
    """A stream whose writing never fails; once it is broken, the text is discarded.

    Args:
        stream: standard output or standard error.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write ``text``, or discard it; returns its length."""
        try:
            self._stream.write(text)
        except BlockingIOError:  # a full non-blocking pipe: only this text is lost
            pass
        except OSError:  # the reader ended, the terminal is closed or the disk is full
            self._give_up()
        except UnicodeEncodeError as error:
            self._stream.write(text.encode(error.encoding, "replace").decode(error.encoding))
        return len(text)

    def flush(self) -> None:
        """Flush; a broken stream is replaced by the null device."""
        try:
            self._stream.flush()
        except BlockingIOError:
            pass
        except OSError:
            self._give_up()

    def __getattr__(self, name: str) -> Any:
        """Any other attribute of the stream."""
        return getattr(self._stream, name)

    def _give_up(self) -> None:
        """Replace the stream by the null device, and discard the text in its buffer there."""
        with suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)
        with suppress(OSError, ValueError):
            self._stream.flush()


@contextmanager
def lasting_streams() -> Iterator[None]:
    """Keep writing to standard output and standard error from failing, even where closed."""
    open_standard_files()
    with ExitStack() as stack:
        streams = []
        for stream in (sys.stdout, sys.stderr):
            given = stream or stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            streams.append(cast(TextIO, Lasting(given)))
        stack.enter_context(redirect_stdout(streams[0]))
        stack.enter_context(redirect_stderr(streams[1]))
        try:
            yield
        finally:
            for each in streams:
                each.flush()  # here, because a failure at exit would print a traceback


def open_standard_files() -> None:
    """Open the null device as each of files 0, 1 and 2 that is closed.

    Otherwise the next file that is opened, such as a cell's log, would get that number and receive
    all output of libraries.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            os.set_inheritable(opened, True)
