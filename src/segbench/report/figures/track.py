"""The interface for showing the progress of long steps of a report."""

from collections.abc import Callable, Iterable
from typing import Any

# A function that yields the given items and shows progress. Its arguments: the items, their number,
# and a title of the step.
Track = Callable[[Iterable[Any], int, str], Iterable[Any]]


def no_progress(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
    """Return ``items`` without showing progress."""
    return items
