"""The page's table of a section's entries, with their options, scores and costs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from segbench.metrics.registry import REGISTRY, find_score
from segbench.report.compare.words import of_these
from segbench.report.sections.comparison import Comparison, Entry, Section
from segbench.report.sections.costs import COSTS
from segbench.report.sections.entries import part_mean
from segbench.report.tables.grid import behind
from segbench.text.numbers import (
    NONE,
    score_text,
    share_text,
    spread_text,
)

INTERVAL = "95 % interval"
OTHERS = [score for score in REGISTRY if score.shown]
_MISSING = float("nan")


@dataclass(frozen=True)
class Column:
    """A column of the table; ``first`` says which values the first click sorts to the top."""

    group: str
    label: str
    first: str = "low"  # or "high"
    numeric: bool = True


@dataclass(frozen=True)
class Value:
    """A field of the table: its text, and its sort key, which is empty without a value."""

    text: str
    raw: float | str = ""


@dataclass
class Row:
    """A row of the table: an entry with its values."""

    entry: Entry
    anchor: str
    values: list[Value]
    # low, mean and high end of the interval, in per cent of the section's range
    whisker: tuple[float, float, float] | None = None


def number(value: float, text: Callable[[float], str]) -> Value:
    """A number as a field; NaN and None become a dash that is sorted last."""
    none = value is None or np.isnan(value)
    return Value(NONE) if none else Value(text(value), float(value))


def entries_table(
    comparison: Comparison, section: Section, anchors: Sequence[str]
) -> tuple[list[Column], list[Row]]:
    """The columns and rows of the table; columns without any value are left out."""
    options = list(dict.fromkeys(name for each in section.entries for name in each.options))
    columns, cells = _own_columns(comparison, section, options)
    for score in OTHERS:
        if score.name != comparison.score:
            first = "low" if score.lower_is_better else "high"
            columns.append(Column("Other test scores", score.title, first))
            cells.append([_other(entry, score.name) for entry in section.entries])
    for part in ("val", "train"):
        for score in (find_score(comparison.score), find_score("loss")):
            if part != section.part:
                first = "low" if score.lower_is_better else "high"
                columns.append(Column("Other parts", f"{part} {score.title}", first))
                cells.append([_of_part(each, part, score.name) for each in section.entries])
    for cost in COSTS:
        columns.append(Column("Cost", cost.label, "low" if cost.lower_is_better else "high"))
        cells.append([number(e.cost.get(cost.key, _MISSING), cost.text) for e in section.entries])
    kept = [k for k, column in enumerate(cells) if any(value.raw != "" for value in column)]
    rows = [
        Row(entry, anchor, [cells[k][index] for k in kept], _whisker(section, entry))
        for index, (entry, anchor) in enumerate(zip(section.entries, anchors, strict=True))
    ]
    return [columns[k] for k in kept], rows


def _own_columns(
    comparison: Comparison, section: Section, options: Sequence[str]
) -> tuple[list[Column], list[list[Value]]]:
    entries, name = section.entries, comparison.score
    first = "low" if comparison.lower_is_better else "high"
    columns = [Column("Options", option, numeric=False) for option in options]
    cells = [
        [Value(e.options.get(o, NONE), e.options.get(o, "")) for e in entries] for o in options
    ]
    columns += [
        Column(comparison.label, "mean ± SD", first),
        Column(comparison.label, "median", first),
        Column(comparison.label, INTERVAL + of_these(section), first),
        Column(comparison.label, "behind the best"),
        Column(comparison.label, "rank"),
        Column(comparison.label, "first in", "high"),
        Column(comparison.label, "seeds", "high"),
    ]
    cells.append([_mean(entry, name) for entry in entries])
    several = any(len(entry.means) > 2 for entry in entries)
    medians = [entry.median if several else _MISSING for entry in entries]
    cells.append([number(median, lambda value: score_text(value, name)) for median in medians])
    cells.append([_interval(entry, name) for entry in entries])
    cells.append([_behind(section, entry, name) for entry in entries])
    cells.append([_ranks(entry) for entry in entries])
    cells.append([number(e.first, share_text) for e in entries])
    cells.append([Value(*seeds(e)) if e.cells else Value(NONE) for e in entries])
    return columns, cells


def _mean(entry: Entry, name: str) -> Value:
    if len(entry.means):
        return Value(score_text(entry.mean, name) + spread_text(entry.sd, name), entry.mean)
    if entry.lacking:
        return Value(NONE)
    states = {cell.status for cell in entry.cells}
    return Value(next((each for each in ("failed", "damaged") if each in states), "unfinished"))


def _interval(entry: Entry, name: str) -> Value:
    return number(entry.low, lambda low: interval(low, entry.high, name))


def _behind(section: Section, entry: Entry, name: str) -> Value:
    gap, low, high = behind(section, entry)
    return number(gap, lambda value: f"{score_text(value, name)} ({interval(low, high, name)})")


def _ranks(entry: Entry) -> Value:
    """The ranks between which an entry stands: ``1`` or ``1 to 3``."""
    ranks = dict.fromkeys(f"{rank:.0f}" for rank in (entry.rank_low, entry.rank_high))
    return number(entry.rank_low, lambda _: " to ".join(ranks))


def interval(low: float, high: float, name: str) -> str:
    """The two bounds of an interval as text."""
    return f"{score_text(low, name)} to {score_text(high, name)}"


def seeds(entry: Entry) -> tuple[str, int]:
    """The finished and all seeds of an entry as text, and the number of the finished ones."""
    cells = " cells" if entry.folded else ""
    return f"{len(entry.done)} of {len(entry.cells)}{cells}", len(entry.done)


def _of_part(entry: Entry, part: str, name: str) -> Value:
    return number(part_mean(entry, part, name), lambda value: score_text(value, name))


def _other(entry: Entry, name: str) -> Value:
    """A recorded score, averaged over the finished seeds that have it."""
    found = [cell.averages.get(name) for cell in entry.done]
    known = [value for value in found if value is not None]
    return number(float(np.mean(known)) if known else _MISSING, lambda v: score_text(v, name))


def _whisker(section: Section, entry: Entry) -> tuple[float, float, float] | None:
    bounds = [x for e in section.scored for x in (e.low, e.mean, e.high) if not np.isnan(x)]
    if not len(entry.means) or np.isnan([entry.low, entry.high]).any():
        return None
    low, span = min(bounds), max(bounds) - min(bounds) or 1.0
    low_end, mean, high_end = (100 * (x - low) / span for x in (entry.low, entry.mean, entry.high))
    return low_end, mean, high_end


def why_incomplete(entry: Entry) -> str:
    """Why an entry lacks the score of one or all seeds; empty if it is complete."""
    failed = [cell for cell in entry.cells if cell.status == "failed"]
    damaged = sum(cell.status == "damaged" for cell in entry.cells)
    lacking = len(entry.lacking)
    stopped = len(entry.cells) - len(entry.done) - len(failed) - damaged - lacking
    if failed and not entry.done:
        return (
            f"failed: {str(failed[0].record.get('error') or 'no reason recorded').splitlines()[0]}"
        )
    parts = [f"{len(failed)} failed"] if failed else []
    parts += [f"{damaged} damaged"] if damaged else []
    parts += [f"{lacking} without this score"] if lacking else []
    parts += [f"{stopped} unfinished"] if stopped else []
    what = seeds(entry)[0] if entry.folded else f"{seeds(entry)[0]} seeds"
    return f"{what}; {', '.join(parts)}" if parts else ""
