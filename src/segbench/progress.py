"""Progress of long steps: a bar on a terminal, a plain line elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.progress import track as rich_track

T = TypeVar("T")


def track(items: Iterable[T], total: int, description: str, least: float = 0.0) -> Iterator[T]:
    """Yield ``items``, showing how far they have come; a line if it took ``least`` seconds."""
    if sys.stdout.isatty():
        yield from rich_track(items, description, total, transient=True)
        return
    start = time.perf_counter()
    yield from items
    if (seconds := time.perf_counter() - start) >= least:
        print(f"{description}: {seconds:.1f} s", flush=True)
