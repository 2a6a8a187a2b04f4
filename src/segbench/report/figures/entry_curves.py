"""Draws the training of one entry: each score by epoch, with a line for each of its seeds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from segbench.metrics.registry import find_score
from segbench.report.figures.curve_figures import TRAIN, VAL, curves_legend, draw_lines
from segbench.report.figures.drawing import (
    FAINT,
    INK,
    WIDTH,
    fix_layout,
    new_figure,
    settings,
)
from segbench.report.sections.comparison import Entry

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 3  # the most panels in a row
_DASHED = (0, (3, 1.2))
Lines = tuple[str, ...]  # columns of curves.csv


def panels(columns: Sequence[str]) -> dict[str, Lines]:
    """The columns of each panel by its title: loss, IoU, and the further recorded scores."""
    found: dict[str, list[str]] = {"loss": [], "IoU": []}
    for column in columns:
        part, _, name = column.partition("/")
        if part in ("train", "val"):
            label = name.partition("/")[2]
            title = find_score(name).title + (f", {label}" if label else "")
            found.setdefault(title, []).append(column)
    return {title: tuple(sorted(names)) for title, names in found.items() if names}


def entry_curves(entry: Entry, title: str) -> "Figure | None":
    """The curves of all seeds of an entry; None where it has none.

    Args:
        entry: its cells may be unfinished.
        title: for screen readers.
    """
    cells = [cell for cell in entry.cells if len(cell.curves)]
    shown = panels(sorted({str(name) for cell in cells for name in cell.curves}))
    if not shown:
        return None
    with settings():
        down = -(-len(shown) // ACROSS)
        figure = new_figure(title, 0.45 + 1.75 * down, WIDTH)
        grid = figure.subplots(down, ACROSS, sharex=True, squeeze=False)
        for axes in grid.flat[len(shown) :]:
            axes.set_visible(False)
        for axes, (name, columns) in zip(grid.flat, shown.items(), strict=False):
            _panel(axes, name, columns, entry)
        curves_legend(figure)
        fix_layout(figure)
    return figure


def _panel(axes: "Axes", name: str, columns: Lines, entry: Entry) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(name)
    axes.grid(color=INK, alpha=FAINT, lw=0.5)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.tick_params(labelbottom=True, labelsize=7)
    axes.set_xlabel("epoch")
    for column in columns:
        on_train = column.startswith("train/")
        colour, dashes = (TRAIN, _DASHED) if on_train else (VAL, "-")
        draw_lines(axes, entry.cells, column, colour, dashes, best=not on_train)
