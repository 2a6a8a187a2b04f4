"""Runs a grid of cells: plan, run the missing cells, compare, list failures."""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from omegaconf import DictConfig

from segbench.commands.run import IS_DRY, WATCH
from segbench.commands.sweeps.board import Board
from segbench.commands.sweeps.dry_run import print_dry_run
from segbench.commands.sweeps.packing import say_if_busy
from segbench.commands.sweeps.planned import ELSEWHERE, Planned
from segbench.commands.sweeps.planning import plan
from segbench.commands.sweeps.watch import end_vain_wait
from segbench.config.composing import CheckedLoader
from segbench.errors import SegbenchError
from segbench.records.cells import read_cell
from segbench.records.files import exists
from segbench.records.locks import is_locked
from segbench.records.record import RUN
from segbench.text.screen import say

Launch = Callable[..., Sequence[Any]]
NOTHING = (
    "it ended, but no cell has left a record here; its processes have to work in this folder, on a "
    "file system that all machines share"
)
RESUMES = "interrupted; the same command resumes it"
CELL = "SEGBENCH_CELL"  # the overrides of the cell, for all processes of the cell


def run_sweep(
    config: DictConfig, grid: list[list[str]], loader: CheckedLoader, launch: Launch
) -> None:
    """Run the cells of ``grid`` that are not done, then compare all.

    Args:
        config: Hydra's config of the sweep.
        grid: for each cell its overrides.
        loader: composes the config of a cell from its overrides.
        launch: Hydra's function that runs cells.

    Raises:
        SystemExit: 1 where a cell failed; 130 or 143 where the sweep was interrupted.
    """
    cells = plan(config, grid, loader)
    if IS_DRY.get():
        print_dry_run(cells)
        return
    if _missing(cells) and "Basic" in str(config.hydra.launcher.get("_target_")):
        say_if_busy(WATCH.get(), config)
    with Board(cells):
        run_all(cells, launch)
    finish(cells)


def is_follower(launch: Launch) -> bool:
    """Whether this is a further process of one cell (DDP), which it then has taken part in."""
    if "LOCAL_RANK" not in os.environ:
        return False
    launch([json.loads(os.environ[CELL])], initial_job_idx=0)
    return True


def run_all(cells: list[Planned], launch: Launch) -> None:
    """Launch ``cells``, and launch those again that a failed launcher left unfinished.

    A pool that loses one process ends all others. Each cell that was running is then resumed alone,
    which shows which of them causes the failure.
    """
    while missing := _missing(cells):
        error = _launch(missing, launch)
        begun = [cell for cell in missing if (cell.state, cell.recorded) == ("waiting", "running")]
        for cell in begun if error else []:
            if _launch([cell], launch) and cell.state == "waiting":
                cell.record_killed()
        if all(cell.state == "waiting" for cell in missing):
            raise SegbenchError(f"hydra/launcher: {error or NOTHING}") from error


def _missing(cells: list[Planned]) -> list[Planned]:
    """The cells to run, including those that another process has abandoned meanwhile.

    The board may have seen a cell run that a launcher left behind; no such cell may be forgotten.
    """
    for cell in cells:
        if cell.state in ("elsewhere", "running"):
            if is_locked(cell.folder):
                cell.state, cell.reason = "elsewhere", ELSEWHERE
            else:
                cell.settle()
    return [cell for cell in cells if cell.state == "waiting"]


def _launch(cells: list[Planned], launch: Launch) -> Exception | None:
    """Launch cells and settle their states; returns the error of the launcher itself, if any."""
    reasons: list[str | None] = [None] * len(cells)
    is_cut, why = False, ""  # whether running cells were cut short, to be resumed
    try:
        with end_vain_wait([cell.folder for cell in cells]):
            results = launch([list(cell.overrides) for cell in cells], initial_job_idx=0)
        reasons = [result.return_value for result in results]
        return None
    except Exception as error:
        is_cut = _end_ray()
        while any(
            is_locked(cell.folder) for cell in cells
        ):  # processes that the launcher left running
            time.sleep(1)
        return error
    except BaseException:  # Ctrl-C, SIGTERM
        is_cut, why = True, RESUMES
        raise
    finally:
        for cell, reason in zip(cells, reasons, strict=True):
            cell.settle_launched(reason)
            if is_cut and cell.recorded == "interrupted":
                cell.state, cell.reason = "waiting", why


def _end_ray() -> bool:
    """End a local Ray, or leave a cluster, and the cells that it runs; whether there was one.

    Otherwise it would go on with the other cells of a launch that failed.
    """
    if "ray" not in sys.modules:
        return False
    sys.modules["ray"].shutdown()
    return True


def finish(cells: list[Planned]) -> None:
    """Compare the finished cells, then list those that are not finished.

    Raises:
        SystemExit: 1 where a cell failed or is damaged.
    """
    begun = [read_cell(cell.folder) for cell in cells if exists(cell.folder / RUN)]
    damaged = False
    if any(cell.status == "done" for cell in begun):
        from segbench.commands.compare import say_damaged, write_comparison

        damaged = say_damaged(write_comparison(begun))
    for cell in cells:
        if cell.state == "elsewhere":
            say(f"not waited for: {cell.folder}: {cell.reason}", sys.stderr)
    failed = [cell for cell in cells if cell.state == "failed"]
    for cell in failed:
        say(f"failed: {cell.folder}: {cell.reason}", sys.stderr)
    if failed:
        say("the same command with retry_failed=true tries these again", sys.stderr)
    if failed or damaged:
        sys.exit(1)
