"""A grid of cells that survive one another: plan, run what is missing, compare, list failures."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict

from segbench.config import check_cell
from segbench.errors import SegbenchError
from segbench.locks import is_locked
from segbench.report.board import Board, Planned
from segbench.report.cells import Cell
from segbench.report.record import read_record, write_record

Load = Callable[[DictConfig, list[str]], DictConfig]
Launch = Callable[..., Sequence[Any]]
CELL = "SEGBENCH_CELL"  # tells the processes of a cell in a sweep which one it is
KILLED = {"status": "failed", "error": "its process was killed, perhaps for want of memory"}


def run_sweep(config: DictConfig, grid: list[list[str]], load: Load, launch: Launch) -> None:
    """Run the cells of ``grid`` (each a list of overrides) that are not done, then compare.

    Raises:
        SystemExit: 1 where a cell failed; 130 or 143 where the sweep was interrupted.
    """
    if "LOCAL_RANK" in os.environ:  # one of several processes of one cell: its leader's, no other
        launch([_words_of_leader(config, grid, load)], initial_job_idx=0)
        return
    cells = plan(config, grid, load)
    with Board(cells):
        _run_all(cells, launch)
    finish(cells)


def plan(config: DictConfig, grid: list[list[str]], load: Load) -> list[Planned]:
    """Compose and check every cell of the grid before the first one starts.

    Two combinations that come to the same cell are one.
    """
    cells: dict[Path, Planned] = {}
    for words in grid:
        cfg = load(config, words)
        folder = _enter(cfg)
        check_cell(cfg)
        state, reason = _state(folder, cfg)
        epochs = cfg.trainer.get("max_epochs") or 0
        cells.setdefault(folder, Planned(folder, tuple(words), epochs, state, reason))
    return list(cells.values())


def _enter(cfg: DictConfig) -> Path:
    """The cell's folder; Hydra's own values become those of the cell, for what asks for them."""
    folder = Path(str(cfg.hydra.sweep.dir)) / str(cfg.hydra.sweep.subdir)
    with open_dict(cfg):
        cfg.hydra.runtime.output_dir = str(folder.absolute())
    HydraConfig.instance().set_config(cfg)
    return folder


def _words_of_leader(config: DictConfig, grid: list[list[str]], load: Load) -> list[str]:
    wanted = os.environ[CELL]
    return next(words for words in grid if str(_enter(load(config, words)).absolute()) == wanted)


def _state(folder: Path, cfg: DictConfig) -> tuple[str, str]:
    """What is to be done with a cell, and why not."""
    if is_locked(folder):
        return "elsewhere", "another process is running it"
    if cfg.overwrite or not (record := read_record(folder)):
        return "waiting", ""
    status = Cell(folder, record).status
    if status == "done":
        return "done", ""
    if status == "failed" and not cfg.retry_failed:
        return "failed", " ".join(str(record["error"]).split())
    return "waiting", ""


def _run_all(cells: list[Planned], launch: Launch) -> None:
    """Launch ``cells``, and again those that a launcher's fall left behind.

    A pool that loses one process takes all others down: each cell that was under way then goes on
    alone, which tells the guilty one from its neighbours.
    """
    while missing := _missing(cells):
        error = _launch(missing, launch)
        begun = [cell for cell in missing if cell.state == "waiting" and _was_running(cell)]
        for cell in begun if error else []:
            if _launch([cell], launch) and cell.state == "waiting":
                write_record(cell.folder, read_record(cell.folder) | KILLED)
                cell.settle()
        if error and all(cell.state == "waiting" for cell in missing):
            raise SegbenchError(f"hydra/launcher: {error}") from error


def _missing(cells: list[Planned]) -> list[Planned]:
    """The cells to run; among them those that another process gave up meanwhile."""
    for cell in cells:
        if cell.state == "elsewhere" and not is_locked(cell.folder):
            cell.settle()
    return [cell for cell in cells if cell.state == "waiting"]


def _launch(cells: list[Planned], launch: Launch) -> Exception | None:
    """Launch cells and see what became of them; returns what the launcher itself raised."""
    reasons: list[str | None] = [None] * len(cells)
    try:
        results = launch([list(cell.words) for cell in cells], initial_job_idx=0)
        reasons = [result.return_value for result in results]
        return None
    except Exception as error:
        while any(is_locked(cell.folder) for cell in cells):  # others it left at work
            time.sleep(1)
        return error
    finally:
        for cell, reason in zip(cells, reasons, strict=True):
            _settle(cell, reason)


def _settle(cell: Planned, reason: str | None) -> None:
    """What became of a launched cell; ``reason`` is why it could not begin, if so."""
    cell.settle()
    if cell.state == "waiting" and is_locked(cell.folder):
        cell.state, cell.reason = "elsewhere", "another process is running it"
    elif cell.state == "waiting" and reason:
        cell.state, cell.reason = "failed", reason


def _was_running(cell: Planned) -> bool:
    return bool(read_record(cell.folder).get("status") == "running")


def finish(cells: list[Planned]) -> None:
    """Compare what is done, then list what is not.

    Raises:
        SystemExit: 1 where a cell failed.
    """
    records = [Cell(cell.folder, read_record(cell.folder)) for cell in cells]
    begun = [cell for cell in records if cell.record]
    if any(cell.status == "done" for cell in begun):
        from segbench.commands.compare import write_comparison

        write_comparison(begun)
    for cell in cells:
        if cell.state == "elsewhere":
            print(f"not waited for: {cell.folder}: {cell.reason}", file=sys.stderr)
    failed = [cell for cell in cells if cell.state == "failed"]
    for cell in failed:
        print(f"failed: {cell.folder}: {cell.reason}", file=sys.stderr)
    if failed:
        print("the same command with retry_failed=true tries these again", file=sys.stderr)
        sys.exit(1)
