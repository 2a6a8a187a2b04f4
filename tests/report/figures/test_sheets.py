"""Sheets: the images that entries disagree on, with the errors where they are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_cells import HEIGHT, WIDTH, made_comparison
from PIL import Image

from segbench.colours import PALETTE
from segbench.records.panels import FALSE_NEGATIVE, FALSE_POSITIVE, OTHER_CLASS
from segbench.records.pictures import PREDICTIONS, truths_path, write_pictures
from segbench.report.figures.sheets import (
    GAP,
    cell_colours,
    draw_sheet,
    median_seed,
    most_disputed,
    wrapped,
    write_sheet,
)
from segbench.report.sections.comparison import Comparison, Entry, Section

ORANGE, BLUE, PURPLE = PALETTE[1], PALETTE[5], PALETTE[7]


def entry(values: Any) -> Entry:
    values = np.array(values, float)
    return Entry("", {}, seeds=[*range(len(values))], values=values, means=values.mean(axis=1))


def test_the_worst_disagreement_comes_first() -> None:
    nan = np.nan
    # means over seeds:  b .5   a .5   d .9   c .2   e nan
    one = entry([[0.4, 0.5, 0.9, 0.2, nan], [0.6, 0.5, 0.9, 0.2, nan]])
    two = entry([[0.7, 0.3, 0.9, 0.8, 0.1]])
    three = entry([[0.5, 0.5, 0.9, 0.2, nan]])
    part = Section("data", "", ["b", "a", "d", "c", "e"], [], [one, two, three])
    # b and a differ by 0.2 alike: by name; c by 0.6, d by nothing, e has a single score
    assert most_disputed(part) == ["c", "a", "b", "d", "e"]


def test_the_seed_in_the_middle_is_shown() -> None:
    middle = entry([[0.9], [0.1], [0.5]])
    assert median_seed(middle) == 2
    assert median_seed(entry([[0.9], [0.1]])) == 1  # the lower of two
    assert median_seed(entry([[0.9]])) == 0


def test_labels_are_broken_where_they_may_be() -> None:
    assert wrapped("unet · bce_dice", 10, len) == ["unet ·", "bce_dice"]
    assert wrapped("deeplabv3plus_resnet50", 15, len) == ["deeplabv3plus_", "resnet50"]
    assert wrapped("abcdefgh", 3, len) == ["abc", "def", "gh"]
    assert wrapped("abc", 0.5, len) == ["a", "b", "c"]


def known(comparison: Comparison) -> tuple[int, int, int]:
    """Write pictures with one square of each kind of error; where the squares are."""
    section = comparison.sections[0]
    truth = np.zeros((HEIGHT, WIDTH), np.uint8)
    truth[8:16, 8:16] = truth[8:16, 24:32] = 1
    truth[32:40, 8:16] = 255
    prediction = np.zeros_like(truth)
    prediction[8:16, 24:32] = 2
    prediction[8:16, 40:48] = prediction[32:40, 8:16] = 1
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    ids = section.images
    first = section.scored[0].done[0]
    path = truths_path(first.folder.parent, section.data, section.split)
    write_pictures(path, ids, [(image, truth)] * len(ids))
    for each in section.scored:
        for cell in each.done:
            write_pictures(cell.folder / PREDICTIONS, ids, [(None, prediction)] * len(ids))
    return 12, 28, 44


def test_errors_have_their_colours(tmp_path: Path) -> None:
    classes = ("background", "one", "two")
    made = made_comparison(tmp_path / "group", images=3, classes=classes, models=("unet", "segnet"))
    missed, other, invented = known(made)
    path = write_sheet(made.sections[0], made, tmp_path / "report" / "sheet.png", count=1)
    assert path == tmp_path / "report" / "sheet.png"
    with Image.open(path) as file:
        sheet = np.array(file.convert("RGB"))
    columns = 2 + 2 * len(made.sections[0].scored)  # of several classes predictions, then errors
    side = (sheet.shape[1] - GAP) // columns - GAP
    assert (side, sheet.shape[1]) == (200, GAP + columns * (side + GAP))
    dark = (sheet[:, GAP + 3 * (side + GAP) + side // 2] == 50).all(axis=1)  # 90 // 3 + 20
    top = int(np.flatnonzero(dark)[0])
    for column in range(3, columns, 2):
        left = GAP + column * (side + GAP)
        scale = side / WIDTH
        at = lambda y, x: tuple(sheet[round(top + y * scale), round(left + x * scale)])  # noqa: E731, B023
        assert at(12, missed) == FALSE_NEGATIVE == BLUE
        assert at(12, other) == OTHER_CLASS == PURPLE
        assert at(12, invented) == FALSE_POSITIVE == ORANGE
        assert at(36, 12) == (50, 50, 50)  # ignored: no error
        assert at(2, 2) == (50, 50, 50)


def test_every_row_shows_every_entry(tmp_path: Path) -> None:
    made = made_comparison(tmp_path / "group", images=5, seeds=(0,))
    few = write_sheet(made.sections[0], made, tmp_path / "few.png", count=2)
    all_ = write_sheet(made.sections[0], made, tmp_path / "all.png")
    assert few is not None
    assert all_ is not None
    with Image.open(few) as one, Image.open(all_) as other:
        assert one.width == other.width == GAP + 7 * (200 + GAP)
        row = (other.height - one.height) / 3
        assert row > 200 * HEIGHT / WIDTH
    before = few.read_bytes()
    write_sheet(made.sections[0], made, few, count=2)
    assert few.read_bytes() == before


def test_what_has_no_pictures_is_left_out(tmp_path: Path) -> None:
    made = made_comparison(tmp_path / "group", images=4, seeds=(0,))
    part = made.sections[0]
    (part.scored[0].done[0].folder / PREDICTIONS).unlink()
    path = write_sheet(part, made, tmp_path / "sheet.png")
    assert path is not None
    with Image.open(path) as sheet:
        assert sheet.width == GAP + 6 * (200 + GAP)  # one entry less
    truths_path(tmp_path / "group", part.data, part.split).unlink()
    assert write_sheet(part, made, tmp_path / "none.png") is None
    assert not (tmp_path / "none.png").exists()
    assert write_sheet(Section("data", "", [], [], []), made, tmp_path / "none.png") is None


@pytest.mark.parametrize("columns", [3, 20, 35])
def test_many_columns_stay_readable(columns: int) -> None:
    picture = np.zeros((30, 40, 3), np.uint8)
    heads = ["input", "truth", *(f"some_network_{k} · bce_dice" for k in range(columns - 2))]
    sheet = draw_sheet(
        heads, [("image", [(picture, "0.5")] * (columns - 1) + [(None, "–")])], "key"
    )
    assert 72 <= (sheet.width - GAP) // columns - GAP <= 200
    assert sheet.width <= 3300


def test_a_cells_palette_and_background_are_those_of_its_config(tmp_path: Path) -> None:
    made = made_comparison(tmp_path / "group", images=2, classes=("sky", "road", "a.b"), seeds=(0,))
    cell = made.sections[0].entries[0].done[0]
    plain = cell_colours(cell)
    assert (plain.background, plain.ignored) == (0, 255)
    given = {"data.palette.road": [128, 64, 128], "data.palette.a.b": [1, 2, 3]}
    cell.__dict__["config"] = {**cell.config, **given, "data.background": None}
    found = cell_colours(cell)
    assert found.colours[1:] == ((128, 64, 128), (1, 2, 3))
    assert found.background is None
    damaged = {"data.palette.road": "red", "data.palette.a.b": [1, 2, 999], "data.background": "x"}
    cell.__dict__["config"] = {**cell.config, **damaged}
    assert cell_colours(cell).colours == plain.colours
    assert cell_colours(cell).background == 0
