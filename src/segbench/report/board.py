"""How far a sweep has come, read from its cells' folders: a live table, or lines on a pipe.

It asks the files alone, so that it shows cells of any process: here, in a pool, on a cluster.
"""

import csv
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from segbench.errors import SegbenchError
from segbench.report.cells import CURVES, Cell
from segbench.report.record import RUN, read_record
from segbench.report.tables import number

STYLES = {"running": "cyan", "done": "green", "failed": "red", "elsewhere": "yellow"}
SECONDS = 1.0  # between two looks


@dataclass
class Planned:
    """A cell of a sweep: ``waiting``, ``running``, ``done``, ``failed``, ``elsewhere``."""

    folder: Path
    words: tuple[str, ...]  # of the command line
    epochs: int  # at most
    state: str = "waiting"
    reason: str = ""  # why it is not done
    epoch: int = 0
    val: float | None = None
    test: float | None = None
    started: float = 0.0
    seconds: float = 0.0
    changed: int = 0  # of run.json, when the sweep began

    def __post_init__(self) -> None:
        self.changed = _time_of(self.folder / RUN)
        if self.state == "done":
            self._read_result()

    @property
    def name(self) -> str:
        """The folder's name without its hash."""
        return self.folder.name.rsplit("-", 1)[0]

    def refresh(self) -> None:
        """Look at the folder, if the cell may have moved on."""
        if self.state not in ("waiting", "running", "elsewhere"):
            return
        if _time_of(self.folder / RUN) == self.changed and self.state == "waiting":
            return
        try:
            status = Cell(self.folder, read_record(self.folder)).status
        except (SegbenchError, KeyError):  # half a record, on a file system without whole renames
            return
        if status == "running" and self.state != "elsewhere":
            self.state = "running"
            self.started = self.started or time.monotonic()
        self._read_epoch()
        if status in ("done", "failed"):
            self.settle()

    def settle(self) -> None:
        """Take over how the record says that it ended."""
        record = read_record(self.folder)
        self.seconds = time.monotonic() - self.started if self.started else 0.0
        status = Cell(self.folder, record).status if record else "waiting"
        self.state = status if status in ("done", "failed") else "waiting"
        self.reason = " ".join(str(record.get("error") or "").split())
        if self.state == "done":
            self._read_result()

    def _read_result(self) -> None:
        record = read_record(self.folder)
        self.epoch = record.get("epochs", 0)
        self.val = record["metrics"]["val"].get("iou")
        self.test = record["metrics"]["test"].get("iou")

    def _read_epoch(self) -> None:
        try:
            with (self.folder / CURVES).open(newline="") as file:
                *_, last = csv.DictReader(file)
            self.epoch, self.val = int(last["epoch"]), float(last["val/iou"])
        except (OSError, ValueError, KeyError):  # no epoch yet
            return


class Board:
    """Shows the cells of a sweep while it runs."""

    def __init__(self, cells: Sequence[Planned]) -> None:
        self.cells = cells
        self._begun = time.monotonic()
        self._done_before = sum(cell.state == "done" for cell in cells)
        # the stream of now: a cell sends what it prints elsewhere
        self._console = Console(file=sys.stdout)
        self._ended = Event()
        self._told: dict[Path, str] = {cell.folder: cell.state for cell in cells}
        self._live: Live | None = None
        self._thread: Thread | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(
                console=self._console, get_renderable=self.render, refresh_per_second=1 / SECONDS
            )
            self._live.start()
        else:
            self._print(f"{self.summary()}, {self._todo()} to run")
            self._thread = Thread(target=self._tell_on, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._tell()
        if self._live is not None:
            self._live.stop()

    def _todo(self) -> int:
        return sum(cell.state == "waiting" for cell in self.cells)

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    # Lines

    def _tell_on(self) -> None:
        while not self._ended.wait(SECONDS):
            self._tell()

    def _tell(self) -> None:
        for place, cell in enumerate(self.cells, 1):
            cell.refresh()
            line = _line(cell)
            if line != self._told[cell.folder] and cell.state != "waiting":
                self._told[cell.folder] = line
                self._print(f"[{place}/{len(self.cells)}] {cell.name}: {line}")

    # The live table

    def summary(self) -> str:
        """How many cells are in which state."""
        tally = Counter(cell.state for cell in self.cells)
        states = ("done", "failed", "running", "elsewhere", "waiting")
        parts = [f"{tally[state]} {state}" for state in states if tally[state]]
        return f"{len(self.cells)} cells: {', '.join(parts)}"

    def render(self) -> Group:
        """The table of now, no longer than the terminal."""
        for cell in self.cells:
            cell.refresh()
        table = Table(box=None, pad_edge=False)
        table.add_column("cell")
        table.add_column("state")
        for head in ("epoch", "val IoU", "test IoU", "time"):
            table.add_column(head, justify="right")
        shown = self._shown(max(self._console.height - 5, 5))
        for cell in shown:
            table.add_row(*_row(cell))
        left = len(self.cells) - len(shown)
        more = [Text(f"… and {left} more", "dim")] if left else []
        return Group(Text(self.summary() + self._time()), table, *more)

    def _shown(self, room: int) -> list[Planned]:
        """All, or those that say most: running, failed, the next, the last done."""
        if len(self.cells) <= room:
            return list(self.cells)
        order = ("running", "failed", "elsewhere", "waiting", "done")
        first = sorted(self.cells, key=lambda cell: order.index(cell.state))[: room - 2]
        last_done = [cell for cell in self.cells if cell.state == "done"][-2:]
        chosen = {id(cell) for cell in [*first, *last_done]}
        return [cell for cell in self.cells if id(cell) in chosen]

    def _time(self) -> str:
        elapsed = time.monotonic() - self._begun
        ended = sum(cell.state == "done" for cell in self.cells) - self._done_before
        left = sum(cell.state in ("waiting", "running") for cell in self.cells)
        about = f", about {clock(elapsed / ended * left)} left" if ended and left else ""
        return f"; {clock(elapsed)}{about}"


def _row(cell: Planned) -> tuple[Text | str, ...]:
    state = Text(cell.state, STYLES.get(cell.state, "dim"))
    if cell.state == "failed":
        state.append(f": {cell.reason[:60]}")
    running = time.monotonic() - cell.started if cell.state == "running" else cell.seconds
    of = f"{cell.epoch}/{cell.epochs}" if cell.epoch else ""
    scores = [number(value) if value is not None else "" for value in (cell.val, cell.test)]
    return (cell.name, state, of, *scores, clock(running) if running else "")


def _line(cell: Planned) -> str:
    if cell.state == "done":
        return f"done, test IoU {number(cell.test)}, val IoU {number(cell.val)}"
    if cell.state == "running":
        epoch = f", epoch {cell.epoch}/{cell.epochs}, val IoU {number(cell.val)}"
        return "running" + (epoch if cell.epoch else "")
    return f"{cell.state}: {cell.reason}" if cell.reason else cell.state


def clock(seconds: float) -> str:
    """Seconds as a person says them: ``42 s``, ``3 min 5 s``, ``2 h 10 min``."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _time_of(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
