"""Curves: what is drawn, and where."""

import re
from math import nan

import pandas as pd

from segbench.report.page.curves import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, draw_curves, frames


def table(**columns: list[float]) -> pd.DataFrame:
    columns = {name.replace("_", "/"): values for name, values in columns.items()}
    index = pd.RangeIndex(1, len(next(iter(columns.values()))) + 1, name="epoch")
    return pd.DataFrame(columns, index=index)


def points(svg: str, name: str) -> list[list[float]]:
    found = re.search(rf'<polyline class="{name}" points="([^"]+)"', svg)
    assert found
    return [[float(x) for x in point.split(",")] for point in found[1].split()]


def test_lines_span_the_frame_from_corner_to_corner() -> None:
    curves = table(train_loss=[2.0, 1.0, 0.0])
    (chart,) = draw_curves(curves, None, frames([curves]))
    middle = [(LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2]
    assert points(chart, "train") == [[LEFT, TOP], middle, [WIDTH - RIGHT, HEIGHT - BOTTOM]]
    assert "epoch" not in re.sub(r'aria-label="[^"]*"|\d epochs', "", chart)  # none selected


def test_seeds_share_their_axes_and_gaps_are_left_out() -> None:
    one, other = table(val_loss=[1.0, nan, 0.5]), table(val_loss=[2.0, 2.0, 2.0])
    axes = frames([one, other])
    assert (axes["Loss"].low, axes["Loss"].high, axes["Loss"].epochs) == (0, 2, 3)
    (chart,) = draw_curves(one, 3, axes)
    assert [y for _, y in points(chart, "val")] == [
        TOP + (HEIGHT - TOP - BOTTOM) * share for share in (0.5, 0.75)
    ]
    assert ">epoch 3<" in chart
    assert 'aria-label="Loss by epoch: val from 1 to 0.5; epoch 3 selected"' in chart


def test_a_single_epoch_is_a_dot_and_no_curves_are_no_chart() -> None:
    curves = table(val_iou=[0.5])
    (chart,) = draw_curves(curves, 1, frames([curves]))
    assert '<circle class="val"' in chart
    assert draw_curves(pd.DataFrame(), None, frames([pd.DataFrame()])) == []
