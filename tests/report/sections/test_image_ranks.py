"""The best, median and worst image of each entry, class and score: which, and everywhere alike."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_cells import made_cells
from PIL import Image

from segbench.records.published import Published
from segbench.report.compare.build import compare_cells
from segbench.report.sections.comparison import Comparison
from segbench.report.sections.image_ranks import by_score, rank_rows
from segbench.report.write import print_report, write_report

CLASSES = ("background", "cell1", "cell2")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("made") / "group"
    cells = made_cells(folder, classes=CLASSES, images=9)
    return compare_cells(cells, ["group"], ["dice", "assd", "iou_dataset"], replicates=50)


def test_rows_are_the_extremes_and_the_middle_of_the_means_over_seeds(made: Comparison) -> None:
    (section,) = made.sections
    assert list(by_score(section, made.score)) == ["dice", "assd"]  # images have no other
    rows = rank_rows(section.others["assd"], "assd")
    assert len(rows) == len(section.scored) * len(CLASSES)
    for entry, label, images in rows:
        tables = pd.concat([cell.scores for cell in entry.done])
        means = tables[tables["class"] == label].groupby("id")["assd"].mean().dropna()
        assert images["best"][1] == pytest.approx(means.min())  # the lowest distance
        assert images["worst"][1] == pytest.approx(means.max())
        middle = sorted(means)[(len(means) - 1) // 2]
        assert images["median"][1] == pytest.approx(middle)
        assert {id_: means[id_] for id_, _ in images.values()} == pytest.approx(
            dict(images.values())
        )


def test_a_report_shows_them_beside_the_published_ones(
    made: Comparison, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (section,) = made.sections
    section.published = [Published("a study", ("class", "best"), (("cell1", "0.9"),))]
    write_report(made, tmp_path)
    print_report(made, tmp_path)
    found = pd.read_csv(tmp_path / "images.csv")
    assert len(found) == 2 * 3 * len(CLASSES) * len(section.scored)
    row = rank_rows(section, "dice")[0]
    shown = f"{row.images['worst'][1]:.4f}"
    mine = found[(found["class"] == row.class_name) & (found["rank"] == "worst")]
    assert np.isclose(mine["value"], row.images["worst"][1]).any()
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    for text in (page, (tmp_path / "table.md").read_text(), capsys.readouterr().out):
        assert shown in text
        assert f"Dice, {row.class_name}" in text.replace("\\_", "_")
    figures = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"boxes-synthetic.svg", "boxes-assd-synthetic.svg"} <= figures
    assert "boxes-iou_dataset-synthetic.svg" not in figures
    for number in range(1, len(section.scored) + 1):
        with Image.open(tmp_path / "figures" / f"images-synthetic-{number}.png") as sheet:
            assert sheet.height > 2 * 3 * len(CLASSES) * 48  # a row of tiles for each
    assert page.count("<summary>Best, median and worst image by class</summary>") == len(
        section.scored
    )


def test_nothing_is_drawn_twice(tmp_path: Path) -> None:
    """One class by IoU alone: each cell's own panels show it."""
    cells = made_cells(tmp_path / "group", ("unet",), images=4, seeds=(0,))
    write_report(compare_cells(cells, ["group"], replicates=20), tmp_path / "report")
    names = [path.name for path in (tmp_path / "report" / "figures").iterdir()]
    assert not [name for name in names if name.startswith("images")]
    assert len(pd.read_csv(tmp_path / "report" / "images.csv")) == 2 * 3  # two losses
