"""Numbers for people: scores, counts, times and sizes in units that can be read at a glance."""

import math

NONE = "–"
PIXELS = ("assd", "hd95")  # scores in pixels; the others are shares


def score_text(value: float, name: str = "iou") -> str:
    """A score such as ``iou`` or ``assd/nucleus``: four decimals; two in pixels and above 1."""
    if math.isnan(value):
        return NONE
    return f"{value:.{2 if name.partition('/')[0] in PIXELS or abs(value) > 1 else 4}f}"


def spread_text(value: float, name: str = "iou") -> str:
    """`` ± 0.0031``; empty with a single seed."""
    return "" if math.isnan(value) else f" ± {score_text(value, name)}"


def share_text(value: float) -> str:
    """A share in per cent; what is not quite 0 or 1 does not look like it."""
    if math.isnan(value):
        return NONE
    if 0 < value < 0.01:
        return "< 1 %"
    return "> 99 %" if 0.99 < value < 1 else f"{value:.0%}".replace("%", " %")


def p_text(value: float) -> str:
    """A p-value; below 0.001 only that."""
    if math.isnan(value):
        return NONE
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def count_text(value: float) -> str:
    """9.16 M for 9163329."""
    return _scaled(value, 1000, ("", " k", " M", " G", " T", " P"))


def memory_text(value: float) -> str:
    """1.21 GiB for 1300000000."""
    return _scaled(value, 1024, (" B", " KiB", " MiB", " GiB", " TiB"))


def time_text(seconds: float) -> str:
    """``48 s``, ``23.5 min``, ``4.1 h``."""
    if math.isnan(seconds):
        return NONE
    if seconds < 59.5:  # no "60 s"
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3597 else f"{seconds / 3600:.1f} h"


def _scaled(value: float, step: int, units: tuple[str, ...]) -> str:
    if math.isnan(value):
        return NONE
    place = 0
    while abs(value) >= step - 0.5 and place < len(units) - 1:
        value, place = value / step, place + 1
    digits = 0 if not place and value == int(value) else max(0, 3 - len(str(int(abs(value)))))
    return f"{value:.{digits}f}{units[place]}"
