"""Progress of long steps: a bar on a terminal, a plain line elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.markup import escape
from rich.progress import track as rich_track

from segbench.text.screen import console, say

T = TypeVar("T")
EVERY = 10.0  # seconds between two lines


def track(items: Iterable[T], total: int, description: str, least: float = 0.0) -> Iterator[T]:
    """Yield ``items`` and show how many are done.

    Where the output is not a terminal, a line is printed every ``EVERY`` seconds.

    Args:
        items: the items.
        total: their number.
        description: the text before the numbers.
        least: seconds that all must take for a last line with the time to be printed.
    """
    if sys.stdout.isatty():
        yield from rich_track(items, escape(description), total, console=console(), transient=True)
        return
    start = printed = time.perf_counter()
    for done, item in enumerate(items):
        if time.perf_counter() - printed > EVERY:
            printed = time.perf_counter()
            say(f"{description}: {done} of {total}")
        yield item
    if (seconds := time.perf_counter() - start) >= least:
        say(f"{description}: {seconds:.1f} s")
