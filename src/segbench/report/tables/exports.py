"""Writes the tables of a comparison as Markdown and LaTeX, its entries and pairs as CSV."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from segbench.records.record import write_text
from segbench.report.sections.comparison import Comparison, Entry, Section
from segbench.report.sections.costs import COSTS
from segbench.report.sections.entries import part_mean
from segbench.report.sections.image_ranks import by_score, rank_rows
from segbench.report.statistics.means import rounded
from segbench.report.tables.grid import (
    ALIKE,
    EQUAL,
    Grid,
    across,
    behind,
    digits,
    is_best,
    legend,
    make_grid,
    mean_sd,
    rank_fields,
    side_row,
    side_tables,
    sign,
)
from segbench.text.escape import LATEX_UNICODE, guarded, latex, markdown

_LATEX_SIGNS = {ALIKE: "$^{\\approx}$", EQUAL: "$^{=}$"}


def markdown_table(comparison: Comparison, section: Section) -> str:
    """A section's table in GitHub's Markdown, with its legend."""
    grid, decimals = make_grid(comparison, section), digits(section)

    def field(entry: Entry | None) -> str:
        if entry is None:
            return "–"
        text = markdown(mean_sd(entry, decimals))
        if is_best(section, entry):
            return f"**{text}**"
        return f"{text} {sign(entry)}".rstrip()

    heads = [*grid.heads, *(column or comparison.label for column in grid.columns)]
    ruler = ["---"] * len(grid.heads) + ["---:"] * len(grid.columns)
    lines = _lines([map(markdown, heads), ruler, *_rows(grid, field, markdown)])
    lines += ["", markdown(f"{section.data}: {legend(comparison, section)}."), ""]
    for title, names, parts in side_tables(section):
        lines += [f"{title}:", ""]
        lines += _lines([["", *map(markdown, names)], ["---", *["---:"] * len(parts)]])
        lines += [*_lines(_side_rows(section, parts)), ""]
    for table in section.published:
        rows = [list(map(markdown, row)) for row in (table.heads, *table.rows)]
        lines += _lines([rows[0], ["---"] * len(table.heads), *rows[1:]])
        lines += ["", f"Published: {markdown(table.caption)}.", ""]
    if section.published:
        heads, ranked = rank_fields(comparison, section)
        lines += _lines([map(markdown, heads), ["---", "---", "---:", "---:", "---:"]])
        lines += [*_lines([markdown(text) for text, _ in row] for row in ranked), ""]
        lines += ["The best, the median and the worst image by each score of a class.", ""]
    return "\n".join(lines)


def _side_rows(section: Section, parts: Sequence[Section]) -> Iterable[list[str]]:
    for entry in section.scored:
        row = [(markdown(text), best) for text, best in side_row(parts, entry)]
        yield [markdown(entry.label), *(f"**{text}**" if best else text for text, best in row)]


def _lines(rows: Iterable[Iterable[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in rows]


def latex_table(comparison: Comparison, section: Section) -> str:
    """A section's table in LaTeX, for the package booktabs."""
    grid, decimals = make_grid(comparison, section), digits(section)

    def field(entry: Entry | None) -> str:
        if entry is None:
            return "--"
        text = latex(mean_sd(entry, decimals))
        if is_best(section, entry):
            return f"\\textbf{{{text}}}"
        return text + _LATEX_SIGNS.get(sign(entry), "")

    heads = [*grid.heads, *(column or comparison.label for column in grid.columns)]
    caption = latex(f"{section.data}: {legend(comparison, section)}.")
    body = _rows(grid, field, latex)
    lines = [
        "% \\usepackage{booktabs}",
        "\\begin{table}",
        "  \\centering",
        f"  \\caption{{{caption}}}",
        f"  \\begin{{tabular}}{{{'l' * len(grid.heads)}{'r' * len(grid.columns)}}}",
        "    \\toprule",
        f"    {' & '.join(map(latex, heads))} \\\\",
        "    \\midrule",
        *(f"    {' & '.join(row)} \\\\" for row in body),
        "    \\bottomrule",
        "  \\end{tabular}",
        "\\end{table}",
        "",
    ]
    if any("\\unicodetext" in line for line in lines):
        lines.insert(0, LATEX_UNICODE)
    return "\n".join(lines)


def _rows(
    grid: Grid, field: Callable[[Entry | None], str], name: Callable[[str], str]
) -> list[list[str]]:
    """The table's rows: names and fields, each converted to the format."""
    return [
        [*map(name, row), *(field(grid.entries.get((r, c))) for c in across(grid))]
        for r, row in enumerate(grid.rows)
    ]


def entries_frame(comparison: Comparison) -> pd.DataFrame:
    """A row for each entry with all its numbers, for other programs."""
    return pd.DataFrame(_entry_rows(comparison))


def _entry_rows(comparison: Comparison) -> Iterable[dict[str, Any]]:
    for section in comparison.sections:
        ranks = _ranks(section, comparison.lower_is_better)
        for entry, rank in zip(section.entries, ranks, strict=True):
            gap, least, most = behind(section, entry)
            yield {
                "data": section.data,
                "split": section.split,
                "rank": rank,
                **entry.options,
                "score": comparison.score,
                "mean": entry.mean,
                "sd": entry.sd,
                "median": entry.median,
                "collapsed": len(entry.collapsed),
                "low": entry.low,
                "high": entry.high,
                "behind_best": gap,
                "behind_low": least,
                "behind_high": most,
                "first": entry.first,
                "rank_low": entry.rank_low,
                "rank_high": entry.rank_high,
                "like_best": entry.like_best,
                "equals_best": entry.equals_best,
                "images": len(section.images),
                "seeds_done": len(entry.means),
                "seeds": max(len({cell.seed for cell in entry.cells}), len(entry.means)),
                "folds": len({cell.fold for cell in entry.cells} - {None}) or None,
                "seeds_damaged": sum(cell.status == "damaged" for cell in entry.cells),
                **{
                    f"{part}_{name}": part_mean(entry, part, name)
                    for part in ("train", "val", "test")
                    for name in dict.fromkeys((comparison.score, "loss"))
                },
                **{cost.key: entry.cost.get(cost.key) for cost in COSTS},
            }


def _ranks(section: Section, lower: bool) -> list[int | None]:
    """The rank of each entry by its mean; equal means share the better one."""
    if section.unranked:
        return [None] * len(section.entries)
    means = rounded([entry.mean for entry in section.scored]) * (1 if lower else -1)
    ranks = rankdata(means, method="min", nan_policy="omit")
    found = [None if np.isnan(rank) else int(rank) for rank in ranks]
    return found + [None] * (len(section.entries) - len(found))


def pairs_frame(comparison: Comparison) -> pd.DataFrame:
    """A row for each pair of entries, with the numbers of its tests."""
    rows = []
    for section in comparison.sections:
        for pair in section.pairs:
            labels = {
                "better": section.entries[pair.better].label,
                "worse": section.entries[pair.worse].label,
            }
            rows.append({"data": section.data, "split": section.split, **asdict(pair), **labels})
    return pd.DataFrame(rows)


def images_frame(comparison: Comparison) -> pd.DataFrame:
    """The best, median and worst image of each entry, score and class, with its score."""
    rows = []
    for section in comparison.sections:
        for score, part in by_score(section, comparison.score).items():
            name = score.partition("/")[0]
            for entry, label, images in rank_rows(part, score):
                where = {"data": section.data, "split": section.split, **entry.options}
                for rank, (id_, value) in images.items():
                    found = {"rank": rank, "image": id_, "value": value}
                    rows.append({**where, "score": name, "class": label, **found})
    return pd.DataFrame(rows)


def _remarks(comparison: Comparison) -> list[str]:
    """Lines on cells that are not in the tables: damaged cells and cells not compared."""
    damaged = [f"Damaged, left out of every number: {reason}\n" for _, reason in comparison.damaged]
    return damaged + [f"{note}\n" for note in comparison.left_out]


def write_tables(comparison: Comparison, folder: Path) -> dict[str, Path]:
    """Write the tables in all formats into ``folder``; returns the path of each file by name."""
    texts = {
        "table.md": "\n".join(
            [*(markdown_table(comparison, s) for s in comparison.sections), *_remarks(comparison)]
        ),
        "table.tex": "\n".join(
            [
                *(latex_table(comparison, s) for s in comparison.sections),
                *(f"% {' '.join(line.split())}" for line in _remarks(comparison)),
            ]
        ),
        "table.csv": guarded(entries_frame(comparison)).to_csv(index=False),
        "images.csv": guarded(images_frame(comparison)).to_csv(index=False),
        "pairs.csv": guarded(pairs_frame(comparison)).to_csv(index=False),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return {name: folder / name for name in texts}
