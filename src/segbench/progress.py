"""Progress of long steps: a bar on a terminal, a plain line elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.progress import track as rich_track

T = TypeVar("T")


def track(items: Iterable[T], total: int, description: str) -> Iterator[T]:
    """Yield ``items``, showing how far they have come."""
    if sys.stdout.isatty():
        yield from rich_track(items, description, total, transient=True)
        return
    start = time.perf_counter()
    yield from items
    print(f"{description}: {time.perf_counter() - start:.1f} s", flush=True)
