"""Detects cells whose processes have ended without their launcher noticing.

A launcher for clusters asks the scheduler how its jobs ended. If the scheduler keeps no accounting,
a killed job never ends for the launcher. The cell's folder shows that it ended: a running process
holds a lock there and touches a heartbeat file.
"""

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from segbench.errors import SegbenchError
from segbench.records.locks import holder, is_locked, last_beat
from segbench.records.record import RUN, read_record, write_record

CHECK_EVERY = 1.0  # seconds
SILENT = 120.0  # seconds without a heartbeat after which a process counts as ended
REQUEUED = "interrupted from the keyboard"  # also recorded when a scheduler requeues a job


class VainWaitError(SegbenchError):
    """A launcher waited for cells of which none is running any more."""


@contextmanager
def end_vain_wait(folders: Sequence[Path]) -> Iterator[None]:
    """Record cells whose processes have ended as failed, and end a launcher's wait for them.

    Args:
        folders: the folders of the launched cells.

    Raises:
        VainWaitError: the launcher still waits, but no cell is running or waiting for its turn.
    """
    number = getattr(signal, "SIGURG", None)  # used by nothing else, and ignored by default
    if number is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    ended = threading.Event()

    def interrupt(_: int, __: FrameType | None) -> None:
        if not ended.is_set():
            raise VainWaitError("waits for cells of which none is running any more")

    before = signal.signal(number, interrupt)
    watch = threading.Thread(target=_watch, args=(folders, ended, number), daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()
        signal.signal(number, before)


def _watch(folders: Sequence[Path], ended: threading.Event, number: int) -> None:
    lives = [Life(folder) for folder in folders]
    main = threading.main_thread().ident
    while not ended.wait(CHECK_EVERY):
        over = [
            life.is_over() for life in lives
        ]  # for every cell, because is_over records failures
        if all(over) and main is not None and not ended.is_set():
            signal.pthread_kill(main, number)


class Life:
    """Watches the heartbeat and the record of a launched cell.

    Args:
        folder: the cell's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.first = self.sign = self._times()
        self.since = time.monotonic()

    def _times(self) -> tuple[int, int]:
        try:
            changed = (self.folder / RUN).stat().st_mtime_ns
        except OSError:
            changed = 0
        return last_beat(self.folder), changed

    def is_over(self) -> bool:
        """Whether the cell was started and has ended.

        A cell whose process ended without recording it is recorded as failed.
        """
        now = self._times()
        if now != self.sign:
            self.sign, self.since = now, time.monotonic()
        if now == self.first or time.monotonic() - self.since < SILENT:
            return False
        try:
            record = read_record(self.folder)
        except (SegbenchError, OSError):
            return True
        status = record.get("status")
        if is_locked(self.folder) or (status, record.get("error")) == ("interrupted", REQUEUED):
            return False
        if status == "running":
            who = holder(self.folder) or "its process"
            reason = f"killed: {who} gave no sign of life for {SILENT:.0f} s"
            write_record(self.folder, record | {"status": "failed", "error": reason})
        return True
