"""A cell's folder: held by one process, which gives signs of life and clears up after the dead."""

import os
import time
from pathlib import Path

import pytest

from segbench.records import locks
from segbench.records.locks import HEARTBEAT, alone_in, holder, is_locked, last_beat
from segbench.records.record import atomic_write


def test_half_written_files_of_killed_processes_go_when_the_cell_is_taken_up(
    tmp_path: Path,
) -> None:
    left = []
    for name in ("run.json", "panels/test.png", "panels/predictions.zip", "checkpoints/best.ckpt"):
        with atomic_write(tmp_path / name) as temporary:
            temporary.write_text("whole")
        left.append(temporary.with_name(temporary.name.replace(str(os.getpid()), "99999999")))
        left[-1].write_text("half")
    others = [tmp_path / ".mine.tmp", tmp_path / "x.1.tmp", tmp_path / ".last.ckpt.spare"]
    for other in others:
        other.write_text("")
    kept = {file for file in tmp_path.rglob("*") if file.is_file()} - set(left)
    assert len(kept) == 4 + len(others)
    with alone_in(tmp_path):
        found = {file for file in tmp_path.rglob("*") if file.is_file()}
        assert found - {tmp_path / HEARTBEAT, tmp_path / locks.LOCK} == kept


def test_who_holds_a_folder_gives_signs_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "BEAT", 0.05)
    assert not is_locked(tmp_path)
    (tmp_path / HEARTBEAT).write_text("elsewhere 1")  # of a process that was killed
    with alone_in(tmp_path):
        assert is_locked(tmp_path)
        assert holder(tmp_path) == f"process {os.getpid()} on {os.uname().nodename}"
        first = last_beat(tmp_path)
        (tmp_path / HEARTBEAT).unlink()  # overwrite=true empties the folder
        deadline = time.monotonic() + 10
        while last_beat(tmp_path) <= first:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert not is_locked(tmp_path)
    assert not (tmp_path / HEARTBEAT).exists()
    assert (holder(tmp_path), last_beat(tmp_path)) == ("", 0)
