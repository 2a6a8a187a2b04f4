"""No process of segbench outlives the one that started it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny import TINY

POOL = ("-m", "seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=3")
RANKS = ("trainer.devices=2", "trainer.accelerator=cpu")
LONG = (*TINY, "trainer.max_epochs=5000", "data.num_workers=1")


def stat(pid: int) -> list[str]:
    """State, parent and so on of a process, as Linux tells them; [] if it has ended."""
    try:
        found = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
    return found if found[0] not in "ZX" else []


def descendants(pid: int) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        facts = stat(int(folder.name))
        if facts and int(facts[1]) == pid:
            yield int(folder.name)
            yield from descendants(int(folder.name))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into Linux's /proc")
@pytest.mark.parametrize(
    ("words", "cells", "count"),
    [
        (POOL, 2, 5),  # three processes of the pool, one without a cell, and two that load
        (RANKS, 1, 3),  # another rank, and one that loads for each
    ],
    ids=["joblib", "ddp"],
)
def test_after_a_kill_no_process_is_left(
    words: tuple[str, ...], cells: int, count: int, tmp_path: Path
) -> None:
    if "-m" in words:
        pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    process = subprocess.Popen(
        [sys.executable, "-m", "segbench", *LONG, *words],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("outputs/*/*/checkpoints/last.ckpt"))) < cells:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    started = list(descendants(process.pid))
    process.kill()
    process.wait()
    assert len(started) >= count
    deadline = time.monotonic() + 10
    while left := [pid for pid in started if stat(pid)]:
        if time.monotonic() > deadline:
            for pid in left:
                os.kill(pid, 9)
            raise AssertionError(f"{len(left)} of {len(started)} processes were left")
        time.sleep(0.1)


def test_a_process_of_its_own_watches_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    from segbench.hardware import parents

    watched: list[int] = []
    monkeypatch.setattr(parents, "end_with", watched.append)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setenv(parents.LEADER, "1")
    parents.end_with_pool()
    parents.end_with_leader()
    assert watched == []  # as a cell that a cluster started
    monkeypatch.setenv("LOCAL_RANK", "1")
    parents.end_with_leader()
    assert watched == [1]
