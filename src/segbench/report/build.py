"""A comparison from cells: what is compared with what, and then its statistics."""

from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np

from segbench.errors import ConfigError, SegbenchError
from segbench.metrics.scores import scored_classes
from segbench.report.analysis import analyse
from segbench.report.cells import Cell
from segbench.report.comparison import LOWER_IS_BETTER, Comparison, Section
from segbench.report.entries import fill, make_entries
from segbench.report.image_scores import class_names, has_images, per_image
from segbench.report.notes import cell_notes, methods, notes
from segbench.report.options import beside, differing, table_options, varying
from segbench.report.published import published_tables
from segbench.report.words import listed

Groups = dict[tuple[str, str], list[Cell]]
_NO_SCORE = ("images_without", "surface_failures")  # numbers of images


def compare_cells(
    cells: Sequence[Cell],
    names: list[str],
    score: str = "iou",
    rows: list[str] | None = None,
    columns: list[str] | None = None,
    replicates: int = 5000,
    seed: int = 0,
) -> Comparison:
    """Compare cells: those that differ in their seed alone are one entry.

    Args:
        cells: Of one sweep or several, whatever their status.
        names: The sweeps, for the report's head.
        score: Any in ``metrics.test`` of the records, such as ``iou`` or ``dice/nucleus``.
        rows: Options that make the table's rows; the model if not given.
        columns: Options that make its columns; the loss if not given.
        replicates: Of the bootstrap.
        seed: Of the bootstrap.

    Raises:
        ConfigError: No cell has the score, or an option is not known.
    """
    _check_score(score, cells)
    cells, failures = _readable(cells)
    groups, homeless = _by_section(cells)
    found: list[str] = []
    for members in groups.values():
        found += [each for each in varying(members) if each not in found]
    rows, columns = table_options(cells, found, rows, columns)
    lower = score.partition("/")[0] in LOWER_IS_BETTER
    sections = []
    for place, members in groups.items():
        section = _make_section(place, members, [*rows, *columns], found, score)
        analyse(section, lower, replicates, seed, (0.0, np.inf if lower else 1.0))
        section.notes = [*notes(section), *cell_notes(section, score), *section.notes]
        section.notes += _split_note(place, groups)
        section.methods = methods(section, replicates)
        sections.append(section)
    failed = [(c.name, _one_line(c)) for c in (*cells, *homeless) if c.status == "failed"]
    unfinished = [c.name for c in (*cells, *homeless) if c.status in ("running", "interrupted")]
    return Comparison(
        names=list(names),
        score=score,
        rows=rows,
        columns=columns,
        sections=sections,
        failures=list(dict.fromkeys([*failed, *failures])),
        unfinished=list(dict.fromkeys(unfinished)),
    )


def _one_line(cell: Cell) -> str:
    lines = str(cell.record.get("error") or "no reason recorded").splitlines()
    return lines[0] if lines else ""


def _check_score(score: str, cells: Sequence[Cell]) -> None:
    known = {name for cell in cells if cell.status == "done" for name in _scores(cell)}
    if not known or score in known:
        return
    close = get_close_matches(score, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    plain = ", ".join(sorted(name for name in known if "/" not in name))
    raise ConfigError(f"score={score}: no cell has it; {hint}there are {plain}, and score/class")


def _scores(cell: Cell) -> dict[str, float | None]:
    test = cell.record.get("metrics", {}).get("test", {})
    return {name: each for name, each in test.items() if name.partition("/")[0] not in _NO_SCORE}


def _readable(cells: Sequence[Cell]) -> tuple[list[Cell], list[tuple[str, str]]]:
    """The cells whose files can be read, and the others with the reason."""
    kept, failures = [], []
    for cell in cells:
        try:
            _ = cell.config, cell.parts
            if cell.status == "done":
                _check_images(cell)
            kept.append(cell)
        except SegbenchError as error:
            failures.append((cell.name, str(error)))
    return kept, failures


def _check_images(cell: Cell) -> None:
    ids, _ = per_image(cell, "iou")
    wanted = {case["id"] for case in cell.parts.get("test", [])}
    if cell.parts and (len(ids) != len(wanted) or set(ids) != wanted):
        raise SegbenchError(
            f"{cell.folder}: scores.csv has {len(ids)} images and split.json {len(wanted)} in its "
            "test part, not the same; overwrite=true runs the cell again"
        )


def _by_section(cells: Sequence[Cell]) -> tuple[Groups, list[Cell]]:
    """Cells by data set and split; and those that ended before a split that could be several."""
    groups: Groups = {}
    for cell in cells:
        if cell.split:
            groups.setdefault((cell.choices.get("data", ""), cell.split), []).append(cell)
    homeless = []
    for cell in cells:
        data = cell.choices.get("data", "")
        known = [place for place in groups if place[0] == data]
        if cell.split:
            continue
        if len(known) > 1:
            homeless.append(cell)
        else:
            groups.setdefault(known[0] if known else (data, ""), []).append(cell)
    return dict(sorted(groups.items())), homeless


def _make_section(
    place: tuple[str, str],
    cells: Sequence[Cell],
    names: Sequence[str],
    found: Sequence[str],
    score: str,
) -> Section:
    """A section with its entries, the best first, and no statistics yet."""
    entries, doubles = make_entries(cells, names, found)
    done = [cell for entry in entries for cell in entry.done]
    there = [cell for cell in done if score in _scores(cell)]
    images = per_image(there[0], score)[0] if there and has_images(score) else []
    remarks = doubles + _confounded(cells, names)
    if done and not there:
        remarks.insert(0, f"No cell here has the score {score}.")
    for entry in entries:
        fill(entry, score, images)
    sign = 1 if score.partition("/")[0] in LOWER_IS_BETTER else -1
    entries.sort(key=lambda e: (sign * e.mean if np.isfinite(e.mean) else np.inf, e.label))
    entries.sort(key=lambda e: not len(e.means))  # those without a finished cell last
    beside_ours = published_tables(cells)
    return Section(*place, images, _classes(done), entries, notes=remarks, published=beside_ours)


def _classes(done: Sequence[Cell]) -> list[str]:
    """The scored ones."""
    names = class_names(done[0].scores) if done else []
    return [names[c] for c in scored_classes(len(names))] if names else []


def _confounded(cells: Sequence[Cell], names: Sequence[str]) -> list[str]:
    keys = beside(cells, names)
    if not keys:
        return []
    verb = "differs" if len(keys) == 1 else "differ"
    return [
        f"{listed(keys)} {verb} too, always together with what the table compares: nothing tells "
        "which of them makes a difference."
    ]


def _split_note(place: tuple[str, str], groups: Groups) -> list[str]:
    """Why one data set has several sections, and how to get one."""
    data = place[0]
    alike = [members for (other, split), members in groups.items() if other == data and split]
    if len(alike) < 2:
        return []
    changed = differing([members[0] for members in alike]) - {"data.seed"}
    keys = sorted(key for key in changed if key.startswith("data."))
    values = {key: {m[0].tuned.get(key, "–")[:40]: None for m in alike} for key in keys}
    told = "; ".join(f"{key} {', '.join(each)}" for key, each in values.items())
    way = "the same data options give one split" if keys else "the same files give one split"
    return [
        f"{data} was split in {len(alike)} ways ({told or 'its files differ'}), each with a table "
        "of its own: scores on different images, or of networks trained on one another's test "
        f"images, make no pairs. For all cells {way}, as does data.split=<a cell>/split.json."
    ]
