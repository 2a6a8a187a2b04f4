"""``segbench status``: how far the cells of a sweep are, from their folders alone."""

import shlex
import time
from collections import Counter

import hydra
from omegaconf import DictConfig, OmegaConf
from rich.styled import Styled
from rich.table import Table

from segbench.commands.compare import OUTPUTS
from segbench.commands.run import collects_failures
from segbench.commands.run_arguments import listed_option
from segbench.commands.sweeps.board import STYLES
from segbench.commands.sweeps.planned import Planned, name_apart
from segbench.config.registry import CONF
from segbench.errors import ConfigError
from segbench.names import as_folder_name
from segbench.records.cells import Cell, find_cells
from segbench.records.locks import BEAT, holder, is_locked, last_beat
from segbench.text.numbers import score_text, time_text
from segbench.text.screen import console

STATES = ("running", "stopped", "failed", "damaged", "done")
RESUME = "stopped: no process runs these cells; the command of the sweep resumes them"
MISSED = 6  # heartbeats; after so many a process on another machine is taken for dead


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="status")
@collects_failures
def main(cfg: DictConfig) -> None:
    """Print the state, the epoch and the scores of each cell in ``outputs/<cfg.name>``.

    Raises:
        ConfigError: no name is given.
        SegbenchError: there is no such folder, or no cell in it.
    """
    if OmegaConf.is_missing(cfg, "name"):
        raise ConfigError("name is missing; expected a value such as name=ph2")
    names = [as_folder_name(name) for name in listed_option(cfg.name)]
    cells = find_cells([OUTPUTS / name for name in names])
    shown = [_look(cell) for cell in cells]
    name_apart(shown)
    tally = Counter(each.state for each in shown)
    counts = ", ".join(f"{tally[state]} {state}" for state in STATES if tally[state])
    screen = console()
    screen.print(f"{', '.join(names)}: {len(cells)} cells have begun: {counts}")
    screen.print(_table(shown))
    for each in (each for each in shown if each.reason):
        reason = " ".join(each.reason.split())
        screen.print(f"{each.name}: {each.state}, {reason[:200]}", soft_wrap=True)
    if tally["stopped"]:
        screen.print(RESUME, soft_wrap=True)


def _look(cell: Cell) -> Planned:
    """The cell's state and progress."""
    epochs = cell.config.get("trainer.max_epochs") if not cell.damage else None
    found = Planned(cell.folder, _typed(cell), epochs if isinstance(epochs, int) else 0)
    state = cell.status
    if state in ("running", "interrupted"):
        state = "running" if _is_alive(cell) else "stopped"
        found.read_epoch()
        found.reason = holder(cell.folder) if state == "running" else ""
    elif state == "done":
        found.take_result(cell.record)
        found.seconds = cell.record.get("train_seconds") or 0.0
    else:
        found.reason = cell.damage or str(cell.record.get("error") or "")
    found.state = state
    return found


def _typed(cell: Cell) -> tuple[str, ...]:
    """The options of the cell's recorded command, which tell it from others of its name."""
    try:
        return tuple(shlex.split(str(cell.record.get("command") or ""))[3:])
    except ValueError:  # of a changed record
        return ()


def _is_alive(cell: Cell) -> bool:
    """Whether a process holds the cell's lock, or one elsewhere has lately given a sign of life."""
    since = time.time() - last_beat(cell.folder) / 1e9
    return is_locked(cell.folder) or since < MISSED * BEAT


def _table(cells: list[Planned]) -> Table:
    """A row for each cell: running ones first, finished ones last."""
    table = Table(box=None, pad_edge=False)
    table.add_column("cell", overflow="fold")
    table.add_column("state")
    for head in ("epoch", "val IoU", "test IoU", "training"):
        table.add_column(head, justify="right")
    for cell in sorted(cells, key=lambda cell: STATES.index(cell.state)):
        state = Styled(cell.state, STYLES.get(cell.state, "yellow"))
        of = f"/{cell.epochs}" if cell.epochs else ""
        scores = [score_text(value) if value is not None else "" for value in (cell.val, cell.test)]
        spent = time_text(cell.seconds) if cell.seconds else ""
        table.add_row(cell.name, state, f"{cell.epoch}{of}" if cell.epoch else "", *scores, spent)
    return table
