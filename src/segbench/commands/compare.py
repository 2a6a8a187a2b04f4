"""``segbench compare``: writes the report on finished cells from their records alone."""

import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig

from segbench.commands.run import collects_failures
from segbench.commands.run_arguments import listed_option
from segbench.config.registry import CONF
from segbench.errors import ConfigError
from segbench.names import as_folder_name, user_path
from segbench.records.cells import Cell, cell_folders, find_cells
from segbench.report.compare.missing import Missing, check_missing
from segbench.report.sections.comparison import Comparison
from segbench.text.progress import track
from segbench.text.screen import say

OUTPUTS = Path("outputs")


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="compare")
@collects_failures
def main(cfg: DictConfig) -> None:
    """Compare the cells under the names that ``cfg`` lists, or the values in a table."""
    from segbench.report.compare.gate import judge, parse_gate  # SciPy takes a second to import

    missing, margin = _checked(cfg)
    gate = None if cfg.gate is None else parse_gate(str(cfg.gate))
    if cfg.input:
        from segbench.report.plain import compare_table

        tables = [user_path(name) for name in listed_option(cfg.input)]
        stems = [each.parent.name if each.suffix == ".json" else each.stem for each in tables]
        names = [as_folder_name(stem, "input") for stem in dict.fromkeys(stems)]
        comparison = compare_table(
            tables,
            cfg.lower_is_better,
            track=_track,
            missing=missing,
            margin=margin,
            by=None if cfg.by is None else str(cfg.by),
            score=listed_option(cfg.score)[0],
        )
        comparison.names = names
        command = f"input={shlex.quote(_as_option([str(each) for each in tables]))}"
    elif cfg.records is not None:
        folders, names = record_folders(cfg)
        comparison = compare_folders(folders, names, cfg)
        command = ""
    else:
        names = [as_folder_name(name) for name in listed_option(cfg.name)]
        as_folder_name(joined(names))  # the name of the report's folder
        comparison = compare_folders([OUTPUTS / name for name in names], names, cfg)
        command = f"name={shlex.quote(_as_option(names))}"
    if command:  # else it names the folders
        comparison.command = f"python -m segbench compare {command}{_options(cfg)}"
    _write(comparison, OUTPUTS / joined(names) / "report")
    code = 1 if say_damaged(comparison) else 0
    if gate is not None:
        verdict, lines = judge(gate, comparison)
        for line in lines:
            say(line)
        code = code or verdict
    if code:
        sys.exit(code)


def joined(names: Sequence[str]) -> str:
    """The folder's name of a report on ``names``: ``a+b``, with evaluations ``a_evaluations+b``."""
    return names[0] if len(names) == 1 else "+".join(name.replace("/", "_") for name in names)


def say_damaged(comparison: Comparison) -> bool:
    """Print the damaged cells, which the report leaves out; returns whether there are any."""
    for _, reason in comparison.damaged:
        say(f"damaged: {reason}", sys.stderr)
    return bool(comparison.damaged)


def _check_unit(cfg: DictConfig) -> None:
    if cfg.unit not in ("image", "group"):
        raise ConfigError(f"unit={cfg.unit}: expected image or group")
    if cfg.unit == "group" and (cfg.input or cfg.by):
        other = "input" if cfg.input else "by"
        raise ConfigError(
            f"unit=group with {other}={cfg[other]}: scores of whole groups are made from the "
            "records of cells, for all groups together; leave one of the two out"
        )


def _check_margin(margin: object) -> float | None:
    """The option ``margin``: null, or a positive difference of scores."""
    if margin is None:
        return None
    number = isinstance(margin, int | float) and not isinstance(margin, bool)
    if number and 0 < float(str(margin)) < float("inf"):
        return float(str(margin))
    raise ConfigError(
        f"margin={margin}: expected a positive difference of scores, such as 0.01: the largest "
        "that makes no difference in practice; or null for no test of equivalence"
    )


def _checked(cfg: DictConfig) -> tuple[Missing, float | None]:
    """The options ``missing`` and ``margin``; the others that need a check are checked."""
    _check_unit(cfg)
    return check_missing(cfg.missing), _check_margin(cfg.margin)


def record_folders(cfg: DictConfig) -> tuple[list[Path], list[str]]:
    """The folders of the option ``records``, and the names of their reports."""
    folders = [user_path(path) for path in listed_option(cfg.records)]
    return folders, [as_folder_name(folder.resolve().name, "records") for folder in folders]


def compare_folders(folders: Sequence[Path], names: list[str], cfg: DictConfig) -> Comparison:
    """Compare the cells in folders, and write nothing.

    Args:
        folders: of cells, or folders of such folders.
        names: the names of the folders, for the report's head.
        cfg: the options of ``compare``.

    Raises:
        ConfigError: an option is wrong, or no cell has the score.
        SegbenchError: a folder does not exist or holds no cell.
    """
    from segbench.report.compare.build import compare_cells  # SciPy takes a second to import

    missing, margin = _checked(cfg)
    rows, columns = (listed_option(cfg[key]) if cfg[key] else None for key in ("rows", "columns"))
    comparison = compare_cells(
        find_cells(folders),
        names,
        listed_option(cfg.score),
        rows,
        columns,
        missing=missing,
        margin=margin,
        by=None if cfg.by is None else str(cfg.by),
        unit=cfg.unit,
    )
    records = shlex.quote(_as_option([str(each) for each in folders]))
    comparison.command = f"python -m segbench compare records={records}{_options(cfg)}"
    return comparison


def _as_option(values: list[str]) -> str:
    return values[0] if len(values) == 1 else f"[{','.join(values)}]"


def _options(cfg: DictConfig) -> str:
    """The further options of the command line, for the command in the report."""
    score = _as_option(listed_option(cfg.score))
    options = {"score": score} if score != "iou" and not cfg.input else {}
    options |= {key: _as_option(listed_option(cfg[key])) for key in ("rows", "columns") if cfg[key]}
    options |= {"lower_is_better": "true"} if cfg.lower_is_better else {}
    options |= {key: cfg[key] for key in ("missing", "margin", "by") if cfg[key] is not None}
    options |= {"unit": "group"} if cfg.unit == "group" else {}
    return "".join(f" {key}={shlex.quote(str(value))}" for key, value in options.items())


def write_comparison(cells: Sequence[Cell]) -> Comparison:
    """Write the report at the end of a sweep, on its own cells only.

    A line counts the other cells under the same name, which are left out.
    """
    from segbench.report.compare.build import compare_cells

    names = sorted({cell.sweep for cell in cells})
    comparison = compare_cells(cells, names)
    comparison.command = f"python -m segbench compare name={shlex.quote(_as_option(names))}"
    outputs = cells[0].folder.parents[1]
    _write(comparison, outputs / joined(names) / "report")
    known = {cell.folder.resolve() for cell in cells}
    others = [each for name in names for each in cell_folders(outputs / name)]
    left = sum(folder.resolve() not in known for folder in others)
    if left:
        say(f"{left} other cells under this name are not in it; all: {comparison.command}")
    return comparison


def _write(comparison: Comparison, folder: Path) -> None:
    from segbench.report.write import print_report, write_report

    write_report(comparison, folder, _track)
    print_report(comparison, folder)


def _track(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
    """Show the progress of steps that take two seconds or longer."""
    return track(items, total, what, least=2.0)
