"""The curves of a cell as small SVG charts that take their colours from the page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup, escape

from segbench.metrics.registry import find_score

WIDTH, HEIGHT = 340, 170
LEFT, RIGHT, TOP, BOTTOM = 46, 44, 12, 26  # margins for the axis' numbers and the lines' names
# the title of each chart, and the column and name of each line
CHARTS = (
    ("Loss", (("train/loss", "train"), ("val/loss", "val"))),
    ("IoU", (("train/iou", "train"), ("val/iou", "val"))),
)
Points = Sequence[tuple[float, float]]
Lines = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Frame:
    """The range of a chart's axes, which is equal for all seeds of an entry."""

    epochs: float
    low: float
    high: float

    def at(self, epoch: float, value: float) -> tuple[float, float]:
        """The coordinates of a point in the picture, in pixels."""
        x = LEFT + (epoch - 1) / max(self.epochs - 1, 1) * (WIDTH - LEFT - RIGHT)
        span = (self.high - self.low) or 1.0
        y = TOP + (self.high - value) / span * (HEIGHT - TOP - BOTTOM)
        return x, y


def charts(tables: Sequence[pd.DataFrame]) -> list[tuple[str, Lines]]:
    """The title and lines of each chart: loss, IoU, and the further scores of the tables."""
    columns = sorted({str(column) for table in tables for column in table})
    known = {column for _, lines in CHARTS for column, _ in lines}
    further: dict[str, list[tuple[str, str]]] = {}
    for column in columns:
        part, _, name = column.partition("/")
        if part in ("train", "val") and column not in known:
            label = name.partition("/")[2]
            title = find_score(name).title + (f", {label}" if label else "")
            further.setdefault(title, []).append((column, part))
    return [*CHARTS, *((title, tuple(lines)) for title, lines in further.items())]


def frames(tables: Sequence[pd.DataFrame]) -> dict[str, Frame]:
    """The axes of each chart, wide enough for the curves of all seeds."""
    found = {}
    for title, lines in charts(tables):
        points = [p for table in tables for column, _ in lines for p in _points(table, column)]
        if points:
            values = [value for _, value in points]
            low = 0.0 if min(values) >= 0 else min(values)
            high = 1.0 if title == "IoU" else max(values)
            found[title] = Frame(max(epoch for epoch, _ in points), low, high)
    return found


def draw_curves(table: pd.DataFrame, best: int | None, axes: Mapping[str, Frame]) -> list[Markup]:
    """Charts of a cell's loss, IoU and further scores by epoch, with the selected epoch."""
    drawn = []
    for title, lines in charts([table]):
        curves = {name: _points(table, column) for column, name in lines}
        if title in axes and any(curves.values()):
            drawn.append(_chart(title, curves, best, axes[title]))
    return drawn


def _points(table: pd.DataFrame, column: str) -> list[tuple[float, float]]:
    if column not in table:
        return []
    pairs = zip(table.index.astype(float), table[column].astype(float), strict=True)
    return [(epoch, value) for epoch, value in pairs if math.isfinite(value)]


def _chart(title: str, curves: Mapping[str, Points], best: int | None, frame: Frame) -> Markup:
    ranges = [f"{name} from {p[0][1]:.3g} to {p[-1][1]:.3g}" for name, p in curves.items() if p]
    label = f"{title} by epoch: {', '.join(ranges)}" + (f"; epoch {best} selected" if best else "")
    parts = [_grid(frame)]
    if best:
        x, _ = frame.at(best, frame.low)
        parts.append(
            f'<path class="best" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
            f'<text class="best" x="{x:.1f}" y="{TOP - 3}" text-anchor="middle">'
            f"epoch {best}</text>"
        )
    parts += [_line(name, points, frame) for name, points in curves.items() if points]
    parts += _names({name: points for name, points in curves.items() if points}, frame)
    return Markup(
        f'<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def _grid(frame: Frame) -> str:
    lines = []
    for value in (frame.low, (frame.low + frame.high) / 2, frame.high):
        _, y = frame.at(1, value)
        lines.append(
            f'<path class="rule" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>'
        )
    for epoch in sorted({1, round(frame.epochs)}):
        x, _ = frame.at(epoch, frame.low)
        word = f"{epoch}" if epoch == 1 else f"{epoch} epochs"
        lines.append(f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{word}</text>')
    return "".join(lines)


def _line(name: str, points: Points, frame: Frame) -> str:
    if len(points) == 1:
        x, y = frame.at(*points[0])
        return f'<circle class="{name}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>'
    path = " ".join("{:.1f},{:.1f}".format(*frame.at(*point)) for point in points)
    return f'<polyline class="{name}" points="{path}"/>'


def _names(curves: Mapping[str, Points], frame: Frame) -> list[str]:
    """The lines' names at their right ends, without overlap."""
    ends = sorted((frame.at(*points[-1])[1], name) for name, points in curves.items())
    x = max(frame.at(*points[-1])[0] for points in curves.values()) + 5
    texts, last = [], -math.inf
    for y, name in ends:
        last = max(y, last + 12)
        texts.append(f'<text class="{name}" x="{x:.1f}" y="{last + 4:.1f}">{name}</text>')
    return texts
