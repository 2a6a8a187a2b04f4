"""A comparison from cells: what is compared with what, and then its statistics."""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches

import numpy as np

from segbench.errors import ConfigError
from segbench.metrics.registry import find_score
from segbench.metrics.scores import scored_classes
from segbench.records.cells import Cell
from segbench.records.published import published_tables
from segbench.report.compare.analysis import analyse
from segbench.report.compare.fold_notes import fold_note
from segbench.report.compare.group_notes import cut_groups_note, groups_of
from segbench.report.compare.missing import Missing, treat_missing
from segbench.report.compare.notes import methods, notes
from segbench.report.compare.other_scores import add_scores
from segbench.report.compare.record_notes import cell_notes
from segbench.report.compare.subgroups import add_subgroups, subgroup_names
from segbench.report.compare.tuning_notes import searched, tuning_note
from segbench.report.sections.comparison import Comparison, Section
from segbench.report.sections.entries import collapsed, fill, has_score, make_entries
from segbench.report.sections.image_scores import class_names, has_images, per_image
from segbench.report.sections.inspection import inspected
from segbench.report.sections.options import beside, table_options, varying
from segbench.report.sections.sections import Place, by_section, section_notes, section_titles
from segbench.text.wording import count, listed

_OF_GROUPS = (
    "Scores are those of whole groups (volumes, patients): the pixels of all images of a group are "
    "counted together."
)
_NO_SCORE = ("images_without", "surface_failures")  # numbers of images


def compare_cells(
    cells: Sequence[Cell],
    names: list[str],
    score: str | Sequence[str] = "iou",
    rows: list[str] | None = None,
    columns: list[str] | None = None,
    replicates: int = 5000,
    seed: int = 0,
    missing: Missing = None,
    margin: float | None = None,
    by: str | None = None,
    unit: str = "image",
) -> Comparison:
    """Compare cells: those that differ in their seed alone are one entry.

    Args:
        cells: Of one sweep or several, whatever their status.
        names: The sweeps, for the report's head.
        score: Any in ``metrics.test`` of the records, such as ``iou`` or ``dice/nucleus``; of
            several the first makes the report, and the others stand beside it.
        rows: Options that make the table's rows; the model if not given.
        columns: Options that make its columns; the loss if not given.
        replicates: Of the bootstrap.
        seed: Of the bootstrap.
        missing: as what an image counts that not every entry was scored on.
        margin: the largest difference that makes no difference in practice, for equivalence.
        by: what makes subgroups of images, see `subgroup_names`.
        unit: ``image``, or ``group``: the scores are those of whole volumes or patients.

    Raises:
        ConfigError: No cell has the score, or an option is not known.
    """
    cells, left_out = without_evaluations([inspected(cell) for cell in cells])
    damaged = [(cell.name, cell.damage) for cell in cells if cell.damage]
    cells = [cell for cell in cells if cell.record]  # else nothing is known of it
    if unit == "group":
        cells = [_of_groups(cell) for cell in cells]
    scores = [score] if isinstance(score, str) else list(dict.fromkeys(score))
    for each in scores:
        _check_score(each, cells)
    score = scores[0]
    groups, homeless = by_section(cells)
    found: list[str] = []
    for members in groups.values():
        found += [each for each in varying(members) if each not in found]
    rows, columns = table_options(cells, found, rows, columns)
    titles = section_titles(groups)
    sections = []
    for place, members in groups.items():
        section, *others = (
            _analysed(
                _make_section(place, members, [*rows, *columns], found, each, len(scores), margin),
                each,
                missing,
                (replicates, seed),
            )
            for each in scores
        )
        for part in (section, *others):
            part.data, part.source = titles[place]
        section.notes = [*filter(None, [tuning_note(section)]), *section.notes]
        section.notes = [*notes(section), *cell_notes(section, score), *section.notes]
        section.notes += section_notes(place, groups, titles)
        section.methods = methods(section, replicates)
        if unit == "group":
            section.notes.insert(0, _OF_GROUPS)
        if by and has_images(score) and section.images:
            done = next(cell for entry in section.scored for cell in entry.done)
            names_of = subgroup_names(by, section, done)
            add_subgroups(section, names_of, find_score(score).lower_is_better, _bounds(score))
        add_scores(section, score, dict(zip(scores[1:], others, strict=True)))
        sections.append(section)
    failed = [(c.name, _one_line(c)) for c in (*cells, *homeless) if c.status == "failed"]
    unfinished = [c.name for c in (*cells, *homeless) if c.status in ("running", "interrupted")]
    return Comparison(
        names=list(names),
        score=score,
        rows=rows,
        columns=columns,
        sections=sections,
        failures=list(dict.fromkeys(failed)),
        unfinished=list(dict.fromkeys(unfinished)),
        damaged=damaged,
        left_out=left_out,
    )


def _of_groups(cell: Cell) -> Cell:
    """The cell with the scores of its groups.

    Raises:
        ConfigError: its images have no groups.
    """
    if cell.status == "done" and not cell.groups:
        raise ConfigError(
            f"unit=group: the images of {cell.folder} have no groups; train with data.group, or "
            "leave unit out"
        )
    return replace(cell, of_groups=True)


def _bounds(score: str) -> tuple[float, float]:
    return 0.0, np.inf if find_score(score).lower_is_better else 1.0


def _analysed(section: Section, score: str, missing: Missing, drawing: tuple[int, int]) -> Section:
    """The section with its statistics, its entries sorted by the score."""
    lower = find_score(score).lower_is_better
    told = treat_missing(section, missing, lower, np.nan if lower else 0.0)
    section.sort(lower)
    section.notes[:0] = filter(None, [told])
    analyse(section, lower, *drawing, _bounds(score))
    return section


def without_evaluations(cells: Sequence[Cell]) -> tuple[list[Cell], list[str]]:
    """Leave out evaluations that lie among the cells of a sweep, as earlier versions put them.

    They hold the weights of those cells once more. One that is named itself is kept, and so are
    those of a folder that holds nothing else. Returns the cells, and a note on those left out.
    """
    trained = {cell.folder.parent for cell in cells if cell.record and not cell.evaluated}
    kept: list[Cell] = []
    found: list[Cell] = []
    for cell in cells:
        among = cell.evaluated and not cell.named and cell.folder.parent in trained
        (found if among else kept).append(cell)
    if not found:
        return kept, []
    names = listed([f"{cell.sweep}/{cell.name}" for cell in found], 3)
    return kept, [
        f"{count(len(found), 'evaluation')} of weights that are compared already: "
        f"{names}. To compare an evaluation, name its folder: "
        f"name=[{found[0].sweep},{found[0].sweep}/{found[0].name}]."
    ]


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
    found = cell.averages.items()
    return {name: each for name, each in found if name.partition("/")[0] not in _NO_SCORE}


def _make_section(
    place: Place,
    cells: Sequence[Cell],
    names: Sequence[str],
    found: Sequence[str],
    score: str,
    tested: int,
    margin: float | None,
) -> Section:
    """A section with its entries in the order of the cells, and no statistics yet."""
    entries, doubles = make_entries(cells, names, found)
    done = [cell for entry in entries for cell in entry.done]
    there = [cell for cell in done if has_score(cell, score)]
    images = _images(there, score) if there and has_images(score) else []
    groups, group_remarks = groups_of(there, images)
    remarks = doubles + _confounded(cells, names) + group_remarks
    remarks += [*filter(None, [cut_groups_note(cells), fold_note(entries, score)])]
    if done and not there:
        remarks.insert(0, f"No cell here has the score {score}.")
    classes = _classes(done)
    for entry in entries:
        fill(entry, score, images)
        missed = {cell.run_name: collapsed(cell, classes) for cell in entry.done}
        entry.collapsed = {run: lost for run, lost in missed.items() if lost}
    beside_ours = published_tables(cells)
    return Section(
        data=place.data,
        split=place.split,
        images=images,
        class_names=classes,
        entries=entries,
        notes=remarks,
        published=beside_ours,
        choice=place.data,
        part=place.part,
        shift=cells[0].shift,
        margin=margin,
        scores_tested=tested,
        groups=groups,
    )


def _images(cells: Sequence[Cell], score: str) -> list[str]:
    """The ids of the images; with folds those of all of them, sorted."""
    if cells[0].fold is None:
        return per_image(cells[0], score)[0]
    tested: dict[int | None, Cell] = {cell.fold: cell for cell in cells}
    return sorted(id_ for cell in tested.values() for id_ in per_image(cell, score)[0])


def _classes(done: Sequence[Cell]) -> list[str]:
    """The names of the scored classes."""
    names = class_names(done[0].scores) if done else []
    return [names[c] for c in scored_classes(len(names))] if names else []


def _confounded(cells: Sequence[Cell], names: Sequence[str]) -> list[str]:
    chosen = searched(cells)
    keys = [key for key in beside(cells, names) if key not in chosen]
    if not keys:
        return []
    verb = "differs" if len(keys) == 1 else "differ"
    return [
        f"{listed(keys)} {verb} too, always together with what the table compares: nothing tells "
        "which of them makes a difference."
    ]
