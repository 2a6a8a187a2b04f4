"""``segbench status`` on cells that are done, failed, stopped, damaged and running."""

from collections.abc import Callable
from pathlib import Path

import pytest
from made_cells import made_cells

from segbench.records.locks import alone_in
from segbench.records.record import read_record, write_record

Run = Callable[..., int]


def test_each_state_is_told(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = made_cells(tmp_path / "outputs" / "mine", ("a", "b"), ("c", "d"), (0, 1, 2))
    done = [cell for cell in cells if cell.status == "done"]
    stopped = next(cell for cell in cells if cell.status == "running")
    (done[0].folder / "run.json").write_text("{")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert segbench("status", "name=mine") == 0
    said = capsys.readouterr().out
    assert f"mine: {len(cells)} cells have begun: 1 stopped, 1 failed, 1 damaged" in said
    assert "the command of the sweep resumes them" in " ".join(said.split())
    for cell in done[1:]:
        assert cell.name.rsplit("-", 1)[0] in said
    assert {file: file.read_bytes() for file in before} == before
    with alone_in(stopped.folder):
        assert segbench("status", "name=mine") == 0
    said = capsys.readouterr().out
    assert "1 running" in said
    assert "stopped" not in said
    assert "process " in said  # which one, and where


def test_a_cell_on_another_machine_that_beats_is_running(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = made_cells(tmp_path / "outputs" / "mine", ("a",), ("c", "d"), (0,), broken=False)
    write_record(cells[0].folder, read_record(cells[0].folder) | {"status": "running"})
    for cell, command in zip(cells, ("x y z lr=1 'half", "a b c"), strict=True):
        write_record(cell.folder, read_record(cell.folder) | {"command": command})
    (cells[0].folder / ".heartbeat").write_text("node7 123")
    assert segbench("status", "name=mine") == 0
    said = capsys.readouterr().out
    assert "1 running, 1 done" in said
    assert "process 123 on node7" in said


def test_slips(segbench: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert segbench("status") == 2
    assert "name is missing" in capsys.readouterr().err
    assert segbench("status", "name=nothing") == 1
    assert "no such folder" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.json"))
