"""The page's table of a section's entries with their options, scores and costs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from segbench.report.comparison import LABELS, LOWER_IS_BETTER, Comparison, Entry, Section
from segbench.report.units import (
    NONE,
    count_text,
    memory_text,
    score_text,
    share_text,
    spread_text,
    time_text,
)

OTHERS = ("iou", "dice", "iou_dataset", "assd", "hd95", "nsd")
COSTS: dict[str, tuple[str, Callable[[float], str], str]] = {
    "parameters": ("parameters", count_text, "low"),
    "flops": ("FLOPs, one image", count_text, "low"),
    "train_seconds": ("training time", time_text, "low"),
    "images_per_second": ("images/s", lambda value: f"{value:.3g}", "high"),
    "peak_memory_bytes": ("peak memory", memory_text, "low"),
    "best_epoch": ("epochs to best", lambda value: f"{value:.3g}", "low"),
}
_MISSING = float("nan")


@dataclass(frozen=True)
class Column:
    """A column of the table of entries; ``first`` is what a first click sorts to the top."""

    group: str
    label: str
    first: str = "low"  # or "high"
    numeric: bool = True


@dataclass(frozen=True)
class Value:
    """What stands in a table, and what it sorts by: empty where there is nothing."""

    text: str
    raw: float | str = ""


@dataclass
class Row:
    """An entry in the table."""

    entry: Entry
    anchor: str
    values: list[Value]
    # dot and whisker, in per cent of the section's range: low, mean, high
    whisker: tuple[float, float, float] | None = None


def number(value: float, text: Callable[[float], str]) -> Value:
    """A number with its text; NaN and None are a dash that sorts last."""
    none = value is None or np.isnan(value)
    return Value(NONE) if none else Value(text(value), float(value))


def entries_table(
    comparison: Comparison, section: Section, anchors: Sequence[str]
) -> tuple[list[Column], list[Row]]:
    """All entries with their options, scores and costs; columns without a number are left out."""
    options = list(dict.fromkeys(name for each in section.entries for name in each.options))
    columns, cells = _own_columns(comparison, section, options)
    for name in OTHERS:
        if name != comparison.score:
            first = "low" if name in LOWER_IS_BETTER else "high"
            columns.append(Column("Other test scores", LABELS[name], first))
            cells.append([_other(entry, name) for entry in section.entries])
    for name, (label, text, first) in COSTS.items():
        columns.append(Column("Cost", label, first))
        cells.append([number(e.cost.get(name, _MISSING), text) for e in section.entries])
    kept = [k for k, column in enumerate(cells) if any(value.raw != "" for value in column)]
    rows = [
        Row(entry, anchor, [cells[k][place] for k in kept], _whisker(section, entry))
        for place, (entry, anchor) in enumerate(zip(section.entries, anchors, strict=True))
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
        Column(comparison.label, "95 % interval", first),
        Column(comparison.label, "P(first)", "high"),
        Column(comparison.label, "seeds", "high"),
    ]
    cells.append([_mean(entry, name) for entry in entries])
    cells.append([_interval(entry, name) for entry in entries])
    cells.append([number(e.first, share_text) for e in entries])
    cells.append([Value(*seeds(e)) if e.cells else Value(NONE) for e in entries])
    return columns, cells


def _mean(entry: Entry, name: str) -> Value:
    if len(entry.means):
        return Value(score_text(entry.mean, name) + spread_text(entry.sd, name), entry.mean)
    return Value("failed" if why_not_whole(entry).startswith("failed") else "unfinished")


def _interval(entry: Entry, name: str) -> Value:
    return number(entry.low, lambda low: interval(low, entry.high, name))


def interval(low: float, high: float, name: str) -> str:
    """Two bounds of a score."""
    return f"{score_text(low, name)} to {score_text(high, name)}"


def seeds(entry: Entry) -> tuple[str, int]:
    """Finished of asked seeds, in words and the first as a number."""
    return f"{len(entry.done)} of {len(entry.cells)}", len(entry.done)


def _other(entry: Entry, name: str) -> Value:
    """A score of the records, over the finished seeds that have it."""
    found = [(cell.record.get("metrics") or {}).get("test", {}).get(name) for cell in entry.done]
    known = [value for value in found if value is not None]
    return number(float(np.mean(known)) if known else _MISSING, lambda v: score_text(v, name))


def _whisker(section: Section, entry: Entry) -> tuple[float, float, float] | None:
    bounds = [x for e in section.scored for x in (e.low, e.mean, e.high) if not np.isnan(x)]
    if not len(entry.means) or np.isnan([entry.low, entry.high]).any():
        return None
    low, span = min(bounds), max(bounds) - min(bounds) or 1.0
    low_end, mean, high_end = (100 * (x - low) / span for x in (entry.low, entry.mean, entry.high))
    return low_end, mean, high_end


def why_not_whole(entry: Entry) -> str:
    """Why an entry has no value, or not of every seed; empty where it is whole."""
    failed = [cell for cell in entry.cells if cell.status == "failed"]
    stopped = len(entry.cells) - len(entry.done) - len(failed)
    if failed and not entry.done:
        return (
            f"failed: {str(failed[0].record.get('error') or 'no reason recorded').splitlines()[0]}"
        )
    parts = [f"{len(failed)} failed"] if failed else []
    parts += [f"{stopped} unfinished"] if stopped else []
    return f"{seeds(entry)[0]} seeds; {', '.join(parts)}" if parts else ""
