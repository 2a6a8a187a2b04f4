"""Processes of a pool take the GPUs in turns."""

import json
import os
import subprocess
import sys
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import yaml
from forked import CONTEXT
from tiny import TINY

import segbench.hardware.slots
from segbench.hardware.slots import take_device
from segbench.records.record import read_record


def hold(folder: Path, pipe: Connection) -> None:
    """What another process does: take a GPU of two and keep it until the pipe is closed."""
    pipe.send(take_device(folder, 2))
    pipe.poll(None)


def start(folder: Path) -> tuple[BaseProcess, Connection, int]:
    """Another process, a pipe to it, and the GPU that it has."""
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=hold, args=(folder, theirs))
    process.start()
    theirs.close()
    assert ours.poll(60)
    return process, ours, ours.recv()


def test_each_process_keeps_its_own_and_a_dead_ones_is_free_again(tmp_path: Path) -> None:
    begun = [start(tmp_path) for _ in range(3)]
    assert [gpu for _, _, gpu in begun] == [0, 1, 0]  # the third shares the first GPU
    begun[1][0].kill()
    begun[1][0].join()
    begun.append(start(tmp_path))
    assert begun[-1][2] == 1
    for process, pipe, _ in begun:
        pipe.close()
        process.join(60)
        assert process.exitcode is not None


def test_the_same_process_has_the_same_and_none_without_gpus(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(segbench.hardware.slots, "_held", {})
    assert take_device(tmp_path, 4) == take_device(tmp_path, 4) == 0
    assert take_device(tmp_path, 0) is None
    for lock, _ in segbench.hardware.slots._held.values():
        lock.release()


# Python runs this in each process of the sweep: two GPUs are counted, and what a Trainer is told to
# train on is noted beside the process before it trains on the CPU. The first process waits for the
# second, which would otherwise find both cells done when it starts late.
TWO_GPUS = """
import functools, os, time, types
from lightning.pytorch.trainer import trainer
import segbench.hardware.slots as slots

slots.torch = types.SimpleNamespace(cuda=types.SimpleNamespace(device_count=lambda: 2))
made = trainer.Trainer.__init__

@functools.wraps(made)
def make(self, *, devices="auto", accelerator="auto", **options):
    with open(os.environ["DEVICES_SEEN"], "a") as file:
        print(os.getpid(), devices, options["default_root_dir"], file=file)
    end = time.monotonic() + 120
    while time.monotonic() < end:
        with open(os.environ["DEVICES_SEEN"]) as file:
            if len({line.split()[0] for line in file}) == 2:
                break
        time.sleep(0.1)
    made(self, devices=1, accelerator="cpu", **options)

trainer.Trainer.__init__ = make
"""


def test_the_gpu_of_a_process_is_no_part_of_a_cell(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(TWO_GPUS)
    path = os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])
    seen = tmp_path / "seen.txt"
    words = ("-m", *TINY, "seed=0,1", "hydra/launcher=joblib", "trainer.precision=32-true")
    done = subprocess.run(
        [sys.executable, "-m", "segbench", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path, "DEVICES_SEEN": str(seen)},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split(" ", 2) for line in seen.read_text().splitlines()]
    assert {devices for _, devices, _ in lines} == {"[0]", "[1]"}
    assert len({process for process, _, _ in lines}) == 2
    cells = [path.parent for path in tmp_path.glob("outputs/default/*/run.json")]
    assert len(cells) == 2
    for cell in cells:
        assert yaml.safe_load((cell / "config.yaml").read_text())["trainer"]["devices"] == 1
        assert cell.name.endswith(f"-{read_record(cell)['hash']}")
    report = json.loads((tmp_path / "outputs/default/report/comparison.json").read_text())
    (section,) = report["sections"]
    (entry,) = section["entries"]  # two seeds of one configuration
    assert len(entry["seeds"]) == 2
