"""Cells read back from their folders."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from made_folders import write_cell

from segbench.errors import SegbenchError
from segbench.records.cells import Cell, find_cells


def only(sweep: Path) -> Cell:
    (cell,) = find_cells([sweep])
    return cell


def test_a_finished_cell(tmp_path: Path) -> None:
    config = {"optimizer.lr": 0.01, "augment": {}, "data.size": [48, 64]}
    folder = write_cell(tmp_path / "ph2", [0.5, 0.75], seed=3, config=config)
    (folder / "curves.csv").write_text("epoch,val/iou\n1,0.5\n2,0.6\n")
    cell = only(tmp_path / "ph2")
    assert (cell.name, cell.sweep, cell.status, cell.seed) == (folder.name, "ph2", "done", 3)
    assert cell.choices["model"] == "unet"
    assert cell.config == {"seed": 3, "data.seed": 3} | config
    assert [case["id"] for case in cell.parts["test"]] == ["000", "001"]
    assert cell.curves["val/iou"].to_dict() == {1: 0.5, 2: 0.6}
    table = cell.scores
    assert table.loc[table["class"] == "cell", "iou"].tolist() == [0.5, 0.75]


def test_ids_and_classes_stay_words(tmp_path: Path) -> None:
    folder = write_cell(tmp_path / "a", [0.5])
    path = folder / "scores.csv"
    path.write_text(path.read_text().replace("000,", "NA,").replace("cell", "null"))
    table = only(tmp_path / "a").scores
    assert table["id"].tolist() == ["NA", "NA"]
    assert table["class"].tolist() == ["background", "null"]
    assert pd.isna(table["iou"][0])


def test_groups_are_those_of_the_scored_images(tmp_path: Path) -> None:
    groups = {"000": "=p1", "001": "007", "100": "NA"}
    folder = write_cell(tmp_path / "a", [0.5, 0.75], groups=groups)
    path = folder / "scores.csv"
    assert path.read_text().startswith("id,group,class,")
    path.write_text(path.read_text().replace(",=p1,", ",'=p1,"))  # as cells write it
    cell = only(tmp_path / "a")
    assert cell.groups == {"000": "=p1", "001": "007"}
    assert cell.parts["train"][0] == {"id": "100", "sha256": "0-100", "group": "NA"}
    write_cell(tmp_path / "b", [0.5])
    write_cell(tmp_path / "c", status="failed", groups=groups)
    assert only(tmp_path / "b").groups == only(tmp_path / "c").groups == {}


def test_a_split_is_the_same_with_and_without_groups(tmp_path: Path) -> None:
    for name, groups in (("a", None), ("b", {"000": "p", "001": "q"})):
        write_cell(tmp_path / name, [0.5, 0.6], groups=groups)
    assert only(tmp_path / "a").split == only(tmp_path / "b").split


def test_damaged_groups_are_refused(tmp_path: Path) -> None:
    folder = write_cell(tmp_path / "a", [0.5], groups={"000": "p"})
    split, scores = folder / "split.json", folder / "scores.csv"
    split.write_text(split.read_text().replace('"p"', "3"))
    with pytest.raises(SegbenchError, match="a group is no text"):
        _ = only(tmp_path / "a").parts
    text = scores.read_text()
    for group, fault in (("", "row 2: no group"), ("q", "an image's classes have several groups")):
        scores.write_text(text.replace(",p,", f",{group},", 1))
        with pytest.raises(SegbenchError, match=fault):
            _ = only(tmp_path / "a").groups


def test_what_is_not_there_is_empty(tmp_path: Path) -> None:
    write_cell(tmp_path / "a", status="failed", split=None)
    cell = only(tmp_path / "a")
    assert (cell.config, cell.tuned, cell.parts, cell.split) == ({}, {}, {}, "")
    assert cell.curves.empty


def test_done_without_scores_is_interrupted(tmp_path: Path) -> None:
    folder = write_cell(tmp_path / "a", [0.5])
    (folder / "scores.csv").unlink()
    assert only(tmp_path / "a").status == "interrupted"


def test_a_split_is_known_by_its_members_in_any_order(tmp_path: Path) -> None:
    for name, split in (("a", 0), ("b", 0), ("c", 1)):
        write_cell(tmp_path / name, [0.5, 0.6], split=split)
    a, b, c = (only(tmp_path / name) for name in "abc")
    told = json.loads((b.folder / "split.json").read_text())
    told["parts"] = {part: cases[::-1] for part, cases in reversed(told["parts"].items())}
    (b.folder / "split.json").write_text(json.dumps(told))
    assert a.split == b.split != c.split
    assert len(a.split) == 8
    assert len(only(tmp_path / "a").parts["test"]) == 2


def test_what_leaves_a_result_as_it_is(tmp_path: Path) -> None:
    config = {"name": "x", "logger.csv.save_dir": "/x", "data.root": "/x", "data.size": 64}
    config |= {"data.augment.flip.p": 0.5, "augment.flip.p": 0.5, "data.root_dir": "y"}
    write_cell(tmp_path / "a", [0.5], config=config, logger="csv", experiment="table1")
    cell = only(tmp_path / "a")
    assert set(cell.tuned) == {"data.seed", "data.size", "augment.flip.p", "data.root_dir"}
    assert set(cell.chosen) == {"data", "model", "loss", "optimizer"}


def test_sweeps_one_after_the_other_and_none_twice(tmp_path: Path) -> None:
    for sweep, model in (("b", "unet"), ("b", "segnet"), ("a", "unet")):
        write_cell(tmp_path / sweep, [0.5], model=model)
    (tmp_path / "b" / "report").mkdir()
    folders = [tmp_path / "b", tmp_path / "a", tmp_path / "b"]
    found = [(cell.sweep, cell.choices["model"]) for cell in find_cells(folders)]
    assert found == [("b", "segnet"), ("b", "unet"), ("a", "unet")]


def test_a_missing_folder_names_those_that_are_there(tmp_path: Path) -> None:
    write_cell(tmp_path / "ph2", [0.5])
    with pytest.raises(SegbenchError, match=r"name=nuclei: no such folder .*; there are ph2"):
        find_cells([tmp_path / "nuclei"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SegbenchError, match=r"name=empty: no cell in it"):
        find_cells([tmp_path / "empty"])


@pytest.mark.parametrize("record", ["{}", "[]", '{"status": "done", "seed": 0}', "{"])
def test_a_damaged_record_is_named(tmp_path: Path, record: str) -> None:
    (write_cell(tmp_path / "a", [0.5]) / "run.json").write_text(record)
    cell = only(tmp_path / "a")
    assert (cell.status, cell.record) == ("damaged", {})
    assert "run.json: not a record" in cell.damage


@pytest.mark.parametrize(
    ("file", "content", "attribute"),
    [
        ("config.yaml", "a: [", "config"),
        ("config.yaml", "just words", "config"),
        ("split.json", "{", "parts"),
        ("split.json", '{"parts": {"test": [{}]}}', "split"),
        ("split.json", "[]", "split"),
        ("scores.csv", "", "scores"),
        ("curves.csv", "x,y\n1,2\n", "curves"),
        ("curves.csv", "", "curves"),
    ],
)
def test_damaged_files_are_named_in_one_line(
    tmp_path: Path, file: str, content: str, attribute: str
) -> None:
    (write_cell(tmp_path / "a", [0.5], config={}) / file).write_text(content)
    with pytest.raises(SegbenchError, match=rf"{re.escape(file)}: no .*overwrite=true") as caught:
        getattr(only(tmp_path / "a"), attribute)
    assert "\n" not in str(caught.value)
