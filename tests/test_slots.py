"""Processes of a pool take the GPUs in turns."""

import subprocess
import sys
from pathlib import Path

import segbench.slots
from segbench.slots import take_device

CODE = """
import sys; from pathlib import Path; from segbench.slots import take_device
print(take_device(Path(sys.argv[1]), 2), flush=True); sys.stdin.read()
"""


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CODE, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_each_process_keeps_its_own_and_a_dead_ones_is_free_again(tmp_path: Path) -> None:
    processes = []
    for expected in ("0", "1", "0"):  # the third shares the first GPU
        processes.append(start(tmp_path))
        assert said(processes[-1]) == expected
    processes[1].kill()
    processes[1].communicate()
    processes.append(start(tmp_path))
    assert said(processes[-1]) == "1"
    for process in processes:
        process.communicate()


def test_the_same_process_has_the_same_and_none_without_gpus(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(segbench.slots, "_held", {})
    assert take_device(tmp_path, 4) == take_device(tmp_path, 4) == 0
    assert take_device(tmp_path, 0) is None
    for lock, _ in segbench.slots._held.values():
        lock.release()
