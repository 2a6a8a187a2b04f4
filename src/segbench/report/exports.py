"""A section's table, rows × columns, as text for the terminal, Markdown, LaTeX; entries as CSV."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table
from rich.text import Text

from segbench.report.comparison import Comparison, Entry, Section
from segbench.report.record import whole_file

_TEX = str.maketrans(
    {sign: f"\\{sign}" for sign in "{}_&%#$"}
    | {"\\": "\\textbackslash{}", "·": "$\\cdot$", "–": "--", "~": "\\textasciitilde{}"}
)
ALIKE = "≈"  # stands beside what cannot be told from the best
COSTS = (
    "parameters",
    "flops",
    "train_seconds",
    "images_per_second",
    "peak_memory_bytes",
    "best_epoch",
    "epochs",
)


@dataclass(frozen=True)
class Grid:
    """The table of a section: an entry, or none, for each row and column."""

    heads: list[str]  # of the columns that name the rows
    rows: list[tuple[str, ...]]
    columns: list[str]
    entries: dict[tuple[int, int], Entry]


def make_grid(comparison: Comparison, section: Section) -> Grid:
    """Lay a section's entries out; rows and columns by name, numbers by size."""
    rows = _distinct(section, comparison.rows)
    columns = _distinct(section, comparison.columns)
    places = {
        (rows.index(_key(e, comparison.rows)), columns.index(_key(e, comparison.columns))): e
        for e in section.entries
    }
    return Grid(comparison.rows, rows, [" · ".join(c) for c in columns], places)


def _distinct(section: Section, names: list[str]) -> list[tuple[str, ...]]:
    return sorted({_key(entry, names) for entry in section.entries}, key=_natural)


def _natural(words: tuple[str, ...]) -> list[tuple[bool, float, str]]:
    """Sorts 8 before 16, numbers before words."""
    parts: list[tuple[bool, float, str]] = []
    for word in words:
        try:
            parts.append((False, float(word), ""))
        except ValueError:
            parts.append((True, 0.0, word))
    return parts


def _key(entry: Entry, names: list[str]) -> tuple[str, ...]:
    return tuple(entry.options.get(name, "") for name in names)


def digits(section: Section) -> int:
    """Four places for scores up to 1, two for pixels."""
    return 4 if max((entry.mean for entry in section.scored), default=0) <= 1 else 2


def mean_sd(entry: Entry, places: int, joint: str = " ± ") -> str:
    """Mean and standard deviation over the seeds; what became of it where there is none."""
    if not len(entry.means):
        states = [cell.status for cell in entry.cells]
        return ", ".join(dict.fromkeys(states)) or "–"
    text = f"{entry.mean:.{places}f}"
    if len(entry.means) > 1:
        text += f"{joint}{entry.sd:.{places}f}"
    missing = len(entry.cells) - len(entry.means)
    return text + (f" ({len(entry.means)} of {len(entry.cells)} seeds)" if missing else "")


def is_best(section: Section, entry: Entry) -> bool:
    """Whether its mean is the best of the section."""
    return bool(section.scored) and entry is section.scored[0]


def legend(comparison: Comparison, section: Section) -> str:
    """What the signs in the table mean."""
    seeds = {len(entry.means) for entry in section.scored}
    over = "one seed" if seeds == {1} else "mean ± SD over seeds"
    return (
        f"{comparison.label}, {over}, {len(section.images)} test images; best in bold, "
        f"{ALIKE} cannot be told from the best"
    )


def rich_table(comparison: Comparison, section: Section) -> Table:
    """For the terminal."""
    grid, places = make_grid(comparison, section), digits(section)
    table = Table(title=section.data, title_justify="left")
    for head in grid.heads:
        table.add_column(head)
    for column in grid.columns or [comparison.label]:
        table.add_column(column or comparison.label, justify="right")
    for r, row in enumerate(grid.rows):
        fields = [_rich_field(section, grid.entries.get((r, c)), places) for c in _across(grid)]
        table.add_row(*row, *fields)
    return table


def _across(grid: Grid) -> range:
    return range(len(grid.columns))


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


def markdown_table(comparison: Comparison, section: Section) -> str:
    """GitHub's kind of table, with its legend."""
    grid, places = make_grid(comparison, section), digits(section)

    def field(entry: Entry | None) -> str:
        if entry is None:
            return "–"
        text = mean_sd(entry, places)
        if is_best(section, entry):
            return f"**{text}**"
        return f"{text} {ALIKE}" if entry.like_best else text

    heads = [*grid.heads, *(column or comparison.label for column in grid.columns)]
    ruler = ["---"] * len(grid.heads) + ["---:"] * len(grid.columns)
    body = _rows(grid, field)
    lines = ["| " + " | ".join(_bar(each) for each in row) + " |" for row in (heads, ruler, *body)]
    return "\n".join([*lines, "", f"{section.data}: {legend(comparison, section)}.", ""])


def _bar(text: str) -> str:
    return text.replace("|", "\\|")


def latex_table(comparison: Comparison, section: Section) -> str:
    """A table for booktabs."""
    grid, places = make_grid(comparison, section), digits(section)

    def field(entry: Entry | None) -> str:
        if entry is None:
            return "--"
        text = mean_sd(entry, places, " $\\pm$ ").replace("%", "\\%")
        if is_best(section, entry):
            return f"\\textbf{{{text}}}"
        return f"{text}$^{{\\approx}}$" if entry.like_best else text

    heads = [*grid.heads, *(column or comparison.label for column in grid.columns)]
    caption = legend(comparison, section).replace("±", "$\\pm$").replace(ALIKE, "$\\approx$")
    body = [
        [_tex(word) for word in row[: len(grid.heads)]] + row[len(grid.heads) :]
        for row in _rows(grid, field)
    ]
    lines = [
        "% \\usepackage{booktabs}",
        "\\begin{table}",
        "  \\centering",
        f"  \\caption{{{_tex(section.data)}: {caption}.}}",
        f"  \\begin{{tabular}}{{{'l' * len(grid.heads)}{'r' * len(grid.columns)}}}",
        "    \\toprule",
        f"    {' & '.join(map(_tex, heads))} \\\\",
        "    \\midrule",
        *(f"    {' & '.join(row)} \\\\" for row in body),
        "    \\bottomrule",
        "  \\end{tabular}",
        "\\end{table}",
        "",
    ]
    return "\n".join(lines)


def _rows(grid: Grid, field: Callable[[Entry | None], str]) -> list[list[str]]:
    return [
        [*row, *(field(grid.entries.get((r, c))) for c in _across(grid))]
        for r, row in enumerate(grid.rows)
    ]


def _tex(text: str) -> str:
    return text.translate(_TEX)


def entries_frame(comparison: Comparison) -> pd.DataFrame:
    """One line for each entry with all its numbers, for other programs."""
    return pd.DataFrame(_entry_rows(comparison))


def _entry_rows(comparison: Comparison) -> Iterable[dict[str, Any]]:
    for section in comparison.sections:
        for rank, entry in enumerate(section.entries, 1):
            yield {
                "data": section.data,
                "split": section.split,
                "rank": rank if len(entry.means) else None,
                **entry.options,
                "score": comparison.score,
                "mean": entry.mean,
                "sd": entry.sd,
                "low": entry.low,
                "high": entry.high,
                "first": entry.first,
                "like_best": entry.like_best,
                "images": len(section.images),
                "seeds_done": len(entry.means),
                "seeds": max(len(entry.cells), len(entry.means)),
                **{name: entry.cost.get(name) for name in COSTS},
            }


def pairs_frame(comparison: Comparison) -> pd.DataFrame:
    """One line for each pair of entries."""
    rows = []
    for section in comparison.sections:
        for pair in section.pairs:
            labels = {
                "better": section.entries[pair.better].label,
                "worse": section.entries[pair.worse].label,
            }
            rows.append({"data": section.data, "split": section.split, **asdict(pair), **labels})
    return pd.DataFrame(rows)


def write_tables(comparison: Comparison, folder: Path) -> dict[str, Path]:
    """Write every form of the tables into ``folder``; returns where each is."""
    texts = {
        "table.md": "\n".join(markdown_table(comparison, s) for s in comparison.sections),
        "table.tex": "\n".join(latex_table(comparison, s) for s in comparison.sections),
        "table.csv": entries_frame(comparison).to_csv(index=False),
        "pairs.csv": pairs_frame(comparison).to_csv(index=False),
    }
    for name, text in texts.items():
        with whole_file(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return {name: folder / name for name in texts}


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
