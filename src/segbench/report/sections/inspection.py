"""Whether a cell's files are whole, are what their names say, and agree with one another."""

from dataclasses import replace

from segbench.errors import ConfigError, SegbenchError
from segbench.metrics.scores import GROUP, aggregate
from segbench.records.cells import Cell
from segbench.records.published import published_tables
from segbench.records.record import RUN, SCORES, SPLIT, damaged_files
from segbench.report.sections.image_scores import class_names

_AGAIN = "overwrite=true runs the cell again"


def inspected(cell: Cell) -> Cell:
    """The cell, with the reason in ``damage`` where its files cannot be relied on."""
    if cell.damage:
        return cell
    reason = next(iter(damaged_files(cell.folder, cell.record).values()), "")
    try:
        if not reason:
            _check_files(cell)
    except SegbenchError as error:
        reason = str(error)
    return replace(cell, damage=reason) if reason else cell


def _check_files(cell: Cell) -> None:
    """Read every file of a cell that a report is made of.

    Raises:
        SegbenchError: One is damaged; in one line.
    """
    _ = cell.parts, cell.curves
    try:
        _ = [str(value) for value in cell.config.values()]
        if cell.config and cell.config.get("seed") != cell.seed:
            raise ValueError(f"seed={str(cell.config.get('seed'))[:40]}; {RUN} has {cell.seed}")
        ignored = cell.config.get("data.ignore_index", 255)
        if isinstance(ignored, bool) or not isinstance(ignored, int) or not 0 <= ignored <= 255:
            raise ValueError(f"data.ignore_index={str(ignored)[:40]}")
        published_tables([cell])
    except (ValueError, ConfigError) as error:  # also numbers of more digits than Python writes
        raise SegbenchError(f"{cell.folder}: config.yaml: {error}; {_AGAIN}") from error
    if cell.status == "done":
        _check_images(cell)
        _check_averages(cell)


def _check_images(cell: Cell) -> None:
    ids, wanted = set(cell.scores["id"]), cell.scored_ids
    if cell.parts and ids != wanted:
        raise SegbenchError(
            f"{cell.folder}: {SCORES} has {len(ids)} images and {SPLIT} {len(wanted)} in its "
            f"{cell.part} part, not the same; {_AGAIN}"
        )
    known = {case["id"]: case.get(GROUP) for cases in cell.parts.values() for case in cases}
    wrong = [id_ for id_ in ids if cell.parts and known[id_] != cell.groups.get(id_)]
    if wrong:
        raise SegbenchError(
            f"{cell.folder}: {SCORES} has the group {cell.groups.get(wrong[0])!r} of the image "
            f"{wrong[0]!r}, and {SPLIT} {known[wrong[0]]!r}; {_AGAIN}"
        )


def _check_averages(cell: Cell) -> None:
    """The record's averages are those of the table, as far as both have them."""
    table = cell.scores
    try:
        found = aggregate(table, class_names(table))
    except ValueError as error:
        raise SegbenchError(f"{cell.folder / SCORES}: {error}; {_AGAIN}") from error
    for name, kept in cell.averages.items():
        value = found.get(name)
        if kept is None or value is None or kept == value:
            continue
        if abs(kept - value) <= 1e-6 + 1e-6 * abs(value):
            continue
        raise SegbenchError(
            f"{cell.folder / RUN}: {name} is {kept:.6g} and {SCORES} gives {value:.6g}; {_AGAIN}"
        )
