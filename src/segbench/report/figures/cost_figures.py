"""Draws the figure of costs: score against parameters, FLOPs, time and memory."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from segbench.arrays import Values
from segbench.report.figures.drawing import (
    FAINT,
    INK,
    WIDE,
    WIDTH,
    decade_steps,
    entry_styles,
    fix_layout,
    new_figure,
    put_legend,
    styled,
    wrapped,
)
from segbench.report.sections.comparison import Comparison, Entry, Section
from segbench.report.sections.costs import COSTS, Cost

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def pareto_front(costs: ArrayLike, scores: ArrayLike) -> list[int]:
    """The indices of the points on the Pareto front, cheapest first.

    Higher scores are better. Points with NaN are never on the front.

    Args:
        costs: ``(n,)`` costs of the points.
        scores: ``(n,)`` scores of the points.
    """
    costs, scores = np.asarray(costs, np.float64), np.asarray(scores, np.float64)
    known = np.flatnonzero(~np.isnan(costs) & ~np.isnan(scores))
    front: list[int] = []
    for k in sorted(known.tolist(), key=lambda k: (costs[k], -scores[k])):
        twin = front and costs[k] == costs[front[-1]] and scores[k] == scores[front[-1]]
        if not front or scores[k] > scores[front[-1]] or twin:
            front.append(k)
    return front


@styled
def cost(section: Section, comparison: Comparison) -> "Figure | None":
    """Score against parameters, FLOPs, training time and peak memory, with the Pareto front."""
    shown = [kind for kind in COSTS if kind.axis and any(_known(e, kind) for e in section.scored)]
    if not shown:
        return None
    down = -(-len(shown) // 2)
    names = len(entry_styles(comparison)[1])
    figure = new_figure(
        f"{comparison.label} against cost, {section.data}", 2.9 * down + 0.18 * (names / 4 + 1)
    )
    grid = figure.subplots(down, 2, sharey=True, squeeze=False)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    fronts = [
        _cost_panel(axes, [e for e in section.scored if _known(e, kind)], kind, comparison)
        for axes, kind in zip(grid.flat, shown, strict=False)
    ]
    for axes in grid[:, 0]:
        axes.set_ylabel(comparison.label)
    _cost_legend(figure, comparison)
    fix_layout(figure)
    for axes, front in zip(grid.flat, fronts, strict=False):
        _label_points(figure, axes, *front)
    return figure


def _known(entry: Entry, kind: Cost) -> bool:
    return bool(np.isfinite(entry.cost.get(kind.key, np.nan)) and np.isfinite(entry.mean))


def _cost_panel(
    axes: "Axes", entries: Sequence[Entry], kind: Cost, comparison: Comparison
) -> tuple[Values, Values, dict[int, str]]:
    """Draw a panel; returns its points, the corners of the front and the labels of its points."""
    raw = np.array([entry.cost[kind.key] for entry in entries])
    scale, unit = next((u for u in reversed(kind.units) if raw.max() >= u[0]), kind.units[0])
    costs, scores = raw / scale, np.array([entry.mean for entry in entries])
    for x, entry in zip(costs, entries, strict=True):
        entry_style = entry_styles(comparison)[0][entry.label]
        axes.vlines(x, entry.low, entry.high, color=entry_style.colour, lw=0.9, alpha=0.55)
        axes.plot(x, entry.mean, ms=5.5, zorder=3, **entry_style.arguments)
    front = pareto_front(costs, -scores if comparison.lower_is_better else scores)
    _scale_costs(axes, costs)
    end = axes.get_xlim()[1]
    xs = [*np.repeat(costs[front], 2)[1:], end]
    steps = np.column_stack([xs, np.repeat(scores[front], 2)])
    axes.plot(*steps.T, color=INK, lw=0.8, ls=(0, (4, 2)), zorder=1)
    axes.margins(y=0.09)
    axes.set_xlim(right=end)
    axes.set_xlabel(kind.axis + (f" ({unit})" if unit else ""))
    axes.grid(color=INK, alpha=FAINT, lw=0.6)
    return np.column_stack([costs, scores]), steps, {k: entries[k].label for k in reversed(front)}


def _scale_costs(axes: "Axes", costs: Values) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    low, high = float(costs.min()), float(costs.max())
    if low > 0 and high / low > WIDE:
        axes.set_xscale("log")
        axes.set_xlim(low / (high / low) ** 0.06, high * (high / low) ** 0.06)
        axes.xaxis.set_major_locator(LogLocator(subs=decade_steps(low, high)))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        room = 0.06 * (high - low) or 0.1 * abs(high) or 1
        axes.set_xlim(low - room, high + room)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _cost_legend(figure: "Figure", comparison: Comparison) -> None:
    from matplotlib.lines import Line2D

    legend = entry_styles(comparison)[1]
    handles = [Line2D([], [], ms=5.5, **entry_style.arguments) for _, entry_style in legend]
    labels = [name for name, _ in legend]
    longest = max(map(len, labels), default=1)
    columns = max(1, min(len(labels), int(WIDTH / (0.35 + 0.07 * longest))))
    style = {"loc": "outside lower center", "ncols": columns, "columnspacing": 1.2}
    put_legend(figure, handles, labels, **style)


def _label_points(
    figure: "Figure", axes: "Axes", points: Values, steps: Values, labels: dict[int, str]
) -> None:
    """Put labels beside points so that they cover no other point and no other label."""
    pixel = 72 / figure.dpi  # in typographic points
    frame = np.array(axes.get_window_extent().get_points()) * pixel
    spots, corners = (axes.transData.transform(each) * pixel for each in (points, steps))
    line = np.concatenate([np.linspace(a, b, 60) for a, b in pairwise(corners)])
    texts = [
        axes.annotate(wrapped(label, 24), points[k], (0, 0), textcoords="offset points", size=7)
        for k, label in labels.items()
    ]
    sizes = [np.array(text.get_window_extent().size) * pixel for text in texts]
    offsets = place_labels(spots, list(labels), sizes, frame, line)
    for text, corner, size, k in zip(texts, offsets, sizes, labels, strict=True):
        text.set(position=corner, ha="left", va="bottom")
        near = np.clip((0, 0), corner, corner + size)  # the point of the label nearest to its spot
        if np.hypot(*near) > 9:
            style = {"arrowstyle": "-", "color": INK, "lw": 0.5, "shrinkA": 0, "shrinkB": 3}
            axes.annotate(
                "", points[k], (near[0], near[1]), textcoords="offset points", arrowprops=style
            )


def place_labels(
    spots: Values, owners: Sequence[int], sizes: Sequence[Values], frame: Values, line: Values
) -> list[Values]:
    """The offset of each label's lower left corner from its spot, ``(2,)`` each.

    Each label in turn gets the nearest position within the frame that covers no spot, no earlier
    label and no line, or else the position that covers least.

    Args:
        spots: ``(n, 2)`` coordinates of all points.
        owners: indices of the points that get a label.
        sizes: width and height of each label, ``(2,)``.
        frame: ``(2, 2)`` lower left and upper right corner of the axes.
        line: ``(m, 2)`` dense points of a line that labels should not cover.
    """
    taken: list[tuple[Values, Values]] = []
    chosen = []
    for owner, size in zip(owners, sizes, strict=True):
        found = []
        for nearness, toward in enumerate(_OFFSETS):
            # a label is to the left of its spot, in the middle of it or to the right
            corner = toward - size * (1 - np.sign(toward)) / 2
            low, high = spots[owner] + corner, spots[owner] + corner + size
            outside = (low < frame[0]).any() or (high > frame[1]).any()
            spoilt = _within(spots, low - 3, high + 3)
            clashes = sum(bool((low < h + 1).all() and (b < high + 1).all()) for b, h in taken)
            worth = 50 * outside + 20 * clashes + 10 * spoilt + 5 * (_within(line, low, high) > 0)
            found.append((worth + nearness / 8, nearness, corner, low, high))
        *_, corner, low, high = min(found, key=lambda each: each[:2])
        taken.append((low, high))
        chosen.append(corner)
    return chosen


def _within(points: Values, low: Values, high: Values) -> int:
    return int(((points > low) & (points < high)).all(axis=1).sum())


_OFFSETS = [
    np.array((r * x, r * y))
    for r in (5, 9, 14, 20, 28)
    for x, y in ((-1, 1), (1, -1), (0, 1), (0, -1), (1, 1), (-1, -1), (1, 0), (-1, 0))
]
