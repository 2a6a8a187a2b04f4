"""`segbench.run` and `segbench.sweep`: the command line's cells, and the process as it was."""

import json
import logging
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import hydra
import pandas as pd
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from lightning import LightningModule, Trainer
from omegaconf import OmegaConf
from tiny import TINY, only_cell

import segbench as api
from segbench.callbacks.life import EpochLines
from segbench.config.registry import CONF
from segbench.errors import ConfigError, SegbenchError
from segbench.records.cells import read_cell
from segbench.records.locks import alone_in
from segbench.records.record import write_record

Run = Callable[..., int]
SMALL = [*TINY, "model=unet", "logger=csv"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_cell_of_python_is_the_cell_of_the_command_line(
    here: Path, segbench: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = api.run([*SMALL, "loss=dice"])
    printed = capsys.readouterr().out
    assert cell.status == "done"
    assert cell.folder == only_cell(here)
    assert "epoch 2/2" in printed
    assert "test scores at the original resolution" in printed
    assert cell.averages["iou"] == cell.record["metrics"]["test"]["iou"]
    assert len(cell.scores) == 10  # 5 test images of 2 classes
    assert list(cell.curves.index) == [1, 2]
    before = (cell.folder / "run.json").read_bytes()
    assert "model=unet" in json.loads(before)["command"]
    assert segbench(*SMALL, "loss=dice") == 0
    assert f"already done: outputs/default/{cell.folder.name}" in capsys.readouterr().out
    again = api.run([*SMALL, "loss=dice"])
    assert "already done" in capsys.readouterr().out
    assert again.folder == cell.folder
    assert (cell.folder / "run.json").read_bytes() == before
    pd.testing.assert_frame_equal(again.scores, cell.scores)


def test_a_sweep_gives_its_cells_in_order(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = api.run([*SMALL, "name=both", "loss=dice"])
    capsys.readouterr()
    cells = api.sweep([*SMALL, "name=both", "loss=bce,dice"])
    printed = capsys.readouterr().out
    assert [cell.choices["loss"] for cell in cells] == ["bce", "dice"]
    assert "2 cells: 1 done, 1 waiting, 1 to run" in printed
    assert cells[1].folder == first.folder
    assert (here / "outputs/both/report/index.html").is_file()
    assert list(api.compare("both").table.columns) == ["bce", "dice"]
    assert list(api.compare(cells[:1]).table.columns) == ["bce"]


def test_a_failed_cell_of_a_sweep_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, _ = api.sweep([*SMALL, "loss=bce,dice"])
    write_record(first.folder, first.record | {"status": "failed", "error": "made up"})
    capsys.readouterr()
    with pytest.raises(SegbenchError, match=r"^1 of 2 cells did not finish: .*bce.*retry_failed"):
        api.sweep([*SMALL, "loss=bce,dice"])
    assert "made up" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["model=unet,segnet"], r"^model=unet,segnet: several values make a sweep; segbench.sweep"),
        (["tune=lr"], r"^tune=lr: a search needs a sweep; segbench.sweep"),
        (["-m", "seed=0"], r"^-m: flags belong to the command line"),
        (["modl=unet"], r"^no option 'modl' \(did you mean 'model'\?\)"),
        ("model=unte", r"^model=unte: no such option \(did you mean 'unet'\?\)"),
        (["trainer=ddp"], r"^trainer.devices=auto, trainer.strategy=ddp: each device takes"),
        ([3], r"^3: expected an override as text"),
        (["name=a=b, c"], r"with quotes"),
        (["model.base_channels=-3"], r"base_channels"),
        (["data=folder"], r"data.root"),
    ],
    ids=str,
)
def test_a_mistake_is_one_error_of_one_line(here: Path, overrides: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        api.run(overrides)
    assert "\n" not in str(caught.value)
    assert not (here / "outputs").exists()


def test_a_sweep_refuses_a_mistake_before_it_trains(here: Path) -> None:
    with pytest.raises(ConfigError, match="model=unte: no such option"):
        api.sweep([*TINY, "model=unet,unte"])
    assert not list(here.glob("outputs/*/*/run.json"))


def test_a_cell_that_runs_elsewhere_is_not_run_twice(here: Path) -> None:
    folder = api.run(SMALL).folder
    (folder / "run.json").unlink()
    with alone_in(folder), pytest.raises(SegbenchError, match="another process"):
        api.run(SMALL)


def test_an_interrupted_cell_resumes_to_the_same_numbers(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = api.run([*SMALL, "name=whole"])
    original = EpochLines.on_train_epoch_start

    def interrupt(self: EpochLines, trainer: Trainer, module: LightningModule) -> None:
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt
        original(self, trainer, module)

    with monkeypatch.context() as patch:
        patch.setattr(EpochLines, "on_train_epoch_start", interrupt)
        with pytest.raises(KeyboardInterrupt):
            api.run([*SMALL, "name=cut"])
    cut = read_cell(here / "outputs/cut" / whole.name)
    assert cut.status == "interrupted"
    capsys.readouterr()
    resumed = api.run([*SMALL, "name=cut"])
    assert "epoch 1/2" not in capsys.readouterr().out
    assert resumed.averages == whole.averages
    pd.testing.assert_frame_equal(resumed.curves, whole.curves)


def test_own_configs_are_found(here: Path) -> None:
    (here / "mine/loss").mkdir(parents=True)
    (here / "mine/loss/own.yaml").write_text((CONF / "loss/dice.yaml").read_text())
    assert api.run([*SMALL, "loss=own"], config_dir="mine").choices["loss"] == "own"


def test_the_process_is_as_before(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEGBENCH_PACKAGES", raising=False)
    (here / "segbench.toml").write_text('packages = ["mylab"]\n')
    root = logging.getLogger()
    handler = logging.NullHandler()
    monkeypatch.setattr(root, "handlers", [*root.handlers, handler])
    monkeypatch.setattr(root, "level", logging.ERROR)
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        theirs = GlobalHydra.instance().hydra
        config = OmegaConf.create({"hydra": {"job": {"name": "mine"}}})
        monkeypatch.setattr(HydraConfig.instance(), "cfg", config)

        def state() -> tuple[object, ...]:
            found = (list(sys.argv), dict(os.environ), list(root.handlers), root.level)
            return (*found, sys.stdout, sys.stderr, Path.cwd(), list(warnings.filters))

        before = state()
        api.run([*SMALL])
        with pytest.raises(ConfigError):
            api.run(["model=nothing"])
        assert state() == before
        assert GlobalHydra.instance().hydra is theirs
        assert HydraConfig.instance().cfg is config
