"""Sweeps on a real Ray of this machine; skipped where Ray is missing (`make test-ray`)."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engines import lacks
from tiny import TINY

from segbench.records.record import read_record

if not importlib.util.find_spec("hydra_plugins.hydra_ray_launcher"):
    lacks("ray", "Ray is not installed")

INIT = "hydra.launcher.ray.init"
TWO = ("hydra/launcher=ray", f"{INIT}.address=local", f"{INIT}.num_cpus=2")
SIX = ("-m", *TINY[:-1], "trainer.max_epochs=15", "loss=dice,bce", "seed=0,1,2")
Start = Callable[..., subprocess.Popen[str]]
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's workers give way to no other process, and nothing is reported to Ray's makers."""
    monkeypatch.setenv("RAY_worker_niceness", "0")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts segbench in a new folder; what it says stands there in the file `said`."""
    started: list[subprocess.Popen[str]] = []

    def start(folder: Path, *words: str) -> subprocess.Popen[str]:
        folder.mkdir()
        command = [sys.executable, "-m", "segbench", *words]
        with (folder / "said").open("w") as said:
            process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=subprocess.STDOUT)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def cells(folder: Path) -> list[Path]:
    return sorted(record.parent for record in folder.glob("outputs/default/*/run.json"))


def numbers_of(cell: Path) -> bytes:
    """The scores of each image, and the losses of each epoch."""
    return (cell / "scores.csv").read_bytes() + (cell / "curves.csv").read_bytes()


def first_with_an_epoch(folder: Path, process: subprocess.Popen[str]) -> Path:
    """The cell that has first written a checkpoint while others are still to come."""
    while process.poll() is None:
        for found in folder.glob("outputs/default/*/checkpoints/last.ckpt"):
            return found.parents[1]
        time.sleep(0.05)
    raise AssertionError((folder / "said").read_text())


@pytest.fixture
def cluster(quick: None, tmp_path: Path) -> Iterator[Path]:
    """A running Ray, which `address=auto` finds; its working folder."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ("--head", "--block", "--num-cpus=2", "--include-dashboard=false", f"--port={port}")
    command = [sys.executable, "-u", "-m", "ray.scripts.scripts", "start", *options]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    try:
        said = []
        while not any("Ray runtime started" in line for line in said):
            said.append(process.stdout.readline())
            assert said[-1], said
        yield folder
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_a_sweep_on_two_workers_outlives_one_of_them(start: Start, tmp_path: Path) -> None:
    process = start(tmp_path / "ray", *SIX, *TWO)
    victim = first_with_an_epoch(tmp_path / "ray", process)
    worker = int((victim / ".heartbeat").read_text().split()[1])
    assert worker != process.pid
    os.kill(worker, signal.SIGKILL)
    assert process.wait(600) == 0, (tmp_path / "ray" / "said").read_text()
    done = cells(tmp_path / "ray")
    assert [read_record(cell)["status"] for cell in done] == ["done"] * 6
    assert "resuming after epoch" in (victim / "log.txt").read_text()

    assert start(tmp_path / "alone", *SIX).wait(400) == 0
    numbers = [numbers_of(cell) for cell in done]
    assert numbers == [numbers_of(cell) for cell in cells(tmp_path / "alone")]
    assert len(set(numbers)) == 6


def test_a_running_cluster_works_in_the_folder_of_the_sweep(
    start: Start, cluster: Path, tmp_path: Path
) -> None:
    words = ("-m", *TINY, "loss=dice,bce", "hydra/launcher=ray", f"{INIT}.address=auto")
    assert start(tmp_path / "ray", *words).wait(400) == 0, (tmp_path / "ray" / "said").read_text()
    assert "Connecting to existing Ray cluster" in (tmp_path / "ray" / "said").read_text()
    assert [read_record(cell)["status"] for cell in cells(tmp_path / "ray")] == ["done"] * 2
    assert list(cluster.iterdir()) == []
