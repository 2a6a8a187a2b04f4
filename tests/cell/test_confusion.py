"""The confusion matrix: counted, written beside the scores, read and shown on the page."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix
from tiny import only_cell

from segbench import arrays
from segbench.errors import SegbenchError
from segbench.metrics.counts import confusion_of
from segbench.records.cells import Cell
from segbench.records.record import read_record

TINY = ("model.base_channels=4", "model.depth=2", "trainer.max_epochs=1", "data.size=16")


@pytest.mark.parametrize("most", [7, 1 << 22])
def test_pixels_are_counted_as_by_scikit_learn(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "BLOCK", most)
    chance = np.random.default_rng(0)
    prediction, truth = chance.integers(0, 4, (2, 3, 20, 24)).astype(np.uint8)
    truth[:, 4:9] = 255
    seen = truth < 255
    expected = confusion_matrix(truth[seen], prediction[seen], labels=range(4))
    found = confusion_of(prediction, truth, 4)
    np.testing.assert_array_equal(found.sum(axis=0), expected)
    one = confusion_of(prediction[1:2], truth[1:2], 4)
    np.testing.assert_array_equal(found[1:2], one)


def test_a_cell_of_several_classes_has_one_and_the_page_shows_it(
    segbench: Any, tmp_path: Path
) -> None:
    words = ("data.count=12", "data.num_classes=3", "data.class_names=[sky,'=cell',na]", "name=n")
    assert segbench("-m", *TINY, *words, "seed=0,1") == 0
    folders = sorted(each.parent for each in (tmp_path / "outputs" / "n").glob("*/run.json"))
    total = np.zeros((3, 3), np.int64)
    for folder in folders:
        cell = Cell(folder, read_record(folder))
        table = cell.scores.groupby("class", sort=False)[["tp", "fp", "fn"]].sum()
        found = cell.confusion
        assert [*found.index] == [*found.columns] == ["sky", "=cell", "na"]
        np.testing.assert_array_equal(np.diag(found), table["tp"])
        np.testing.assert_array_equal(found.sum(axis=1), table["tp"] + table["fn"])
        np.testing.assert_array_equal(found.sum(axis=0), table["tp"] + table["fp"])
        total += found.to_numpy()
    page = (tmp_path / "outputs" / "n" / "report" / "index.html").read_text()
    assert "Confusion matrix of" in page
    assert f">{100 * total[0, 0] / total[0].sum():.1f}</td>" in page
    (folders[0] / "confusion.csv").unlink()
    assert Cell(folders[0], read_record(folders[0])).confusion.empty


DAMAGED = ["class,predicted,pixels\na,a,1\na,b,2\n", "class\n", "a,b\n1,2\n"]


def test_damaged_matrices_are_named(segbench: Any, tmp_path: Path) -> None:
    assert segbench(*TINY, "data.count=12", "data.num_classes=3", "name=n") == 0
    folder = only_cell(tmp_path, "n")
    record = read_record(folder)
    record["files"].pop("confusion.csv")
    for text in DAMAGED:
        (folder / "confusion.csv").write_text(text)
        with pytest.raises(SegbenchError, match=r"confusion\.csv: no confusion matrix"):
            Cell(folder, record).confusion  # noqa: B018


def test_two_classes_have_none(segbench: Any, tmp_path: Path) -> None:
    assert segbench(*TINY, "data.count=12", "name=n") == 0
    assert not (only_cell(tmp_path, "n") / "confusion.csv").exists()
    assert pd.read_csv(only_cell(tmp_path, "n") / "scores.csv").shape[0] == 6
