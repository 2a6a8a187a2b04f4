"""A comparison's tables for the terminal."""

import numpy as np
from rich.table import Table
from rich.text import Text

from segbench.report.comparison import Comparison, Entry, Section
from segbench.report.grid import ALIKE, across, digits, is_best, make_grid, mean_sd
from segbench.report.published import Published


def rich_table(comparison: Comparison, section: Section) -> Table:
    """For the terminal."""
    grid, places = make_grid(comparison, section), digits(section)
    table = Table(title=section.data, title_justify="left")
    for head in grid.heads:
        table.add_column(head)
    for column in grid.columns or [comparison.label]:
        table.add_column(column or comparison.label, justify="right")
    for r, row in enumerate(grid.rows):
        fields = [_rich_field(section, grid.entries.get((r, c)), places) for c in across(grid)]
        table.add_row(*row, *fields)
    return table


def _rich_field(section: Section, entry: Entry | None, places: int) -> Text:
    if entry is None:
        return Text("–", "dim")
    text = Text(mean_sd(entry, places))
    if not len(entry.means):
        text.stylize("red")
    elif is_best(section, entry):
        text.stylize("bold")
    elif entry.like_best:
        text.append(f" {ALIKE}")
    return text


def published_table(published: Published) -> Table:
    """A table from elsewhere, for the terminal."""
    table = Table(*published.heads)
    for row in published.rows:
        table.add_row(*row)
    return table


def cost_table(section: Section, wide: bool = False) -> Table:
    """Interval, rank and cost of each entry, for the terminal."""
    heads = ["95 % interval", "P(1st)", "params", "GFLOPs", "time", "img/s", "memory", "best at"]
    places = digits(section)
    rows = [interval_and_cost(entry, places) for entry in section.scored]
    if not wide:  # what a terminal of 80 columns has no room for
        for row in (heads, *rows):
            del row[5]
    table = Table(box=None, padding=(0, 1))
    table.add_column("")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for entry, row in zip(section.scored, rows, strict=True):
        table.add_row(entry.label, *row)
    return table


def interval_and_cost(entry: Entry, places: int) -> list[str]:
    """Texts of a row of the cost table."""
    cost = entry.cost
    low, high = (f"{bound:.{places}f}" for bound in (entry.low, entry.high))
    interval = "–" if np.isnan(entry.low) else f"{low}–{high}"
    first = "–" if np.isnan(entry.first) else f"{entry.first:.0%}"
    if not cost:
        return [interval, first, *["–"] * 6]
    return [
        interval,
        first,
        f"{cost['parameters'] / 1e6:.2f}M",
        f"{cost['flops'] / 1e9:.2f}",
        f"{cost['train_seconds']:.0f}s",
        f"{cost['images_per_second']:.0f}",
        f"{cost['peak_memory_bytes'] / 2**30:.2f}G",
        f"{cost['best_epoch']:.0f}/{cost['epochs']:.0f}",
    ]


def across_table(comparison: Comparison) -> Table:
    """Means on several data sets and the mean rank, for the terminal."""
    table = Table(title="across", title_justify="left")
    table.add_column("")
    for section in comparison.sections:
        table.add_column(section.data, justify="right")
    table.add_column("mean rank", justify="right")
    for row in comparison.across:
        pairs = zip(row.means, comparison.sections, strict=True)
        means = [f"{mean:.{digits(section)}f}" for mean, section in pairs]
        table.add_row(row.label, *means, f"{row.mean_rank:.2f}")
    return table
