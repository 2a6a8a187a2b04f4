"""``--dry-run``: the cells that a command would run, and about how long they would take."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from rich.table import Table

from segbench.commands.sweeps.planned import Planned, name_apart
from segbench.records.files import exists
from segbench.records.record import RUN, read_record
from segbench.text.numbers import NONE, time_text
from segbench.text.screen import console
from segbench.text.wording import count

WORDS = {"waiting": "to run", "elsewhere": "runs elsewhere"}


def print_dry_run(cells: Sequence[Planned]) -> None:
    """Print the state of each cell and the time that the missing ones would take."""
    name_apart(cells)
    screen = console()
    tally = Counter(WORDS.get(cell.state, cell.state) for cell in cells)
    counts = ", ".join(f"{number} {state}" for state, number in tally.items())
    screen.print(f"{count(len(cells), 'cell')}: {counts}")
    speeds = seconds_per_epoch(cells)
    table = Table(box=None, pad_edge=False)
    table.add_column("cell", overflow="fold")
    for head in ("state", "epochs", "about"):
        table.add_column(head, justify="left" if head == "state" else "right")
    total, unknown = 0.0, 0
    for cell in cells:
        state, of, seconds = WORDS.get(cell.state, cell.state), "", np.nan
        if cell.state == "waiting":
            if exists(cell.folder / RUN):
                cell.read_epoch()
            state = f"resumes after epoch {cell.epoch}" if cell.epoch else state
            left = max(cell.epochs - cell.epoch, 0)
            of, seconds = str(left), left * speeds.get(_model(cell), speeds.get("", np.nan))
            unknown += bool(np.isnan(seconds))
            total += 0.0 if np.isnan(seconds) else seconds
        about = time_text(seconds) if cell.state == "waiting" else ""
        table.add_row(cell.name, state, of, about)
    screen.print(table)
    if tally["to run"]:
        told = NONE if unknown == tally["to run"] else time_text(total)
        how = (
            "one cell after another, by the finished cells of this sweep"
            if speeds
            else ("no cell of this sweep has finished, by which it could be estimated")
        )
        screen.print(f"training time: {told} ({how}); nothing was run", soft_wrap=True)
    else:
        screen.print("nothing is left to run")


def seconds_per_epoch(cells: Sequence[Planned]) -> dict[str, float]:
    """The mean training time of an epoch by model, and of all models under an empty name."""
    found: dict[str, list[float]] = {}
    for cell in cells:
        if cell.state != "done":
            continue
        record = read_record(cell.folder)
        seconds, epochs = record.get("train_seconds"), record.get("epochs")
        if seconds and epochs:
            for name in (_model(cell), ""):
                found.setdefault(name, []).append(seconds / epochs)
    return {name: float(np.mean(values)) for name, values in found.items()}


def _model(cell: Planned) -> str:
    """The beginning of the folder's name, ``<model>-<loss>-s<seed>-<hash>``."""
    return cell.folder.name.rsplit("-", 3)[0]
