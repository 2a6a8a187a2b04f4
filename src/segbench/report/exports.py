"""A section's table as Markdown and LaTeX; entries and pairs as CSV."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from segbench.report.comparison import Comparison, Entry, Section
from segbench.report.entries import COST
from segbench.report.grid import ALIKE, Grid, across, digits, is_best, legend, make_grid, mean_sd
from segbench.report.record import whole_file

_TEX = str.maketrans(
    {sign: f"\\{sign}" for sign in "{}_&%#$"}
    | {"\\": "\\textbackslash{}", "·": "$\\cdot$", "–": "--", "~": "\\textasciitilde{}"}
)


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
    lines = _lines([heads, ruler, *body])
    lines += ["", f"{section.data}: {legend(comparison, section)}.", ""]
    for table in section.published:
        lines += _lines([table.heads, ["---"] * len(table.heads), *table.rows])
        lines += ["", f"Published: {table.caption}.", ""]
    return "\n".join(lines)


def _lines(rows: Iterable[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(_bar(each) for each in row) + " |" for row in rows]


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
        [*row, *(field(grid.entries.get((r, c))) for c in across(grid))]
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
                **{name: entry.cost.get(name) for name in COST},
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
