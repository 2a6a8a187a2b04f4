"""Draws the figure of training: losses and IoU by epoch, with a panel for each entry."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segbench.records.cells import Cell
from segbench.report.figures.drawing import (
    COLOURS,
    FAINT,
    INK,
    WIDE,
    WIDTH,
    decade_steps,
    new_figure,
    styled,
    wrapped,
)
from segbench.report.sections.comparison import Comparison, Entry, Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRAIN, VAL = COLOURS[0], COLOURS[5]
_ACROSS = 5  # the most panels in a row


Limits = tuple[float, float, bool]  # low and high end of an axis; whether it is logarithmic


@styled
def curves(section: Section, comparison: Comparison) -> "Figure | None":
    """Losses and val IoU by epoch: a panel for each entry, a line for each seed and their mean."""
    entries = [entry for entry in section.scored if any(len(c.curves) for c in entry.done)]
    if not entries:
        return None
    positions, across = _positions(entries, comparison)
    down = max(row for row, _ in positions) + 1
    width = max(WIDTH, 0.8 + 1.5 * across)
    title = f"Losses and IoU on val by epoch, {section.data}"
    figure = new_figure(title, 0.5 + 1.8 * down, width)
    grid = figure.subplots(2 * down, across, sharex=True, squeeze=False)
    for axes in grid.flat:
        axes.set_visible(False)
    drawn = [
        (entry, grid[2 * row, column], grid[2 * row + 1, column])
        for entry, (row, column) in zip(entries, positions, strict=True)
    ]
    limits = {
        kind: _limits([e for e in entries if _loss(e) == kind], "train/loss", "val/loss")
        for kind in set(map(_loss, entries))
    }
    scores = _limits(entries, "val/iou", log=False)
    for entry, loss, iou in drawn:
        loss.set_title(wrapped(entry.label, int(width / across / 0.075)), pad=3, size=7.5)
        _panel(entry, loss, iou, limits[_loss(entry)], scores)
    _label_outer(drawn, positions, limits)
    curves_legend(figure)
    return figure


def _positions(
    entries: Sequence[Entry], comparison: Comparison
) -> tuple[list[tuple[int, int]], int]:
    """Row and column of each entry's panel, and the number of columns.

    As in the table if that is narrow enough; otherwise in the order of the scores, best first.
    """
    keys = [
        tuple(
            tuple(entry.options.get(name, "") for name in names)
            for names in (comparison.rows, comparison.columns)
        )
        for entry in entries
    ]
    rows, columns = (list(dict.fromkeys(key[k] for key in sorted(keys))) for k in (0, 1))
    columns.sort()
    complete = len(set(keys)) == len(keys) > 0.6 * len(rows) * len(columns)
    if complete and len(rows) > 1 and 1 < len(columns) <= _ACROSS:
        return [(rows.index(row), columns.index(column)) for row, column in keys], len(columns)
    across = min(len(entries), _ACROSS if len(entries) > 8 else 4)
    return [divmod(index, across) for index in range(len(entries))], across


def _loss(entry: Entry) -> str:
    """A key of the loss and its options; losses with equal keys are comparable."""
    own = {name: value for name, value in entry.options.items() if name.startswith("loss")}
    return " ".join([entry.done[0].choices.get("loss", ""), *map(str, sorted(own.items()))])


def _by_seed(cells: Sequence[Cell], name: str) -> pd.DataFrame:
    """A curve's values by epoch, a column for each cell that has it."""
    return pd.DataFrame({c.run_name: c.curves[name] for c in cells if name in c.curves})


def _limits(entries: Sequence[Entry], *names: str, log: bool = True) -> Limits:
    """The ends of an axis for some curves, and whether it is logarithmic."""
    tables = [_by_seed(entry.done, name) for entry in entries for name in names]
    values = np.concatenate([table.to_numpy(np.float64).ravel() for table in tables])
    values = values[np.isfinite(values)]
    if not len(values):
        return 0, 1, False
    low, high = float(values.min()), float(values.max())
    if log and low > 0 and high / low > WIDE:
        return low / 1.15, high * 1.15, True
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1
    return low - room, high + room, False


def _panel(entry: Entry, loss: "Axes", iou: "Axes", losses: Limits, scores: Limits) -> None:
    for axes, (low, high, log) in ((loss, losses), (iou, scores)):
        axes.set_visible(True)
        axes.grid(color=INK, alpha=FAINT, lw=0.5)
        axes.tick_params(labelbottom=False, labelleft=False, labelsize=7)
        axes.tick_params(axis="x", length=0)
        if log and axes is loss:
            axes.set_yscale("log")
        axes.set_ylim(low, high)
    draw_lines(loss, entry.done, "train/loss", TRAIN, (0, (3, 1.2)))
    draw_lines(loss, entry.done, "val/loss", VAL, "-")
    draw_lines(iou, entry.done, "val/iou", VAL, "-", best=True)


def draw_lines(
    axes: "Axes", cells: Sequence[Cell], name: str, colour: str, dashes: Any, best: bool = False
) -> None:
    """A thin line for each cell and, where there are several, their mean.

    Args:
        axes: the panel.
        cells: of one entry.
        name: the column of ``curves.csv``.
        colour: of the lines.
        dashes: of the mean, or of a single line.
        best: whether to mark the epochs with the selected weights.
    """
    table = _by_seed(cells, name)
    if table.empty:
        return
    for cell in cells if best else ():
        epoch = int(cell.record.get("best_epoch") or 0)
        if cell.run_name in table and epoch in table.index:
            value = float(table[cell.run_name][epoch])
            axes.plot(epoch, value, "o", color=INK, ms=3, mew=0, zorder=4)
    alone = table.shape[1] == 1
    for seed in table:
        style: dict[str, Any] = {"lw": 1.3} if alone else {"lw": 0.6, "alpha": 0.55}
        axes.plot(table.index, table[seed], color=colour, ls=dashes if alone else "-", **style)
    if not alone:
        mean = table.dropna().mean(
            axis=1
        )  # only epochs of all seeds, as a mean of some would mislead
        axes.plot(mean.index, mean, color=colour, lw=1.5, ls=dashes)


def _label_outer(
    drawn: Sequence[tuple[Entry, "Axes", "Axes"]],
    positions: Sequence[tuple[int, int]],
    limits: dict[str, Limits],
) -> None:
    """Label the left and bottom axes, and loss axes that differ from that of the left panel."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    at = {position: entry for position, (entry, *_) in zip(positions, drawn, strict=True)}
    for (row, column), (entry, loss, iou) in zip(positions, drawn, strict=True):
        first = (row, column - 1) not in at
        low, high, log = limits[_loss(entry)]
        loss.yaxis.set_major_locator(
            LogLocator(subs=decade_steps(low, high)) if log else MaxNLocator(4)
        )
        if log:
            loss.yaxis.set_minor_locator(NullLocator())
        loss.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        loss.tick_params(labelleft=first or _loss(at[row, column - 1]) != _loss(entry))
        iou.yaxis.set_major_locator(MaxNLocator(4))
        iou.tick_params(labelleft=first)
        if first:
            loss.set_ylabel("loss")
            iou.set_ylabel("IoU")
        if (row + 1, column) not in at:
            iou.tick_params(axis="x", labelbottom=True, length=3)
            iou.set_xlabel("epoch")
            iou.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def curves_legend(figure: "Figure") -> None:
    """Add the legend of curves: train, val, and the epoch of the selected weights."""
    from matplotlib.lines import Line2D

    kinds: dict[str, dict[str, Any]] = {
        "train": {"color": TRAIN, "lw": 1.5, "ls": (0, (3, 1.2))},
        "val": {"color": VAL, "lw": 1.5},
        "best epoch": {"color": INK, "lw": 0, "marker": "o", "ms": 3},
    }
    handles = [Line2D([], [], **style) for style in kinds.values()]
    figure.legend(handles, list(kinds), loc="outside upper center", ncols=len(kinds))
