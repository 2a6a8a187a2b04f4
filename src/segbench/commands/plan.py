"""``segbench plan``: how many seeds and images find a difference, from a finished sweep."""

from typing import TYPE_CHECKING

import hydra
import numpy as np
from omegaconf import DictConfig, OmegaConf
from rich.table import Table

from segbench.commands.compare import OUTPUTS, record_folders
from segbench.commands.run import collects_failures
from segbench.commands.run_arguments import listed_option
from segbench.config.registry import CONF
from segbench.errors import ConfigError
from segbench.names import as_folder_name
from segbench.records.cells import find_cells
from segbench.text.numbers import time_text
from segbench.text.screen import console

if TYPE_CHECKING:
    from segbench.report.compare.planning import Plan

NEEDED = "at least two configurations with two or more seeds each, and a score of single images"


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="plan")
@collects_failures
def main(cfg: DictConfig) -> None:
    """Print, for each data set of a sweep, what it takes to find ``cfg.difference``."""
    difference = _check_options(cfg)
    from segbench.report.compare.build import compare_cells  # SciPy takes a second to import
    from segbench.report.compare.planning import plan_section

    if cfg.records is not None:
        folders, names = record_folders(cfg)
    else:
        names = [as_folder_name(name) for name in listed_option(cfg.name)]
        folders = [OUTPUTS / name for name in names]
    cells = find_cells(folders)
    comparison = compare_cells(cells, names, str(cfg.score), replicates=100)
    plans = [plan_section(section, difference) for section in comparison.sections]
    if not any(plans):
        raise ConfigError(f"{', '.join(names)}: a plan needs {NEEDED}")
    screen = console()
    for section, plan in zip(comparison.sections, plans, strict=True):
        screen.print()
        if plan is None:
            screen.print(f"{section.data}: no plan; it needs {NEEDED}")
            continue
        screen.print(plan.sentence)
        screen.print(_table(plan))
        for note in plan.notes:
            screen.print(f"note: {note}")


def _check_options(cfg: DictConfig) -> float:
    for option, example in (("name", "pilot"), ("difference", "0.01")):
        if OmegaConf.is_missing(cfg, option) and not (option == "name" and cfg.records is not None):
            raise ConfigError(f"{option} is missing; expected a value such as {option}={example}")
    number = isinstance(cfg.difference, int | float) and not isinstance(cfg.difference, bool)
    if not (number and cfg.difference > 0 and np.isfinite(cfg.difference)):
        raise ConfigError(
            f"difference={cfg.difference}: expected a positive difference of scores, such as 0.01"
        )
    return float(cfg.difference)


def _table(plan: "Plan") -> Table:
    table = Table(box=None, padding=(0, 1))
    for head in ("seeds", f"{plan.units} needed", "power with as many as now", "cells", "training"):
        table.add_column(head, justify="right")
    for row in plan.rows:
        table.add_row(
            str(row.seeds),
            "–" if row.images is None else f"{row.images:,}",
            f"{row.power:.0%}",
            str(row.cells),
            "–" if np.isnan(row.seconds) else time_text(row.seconds),
        )
    return table
