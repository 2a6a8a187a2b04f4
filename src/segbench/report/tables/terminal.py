"""The tables of a comparison for the terminal."""

from collections.abc import Iterable, Sequence

import numpy as np
from rich.styled import Styled
from rich.table import Table

from segbench.records.published import Published
from segbench.report.compare.words import of_these
from segbench.report.sections.comparison import Comparison, Entry, Section
from segbench.report.tables.grid import (
    across,
    behind,
    digits,
    is_best,
    make_grid,
    mean_sd,
    rank_fields,
    side_row,
    side_tables,
    sign,
)

_ACROSS = 12  # sections; with more, a terminal has room only for the mean rank


def rich_table(comparison: Comparison, section: Section) -> Table:
    """The table of a section with its scores, for the terminal."""
    grid, decimals = make_grid(comparison, section), digits(section)
    table = Table(title=section.data, title_justify="left")
    for head in grid.heads:
        table.add_column(head)
    for column in grid.columns or [comparison.label]:
        table.add_column(column or comparison.label, justify="right")
    for r, row in enumerate(grid.rows):
        fields = [_rich_field(section, grid.entries.get((r, c)), decimals) for c in across(grid)]
        table.add_row(*row, *fields)
    return table


def _rich_field(section: Section, entry: Entry | None, decimals: int) -> Styled:
    if entry is None:
        return Styled("–", "dim")
    text = mean_sd(entry, decimals)
    if not len(entry.means):
        return Styled(text, "red")
    if is_best(section, entry):
        return Styled(text, "bold")
    return Styled(f"{text} {sign(entry)}".rstrip(), "")


def published_table(published: Published) -> Table:
    """A published table, for the terminal."""
    table = Table(*published.heads)
    for row in published.rows:
        table.add_row(*row)
    return table


def rank_table(comparison: Comparison, section: Section, most: int) -> Table:
    """The best, median and worst image of each entry and class, ``most`` rows of them."""
    heads, rows = rank_fields(comparison, section)
    left = len(rows) - most
    table = Table(*heads, caption=f"… and {left} more rows on the page" if left > 0 else None)
    for row in rows[:most]:
        table.add_row(*(text for text, _ in row))
    return table


def interval_table(section: Section) -> Table:
    """Interval, gap to the best and ranks of each entry, for the terminal."""
    decimals = digits(section)
    rows = [_interval_row(section, entry, decimals) for entry in section.scored]
    heads = [f"95 % interval{of_these(section)}", "behind the best", "rank", "first in"]
    return _table(section, heads, rows)


def tables_beside(section: Section) -> Iterable[Table]:
    """The means of each entry within each subgroup and by each other score, for the terminal."""
    for _, heads, parts in side_tables(section):
        table = Table(box=None, padding=(0, 1))
        for head in ("", *heads):
            table.add_column(head, justify="right" if head else "left")
        for entry in section.scored:
            row = side_row(parts, entry)
            fields = [Styled(text, "bold" if best else "") for text, best in row]
            table.add_row(entry.label, *fields)
        yield table


def _interval_row(section: Section, entry: Entry, decimals: int) -> list[str]:
    gap, low, high = behind(section, entry)
    apart = f"{gap:.{decimals}f} ({low:.{decimals}f} to {high:.{decimals}f})"
    ranks = list(dict.fromkeys(f"{rank:.0f}" for rank in (entry.rank_low, entry.rank_high)))
    return [
        "–" if np.isnan(entry.low) else f"{entry.low:.{decimals}f}–{entry.high:.{decimals}f}",
        "–" if np.isnan(gap) else apart,
        "–" if np.isnan(entry.rank_low) else "–".join(ranks),
        "–" if np.isnan(entry.first) else f"{entry.first:.0%}",
    ]


def cost_table(section: Section, wide: bool = False) -> Table | None:
    """The cost of each entry, for the terminal; None where no entry has any."""
    heads = ["params", "GFLOPs", "time", "img/s", "memory", "best at"]
    if not any(entry.cost for entry in section.scored):
        return None
    rows = [costs(entry) for entry in section.scored]
    if not wide:  # a terminal of 80 columns has no room for images per second
        for row in (heads, *rows):
            del row[3]
    return _table(section, heads, rows)


def _table(section: Section, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table without lines, with a row for each scored entry; empty columns are left out."""
    kept = [k for k in range(len(heads)) if any(row[k] != "–" for row in rows)]
    table = Table(box=None, padding=(0, 1))
    table.add_column("")
    for k in kept:
        table.add_column(heads[k], justify="right")
    for entry, row in zip(section.scored, rows, strict=True):
        table.add_row(entry.label, *(row[k] for k in kept))
    return table


def costs(entry: Entry) -> list[str]:
    """The texts of an entry's row in the cost table."""
    cost = entry.cost
    epochs = [_amount(cost, name) for name in ("best_epoch", "epochs")]
    return [
        _amount(cost, "parameters", 1e6, 2, "M"),
        _amount(cost, "flops", 1e9, 2),
        _amount(cost, "train_seconds", unit="s"),
        _amount(cost, "images_per_second"),
        _amount(cost, "peak_memory_bytes", 2**30, 2, "G"),
        "–" if set(epochs) == {"–"} else "/".join(epochs),
    ]


def _amount(
    cost: dict[str, float], name: str, scale: float = 1, decimals: int = 0, unit: str = ""
) -> str:
    """A cost with its unit as text; a dash if the record of an older version lacks it."""
    value = cost.get(name, np.nan)
    return "–" if np.isnan(value) else f"{value / scale:.{decimals}f}{unit}"


def across_table(comparison: Comparison) -> Table:
    """The table of means on several data sets and mean ranks, for the terminal."""
    table = Table(title="across", title_justify="left")
    table.add_column("")
    sections = comparison.sections if len(comparison.sections) <= _ACROSS else []
    for section in sections:
        table.add_column(section.data, justify="right")
    table.add_column("mean rank", justify="right")
    for row in comparison.across:
        pairs = zip(row.means, sections, strict=False)
        means = [f"{mean:.{digits(section)}f}" for mean, section in pairs]
        table.add_row(row.label, *means, f"{row.mean_rank:.2f}")
    return table
