"""What a launcher leaves unfinished when it fails is launched again, and none is forgotten."""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock

from segbench.commands.sweeps.planned import ELSEWHERE, Planned
from segbench.commands.sweeps.sweep import _missing, run_all
from segbench.errors import SegbenchError
from segbench.records.record import write_record

CELL = {"choices": {}, "seed": 0, "error": None}
RUNNING = CELL | {"status": "running"}
INTERRUPTED = CELL | {"status": "interrupted", "error": "interrupted from the keyboard"}


def planned(folder: Path, names: str) -> list[Planned]:
    for name in names:
        (folder / name).mkdir()
    return [Planned(folder / name, (name,), 1) for name in names]


def end(folder: Path) -> None:
    (folder / "scores.csv").touch()
    write_record(folder, CELL | {"status": "done", "metrics": {}})


def test_when_ray_loses_a_process_the_killed_cell_is_resumed_alone_and_then_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(shutdown=lambda: ended.append(1)))
    launched: list[str] = []

    def launch(jobs: Sequence[Sequence[str]], initial_job_idx: int) -> list[SimpleNamespace]:
        launched.append("".join(name for name, *_ in jobs))
        if len(launched) == 1:
            write_record(tmp_path / "a", RUNNING)
            write_record(tmp_path / "b", INTERRUPTED)  # by the end of Ray
            raise RuntimeError("a worker died")
        for name, *_ in jobs:
            end(tmp_path / name)
        return [SimpleNamespace(return_value=None) for _ in jobs]

    cells = planned(tmp_path, "abc")
    run_all(cells, launch)
    assert launched == ["abc", "a", "bc"]
    assert [cell.state for cell in cells] == ["done"] * 3
    assert ended == [1]


def test_a_launcher_whose_cells_leave_no_record_is_not_asked_for_ever(tmp_path: Path) -> None:
    def launch(jobs: Sequence[Sequence[str]], initial_job_idx: int) -> list[SimpleNamespace]:
        return [SimpleNamespace(return_value=None) for _ in jobs]

    with pytest.raises(SegbenchError, match="no cell has left a record here"):
        run_all(planned(tmp_path, "ab"), launch)


def test_an_interrupted_cell_of_any_other_launcher_has_failed(tmp_path: Path) -> None:
    def launch(jobs: Sequence[Sequence[str]], initial_job_idx: int) -> list[SimpleNamespace]:
        write_record(tmp_path / "a", INTERRUPTED)
        return [SimpleNamespace(return_value=None)]

    cells = planned(tmp_path, "a")
    run_all(cells, launch)
    assert (cells[0].state, cells[0].reason) == ("failed", INTERRUPTED["error"])


def test_a_cell_that_only_the_board_saw_run_is_not_forgotten(tmp_path: Path) -> None:
    left, alive, over = cells = planned(tmp_path, "abc")
    for cell in cells:
        cell.state = "running"
        write_record(cell.folder, RUNNING)
    end(over.folder)
    with FileLock(alive.folder / ".lock"):
        assert _missing(cells) == [left]
    assert [cell.state for cell in cells] == ["waiting", "elsewhere", "done"]
    assert alive.reason == ELSEWHERE
