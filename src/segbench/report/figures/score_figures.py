"""Draws the figures of scores: box plots of single images, and means with intervals."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segbench.arrays import Values
from segbench.metrics.registry import find_score
from segbench.report.compare.words import of_these
from segbench.report.figures.drawing import (
    COLOURS,
    INK,
    WIDTH,
    entry_styles,
    name_rows,
    new_figure,
    styled,
    wrapped,
)
from segbench.report.sections.comparison import Comparison, Entry, Section
from segbench.report.sections.image_ranks import class_scores
from segbench.report.sections.image_scores import has_images
from segbench.text.numbers import score_text, share_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEW = 60  # images; up to this number each one is drawn
ROW, _BOX = 0.24, 0.62  # height of an entry in inches, and of its box in rows
_PLENTY = 2000  # dots of a panel; more are rasterized in an SVG
_BLUE = COLOURS[0]


@styled
def boxes(section: Section, comparison: Comparison) -> "Figure | None":
    """Box plots of the images' scores: a panel for each class, a row for each entry."""
    entries = [entry for entry in section.scored if entry.done or entry.values.size]
    known = has_images(comparison.score) or not any(entry.done for entry in entries)
    score = comparison.score if known else "iou"
    if not entries:
        return None
    scores = [class_scores(section, entry, score) for entry in entries]
    classes = list(scores[0])
    across = min(len(classes), 3 if len(classes) in (3, 5, 6) else 4)
    down = -(-len(classes) // across)
    label = find_score(score).title
    figure = new_figure(
        f"Box plots of each image's {label}, {section.data}",
        down * (0.75 + ROW * max(len(entries), 2)),
        WIDTH + max(0, across - 3) * 1.8,
    )
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for axes, name in zip(grid.flat, classes, strict=False):
        _boxes(axes, comparison, entries, [each[name] for each in scores])
        axes.set_title(wrapped(name))
    for axes in grid.flat[len(classes) :]:
        axes.set_visible(False)
    for axes in grid.flat[max(0, len(classes) - across) : len(classes)]:
        axes.tick_params(labelbottom=True)
    figure.supxlabel(
        f"{label} of an image" + (", mean over seeds" if _seeds(entries) else ""), size=8
    )
    return figure


def _seeds(entries: list[Entry]) -> bool:
    return max(len(entry.seeds) for entry in entries) > 1


def _boxes(
    axes: "Axes", comparison: Comparison, entries: list[Entry], values: list[Values]
) -> None:
    """Draw a panel by hand, because matplotlib's own box plot imports pyplot."""
    from matplotlib.cbook import boxplot_stats

    found = entry_styles(comparison)[0]
    name_rows(axes, [entry.label for entry in entries])
    shown = {row: each[~np.isnan(each)] for row, each in enumerate(values)}
    rows = [row for row, each in shown.items() if len(each)]
    if not rows:
        return
    stats = pd.DataFrame([boxplot_stats(shown[row])[0] for row in rows])
    heights, colours = np.array(rows), [found[entries[row].label].colour for row in rows]
    _dots(axes, rows, colours, [shown[row] for row in rows], list(stats["fliers"]))
    line: dict[str, Any] = {"colors": colours, "lw": 0.9}
    axes.barh(
        heights,
        stats["q3"] - stats["q1"],
        _BOX,
        stats["q1"],
        color=[(colour, 0.25) for colour in colours],
        edgecolor=colours,
        lw=0.9,
    )
    for inner, outer in (("q1", "whislo"), ("q3", "whishi")):
        axes.hlines(heights, stats[inner], stats[outer], **line)
        axes.vlines(stats[outer], heights - _BOX / 4, heights + _BOX / 4, **line)
    axes.vlines(
        stats["med"], heights - _BOX / 2, heights + _BOX / 2, colors=INK, lw=1.6, label="median"
    )
    mean: dict[str, Any] = {
        "marker": "D",
        "ms": 3.2,
        "mfc": "none",
        "mec": INK,
        "mew": 0.9,
        "ls": "",
    }
    axes.plot(stats["mean"], heights, **mean)


def _dots(
    axes: "Axes",
    rows: list[int],
    colours: list[str],
    values: list[Values],
    fliers: list[Values],
) -> None:
    """Draw a dot for each image if there are few, otherwise for those beyond the whiskers."""
    few = max(map(len, values)) <= FEW
    drawn = values if few else fliers
    count = [len(each) for each in drawn]
    shift = np.random.default_rng(0).uniform(-0.26, 0.26, sum(count)) if few else 0.0
    axes.scatter(
        np.concatenate(drawn),
        np.repeat(rows, count) + shift,
        s=5,
        c=np.repeat(colours, count),
        lw=0,
        alpha=0.45,
        rasterized=sum(count) > _PLENTY,
    )


@styled
def stability(section: Section, comparison: Comparison) -> "Figure | None":
    """Each entry's mean with its 95 % interval, and how often it ranks first."""
    entries = section.scored
    if not entries:
        return None
    figure = new_figure(
        f"{comparison.label}: means and 95 % intervals{of_these(section)}, {section.data}",
        0.85 + ROW * len(entries),
    )
    axes, found = figure.subplots(), entry_styles(comparison)[0]
    name_rows(axes, [entry.label for entry in entries])
    if section.best:
        axes.axvline(entries[0].mean, color=INK, lw=0.8, ls=(0, (2, 2)), zorder=1)
    for row, entry in enumerate(entries):
        colour = found[entry.label].colour
        if entry.like_best:
            axes.axhspan(row - 0.5, row + 0.5, color=_BLUE, alpha=0.12, lw=0, zorder=0)
        axes.hlines(row, entry.low, entry.high, color=colour, lw=2, zorder=2)
        if len(entry.means) > 1:
            each = np.full(len(entry.means), row)
            axes.plot(entry.means, each, "|", color=colour, ms=7, mew=0.9, zorder=3)
        axes.plot(entry.mean, row, zorder=4, ms=5.5, **found[entry.label].arguments)
    axes.set_xlabel(f"{comparison.label}, mean and 95 % interval{of_these(section)}")
    _column(axes, 48, "mean", [score_text(entry.mean, comparison.score) for entry in entries])
    if not all(np.isnan(entry.first) for entry in entries):
        _column(axes, 90, "first in", [share_text(entry.first) for entry in entries])
    return figure


def _column(axes: "Axes", right: float, head: str, texts: list[str]) -> None:
    """Write a column of texts, which ends ``right`` points to the right of the axes."""
    style: dict[str, Any] = {"textcoords": "offset points", "ha": "right"}
    axes.annotate(head, (1, 1), (right, 3), "axes fraction", weight="bold", **style)
    for row, text in enumerate(texts):
        transform = axes.get_yaxis_transform()
        axes.annotate(text, (1, row), (right, 0), transform, va="center_baseline", **style)
