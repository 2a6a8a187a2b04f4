"""What a configuration costs: the one list that entries, tables, the page and figures follow."""

from collections.abc import Callable
from dataclasses import dataclass

from segbench.text.numbers import count_text, figures_text, memory_text, time_text


@dataclass(frozen=True)
class Cost:
    """A kind of cost.

    Args:
        key: its key in ``run.json``.
        label: its column on the page.
        text: writes a value with its unit.
        lower_is_better: whether the best value is the lowest.
        axis: its name on the axis of the figure; empty: it is not drawn.
        units: of the axis, each with its size in units of the key's, the smallest first.
    """

    key: str
    label: str
    text: Callable[[float], str]
    lower_is_better: bool = True
    axis: str = ""
    units: tuple[tuple[float, str], ...] = ()


COSTS = (
    Cost(
        "parameters", "parameters", count_text, axis="parameters",
        units=((1, ""), (1e3, "thousands"), (1e6, "millions")),
    ),
    Cost(
        "flops", "FLOPs, one image", count_text, axis="one image's forward pass",
        units=((1, "FLOPs"), (1e6, "MFLOPs"), (1e9, "GFLOPs")),
    ),
    Cost(
        "train_seconds", "training time", time_text, axis="training time",
        units=((1, "s"), (60, "min"), (3600, "h")),
    ),
    Cost("images_per_second", "images/s", figures_text, lower_is_better=False),
    Cost(
        "peak_memory_bytes", "peak memory", memory_text, axis="peak memory",
        units=((1, "B"), (2**20, "MiB"), (2**30, "GiB")),
    ),
    Cost("best_epoch", "epochs to best", figures_text),
    Cost("epochs", "epochs trained", figures_text),
)  # fmt: skip
