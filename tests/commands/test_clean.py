"""``segbench clean``: what it lists, what it asks, and what it never touches."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from made_cells import made_cells
from tiny import TINY

from segbench.records.locks import alone_in
from segbench.records.record import read_record, write_record

Run = Callable[..., int]


def files(folder: Path) -> set[Path]:
    return {file for file in folder.rglob("*") if file.is_file()}


def weights(folder: Path) -> list[Path]:
    return sorted(each.parent for each in folder.glob("*/checkpoints"))


def test_the_best_seed_of_each_configuration_keeps_its_weights(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = tmp_path / "outputs" / "mine"
    cells = made_cells(sweep, ("a", "b"), ("c",), (0, 1, 2), broken=False)
    for cell in cells:
        (cell.folder / "checkpoints").mkdir()
        (cell.folder / "checkpoints" / "best.ckpt").write_bytes(b"0" * 1000)
        record = read_record(cell.folder)
        record["metrics"]["val"] = {"iou": 0.9 if cell.seed == 1 else 0.5}
        write_record(cell.folder, record)
    before = files(tmp_path)
    assert segbench("clean", "name=mine", "what=[failed,checkpoints]") == 0
    said = capsys.readouterr().out
    assert "failed: 0 failed cells, 0 B" in said
    assert "checkpoints: 4 checkpoint folders, 3.91 KiB" in said
    assert "nothing was removed; ask=false removes it" in said
    assert files(tmp_path) == before
    running = next(cell for cell in cells if cell.seed == 0)
    with alone_in(running.folder):
        assert segbench("clean", "name=mine", "what=checkpoints", "ask=false") == 0
    kept = {cell.folder for cell in cells if cell.seed == 1 or cell is running}
    assert set(weights(sweep)) == kept
    assert {file for file in before - files(tmp_path) if file.name != "best.ckpt"} == set()


@pytest.mark.parametrize(("answer", "removed"), [("y\n", True), ("\n", False), ("no\n", False)])
def test_it_asks_on_a_terminal(
    segbench: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str,
    removed: bool,
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    cells = made_cells(tmp_path / "outputs" / "mine", ("a", "b"), ("c", "d"), (0,))
    failed = next(cell for cell in cells if cell.status == "failed")
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert segbench("clean", "name=mine", "what=failed") == 0
    assert "failed: 1 failed cell," in capsys.readouterr().out
    assert failed.folder.exists() != removed
    assert all(cell.folder.exists() for cell in cells if cell is not failed)


def test_stores_go_and_are_made_again_and_nothing_else_in_their_folder(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    for number in range(10):
        for name, value in (("images", 90), ("masks", 255)):
            made = Image.new("L", (16, 16))
            made.paste(value, (4, 4, 6 + number, 12))
            (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
            made.save(tmp_path / "data" / name / f"{number}.png")
    small = [each for each in TINY if not each.startswith("data.count")]
    options = ("data=folder", "data.class_names=[a,b]", "data.mask_values=[0,255]")
    words = (*small, *options, "data.root=data", "data.cache=data", "name=n")
    assert segbench(*words) == 0
    (tmp_path / "data" / "mine-0123456789abcdef").mkdir()
    stores = [each.parent for each in (tmp_path / "data").glob("*/index.json")]
    before = files(tmp_path)
    assert len(stores) == 1
    assert segbench("clean", "name=n", "ask=false") == 0
    assert "stores: 1 prepared data set" in capsys.readouterr().out
    assert not stores[0].exists()
    assert (tmp_path / "data" / "mine-0123456789abcdef").is_dir()
    assert all(stores[0] in file.parents for file in before - files(tmp_path))
    assert segbench(*words) == 0  # done before, and not trained again
    assert "already done" in capsys.readouterr().out
    assert segbench(*words, "seed=1") == 0
    assert stores[0].exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, "name is missing"),
        (("name=nothing",), 1, "no such folder"),
        (("name=mine", "what=all"), 2, "what=all: expected some of failed, checkpoints, stores"),
    ],
)
def test_slips(
    words: tuple[str, ...], code: int, message: str, segbench: Run, tmp_path: Path, capsys: object
) -> None:
    made_cells(tmp_path / "outputs" / "mine", ("a",), ("c",), (0,))
    assert segbench("clean", *words) == code
    assert message in capsys.readouterr().err  # type: ignore[attr-defined]
