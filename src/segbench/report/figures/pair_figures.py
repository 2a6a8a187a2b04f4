"""Draws the figures that compare entries: mean ranks with groups, and pairwise differences."""

import textwrap
from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from segbench.arrays import Values
from segbench.report.figures.drawing import (
    COLOURS,
    INK,
    entry_styles,
    name_rows,
    new_figure,
    styled,
)
from segbench.report.sections.comparison import Comparison, Entry, Pair, Section
from segbench.report.statistics.means import image_means
from segbench.text.escape import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEW = 12  # entries; up to this number the differences are printed
_MOST_GROUPS = 20  # more groups are not readable; the figure of pairs shows them
_ROW = 0.24  # height of an entry in inches
_BLUE = COLOURS[0]


def mean_ranks(entries: list[Entry]) -> tuple[Values, int]:
    """Mean ranks of entries (1 is the highest score) over images that all score; their number."""
    values = np.array([image_means(entry.values) for entry in entries])
    values = values[:, ~np.isnan(values).any(axis=0)]
    ranks = (
        pd.DataFrame(np.round(-values, 12)).rank().to_numpy(np.float64)
    )  # so that rounding errors do not affect ranks
    return ranks.mean(axis=1) if values.size else np.full(len(values), np.nan), values.shape[1]


def alike_groups(section: Section) -> list[list[int]]:
    """Groups of entries of which no two differ; every pair that does not differ is in one.

    Source:
        The maximal cliques of Bron & Kerbosch 1973, doi:10.1145/362342.362367, without those that
        add no new pair (like the letters of Piepho 2004, doi:10.1198/1061860043515).
    """
    count = len(section.scored)
    differ = {(p.better, p.worse) for p in section.pairs if p.different}
    alike = [
        {j for j in range(count) if j != i and (i, j) not in differ and (j, i) not in differ}
        for i in range(count)
    ]
    groups: list[list[int]] = []
    joined: set[tuple[int, int]] = set()
    for group in sorted(
        _cliques(alike, set(), set(range(count)), set()), key=lambda g: (-len(g), g)
    ):
        links = set(combinations(group, 2))
        if links - joined:
            groups.append(group)
            joined |= links
    return sorted(groups)


def _cliques(
    alike: list[set[int]], group: set[int], wider: set[int], seen: set[int]
) -> Iterator[list[int]]:
    if not wider and not seen:
        yield sorted(group)
        return
    pivot = max(sorted(wider | seen), key=lambda k: len(alike[k] & wider))
    for k in sorted(wider - alike[pivot]):
        yield from _cliques(alike, group | {k}, wider & alike[k], seen & alike[k])
        wider, seen = wider - {k}, seen | {k}


@styled
def ranks(section: Section, comparison: Comparison) -> "Figure | None":
    """The mean rank of each entry, with a line for each group that cannot be told apart.

    The diagram of scikit-posthocs is not used, because its labels overlap from about 25 entries on
    and its bars also cover entries that are not in the group.
    """
    entries = section.scored
    if len(entries) < 2 or not section.pairs or not entries[0].values.size:
        return None
    sign = -1 if comparison.lower_is_better else 1
    found, images = mean_ranks([_signed(entry, sign) for entry in entries])
    if not images:
        return None
    order = [int(k) for k in np.argsort(found, kind="stable")]
    groups = sorted(sorted(order.index(k) for k in group) for group in alike_groups(section))
    figure = new_figure(
        f"Mean ranks over {images} images, and groups that cannot be told apart, {section.data}",
        0.7 + _ROW * len(entries),
    )
    note = ""
    if len(groups) > _MOST_GROUPS:
        note = f"\n{len(groups)} groups that cannot be told apart: see which pairs differ"
        groups = []
    ratios = [40, max(len(groups), 1)]
    axes, bars = figure.subplots(1, 2, sharey=True, width_ratios=ratios)
    name_rows(axes, [entries[k].label for k in order])
    axes.set_xlim(1, 1 + (found.max() - 1) * 1.12)
    axes.set_xlabel(f"mean rank by {comparison.label} over {images} images (1: the best){note}")
    for row, k in enumerate(order):
        entry_style = entry_styles(comparison)[0][entries[k].label]
        axes.hlines(row, 1, found[k], color=entry_style.colour, lw=0.8, alpha=0.5)
        axes.plot(found[k], row, ms=5.5, **entry_style.arguments)
        beside = {"xytext": (6, 0), "textcoords": "offset points", "va": "center_baseline"}
        axes.annotate(f"{found[k]:.1f}", (found[k], row), **beside)
    _draw_groups(bars, groups)
    return figure


def _signed(entry: Entry, sign: int) -> Entry:
    return Entry(entry.label, entry.options, values=sign * entry.values)


def _draw_groups(axes: "Axes", groups: list[list[int]]) -> None:
    """Draw a line from the first to the last entry of each group, with a dot at each member."""
    axes.axis("off")
    axes.set_xlim(-0.6, max(len(groups), 2) - 0.4)
    for column, rows in enumerate(groups):
        axes.vlines(column, rows[0], rows[-1], color=INK, lw=1.2, alpha=0.5)
        axes.plot(np.full(len(rows), column), rows, "o", color=INK, ms=3)


@styled
def pairs(section: Section, comparison: Comparison) -> "Figure | None":
    """By how much each entry (row) is better than the others (column), with significance."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgba

    count = len(section.scored)
    if count < 2 or not section.pairs:
        return None
    gaps = np.full((count, count), np.nan)
    for pair in section.pairs:
        gaps[pair.better, pair.worse] = pair.difference
    few, longest = count <= FEW, max(len(entry.label) for entry in section.scored)
    side = count * (0.42 if few else 0.17)
    title = f"Differences in {comparison.label} between every two entries, {section.data}"
    beside = 0.35 + 0.065 * longest + (0 if few else 0.8)
    width = max(side + beside, 3.4)
    means = f"by how much the row is better than the column: {comparison.label}"
    lines = textwrap.wrap(means, int(width / 0.07))  # inches, more than most letters take
    figure = new_figure(title, side + 0.4 + 0.15 * len(lines), width)
    axes = figure.subplots()
    ends = [to_rgba(_BLUE, opacity) for opacity in (0.04, 0.7)]
    fade = LinearSegmentedColormap.from_list("fade", ends)
    top = max(float(np.nan_to_num(gaps).max()), 1e-6)
    mesh = axes.pcolormesh(np.ma.masked_invalid(gaps), cmap=fade, vmin=0, vmax=top, lw=0)
    for pair in section.pairs:
        _mark(axes, pair, few)
    numbers = [str(k + 1) for k in range(count)]
    labels = [
        f"{visible(entry.label)}  {k}" for entry, k in zip(section.scored, numbers, strict=True)
    ]
    axes.set_xticks(np.arange(count) + 0.5, numbers, size=8 if few else 7)
    axes.set_yticks(np.arange(count) + 0.5, labels)
    axes.set(xlim=(0, count), ylim=(count, 0))
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.supxlabel("\n".join(lines), size="medium")
    if not few:
        bar = figure.colorbar(mesh, ax=axes, shrink=0.7, aspect=25, use_gridspec=False)
        bar.outline.set_linewidth(0.4)
    return figure


def _mark(axes: "Axes", pair: Pair, few: bool) -> None:
    """Mark a pair: with few entries its difference, framed if significant; else a dot if so."""
    x, y = pair.worse, pair.better
    if few:
        axes.text(x + 0.5, y + 0.5, _short(pair.difference), ha="center", va="center", size=7)
    if pair.different and few:
        box = np.array([(0.06, 0.06), (0.94, 0.06), (0.94, 0.94), (0.06, 0.94), (0.06, 0.06)])
        axes.plot(*(box + np.array((x, y))).T, color=INK, lw=1)
    elif pair.different:
        axes.plot(x + 0.5, y + 0.5, "o", color=INK, ms=2.6)


def _short(difference: float) -> str:
    text = f"{difference:.3f}" if difference < 1 else f"{difference:.1f}"
    return text.removeprefix("0")
