"""Fixtures: the command line in an empty folder, and the real samples where they are."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from engines import required

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
# Small operations on several threads wait for one another, without end on a shared machine.
os.environ["OMP_NUM_THREADS"] = "1"
SHARED = Path(__file__).parents[2] / "shared" / "data"


def pytest_configure() -> None:
    """A slip in SEGBENCH_REQUIRE is said at once."""
    required()


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
    folder = tmp_path_factory.mktemp("real")
    command = [sys.executable, str(SHARED / "unpack.py"), str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=240)
    return folder


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
