"""Formats scores, counts, times and sizes with units for tables and sentences."""

import math

from segbench.metrics.registry import find_score

NONE = "–"


def score_text(value: float | None, name: str = "iou") -> str:
    """A score or loss with four decimals; distances and large numbers with two.

    Args:
        value: the score; a dash stands for None and NaN.
        name: its name, such as ``iou`` or ``assd/nucleus``.
    """
    if value is None or math.isnan(value):
        return NONE
    large = abs(value) > (1 if name != "loss" else 100)
    return f"{value:.{2 if find_score(name).unit or large else 4}f}"


def spread_text(value: float, name: str = "iou") -> str:
    """A standard deviation as `` ± 0.0031``; empty for NaN, which a single seed gives."""
    return "" if math.isnan(value) else f" ± {score_text(value, name)}"


def share_text(value: float) -> str:
    """A fraction in per cent; above 0 it is never shown as 0 %, nor below 1 as 100 %."""
    if math.isnan(value):
        return NONE
    if 0 < value < 0.01:
        return "< 1 %"
    return "> 99 %" if 0.99 < value < 1 else f"{value:.0%}".replace("%", " %")


def p_text(value: float) -> str:
    """A p-value with three decimals, or ``< 0.001``."""
    if math.isnan(value):
        return NONE
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def count_text(value: float) -> str:
    """A count with a decimal unit: ``9.16 M`` for 9163329."""
    return _scaled(value, 1000, ("", " k", " M", " G", " T", " P"))


def memory_text(value: float) -> str:
    """Bytes with a binary unit: ``1.21 GiB`` for 1300000000."""
    return _scaled(value, 1024, (" B", " KiB", " MiB", " GiB", " TiB"))


def figures_text(value: float) -> str:
    """Three significant figures: 75.3 for 75.28."""
    return NONE if math.isnan(value) else f"{value:.3g}"


def time_text(seconds: float) -> str:
    """Seconds in the fitting unit: ``48 s``, ``23.5 min``, ``4.1 h``."""
    if math.isnan(seconds):
        return NONE
    if seconds < 59.5:  # no "60 s"
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3597 else f"{seconds / 3600:.1f} h"


def _scaled(value: float, step: int, units: tuple[str, ...]) -> str:
    if math.isnan(value):
        return NONE
    index = 0
    while abs(value) >= step - 0.5 and index < len(units) - 1:
        value, index = value / step, index + 1
    digits = 0 if not index and value == int(value) else max(0, 3 - len(str(int(abs(value)))))
    return f"{value:.{digits}f}{units[index]}"
