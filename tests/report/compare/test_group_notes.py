"""The groups of a section's images, and the note on those that its split cuts."""

import hashlib
from pathlib import Path

import pytest
from made_folders import write_cell

from segbench.errors import ConfigError
from segbench.records.cells import find_cells
from segbench.report.compare.build import compare_cells
from segbench.report.compare.group_notes import cut_groups_note
from segbench.report.sections.as_json import as_dict
from segbench.report.sections.comparison import Section

IOUS = [0.5, 0.6, 0.7, 0.8]
OTHERS = {"100": "p1", "101": "p2", "102": "p3", "103": "p3", "090": "p4", "091": "p4"}
WHOLE = {**OTHERS, "000": "p5", "001": "p5", "002": "p6", "003": "p7"}
CUT = {**WHOLE, "000": "p1", "001": "p1", "002": "p3"}


def compared(folder: Path) -> Section:
    comparison = compare_cells(find_cells([folder]), [folder.name], replicates=50)
    assert as_dict(comparison)["sections"][0]["groups"] == comparison.sections[0].groups
    (section,) = comparison.sections
    return section


def told(section: Section) -> str:
    notes = (note for note in section.notes if "group" in note)
    return " ".join(note for note in notes if "can be significant" not in note)


def two_cells(folder: Path, first: dict[str, str] | None, second: dict[str, str] | None) -> Section:
    for loss, groups in (("dice", first), ("bce", second)):
        data = {"data.group": "^p" if groups else None, "data.size": 8}
        write_cell(folder, IOUS, loss=loss, groups=groups, config=data)
    return compared(folder)


def test_the_groups_stand_beside_the_images(tmp_path: Path) -> None:
    section = two_cells(tmp_path / "a", WHOLE, WHOLE)
    assert section.images == ["000", "001", "002", "003"]
    assert section.groups == ["p5", "p5", "p6", "p7"]
    assert told(section) == ""


def test_without_groups_there_are_none(tmp_path: Path) -> None:
    section = two_cells(tmp_path / "a", None, None)
    assert (section.groups, told(section)) == ([], "")


def test_groups_of_one_cell_hold_for_all_and_that_is_said(tmp_path: Path) -> None:
    section = two_cells(tmp_path / "a", WHOLE, None)
    assert section.groups == ["p5", "p5", "p6", "p7"]
    assert "1 cell ran without data.group; the groups that the others name" in told(section)


def test_groups_on_which_cells_do_not_agree_are_left_out(tmp_path: Path) -> None:
    section = two_cells(tmp_path / "a", WHOLE, {**WHOLE, "003": "p8"})
    assert section.groups == []
    assert "because cells name them differently" in told(section)


def test_cut_groups_are_counted_and_named(tmp_path: Path) -> None:
    section = two_cells(tmp_path / "a", CUT, CUT)
    assert (
        "The split cuts groups apart: of 3 groups of test images 2 are in the training part too "
        "(p1 and p3). Images of one group are alike, so that these scores are too good"
    ) in told(section)


def test_an_older_cell_without_the_option_is_of_the_same_configuration(tmp_path: Path) -> None:
    write_cell(tmp_path / "a", IOUS, seed=0, config={"data.size": 8})
    write_cell(tmp_path / "a", IOUS, seed=1, config={"data.size": 8, "data.group": None})
    (entry,) = compared(tmp_path / "a").entries
    assert entry.seeds == [0, 1]


def test_an_evaluation_is_judged_by_what_was_trained_on(tmp_path: Path) -> None:
    evaluated = {"evaluated": {"runs": ["x"], "part": "test"}}
    write_cell(tmp_path / "a", IOUS, groups=CUT, config={})
    (cell,) = find_cells([tmp_path / "a"])
    own = hashlib.sha256(cell.split.encode()).hexdigest()[:8]
    for name, digest in (("own", own), ("other", "0" * 8)):
        config = {"evaluation.trained_on": [f"synthetic {digest}"]}
        write_cell(tmp_path / name, IOUS, groups=CUT, config=config, record=evaluated)
    assert cut_groups_note(find_cells([tmp_path / "own"]))
    assert not cut_groups_note(find_cells([tmp_path / "other"]))


def test_scores_and_split_must_tell_the_same_group(tmp_path: Path) -> None:
    folder = write_cell(tmp_path / "a", IOUS, groups=WHOLE, config={"data.size": 8})
    write_cell(tmp_path / "a", IOUS, groups=WHOLE, config={"data.size": 8}, seed=1)
    scores = folder / "scores.csv"
    scores.write_text(scores.read_text().replace(",p7,", ",p6,"))
    comparison = compare_cells(find_cells([tmp_path / "a"]), ["a"], replicates=50)
    ((_, reason),) = comparison.damaged
    assert "scores.csv has the group 'p6' of the image '003', and split.json 'p7'" in reason


def test_scores_of_whole_groups(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    for loss in ("dice", "bce"):
        data = {"data.group": "^p", "data.size": 8}
        write_cell(folder, IOUS, loss=loss, groups=WHOLE, config=data)
    cells = find_cells([folder])
    comparison = compare_cells(cells, ["a"], replicates=50, unit="group")
    (section,) = comparison.sections
    assert section.images == ["p5", "p6", "p7"]
    assert "Scores are those of whole groups" in section.notes[0]
    table = cells[0].scores[cells[0].scores["class"] == "cell"].set_index("id")
    for place, ids in enumerate((["000", "001"], ["002"], ["003"])):
        tp, fp, fn = table.loc[ids, ["tp", "fp", "fn"]].sum()
        assert section.entries[0].values[0, place] == pytest.approx(tp / (tp + fp + fn))


def test_images_without_groups_have_no_scores_of_groups(tmp_path: Path) -> None:
    write_cell(tmp_path / "a", IOUS, config={"data.size": 8})
    with pytest.raises(ConfigError, match="unit=group: the images of .* have no groups"):
        compare_cells(find_cells([tmp_path / "a"]), ["a"], replicates=50, unit="group")
