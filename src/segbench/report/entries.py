"""Entries: cells that differ in their seed alone, with their scores and what they cost."""

from collections.abc import Sequence

import numpy as np

from segbench.report.cells import Cell
from segbench.report.comparison import Entry
from segbench.report.image_scores import has_images, per_image
from segbench.report.options import label_of, option_values
from segbench.report.record import RUN

COST = (
    "parameters",
    "flops",
    "train_seconds",
    "images_per_second",
    "peak_memory_bytes",
    "best_epoch",
    "epochs",
)


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
    """Keep one cell for each seed: a finished one before others, then the newest."""
    by_seed: dict[int, list[Cell]] = {}
    for cell in entry.cells:
        by_seed.setdefault(cell.seed, []).append(cell)
    notes: list[str] = []
    for seed, cells in by_seed.items():
        cells.sort(key=lambda c: (c.status == "done", (c.folder / RUN).stat().st_mtime_ns))
        kept = f"{cells[-1].sweep}/{cells[-1].name}"
        notes += [
            f"{dropped.sweep}/{dropped.name} is left out: {kept} has the same configuration and "
            f"seed {seed}, and is newer or finished."
            for dropped in cells[:-1]
        ]
    entry.cells = [by_seed[seed][-1] for seed in sorted(by_seed)]
    return notes


def fill(entry: Entry, score: str, images: Sequence[str]) -> None:
    """Read an entry's scores, each seed's in the order of ``images``, and its costs."""
    done = entry.done
    if not done:
        return
    entry.seeds = [cell.seed for cell in done]
    entry.values = np.empty((len(done), 0))
    if has_images(score) and images:
        entry.values = np.stack([_in_order(cell, score, images) for cell in done])
    means = [cell.record.get("metrics", {}).get("test", {}).get(score) for cell in done]
    entry.means = np.array([np.nan if mean is None else mean for mean in means], np.float64)
    entry.cost = {name: _cost(done, name) for name in COST}


def _in_order(cell: Cell, score: str, images: Sequence[str]) -> np.ndarray:
    ids, values = per_image(cell, score)
    if ids == list(images):
        return values
    known = dict(zip(ids, values, strict=True))
    return np.array([known.get(image, np.nan) for image in images])


def _cost(cells: Sequence[Cell], name: str) -> float:
    values = [cell.record.get(name) for cell in cells]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else np.nan
