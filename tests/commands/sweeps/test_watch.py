"""A cell whose process is gone is noticed, and a launcher that waits for it is made to end."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from segbench.commands.sweeps import watch
from segbench.commands.sweeps.board import Planned
from segbench.commands.sweeps.sweep import _launch
from segbench.commands.sweeps.watch import Life, VainWaitError
from segbench.records import locks
from segbench.records.record import read_record, write_record

CELL = """
import sys, time
from pathlib import Path
from segbench.records import locks
from segbench.records.record import write_record
locks.BEAT = 0.1
folder = Path(sys.argv[1])
with locks.alone_in(folder):
    write_record(folder, {"status": "running", "error": None})
    print(flush=True)
    time.sleep(float(sys.argv[2]))
    write_record(folder, {"status": "failed", "error": "by itself"})
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SILENT", 1.0)
    monkeypatch.setattr(watch, "CHECK_EVERY", 0.05)


def begin(folder: Path, seconds: float = 100) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", CELL, str(folder), str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    return process


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def sleep_for_ever() -> None:
    time.sleep(50)


def wait_for_a_lock() -> None:
    from threading import Event

    Event().wait(50)


@pytest.mark.parametrize("wait", [sleep_for_ever, wait_for_a_lock])
def test_a_launcher_does_not_wait_for_the_killed(wait: Callable[[], None], tmp_path: Path) -> None:
    cells = [Planned(tmp_path / name, (), 1) for name in ("killed", "slow")]

    def launch(*_: Any, **__: Any) -> list[Any]:
        kill(begin(cells[0].folder))
        slow = begin(cells[1].folder, 3)  # longer than the silence that is allowed
        try:
            wait()
        finally:
            kill(slow)
        return []

    start = time.monotonic()
    error = _launch(cells, launch)
    assert isinstance(error, VainWaitError)
    assert 3 < time.monotonic() - start < 40
    assert [cell.state for cell in cells] == ["failed", "failed"]
    host = os.uname().nodename
    assert f"on {host} gave no sign of life for 1 s" in cells[0].reason
    assert cells[0].reason.startswith("killed: process ")
    assert cells[1].reason == "by itself"


def test_what_waits_for_its_turn_is_waited_for(tmp_path: Path) -> None:
    write_record(tmp_path / "killed", {"status": "running", "error": None})  # before the launch
    queued, killed, requeued = (Life(tmp_path / name) for name in ("a", "killed", "b"))
    write_record(requeued.folder, {"status": "interrupted", "error": watch.REQUEUED})
    for life in (queued, killed, requeued):
        life.is_over()
    time.sleep(1.1)
    assert [life.is_over() for life in (queued, killed, requeued)] == [False] * 3
    assert read_record(killed.folder)["status"] == "running"


def test_a_process_lives_as_long_as_it_is_seen_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its heartbeat alone, as on a file system whose locks other machines do not see."""
    monkeypatch.setattr(watch, "is_locked", lambda _: False)
    life = Life(tmp_path / "cell")
    process = begin(life.folder)
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        assert not life.is_over()
        time.sleep(0.05)
    kill(process)
    deadline = time.monotonic() + 20
    while not life.is_over():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert read_record(life.folder)["status"] == "failed"


def test_a_launch_that_ends_leaves_no_trace(tmp_path: Path) -> None:
    import signal

    before = signal.getsignal(signal.SIGURG)
    cell = Planned(tmp_path / "cell", (), 1)

    def launch(*_: Any, **__: Any) -> list[Any]:
        begin(cell.folder, 0).wait()
        time.sleep(0.3)
        return [SimpleNamespace(return_value=None)]

    assert _launch([cell], launch) is None
    assert cell.reason == "by itself"
    assert signal.getsignal(signal.SIGURG) is before
    assert not (cell.folder / locks.HEARTBEAT).exists()
