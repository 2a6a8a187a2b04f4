"""A cell that lost loading processes and was killed ends in the numbers of one left in peace."""

import csv
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import torch
from forked import Forked
from tiny import TINY, only_cell

from segbench.records.record import read_record

# dropout and a validation in mid-epoch: a loader that drew from torch's numbers would show
WORDS = (*TINY, "trainer.max_epochs=6", "augment=hflip", "data.batch_size=4", "model.dropout=0.3")
WORDS = (*WORDS, "+trainer.val_check_interval=0.5")


def read_until(process: Forked, word: str) -> None:
    for line in process.stdout:
        if line.startswith(word):
            return
    raise AssertionError(process.communicate())


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def curves(cell: Path) -> list[dict[str, str]]:
    with (cell / "curves.csv").open() as file:
        return list(csv.DictReader(file))


def test_other_numbers_of_loading_processes_and_kills_change_no_number(
    start: Callable[..., Forked], tmp_path: Path
) -> None:
    whole, kills = tmp_path / "whole", tmp_path / "kills"
    whole.mkdir()
    kills.mkdir()
    undisturbed = start(whole, *WORDS, "data.num_workers=0")
    assert undisturbed.communicate(timeout=120)[1] == ""
    process = start(kills, *WORDS, "data.num_workers=2")
    read_until(process, "epoch 2/")
    for worker in children(process.pid)[:1]:
        os.kill(worker, signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert re.match("error: a loading process (was killed|ended)", err)
    assert len(err.splitlines()) == 1
    assert read_record(only_cell(kills))["status"] == "failed"
    process = start(kills, *WORDS, "data.num_workers=1")
    read_until(process, "epoch 4/")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    time.sleep(1)
    process = start(kills, *WORDS, "data.num_workers=4")
    said, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "resuming after epoch" in said
    cells = only_cell(whole), only_cell(kills)
    assert len(curves(cells[0])) == 6
    assert curves(cells[0]) == curves(cells[1])
    best = [torch.load(cell / "checkpoints" / "best.ckpt")["state_dict"] for cell in cells]
    assert best[0].keys() == best[1].keys()
    assert all(torch.equal(best[0][name], best[1][name]) for name in best[0])
    tables = [(cell / "scores.csv").read_bytes() for cell in cells]
    assert tables[0] == tables[1]
