"""The cells of a sweep and their states: waiting, running, done, failed, or run elsewhere.

The states are read from the cells' folders alone, so that they hold for cells of all processes.
"""

import csv
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segbench.errors import SegbenchError
from segbench.records.cells import read_cell
from segbench.records.files import exists, read_text
from segbench.records.locks import is_locked
from segbench.records.record import (
    CURVES,
    LIMITS,
    RUN,
    Record,
    damaged_files,
    read_record,
    status_of,
    write_record,
)
from segbench.text.screen import say

ELSEWHERE = "another process is running it"
KILLED = {"status": "failed", "error": "its process was killed, perhaps for want of memory"}
_HIDDEN = ("hydra.", "trial=")  # overrides that are not the user's


@dataclass
class Planned:
    """A cell of a sweep; its state is waiting, running, done, failed or elsewhere."""

    folder: Path
    overrides: tuple[str, ...]  # Hydra's, of this cell
    epochs: int  # the most that it can train
    state: str = "waiting"
    reason: str = ""  # why it is not done
    epoch: int = 0
    val: float | None = None
    test: float | None = None
    started: float = 0.0
    seconds: float = 0.0
    changed: int = 0  # time of run.json in ns when the sweep began
    apart: str = ""  # what tells it from cells of the same name, such as "fold=2"

    def __post_init__(self) -> None:
        self.changed = _time_of(self.folder / RUN)
        if self.state == "done":
            self.take_result(read_record(self.folder))

    @property
    def name(self) -> str:
        """The name of the cell's folder without its hash, and what tells it apart."""
        return " ".join(filter(None, (self.folder.name.rsplit("-", 1)[0], self.apart)))

    def refresh(self) -> None:
        """Update the state from the cell's folder, unless the cell has ended."""
        if self.state not in ("waiting", "running", "elsewhere"):
            return
        if _time_of(self.folder / RUN) == self.changed and self.state == "waiting":
            return
        try:
            status = status_of(self.folder, read_record(self.folder))
        except (
            SegbenchError,
            KeyError,
        ):  # a half-written record, on a file system without atomic renames
            return
        if status == "running" and self.state != "elsewhere":
            self.state = "running"
            self.started = self.started or time.monotonic()
        self.read_epoch()
        if status in ("done", "failed"):
            self.settle()

    def settle(self) -> None:
        """Set the final state from the cell's record."""
        self.seconds = time.monotonic() - self.started if self.started else 0.0
        try:
            record = read_record(self.folder)
        except SegbenchError as error:
            self.state, self.reason = "waiting", str(error)
            return
        status = status_of(self.folder, record) if "status" in record else "waiting"
        self.state = status if status in ("done", "failed") else "waiting"
        self.reason = " ".join(str(record.get("error") or "").split())
        if self.state == "done":
            self.take_result(record)

    def settle_launched(self, reason: str | None) -> None:
        """Set the state after a launch; ``reason`` tells why the cell could not start, if so.

        The lock is looked at before the record: another process that ends its cell in between has
        written the record before it releases the lock.
        """
        locked = is_locked(self.folder)
        self.settle()
        if self.state == "waiting" and locked:
            self.state, self.reason = "elsewhere", ELSEWHERE
        elif self.state == "waiting" and (reason or self.reason):
            self.state, self.reason = "failed", reason or self.reason

    @property
    def recorded(self) -> str | None:
        """The status in the cell's record: "running" also where its process has been killed."""
        return read_cell(self.folder).record.get("status")

    def record_killed(self) -> None:
        """Record that the cell's process was killed."""
        write_record(self.folder, read_cell(self.folder).record | KILLED)
        self.settle()

    def take_result(self, record: Record) -> None:
        """Take the epochs and the IoU of val and test from a finished cell's record."""
        metrics = record.get("metrics") or {}
        self.epoch = record.get("epochs") or 0
        self.val, self.test = (metrics.get(part, {}).get("iou") for part in ("val", "test"))

    def read_epoch(self) -> None:
        """Take the last epoch and its IoU on val from the curves."""
        try:
            lines = read_text(self.folder / CURVES, LIMITS[CURVES]).splitlines()
            *_, last = csv.DictReader(lines)
            self.epoch, self.val = int(last["epoch"]), float(last["val/iou"])
        except (SegbenchError, csv.Error, ValueError, KeyError, TypeError):  # no epoch yet
            return


def first_state(folder: Path, overwrite: bool, retry_failed: bool) -> tuple[str, str]:
    """The state of a cell before the sweep, and the reason if it will not be run.

    Args:
        folder: the cell's folder.
        overwrite: whether finished cells run again.
        retry_failed: whether failed cells run again.
    """
    if is_locked(folder):
        return "elsewhere", ELSEWHERE
    if overwrite or not exists(folder / RUN):
        return "waiting", ""
    cell = read_cell(folder)
    damaged = [cell.damage] if cell.damage else list(damaged_files(folder, cell.record).values())
    for reason in damaged:
        say(f"note: run or scored again: {reason}")
    if cell.status == "done" and not damaged:
        return "done", ""
    if cell.status == "failed" and not retry_failed:
        return "failed", " ".join(str(cell.record.get("error")).split())
    return "waiting", ""


def name_apart(cells: Sequence[Planned]) -> None:
    """Add to the names of cells that have the same one the options in which they differ."""
    groups: dict[str, list[Planned]] = {}
    for cell in cells:
        groups.setdefault(cell.name, []).append(cell)
    for alike in groups.values():
        common = set.intersection(*(set(cell.overrides) for cell in alike))
        for cell in alike:
            own = [each for each in cell.overrides if each not in common]
            pairs = [each.partition("=") for each in own if not each.startswith(_HIDDEN)]
            cell.apart = " ".join(f"{key.rpartition('.')[2]}={value}" for key, _, value in pairs)


def _time_of(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
