"""Ends a process when the process that started it has ended, even by ``kill -9``."""

import multiprocessing
import os
import time
from threading import Thread

SECONDS = 1.0  # between two checks
LEADER = "SEGBENCH_LEADER"  # tells the processes of a cell which process leads it
_watching: set[int] = set()  # this process, once it watches; a fork's copy holds its parent's id


def end_with(parent: int) -> None:
    """End this process as soon as the process ``parent`` is no longer its parent.

    When a parent ends, the system gives its child another parent; a thread checks for that. Linux
    can send a signal instead (``PR_SET_PDEATHSIG``), but it does so as soon as the parent's
    *thread* that started this process ends.
    """
    if os.getpid() not in _watching:
        _watching.add(os.getpid())
        Thread(target=_watch, args=(parent,), daemon=True, name="watch parent").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(SECONDS)
    os._exit(1)  # immediately: no process waits for it, and checkpoint writes are atomic


def end_with_pool() -> None:
    """In a process of a pool, end when the process that started the pool ends."""
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        end_with(parent.pid)


def end_with_leader() -> None:
    """In a further process of a cell (``trainer=ddp``), end when its first process ends."""
    if "LOCAL_RANK" in os.environ and (leader := os.environ.get(LEADER)):
        end_with(int(leader))


def lead() -> None:
    """Store this process's id for the processes that Lightning will start for this cell."""
    os.environ[LEADER] = str(os.getpid())
