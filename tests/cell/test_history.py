"""What ordinary habits lead to: another folder, edited files, a longer training, moved data."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny import TINY

from segbench.records.record import read_record

Run = Callable[..., int]
Output = pytest.CaptureFixture[str]
SMALL = ("data=folder", *(word for word in TINY if not word.startswith("data.count")))
SPLIT = "data.split={train: 6, val: 2, test: 4}"


def make_pictures(root: Path, seed: int, count: int = 12) -> None:
    rng = np.random.default_rng(seed)
    for k in range(count):
        mask = np.zeros((32, 32), np.uint8)
        y, x = rng.integers(0, 20, 2)
        mask[y : y + 10, x : x + 10] = 1
        image = rng.integers(0, 90, (32, 32, 3)).astype(np.uint8) + 120 * mask[..., None]
        for kind, array in (("images", image), ("masks", mask)):
            (root / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(root / kind / f"p{k:02d}.png")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    make_pictures(tmp_path / "a", 1)
    make_pictures(tmp_path / "b", 2)
    return tmp_path


def cells(folder: Path, name: str = "default") -> list[Path]:
    return sorted(file.parent for file in (folder / "outputs" / name).glob("*/run.json"))


def edit(root: Path, count: int = 2) -> None:
    for file in sorted((root / "masks").iterdir())[:count]:
        Image.fromarray(np.eye(32, dtype=np.uint8)).save(file)


def test_another_folder_of_pictures_is_another_cell(
    segbench: Run, pictures: Path, capsys: Output
) -> None:
    assert segbench(*SMALL, SPLIT, "data.root=a") == 0
    assert segbench(*SMALL, SPLIT, "data.root=b") == 0
    assert "already done" not in capsys.readouterr().out
    assert len(cells(pictures)) == 2
    for cell in cells(pictures):
        record = read_record(cell)
        assert cell.name.endswith(record["hash"])
        assert Path(record["data"]["root"]).name in ("a", "b")
    assert segbench(*SMALL, SPLIT, "data.root=a") == 0
    assert "already done" in capsys.readouterr().out


def test_a_sweep_over_folders_has_a_table_for_each(
    segbench: Run, pictures: Path, capsys: Output
) -> None:
    assert segbench("-m", *SMALL, SPLIT, "data.root=a,b", "seed=0,1") == 0
    assert len(cells(pictures)) == 4
    report = pictures / "outputs" / "default" / "report" / "comparison.json"
    sections = json.loads(report.read_text())["sections"]
    assert len(sections) == 2
    for section in sections:
        assert len(section["entries"]) == 1
        assert section["entries"][0]["seeds"] == [0, 1]


def test_a_moved_data_set_is_the_same(segbench: Run, pictures: Path, capsys: Output) -> None:
    assert segbench(*SMALL, SPLIT, "data.root=a") == 0
    shutil.copytree(pictures / "a", pictures / "elsewhere")
    assert segbench(*SMALL, SPLIT, "data.root=elsewhere") == 0
    assert "already done" in capsys.readouterr().out
    assert len(cells(pictures)) == 1


def test_an_edit_of_the_data_is_said_with_both_ways_out(
    segbench: Run, pictures: Path, capsys: Output
) -> None:
    assert segbench(*SMALL, SPLIT, "data.root=a") == 0
    before = cells(pictures)[0]
    files = {file.name: file.read_bytes() for file in before.iterdir() if file.is_file()}
    edit(pictures / "a")
    capsys.readouterr()
    for words in ((), ("-m", "seed=0,1")):
        assert segbench(*SMALL, SPLIT, "data.root=a", *words) == 2
        error = capsys.readouterr().err
        assert "2 cases changed (p00, p01) since outputs/default/" in error
        assert "overwrite=true trains it again" in error
        assert "another name= keeps both" in error
        assert error.count("\n") == 1
    assert cells(pictures) == [before]
    assert {name: (before / name).read_bytes() for name in files} == files  # nothing is lost
    assert segbench(*SMALL, SPLIT, "data.root=a", "name=other") == 0
    assert segbench(*SMALL, SPLIT, "data.root=a", "overwrite=true") == 0
    assert len(cells(pictures)) == 1
    assert cells(pictures) != [before]
    small = "data.split={train: 5, val: 2, test: 4}"
    assert segbench(*SMALL, small, "data.root=a") == 0  # other settings stand in nobody's way


def test_a_killed_training_is_not_resumed_on_edited_data(
    segbench: Run, pictures: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segbench.callbacks.life import EpochLines

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    long = (*SMALL, SPLIT, "data.root=a", "trainer.max_epochs=3")
    with monkeypatch.context() as patched:
        # after the first epoch's checkpoint, when the second starts
        patched.setattr(
            EpochLines,
            "on_train_epoch_start",
            lambda self, trainer, _: kill() if trainer.current_epoch else None,
        )
        patched.setattr(EpochLines, "on_train_epoch_end", lambda *_: None)
        assert segbench(*long) == 130
    folder = cells(pictures)[0]
    split = (folder / "split.json").read_bytes()
    edit(pictures / "a", 12)
    assert segbench(*long) == 2
    assert "12 cases changed" in capsys.readouterr().err
    assert (folder / "split.json").read_bytes() == split
    make_pictures(pictures / "a", 1)  # the files as they were
    assert segbench(*long) == 0
    assert (folder / "split.json").read_bytes() == split
    assert pd.read_csv(folder / "curves.csv")["epoch"].tolist() == [1, 2, 3]


def test_a_failed_cell_without_an_epoch_stands_in_nobodys_way(
    segbench: Run, pictures: Path, capsys: Output
) -> None:
    broken = pictures / "a" / "masks" / "p03.png"
    content = broken.read_bytes()
    broken.write_bytes(b"not a picture")
    assert segbench(*SMALL, SPLIT, "data.root=a") == 1
    broken.write_bytes(content)
    assert segbench(*SMALL, SPLIT, "data.root=a") == 0
    assert [read_record(cell)["status"] for cell in cells(pictures)] == ["done"]


def test_a_folder_of_ones_own_is_not_shared_by_two_experiments(
    segbench: Run, tmp_path: Path, capsys: Output
) -> None:
    assert segbench(*TINY, "hydra.run.dir=mine") == 0
    assert segbench(*TINY, "hydra.run.dir=mine") == 0
    assert "already done" in capsys.readouterr().out
    assert segbench(*TINY, "hydra.run.dir=mine", "loss=dice") == 2
    error = capsys.readouterr().err
    assert "mine holds another cell (loss._target_ is" in error
    assert "overwrite=true" in error


def test_a_split_that_was_drawn_is_kept(tmp_path: Path) -> None:
    from segbench.data.synthetic import SyntheticDataModule

    def make(split: dict[str, object]) -> SyntheticDataModule:
        return SyntheticDataModule(count=12, size=16, batch_size=2, split=split, split_seed=3)

    for split in ({"train": 6, "val": 2, "test": 4}, {"train": 8, "val": 4, "test": "val"}):
        first, again = make(split), make({"train": 4, "val": 4, "test": 4})
        first.setup()
        ids = {part: [first.cases[i].id for i in each] for part, each in first.parts.items()}
        again.keep_split(ids)
        again.setup()
        assert again.parts == first.parts


def test_a_longer_training_continues_a_finished_one(
    segbench: Run, tmp_path: Path, capsys: Output
) -> None:
    exact = (*TINY, "trainer.precision=32-true")
    assert segbench(*exact) == 0
    (first,) = cells(tmp_path)
    capsys.readouterr()
    longer = (*exact, "trainer.max_epochs=4")
    assert segbench(*longer, "name=whole") == 0
    assert segbench(*longer, f"resume_from={first}") == 0
    assert "resuming after epoch 1" in capsys.readouterr().out
    (whole,), (continued,) = cells(tmp_path, "whole"), set(cells(tmp_path)) - {first}
    assert continued.name == whole.name
    assert (continued / "scores.csv").read_bytes() == (whole / "scores.csv").read_bytes()
    curves = [pd.read_csv(cell / "curves.csv") for cell in (continued, whole)]
    pd.testing.assert_frame_equal(*curves)
    assert read_record(continued)["metrics"] == read_record(whole)["metrics"]


def test_a_longer_training_that_starts_anew_says_so(
    segbench: Run, tmp_path: Path, capsys: Output
) -> None:
    assert segbench(*TINY) == 0
    capsys.readouterr()
    assert segbench(*TINY, "trainer.max_epochs=3") == 0
    out = capsys.readouterr().out
    assert "the same settings but trainer.max_epochs=2; this cell is trained from its start" in out
    assert "resume_from=outputs/default/" in out
    assert segbench(*TINY, "trainer.max_epochs=5", "scheduler=cosine") == 0
    assert "the same settings" not in capsys.readouterr().out  # of another schedule
    assert segbench(*TINY, "trainer.max_epochs=6", "scheduler=cosine") == 0
    assert "learning rates planned for 5 epochs (scheduler.T_max)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("trainer.max_epochs=2", "optimizer.lr=0.5"), "differs in more than trainer.max_epochs"),
        (("trainer.max_epochs=1",), "expected more epochs, got 1"),
        (("trainer.max_epochs=4", "resume_from=nowhere"), "holds no cell"),
    ],
)
def test_what_cannot_be_continued_is_refused(
    segbench: Run, tmp_path: Path, capsys: Output, words: tuple[str, ...], said: str
) -> None:
    assert segbench(*TINY, "keep_state=false") == 0
    folder = cells(tmp_path)[0]
    assert segbench(*TINY, f"resume_from={folder}", *words) == 2
    assert said in capsys.readouterr().err
    assert segbench(*TINY, f"resume_from={folder}", "trainer.max_epochs=4") == 2
    assert "has no training state" in capsys.readouterr().err
    assert len(cells(tmp_path)) == 1


def test_an_edit_in_the_middle_of_a_sweep_mixes_no_data(
    segbench: Run, pictures: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segbench.cell import experiment

    original = experiment.run_cell

    def run_and_edit(*values: object, **options: object) -> object:
        record = original(*values, **options)  # type: ignore[arg-type]
        edit(pictures / "a")
        return record

    sweep = ("-m", *SMALL, SPLIT, "data.root=a", "seed=0,1")
    with monkeypatch.context() as patched:
        patched.setattr(experiment, "run_cell", run_and_edit)
        assert segbench(*sweep) == 1
    assert "its files have changed since this command was started" in capsys.readouterr().err
    assert sorted(read_record(cell)["status"] for cell in cells(pictures)) == ["done", "failed"]
    assert segbench(*sweep) == 2
    assert "2 cases changed (p00, p01) since" in capsys.readouterr().err
    make_pictures(pictures / "a", 1)  # the files as they were
    assert segbench(*sweep, "retry_failed=true") == 0
    report = pictures / "outputs" / "default" / "report" / "comparison.json"
    (section,) = json.loads(report.read_text())["sections"]
    assert section["entries"][0]["seeds"] == [0, 1]


def test_an_evaluation_after_a_sweep_leaves_its_table_as_it_is(
    segbench: Run, tmp_path: Path, capsys: Output
) -> None:
    assert segbench("-m", *TINY, "loss=bce,dice") == 0
    report = tmp_path / "outputs" / "default" / "report" / "comparison.json"
    before = json.loads(report.read_text())["sections"]
    for words in ((), ("part=val",), ("data.count=24",)):
        assert segbench("evaluate", f"run={cells(tmp_path)[0]}", *words) == 0
    assert segbench("compare", "name=default") == 0
    assert json.loads(report.read_text())["sections"] == before


@pytest.mark.parametrize("words", [("overwrite=true",), ("trainer.max_time=nonsense",)])
def test_a_folder_that_is_no_cells_loses_nothing(
    segbench: Run, tmp_path: Path, capsys: Output, words: tuple[str, ...]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    plus = [word if word.startswith("overwrite") else f"+{word}" for word in words]
    assert segbench(*TINY, "hydra.run.dir=mine", *plus) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
