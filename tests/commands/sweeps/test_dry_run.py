"""``--dry-run``: it lists what would run, estimates its time, and writes nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import TINY

from segbench.commands.sweeps.dry_run import seconds_per_epoch
from segbench.commands.sweeps.planned import Planned
from segbench.records.record import read_record, write_record

Run = Callable[..., int]


def test_nothing_is_run_and_the_missing_cells_are_told(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("-m", *TINY, "name=n", "loss=bce,dice", "seed=0,1")
    assert segbench("--dry-run", *words) == 0
    said = capsys.readouterr().out
    assert "4 cells: 4 to run" in said
    assert "no cell of this sweep has finished" in said
    assert not list(tmp_path.glob("outputs/n/*/run.json"))
    assert segbench("-m", *TINY, "name=n", "loss=bce", "seed=0") == 0
    (run,) = tmp_path.glob("outputs/n/*/run.json")
    record = read_record(run.parent) | {"train_seconds": 100.0}  # of two epochs
    write_record(run.parent, record)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.is_file()}
    capsys.readouterr()
    assert segbench(*words, "--dry-run") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "4 cells: 1 done, 3 to run" in said
    assert "training time: 5.0 min" in said
    assert "nothing was run" in said
    after = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.is_file()}
    assert {file: time for file, time in after.items() if file in before} == before
    assert len(list(tmp_path.glob("outputs/n/*/run.json"))) == 1
    planned = [Planned(run.parent, (), 2, "done")]
    assert seconds_per_epoch(planned) == {"unet": 50.0, "": 50.0}


def test_of_a_single_cell(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segbench(*TINY, "name=n", "--dry-run") == 0
    assert "1 cell: 1 to run" in capsys.readouterr().out
    assert not list(tmp_path.glob("outputs/n/*/run.json"))
    assert segbench(*TINY, "name=n") == 0
    capsys.readouterr()
    assert segbench(*TINY, "name=n", "--dry-run") == 0
    assert "nothing is left to run" in capsys.readouterr().out


def test_where_it_has_no_meaning(segbench: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert segbench("compare", "name=n", "--dry-run") == 2
    assert "no flag '--dry-run'" in capsys.readouterr().err
    words = ("-m", *TINY, "tune=lr", "--dry-run")
    assert segbench(*words) == 2
    assert "--dry-run: a search chooses its cells as it goes" in capsys.readouterr().err
