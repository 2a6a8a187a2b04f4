"""What cannot be shown of a finished cell is a note; nothing that was computed is lost."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_data import SPLIT, make_ph2
from tiny import TINY, only_cell

from segbench.data.ph2 import PH2DataModule
from segbench.data.store.transforms import resize_image
from segbench.records.record import read_record

Run = Callable[..., int]


def delete(file: Path) -> None:
    file.unlink()


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:200])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def replace_by_another_size(file: Path) -> None:
    from PIL import Image

    Image.new("RGB", (5, 7)).save(file)


@pytest.mark.parametrize("spoil", [delete, truncate, empty, replace_by_another_size])
def test_pictures_come_from_the_store_once_their_files_are_spoilt(
    spoil: Callable[[Path], None], tmp_path: Path
) -> None:
    make_ph2(tmp_path)
    names = ["skin", "lesion"]
    data = PH2DataModule(
        root=str(tmp_path), class_names=names, num_classes=2, size=12, batch_size=2, split=SPLIT
    )
    data.setup()
    before = data.show(2)
    for case in data.cases:
        assert case.image is not None
        spoil(case.image)
    with pytest.warns(UserWarning, match="pictures show it, and others like it") as told:
        image, mask = data.show(2)
    assert len(told) == 1
    data.show(3)  # said once: a whole folder may be gone
    assert image.shape == before[0].shape
    np.testing.assert_array_equal(mask, before[1])
    stored = data.prepared.images[2]
    np.testing.assert_array_equal(image, resize_image(stored, before[0].shape[:2]))


@pytest.mark.filterwarnings("default:.*pictures show it")
def test_a_cell_ends_well_though_its_pictures_go_while_it_trains(
    segbench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from segbench.cell import training

    def fit(*args: Any) -> None:
        trained(*args)
        for file in (tmp_path / "data").rglob("*.bmp"):
            file.unlink()

    trained = training._fit
    monkeypatch.setattr(training, "_fit", fit)
    make_ph2(tmp_path / "data")
    words = [word for word in TINY if "count" not in word]
    split = "data.split={train:4,val:1,test:1}"
    assert segbench(*words, "data=ph2", split, "trainer=smoke", "data.root=data") == 0
    cell = only_cell(tmp_path)
    assert read_record(cell)["status"] == "done"
    assert read_record(cell)["notes"] == []
    assert (cell / "panels" / "test.png").is_file()
    assert (cell / "panels" / "predictions.zip").is_file()
    assert "pictures show it" in capsys.readouterr().err


def test_what_fails_after_the_scores_is_noted_and_no_more(
    segbench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("segbench.cell.scoring.draw_panels", refuse)
    for name in ("training.keep_pictures", "training.log_result", "experiment.close_runs"):
        monkeypatch.setattr(f"segbench.cell.{name}", refuse)
    assert segbench(*TINY, "trainer=smoke") == 0
    record = read_record(only_cell(tmp_path))
    assert record["status"] == "done"
    assert [note.partition(":")[0] for note in record["notes"]] == [
        *("panels", "pictures for comparisons", "logging the result")
    ]
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 4
    assert all(line.startswith("note: ") and "No space left" in line for line in said)
