"""Amounts, counts and lists as they stand in sentences."""

from collections.abc import Sequence

import numpy as np


def amount(value: float) -> str:
    """A difference, with two digits that count: 0.034, 1.2, 130."""
    if not np.isfinite(value):
        return "–"
    if abs(value) >= 10:
        return f"{value:.0f}"
    return np.format_float_positional(value, precision=2, fractional=False, trim="-")


def count(number: int, noun: str) -> str:
    """``1 test image``, ``133 test images``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(words: Sequence[str], shown: int = 6) -> str:
    """``a, b and c``; of many the first, and how many more."""
    words = list(words)
    if len(words) > shown:
        words = [*words[: shown - 1], f"{len(words) - shown + 1} more"]
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""
