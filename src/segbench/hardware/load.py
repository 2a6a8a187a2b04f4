"""How busy other processes keep the cores that this one may use."""

import os
import time
from pathlib import Path
from typing import NamedTuple

SHORTEST = 0.2  # seconds; over less time the system's counters are too coarse
_STAT = Path("/proc/stat")


class _Sample(NamedTuple):
    """Seconds of a clock, and of processor time: of all processes, and of this one."""

    clock: float
    all: float
    own: float


class CoreWatch:
    """Measures, from its creation on, how many cores other processes keep busy; Linux only."""

    def __init__(self) -> None:
        self._first = _sample()

    def others(self) -> float:
        """The mean number of cores that others kept busy; 0 where it is not known."""
        now = _sample()
        if now is None or self._first is None:
            return 0.0
        seconds = now.clock - self._first.clock
        if seconds < SHORTEST:
            return 0.0
        own = now.own - self._first.own
        return max(0.0, (now.all - self._first.all - own) / seconds)

    def notice(self, threads: int) -> str:
        """One line for a training that others will slow down; empty if there is none.

        Args:
            threads: the number of threads with which it computes.
        """
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
        busy = self.others()
        if threads < 2 or busy < 0.5 or busy + threads < cores + 0.5:
            return ""
        return (
            f"other processes keep {busy:.1f} of the {cores} cores busy, and this training uses "
            f"{threads} threads, which wait for each other: it may take several times as long. "
            "OMP_NUM_THREADS=1 before the command is faster then, and may change the last digits "
            "of a result"
        )


def _sample() -> _Sample | None:
    """The processor time so far; None where the system does not tell it, or limits it."""
    try:
        chosen = {f"cpu{number}" for number in os.sched_getaffinity(0)}
        lines = _STAT.read_text(encoding="ascii").splitlines()
        ticks = os.sysconf("SC_CLK_TCK")
    except (AttributeError, OSError, ValueError):
        return None
    used = 0.0
    for name, *counts in (line.split() for line in lines if line.startswith("cpu")):
        if name in chosen:  # user, nice, system, idle, iowait, irq, softirq, steal, …
            used += sum(map(int, counts[:3])) + sum(map(int, counts[5:7]))
    times = os.times()
    own = times.user + times.system + times.children_user + times.children_system
    return _Sample(time.monotonic(), used / ticks, own)
