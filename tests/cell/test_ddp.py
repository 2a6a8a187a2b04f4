"""One cell on several processes: the same scores as one process gives."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import TINY, only_cell

from segbench.records.record import read_record

SLOW_DISK = """
import sys
import time
from segbench.records.checkpoints import saving as checkpoints
from segbench.__main__ import main

settle = checkpoints.settle
checkpoints.settle = lambda *names: (time.sleep(0.5), settle(*names))
sys.exit(main())
"""


def test_two_processes_count_each_image_once(tmp_path: Path) -> None:
    # The first process writes the checkpoints: on a slow disk the second waits for the last one.
    # 7 test images in batches of 2 on two processes: the sampler pads, and one is seen twice
    words = (*TINY, "data.batch_size=2", "data.split={train:10,val:3,test:7}")
    words = (*words, "trainer.accelerator=cpu", "trainer.precision=32-true", "trainer.max_epochs=1")
    (tmp_path / "slow_disk.py").write_text(SLOW_DISK)
    done = subprocess.run(
        [sys.executable, "-m", "slow_disk", *words, "trainer.devices=2"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    for words_of_one in ("cell: ", "preparing", "epoch 1/1", "test scores"):
        assert done.stdout.count(words_of_one) == 1
    assert "Warning" not in done.stderr
    both = only_cell(tmp_path)
    alone = tmp_path / "alone"
    shutil.copytree(both / "checkpoints", alone / "checkpoints")

    import hydra
    from omegaconf import open_dict

    from segbench.cell.experiment import run_cell
    from segbench.config.identity import identify
    from segbench.config.registry import CONF, register_resolvers

    register_resolvers()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = hydra.compose("config", list(words))
    with open_dict(cfg):
        cfg.logger = {}
    run_cell(cfg, alone, {}, identify(cfg))  # trained already: it only scores
    assert (alone / "scores.csv").read_text() == (both / "scores.csv").read_text()
    one, two = (read_record(folder)["metrics"] for folder in (alone, both))
    for part in ("val", "test"):  # a loss is of a batch, and their batches differ
        assert one[part].pop("loss") == pytest.approx(two[part].pop("loss"), rel=0.2)
    assert one == two
    assert json.loads((alone / "split.json").read_text()) == json.loads(
        (both / "split.json").read_text()
    )


def test_a_sweep_of_cells_on_two_processes_each_with_a_frozen_encoder(tmp_path: Path) -> None:
    words = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.max_epochs=2")
    words = (*words, "trainer.sync_batchnorm=false", "data.count=12", "data.size=32", "seed=0,1")
    words = (*words, "model=resnet34_unet", "model.encoder=resnet18", "trainer.precision=32-true")
    done = subprocess.run(
        [sys.executable, "-m", "segbench", "-m", *words, "callbacks.freeze_encoder.epochs=1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("2 cells: 2 waiting, 2 to run") == 1  # the leader alone speaks
    folders = [path.parent for path in (tmp_path / "outputs" / "default").glob("*/run.json")]
    records = [read_record(folder) for folder in folders]
    assert [(each["status"], each["epochs"]) for each in records] == [("done", 2), ("done", 2)]
    for folder in folders:
        assert (folder / "log.txt").read_text().count("epoch 1/2") == 1
