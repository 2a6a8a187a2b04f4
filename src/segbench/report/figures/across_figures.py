"""Draws the critical-difference diagram: mean ranks over data sets, and which may be equal."""

from typing import TYPE_CHECKING

import numpy as np

from segbench.report.figures.drawing import INK, new_figure, settings
from segbench.report.sections.comparison import Comparison
from segbench.text.escape import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Mean ranks over all data sets"
CAPTION = (
    "The mean rank of each configuration; 1 is the best. Bars join configurations whose mean ranks "
    "differ by less than the critical difference of Nemenyi's test (Demšar 2006)."
)


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
        figure = new_figure(TITLE, 0.9 + 0.2 * (len(rows) + len(bars)))
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
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    return figure
