"""Draws the figures over all sections: mean ranks over data sets, and score against severity."""

from typing import TYPE_CHECKING

import numpy as np

from segbench.report.compare.words import of_these
from segbench.report.figures.drawing import (
    FAINT,
    INK,
    WIDTH,
    entry_styles,
    fix_layout,
    new_figure,
    put_legend,
    settings,
)
from segbench.report.sections.comparison import Comparison, Entry, Section
from segbench.text.escape import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RANKS_TITLE = "Mean ranks over all data sets"
RANKS_CAPTION = (
    "The mean rank of each configuration; 1 is the best. Bars join configurations whose mean ranks "
    "differ by less than the critical difference of Nemenyi's test (Demšar 2006)."
)

SEVERITY_TITLE = "Score against severity"
SEVERITY_CAPTION = (
    "Each configuration's score on images made worse by one kind of change, from severity 1 to 5; "
    "severity 0 are the images as they are. Bars are 95 % intervals (with one seed, of this "
    "trained network). Configurations after the twelfth are left out."
)
MOST = 12  # lines
Curve = dict[int, Entry]


def joined(ranks: np.ndarray, critical: float) -> list[tuple[float, float]]:
    """The ends of the bars that join mean ranks closer than the critical difference.

    A bar within another one is left out.
    """
    ordered = np.sort(ranks)
    bars: list[tuple[float, float]] = []
    for start in ordered:
        end = float(ordered[ordered <= start + critical].max())
        if end > start and (not bars or end > bars[-1][1]):
            bars.append((float(start), end))
    return bars


def critical_differences(comparison: Comparison) -> "Figure | None":
    """The diagram; None where the data sets are too few for a test."""
    test, rows = comparison.rank_test, comparison.across
    if test is None:
        return None
    bars = joined(test.mean_ranks, test.critical)
    with settings():
        figure = new_figure(RANKS_TITLE, 0.9 + 0.2 * (len(rows) + len(bars)))
        axes = figure.subplots()
        order = np.argsort(test.mean_ranks, kind="stable")
        for row, place in enumerate(order):
            rank = test.mean_ranks[place]
            axes.plot([1, rank], [row, row], color=INK, lw=0.8, alpha=0.5)
            axes.plot(rank, row, "o", color=INK, ms=4)
            axes.annotate(f"{rank:.2f}", (rank, row), (5, 0), textcoords="offset points",
                          va="center_baseline")  # fmt: skip
        for number, (start, end) in enumerate(bars):
            axes.hlines(len(rows) + 0.6 * number, start, end, color=INK, lw=3)
        axes.set_yticks(range(len(rows)), [visible(rows[place].label) for place in order])
        axes.set_ylim(len(rows) + 0.6 * len(bars), -0.7)
        axes.set_xlim(0.9, len(rows) + 0.2)
        axes.set_xlabel(f"mean rank over {test.sets} data sets; critical difference "
                        f"{test.critical:.2f}")  # fmt: skip
        fix_layout(figure)
    return figure


def severity_curves(comparison: Comparison) -> dict[tuple[str, str], dict[str, Curve]]:
    """By data set and kind of change, and by label, the entry at each severity."""
    found: dict[tuple[str, str], dict[str, Curve]] = {}
    for section in comparison.sections:
        if section.shift is None:
            continue
        kind, severity = section.shift
        curves = found.setdefault((section.source, kind), {})
        for at, each in ((0, _plain(comparison, section)), (severity, section)):
            for entry in each.scored if each else ():
                curves.setdefault(entry.label, {})[at] = entry
    return found


def _plain(comparison: Comparison, shifted: Section) -> Section | None:
    """The section of the same images as they are."""
    facts = (shifted.source, shifted.part, shifted.split, shifted.class_names)
    return next(
        (
            each
            for each in comparison.sections
            if each.shift is None
            and (each.source, each.part, each.split, each.class_names) == facts
        ),
        None,
    )


def severities(comparison: Comparison) -> "Figure | None":
    """A panel for each data set and kind of change; None where no images were changed."""
    found = severity_curves(comparison)
    if not found:
        return None
    several = len({source for source, _ in found}) > 1
    with settings():
        across = min(len(found), 4)
        down = -(-len(found) // across)
        figure = new_figure(SEVERITY_TITLE, 0.9 + 2.3 * down, WIDTH)
        grid = figure.subplots(down, across, sharey=True, squeeze=False)
        chosen, _ = entry_styles(comparison)
        handles = {}
        for axes, ((source, kind), curves) in zip(grid.flat, found.items(), strict=False):
            for label, curve in list(curves.items())[:MOST]:
                steps = sorted(curve)
                style = chosen[label].arguments | {"ls": "-"}
                lows, highs = ([getattr(curve[at], x) for at in steps] for x in ("low", "high"))
                axes.vlines(steps, lows, highs, style["color"], lw=0.9, alpha=0.55)
                means = [curve[at].mean for at in steps]
                (handles[label],) = axes.plot(steps, means, ms=4.5, lw=1.1, **style)
            axes.set_title(f"{source}, {kind}" if several else kind)
            axes.set_xticks(sorted({at for curve in curves.values() for at in curve}))
            axes.set_xlabel("severity")
            axes.grid(color=INK, alpha=FAINT, lw=0.6)
        for axes in grid[:, 0]:
            axes.set_ylabel(f"{comparison.label}{of_these(comparison.sections[0])}")
        for axes in list(grid.flat)[len(found) :]:
            axes.remove()
        put_legend(
            figure, list(handles.values()), list(handles), loc="outside lower center", ncols=3
        )
    return figure
