"""Entries: cells that differ in their seed alone, with their scores and what they cost."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from segbench.metrics.registry import OPTIONAL, SURFACE
from segbench.records.cells import Cell
from segbench.records.record import RUN
from segbench.report.sections.comparison import Entry
from segbench.report.sections.costs import COSTS
from segbench.report.sections.image_scores import has_images, per_image
from segbench.report.sections.options import label_of, option_values
from segbench.report.statistics.means import seed_means

FOUND = 0.01  # of a class's pixels: a network that finds fewer has learnt nothing of it


def make_entries(
    cells: Sequence[Cell], names: Sequence[str], found: Sequence[str]
) -> tuple[list[Entry], list[str]]:
    """The entries of a section's cells, by the options ``names``, and notes on cells left out.

    Labels name those options that vary (``found``). A cell that ended before it had a config joins
    the entry of its choices; where there are several it belongs to none that can be known.
    """
    shown = [name for name in names if name in found] or list(names[:1])
    entries: dict[tuple[str, ...], Entry] = {}
    for cell in sorted(cells, key=lambda cell: not cell.config):
        options = option_values(cell, names)
        home = tuple(options.values())
        if not cell.config:
            alike = [key for key in entries if _agree(entries[key], cell)]
            if len(alike) > 1:
                continue
            home = alike[0] if alike else home
        label = label_of(options, shown) or label_of(options, names)
        entry = entries.setdefault(home, Entry(label, options))
        entry.cells.append(cell)
    notes = [note for entry in entries.values() for note in _drop_doubles(entry)]
    return list(entries.values()), notes


def _agree(entry: Entry, cell: Cell) -> bool:
    return all(entry.options.get(group, option) == option for group, option in cell.choices.items())


def _drop_doubles(entry: Entry) -> list[str]:
    """Keep one cell for each seed and fold: a finished one before others, then the newest."""
    by_repeat: dict[tuple[int, int], list[Cell]] = {}
    for cell in entry.cells:
        by_repeat.setdefault(cell.repeat, []).append(cell)
    notes: list[str] = []
    for cells in by_repeat.values():
        cells.sort(key=lambda c: (c.status == "done", _time_of(c)))
        kept = f"{cells[-1].sweep}/{cells[-1].name}"
        notes += [
            f"{dropped.sweep}/{dropped.name} is left out: {kept} has the same configuration and "
            f"{dropped.run_name}, and is newer or finished."
            for dropped in cells[:-1]
        ]
    entry.cells = [by_repeat[repeat][-1] for repeat in sorted(by_repeat)]
    return notes


def _time_of(cell: Cell) -> int:
    try:
        return (cell.folder / RUN).stat().st_mtime_ns
    except OSError:
        return 0


def has_score(cell: Cell, score: str) -> bool:
    """Whether a finished cell has a score; those of older versions lack some."""
    if score not in cell.averages:
        return False
    name = score.partition("/")[0]
    return name not in (*SURFACE, *OPTIONAL) or name in cell.scores


def fill(entry: Entry, score: str, images: Sequence[str]) -> None:
    """Read an entry's scores, each seed's in the order of ``images``, and its costs."""
    entry.lacking = [str(cell.folder) for cell in entry.done if not has_score(cell, score)]
    done = entry.done
    if not done:
        return
    by_seed = {seed: list(cells) for seed, cells in groupby(done, lambda cell: cell.seed)}
    entry.seeds = list(by_seed)
    entry.values = np.empty((len(by_seed), 0))
    if has_images(score) and images:
        rows = [_in_order(cells, score, images, entry) for cells in by_seed.values()]
        entry.values = np.stack(rows)
    if entry.values.size and any(cell.fold is not None for cell in done):
        entry.means = seed_means(entry.values)  # over all images, each from the fold that tested it
    else:
        entry.means = np.array([_average(cells, score) for cells in by_seed.values()])
    entry.cost = {cost.key: _cost(done, cost.key) for cost in COSTS}


def part_mean(entry: Entry, part: str, score: str) -> float:
    """The mean over the finished cells of a part's recorded score; NaN where none has it.

    Args:
        entry: with finished cells or without.
        part: ``train``, ``val`` or ``test``.
        score: a name such as ``iou`` or ``loss``.
    """
    metrics = [cell.record.get("metrics") or {} for cell in entry.done]
    known = [found.get(part, {}).get(score) for found in metrics]
    values = [value for value in known if value is not None]
    return float(np.mean(values)) if values else float("nan")


def _average(cells: Sequence[Cell], score: str) -> float:
    """The mean of the recorded averages of a seed's cells."""
    means = [cell.averages.get(score) for cell in cells]
    return float(np.mean([np.nan if mean is None else mean for mean in means]))


def _in_order(cells: Sequence[Cell], score: str, images: Sequence[str], entry: Entry) -> np.ndarray:
    """The scores of ``images`` with one seed; those that none was scored on join ``entry.absent``.

    Args:
        cells: the cell of the seed, or one for each fold.
        score: as in `per_image`.
        images: the ids of the section's images.
        entry: the entry of the cells.
    """
    found = [per_image(cell, score) for cell in cells]
    if len(found) == 1 and found[0][0] == list(images):
        return found[0][1]
    known = {id_: value for ids, values in found for id_, value in zip(ids, values, strict=True)}
    lacking = {image for image in images if image not in known}.difference(entry.absent)
    entry.absent += [image for image in images if image in lacking]
    return np.array([known.get(image, np.nan) for image in images])


def collapsed(cell: Cell, classes: Sequence[str]) -> list[str]:
    """The scored classes, and the background, of which a finished cell found hardly any pixel."""
    by_class = cell.scores.groupby("class")
    counted = by_class["iou"].count()  # the background's pixels are counted, but it has no score
    unscored = counted.index[counted == 0].difference([*classes])
    sums = by_class[["tp", "fn"]].sum().loc[[*classes, *unscored]]
    missed = sums["tp"] < FOUND * (sums["tp"] + sums["fn"])
    return [str(name) for name in sums.index[missed]]


def _cost(cells: Sequence[Cell], name: str) -> float:
    values = [cell.record.get(name) for cell in cells]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else np.nan
