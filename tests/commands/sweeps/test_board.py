"""The board reads cells' folders and says what it sees."""

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

import segbench.commands.sweeps.board as board_module
from segbench.commands.sweeps.board import Board, Planned, clock
from segbench.records.record import write_record, write_text

METRICS = {"val": {"iou": 0.7}, "test": {"iou": 0.65}}


def record(folder: Path, status: str, **more: object) -> None:
    write_record(folder, {"status": status, "error": None, "choices": {}, "seed": 0} | more)


def finish(folder: Path) -> None:
    write_text(folder / "scores.csv", "id\n")
    record(folder, "done", metrics=METRICS, epochs=9)


def planned(folder: Path, count: int = 3, **more: object) -> list[Planned]:
    names = [f"unet-dice-s{k}-0000000{k}" for k in range(count)]
    return [Planned(folder / name, ("seed=0",), 10, **more) for name in names]


def test_a_cell_is_followed_from_waiting_to_done(tmp_path: Path) -> None:
    (cell,) = planned(tmp_path, 1)
    cell.refresh()
    assert (cell.name, cell.state) == ("unet-dice-s0", "waiting")
    record(cell.folder, "running")
    cell.refresh()
    assert (cell.state, cell.epoch) == ("running", 0)
    write_text(cell.folder / "curves.csv", "epoch,val/iou\n1,0.25\n2,0.5\n")
    cell.refresh()
    assert (cell.epoch, cell.val) == (2, 0.5)
    finish(cell.folder)
    cell.refresh()
    assert (cell.state, cell.epoch, cell.val, cell.test) == ("done", 9, 0.7, 0.65)


def test_what_an_earlier_sweep_left_behind_is_not_running(tmp_path: Path) -> None:
    record(tmp_path / "unet-dice-s0-00000000", "running")  # killed
    (cell,) = planned(tmp_path, 1)
    cell.refresh()
    assert cell.state == "waiting"


def test_lines_on_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setattr(board_module, "SECONDS", 0.01)
    cells = planned(tmp_path)
    with Board(cells):
        finish(cells[0].folder)
        record(cells[1].folder, "failed", error="ValueError: so\nit is")
    assert capsys.readouterr().out.splitlines() == [
        "3 cells: 3 waiting, 3 to run",
        "[1/3] unet-dice-s0: done, test IoU 0.6500, val IoU 0.7000",
        "[2/3] unet-dice-s1: failed: ValueError: so it is",
    ]


def test_the_live_table_fits_the_terminal_and_leaves_out_what_says_least(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = planned(tmp_path, 9)
    for cell in cells[:6]:
        finish(cell.folder)
    record(cells[6].folder, "running")
    board = Board(cells)
    board._console = Console(file=io.StringIO(), width=90, height=11)
    screen = Console(file=io.StringIO(), width=90)
    screen.print(board.render())
    assert isinstance(screen.file, io.StringIO)
    lines = screen.file.getvalue().splitlines()
    assert lines[0].startswith("9 cells: 6 done, 1 running, 2 waiting; 0 s")
    assert "left" in lines[0]
    assert lines[-1] == "… and 3 more"
    shown = [line.split()[:2] for line in lines[2:-1]]
    assert ["unet-dice-s6", "running"] in shown
    assert ["unet-dice-s8", "waiting"] in shown
    assert ["unet-dice-s5", "done"] in shown
    assert len(lines) <= 11


def test_on_a_terminal_it_is_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal())
    cells = planned(tmp_path, 1)
    with Board(cells) as board:
        finish(cells[0].folder)
    said = board._console.file.getvalue()
    assert "1 cells: 1 done" in said
    assert "0.6500" in said


@pytest.mark.parametrize(
    ("seconds", "said"), [(41.6, "42 s"), (185, "3 min 5 s"), (7800, "2 h 10 min")]
)
def test_clock(seconds: float, said: str) -> None:
    assert clock(seconds) == said
