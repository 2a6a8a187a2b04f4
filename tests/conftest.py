"""Fixtures: the command line in an empty folder, and the real samples where they are."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from engines import required
from filelock import FileLock
from forked import Forked

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
# Small operations on several threads wait for one another, without end on a shared machine.
os.environ["OMP_NUM_THREADS"] = "1"
SHARED = Path(__file__).parents[2] / "shared" / "data"


def pytest_configure() -> None:
    """A slip in SEGBENCH_REQUIRE is said at once."""
    required()
    # a suite in the background of a shell ignores Ctrl-C, and so would the processes that it starts
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_safe_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command sets this variable for its child processes; no other test may inherit it."""
    monkeypatch.setenv("PYTHONSAFEPATH", "")


@pytest.fixture(scope="session")
def real_samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real nuclei, lesions and pets in their published layouts; skips where there are none."""
    if not (SHARED / "unpack.py").is_file():
        pytest.skip("the real samples are not beside the checkout, in ../shared/data")
    base = tmp_path_factory.getbasetemp()
    # the processes of pytest-xdist have folders in a common one
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "real"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            unpacked = folder.with_name("unpacked")
            command = [sys.executable, str(SHARED / "unpack.py"), str(unpacked)]
            subprocess.run(command, check=True, capture_output=True, timeout=240)
            unpacked.rename(folder)
    return folder


@pytest.fixture
def start() -> Iterator[Callable[..., Forked]]:
    """`start(folder, "model=unet", …)` runs the command line in a process of its own."""
    begun: list[Forked] = []

    def start(folder: Path, *words: str) -> Forked:
        begun.append(Forked(folder, words))
        return begun[-1]

    yield start
    for process in begun:
        process.end()


@pytest.fixture
def segbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """`segbench("model=unet", …)` runs the command line in an empty folder; returns its code."""
    from hydra.core.hydra_config import HydraConfig

    from segbench.__main__ import main

    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)  # no other test finds this run's
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr("sys.argv", ["segbench"])
    monkeypatch.setattr("sys.path", list(sys.path))
    return lambda *words: main(list(words))
