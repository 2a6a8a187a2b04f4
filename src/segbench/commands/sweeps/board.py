"""Shows the progress of a sweep: a live table on a terminal, lines on a pipe.

The progress is read from the cells' folders alone, so that cells of all processes are shown,
whether they run here, in a pool or on a cluster.
"""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Self

from rich.console import Group
from rich.live import Live
from rich.styled import Styled
from rich.table import Table

from segbench.commands.sweeps.planned import Planned, name_apart
from segbench.text.numbers import score_text
from segbench.text.screen import console

STYLES = {"running": "cyan", "done": "green", "failed": "red", "elsewhere": "yellow"}
SECONDS = 1.0  # between two updates


class Board:
    """Shows the cells of a sweep while it runs; use it as a context manager.

    Args:
        cells: the cells of the sweep.
    """

    def __init__(self, cells: Sequence[Planned]) -> None:
        self.cells = cells
        name_apart(cells)
        self._begun = time.monotonic()
        self._done_before = sum(cell.state == "done" for cell in cells)
        # the present stream: a cell redirects its own output to its log
        self._console = console()
        self._ended = Event()
        self._printed: dict[Path, str] = {cell.folder: cell.state for cell in cells}
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
            self._thread = Thread(target=self._print_until_end, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._print_changes()
        if self._live is not None:
            self._live.stop()

    def _todo(self) -> int:
        return sum(cell.state == "waiting" for cell in self.cells)

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)

    # Lines

    def _print_until_end(self) -> None:
        while not self._ended.wait(SECONDS):
            self._print_changes()

    def _print_changes(self) -> None:
        for count, cell in enumerate(self.cells, 1):
            cell.refresh()
            line = _line(cell)
            if line not in (self._printed[cell.folder], "waiting"):
                self._printed[cell.folder] = line
                self._print(f"[{count}/{len(self.cells)}] {cell.name}: {line}")

    # The live table

    def summary(self) -> str:
        """The number of cells in each state, as text."""
        tally = Counter(cell.state for cell in self.cells)
        states = ("done", "failed", "running", "elsewhere", "waiting")
        parts = [f"{tally[state]} {state}" for state in states if tally[state]]
        return f"{len(self.cells)} cells: {', '.join(parts)}"

    def render(self) -> Group:
        """The present table, no longer than the terminal."""
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
        more = [Styled(f"… and {left} more", "dim")] if left else []
        return Group(self.summary() + self._time(), table, *more)

    def _shown(self, room: int) -> list[Planned]:
        """The cells to show: all, or the running, failed, next and last finished ones."""
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


def _row(cell: Planned) -> tuple[Styled | str, ...]:
    text = f"failed: {cell.reason[:60]}" if cell.state == "failed" else cell.state
    state = Styled(text, STYLES.get(cell.state, "dim"))
    running = time.monotonic() - cell.started if cell.state == "running" else cell.seconds
    of = f"{cell.epoch}/{cell.epochs}" if cell.epoch else ""
    scores = [score_text(value) if value is not None else "" for value in (cell.val, cell.test)]
    return (cell.name, state, of, *scores, clock(running) if running else "")


def _line(cell: Planned) -> str:
    if cell.state == "done":
        test = f"test IoU {score_text(cell.test)}, " if cell.test is not None else ""
        return f"done, {test}val IoU {score_text(cell.val)}"
    if cell.state == "running":
        epoch = f", epoch {cell.epoch}/{cell.epochs}, val IoU {score_text(cell.val)}"
        return "running" + (epoch if cell.epoch else "")
    return f"{cell.state}: {cell.reason}" if cell.reason else cell.state


def clock(seconds: float) -> str:
    """Seconds in readable units: ``42 s``, ``3 min 5 s``, ``2 h 10 min``."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
