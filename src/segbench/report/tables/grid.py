"""The layout and the texts of a section's table, independent of the output format."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segbench.report.compare.words import CELLS, nouns_of, of_these
from segbench.report.sections.comparison import Comparison, Entry, Section, score_title
from segbench.report.sections.image_ranks import by_score, rank_rows
from segbench.text.numbers import score_text
from segbench.text.wording import count

ALIKE = "≈"  # marks entries that cannot be told from the best
EQUAL = "="  # marks entries that have been shown to be equivalent to the best within the margin


@dataclass(frozen=True)
class Grid:
    """The table of a section, with at most one entry for each row and column."""

    heads: list[str]  # titles of the columns that name the rows
    rows: list[tuple[str, ...]]
    columns: list[str]
    entries: dict[tuple[int, int], Entry]


def make_grid(comparison: Comparison, section: Section) -> Grid:
    """Arrange a section's entries in rows and columns, sorted by name, numbers by value."""
    rows = _distinct(section, comparison.rows)
    columns = _distinct(section, comparison.columns)
    entries = {
        (rows.index(_key(e, comparison.rows)), columns.index(_key(e, comparison.columns))): e
        for e in section.entries
    }
    return Grid(comparison.rows, rows, [" · ".join(c) for c in columns], entries)


def _distinct(section: Section, names: list[str]) -> list[tuple[str, ...]]:
    return sorted({_key(entry, names) for entry in section.entries}, key=_natural)


def _natural(values: tuple[str, ...]) -> list[tuple[bool, float, str]]:
    """A sort key that puts 8 before 16, and numbers before other texts."""
    parts: list[tuple[bool, float, str]] = []
    for value in values:
        try:
            parts.append((False, float(value), ""))
        except ValueError:
            parts.append((True, 0.0, value))
    return parts


def _key(entry: Entry, names: list[str]) -> tuple[str, ...]:
    return tuple(entry.options.get(name, "") for name in names)


def digits(section: Section) -> int:
    """The number of decimals: four for scores up to 1, two for distances in pixels."""
    return 4 if max((entry.mean for entry in section.scored), default=0) <= 1 else 2


def mean_sd(entry: Entry, decimals: int) -> str:
    """Mean and standard deviation over the seeds as text; without a mean the cells' states."""
    if not len(entry.means):
        lacking = set(entry.lacking)
        states = [cell.status for cell in entry.cells if str(cell.folder) not in lacking]
        return ", ".join(dict.fromkeys(states)) or "–"
    text = f"{entry.mean:.{decimals}f}"
    if len(entry.means) > 1:
        text += f" ± {entry.sd:.{decimals}f}"
    missing = len(entry.cells) - len(entry.done)
    if missing > 0:
        what = "cells" if entry.folded else "seeds"
        text += f" ({len(entry.done)} of {len(entry.cells)} {what})"
    if entry.collapsed and len(entry.done) == 1:
        text += " (collapsed)"
    elif entry.collapsed:
        share = f"{len(entry.collapsed)} of {len(entry.done)} collapsed"
        text += f" (median {entry.median:.{decimals}f}, {share})"
    return text


def is_best(section: Section, entry: Entry) -> bool:
    """Whether an entry has the best mean of the section; several may."""
    return entry in section.best


def sign(entry: Entry) -> str:
    """The sign of an entry that is not the best: how it stands beside the best."""
    return EQUAL if entry.equals_best else ALIKE if entry.like_best else ""


def behind(section: Section, entry: Entry) -> tuple[float, float, float]:
    """By how much an entry is behind the best, with the interval; NaN where this is not known."""
    best = section.best
    pair = section.pair(best[0], entry) if best and entry is not best[0] else None
    if pair is None:
        return np.nan, np.nan, np.nan
    if section.entries[pair.better] is entry:
        return -pair.difference, -pair.high, -pair.low
    return pair.difference, pair.low, pair.high


def side_tables(section: Section) -> list[tuple[str, list[str], list[Section]]]:
    """The tables beside a section's own: of each the title, the column heads and the columns.

    One has the subgroups of images, one the other scores.
    """
    noun, found = nouns_of(section).image, []
    if parts := section.subgroups:
        heads = [f"{part.data} ({count(len(part.images), noun)})" for part in parts]
        found.append((f"Within subgroups of {noun}s", heads, parts))
    if section.others:
        heads = [score_title(score) for score in section.others]
        found.append(("By other scores", heads, list(section.others.values())))
    return found


def side_row(parts: Sequence[Section], entry: Entry) -> list[tuple[str, bool]]:
    """Of each column an entry's mean with its sign, and whether it is the best there."""
    row = []
    for part in parts:
        here = next((e for e in part.scored if e.label == entry.label), None)
        if here is None:
            row.append(("–", False))
        elif is_best(part, here):
            row.append((mean_sd(here, digits(part)), True))
        else:
            row.append((f"{mean_sd(here, digits(part))} {sign(here)}".rstrip(), False))
    return row


def rank_fields(
    comparison: Comparison, section: Section
) -> tuple[list[str], list[list[tuple[str, str]]]]:
    """Heads and rows of the table of the best, median and worst images, by entry and class.

    Each field has a text and, for a score, the id of the image.
    """
    scores = by_score(section, comparison.score)
    rows = []
    for score, part in scores.items():
        for entry, label, images in rank_rows(part, score):
            title = score_title(f"{score.partition('/')[0]}/{label}")
            fields = [(score_text(value, score), id_) for id_, value in images.values()]
            rows.append([(entry.label, ""), (title, ""), *fields])
    return ["", "score of an image", "best", "median", "worst"], rows


def legend(comparison: Comparison, section: Section) -> str:
    """The legend of a section's table: score, seeds, images and signs."""
    nouns = nouns_of(section)
    seeds = {len(entry.means) for entry in section.scored}
    over = f"one {nouns.seed}" if seeds == {1} else f"mean ± SD over {nouns.seed}s"
    start = f"{comparison.label}{of_these(section)}, {over}, {_images(section)}"
    if section.unranked:
        return f"{start}; not ranked, as {section.unranked}"
    equal = f", {EQUAL} equivalent to it within {section.margin:g}" if section.margin else ""
    return f"{start}; best in bold, {ALIKE} cannot be told from the best{equal}"


def _images(section: Section) -> str:
    nouns = nouns_of(section)
    part = {"val": "val images", "all": "images of all parts"}.get(section.part, "test images")
    images = f"{len(section.images)} {part if nouns is CELLS else nouns.image + 's'}"
    groups = len(set(section.groups))
    return f"{images} of {groups} groups" if groups else images


def across(grid: Grid) -> range:
    """The indices of a table's columns."""
    return range(len(grid.columns))
