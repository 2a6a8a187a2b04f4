"""``segbench compare``: the report of what is done, from the records alone."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import hydra
from omegaconf import DictConfig, ListConfig

from segbench.commands.run import collects_failures
from segbench.config import CONF
from segbench.report.cells import Cell, find_cells
from segbench.report.comparison import Comparison

OUTPUTS = Path("outputs")


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="compare")
@collects_failures
def main(cfg: DictConfig) -> None:
    """Compare the cells under the names that ``cfg`` lists, or the values in a table."""
    if cfg.input:
        from segbench.report.plain import compare_table

        table = Path(cfg.input)
        comparison = compare_table(table, lower_is_better=cfg.lower_is_better)
        names, command = [table.stem], f"input={shlex.quote(str(table))}"
    else:
        names = _listed(cfg.name)
        cells = find_cells([OUTPUTS / name for name in names])
        comparison = _compare(cells, names, cfg)
        command = f"name={shlex.quote(_words(names))}"
    comparison.command = f"python -m segbench compare {command}{_options(cfg)}"
    _write(comparison, OUTPUTS / "+".join(names) / "report")


def _compare(cells: Sequence[Cell], names: list[str], cfg: DictConfig) -> Comparison:
    from segbench.report.build import compare_cells  # SciPy takes a second to import

    rows, columns = (_listed(cfg[key]) if cfg[key] else None for key in ("rows", "columns"))
    return compare_cells(cells, names, str(cfg.score), rows, columns)


def _listed(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, ListConfig) else [str(value)]


def _words(values: list[str]) -> str:
    return values[0] if len(values) == 1 else f"[{','.join(values)}]"


def _options(cfg: DictConfig) -> str:
    """What else the command line said."""
    said = {"score": cfg.score} if cfg.score != "iou" and not cfg.input else {}
    said |= {key: _words(_listed(cfg[key])) for key in ("rows", "columns") if cfg[key]}
    said |= {"lower_is_better": "true"} if cfg.lower_is_better else {}
    return "".join(f" {key}={shlex.quote(str(value))}" for key, value in said.items())


def write_comparison(cells: Sequence[Cell]) -> None:
    """The report at a sweep's end, of its own cells; others under the name are left out."""
    from segbench.report.build import compare_cells

    names = sorted({cell.sweep for cell in cells})
    comparison = compare_cells(cells, names)
    comparison.command = f"python -m segbench compare name={shlex.quote(_words(names))}"
    folder = cells[0].folder.parents[1] / "+".join(names)
    _write(comparison, folder / "report")
    known = {cell.folder.resolve() for cell in cells}
    others = find_cells([folder.with_name(name) for name in names])
    left = sum(cell.folder.resolve() not in known for cell in others)
    if left:
        print(f"{left} other cells under this name are not in it; all: {comparison.command}")


def _write(comparison: Comparison, folder: Path) -> None:
    from segbench.report.write import print_report, write_report

    write_report(comparison, folder)
    print_report(comparison, folder)
