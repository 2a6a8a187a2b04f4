"""hydra/launcher=auto chooses how many cells run at a time, and runs them as joblib does."""

import builtins
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from omegaconf import OmegaConf
from tiny import TINY

from segbench.commands.sweeps.packing import choose, places
from segbench.errors import ConfigError
from segbench.hardware import device, load


def machine(
    monkeypatch: pytest.MonkeyPatch, cores: int = 4, gpus: int = 0, gigabytes: int = 64
) -> None:
    monkeypatch.setattr(device, "available_cores", lambda: cores)
    monkeypatch.setattr(device, "largest_memory", lambda: gigabytes * 2**30)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)


def config(accelerator: str = "auto", devices: Any = 1) -> Any:
    return OmegaConf.create({"trainer": {"accelerator": accelerator, "devices": devices}})


def test_a_cell_for_each_core_or_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch)
    assert places(config("cpu")) == 4
    machine(monkeypatch, gigabytes=7)
    assert places(config("cpu")) == 2  # a cell takes up to 3 GB
    machine(monkeypatch, gigabytes=1)
    assert places(config("cpu")) == 1
    machine(monkeypatch, gpus=3)
    assert places(config()) == 3
    assert places(config("gpu")) == 3
    assert places(config("cpu")) == 4
    assert places(config(devices=2)) == 1  # a cell takes both


def test_no_more_than_there_are_cells_or_the_user_asks_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    machine(monkeypatch)
    chosen = [
        choose(config("cpu"), cells, asked) for cells, asked in ((9, None), (3, None), (9, 2))
    ]
    assert [jobs for _, jobs in chosen] == [4, 3, 2]
    assert {type(each).__name__ for each, _ in chosen} == {"JoblibLauncher"}
    alone, jobs = choose(config("cpu"), 1)
    assert isinstance(alone, BasicLauncher)
    assert jobs == 1
    with pytest.raises(ConfigError, match=r"hydra.launcher.n_jobs=0: expected 1 or more"):
        choose(config("cpu"), 9, 0)


def test_without_joblib_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine(monkeypatch)
    original = builtins.__import__

    def missing(name: str, *args: Any, **options: Any) -> Any:
        if "joblib_launcher" in name:
            raise ImportError(name)
        return original(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    assert isinstance(choose(config("cpu"), 9)[0], BasicLauncher)
    assert "pip install 'segbench[launchers]'" in capsys.readouterr().out


def test_a_sweep_gives_the_numbers_of_one_cell_after_another(
    segbench: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    grid = ("-m", *TINY, "model=unet", "loss=dice,bce")
    assert segbench(*grid, "name=packed", "hydra/launcher=auto", "hydra.launcher.n_jobs=2") == 0
    assert "hydra/launcher=auto: 2 cells at a time" in capsys.readouterr().out
    assert segbench(*grid, "name=single") == 0
    packed, single = (
        sorted((tmp_path / "outputs" / n).glob("*/scores.csv")) for n in ("packed", "single")
    )
    assert [file.parent.name for file in packed] == [file.parent.name for file in single]
    assert [file.read_text() for file in packed] == [file.read_text() for file in single]


@pytest.mark.skipif(not os.path.exists("/proc/stat"), reason="needs Linux")
@pytest.mark.parametrize("words", [(), ("-m", "seed=0")])
def test_a_training_on_a_busy_machine_says_so(
    segbench: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: len(os.sched_getaffinity(0)) + 1)
    left = [load._Sample(float(k), 9.0 * k, float(k)) for k in range(1, 9)]  # 8 cores, others' work
    monkeypatch.setattr(load, "_sample", lambda: left.pop(0))
    assert segbench(*words, *TINY, "model=unet", "trainer=smoke", "trainer.accelerator=cpu") == 0
    said = capsys.readouterr().out
    assert said.count("OMP_NUM_THREADS=1") == 1
    assert "8.0 of the" in said
