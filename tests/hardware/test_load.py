"""The cores that other processes keep busy are measured, and a notice depends on them."""

import os
import subprocess
import sys
import time

import pytest

from segbench.hardware import load
from segbench.hardware.load import CoreWatch, _Sample

linux = pytest.mark.skipif(not os.path.exists("/proc/stat"), reason="needs Linux")


def watch_of(monkeypatch: pytest.MonkeyPatch, *samples: tuple[float, float, float]) -> CoreWatch:
    left = [_Sample(*each) for each in samples]
    monkeypatch.setattr(load, "_sample", lambda: left.pop(0) if len(left) > 1 else left[0])
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    return CoreWatch()


@pytest.mark.parametrize(
    ("all_cores", "own", "threads", "said"),
    [
        (8.0, 2.0, 4, True),  # 3 cores are busy with other work, and 4 threads want 4
        (8.0, 2.0, 2, True),
        (8.0, 2.0, 1, False),  # one thread waits for nobody
        (2.0, 2.0, 4, False),  # it was this process
        (2.6, 2.0, 4, False),  # 0.3 cores are little
        (4.0, 2.0, 3, False),  # there is room
    ],
)
def test_a_notice_needs_others_and_too_few_cores(
    monkeypatch: pytest.MonkeyPatch, all_cores: float, own: float, threads: int, said: bool
) -> None:
    watch = watch_of(monkeypatch, (10.0, 50.0, 7.0), (12.0, 50.0 + all_cores, 7.0 + own))
    assert bool(watch.notice(threads)) == said
    if said:
        assert "3.0 of the 4 cores" in watch.notice(threads)
        assert "OMP_NUM_THREADS=1" in watch.notice(threads)


def test_over_a_moment_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert watch_of(monkeypatch, (10.0, 50.0, 7.0), (10.1, 90.0, 7.0)).others() == 0


@linux
def test_another_process_counts_and_this_one_does_not() -> None:
    watch = CoreWatch()
    end = time.monotonic() + 0.8
    while time.monotonic() < end:
        pass
    alone = watch.others()
    code = "while True: pass"
    with subprocess.Popen([sys.executable, "-c", code]) as other:
        watch = CoreWatch()
        time.sleep(1.5)
        beside = watch.others()
        other.kill()
    cores = len(os.sched_getaffinity(0))
    assert 0 <= alone <= cores
    assert 0.2 < beside <= cores + 0.2


def test_where_the_system_tells_nothing_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_STAT", load.Path("no/such/file"))
    watch = CoreWatch()
    time.sleep(0.25)
    assert watch.notice(8) == ""
