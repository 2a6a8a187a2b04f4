"""Panels: which images, and what the colours say."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from segbench.colours import class_colours
from segbench.records import panels


def test_best_median_and_worst_by_the_mean_over_classes() -> None:
    ious = {"a": [0.5, 0.9], "b": [1.0, None], "c": [None, None], "d": [0.1, 0.2], "e": [0.6, 0.4]}
    table = pd.DataFrame([{"id": i, "iou": iou} for i, both in ious.items() for iou in both])
    chosen = panels.chosen_cases(table)
    assert {name: id_ for name, (id_, _) in chosen.items()} == {
        "best": "b",
        "median": "a",
        "worst": "d",
    }
    assert panels.chosen_cases(table.query("id == 'c'")) == {}


def test_errors_are_coloured_by_kind_and_ignored_pixels_are_not() -> None:
    image = np.full((1, 5, 3), 90, np.uint8)
    truth = np.array([[0, 1, 1, 2, 255]], np.uint8)
    prediction = np.array([[1, 0, 1, 1, 1]], np.uint8)
    painted = panels.paint_errors(image, truth, prediction, class_colours("abc"))
    dimmed = (50, 50, 50)
    expected = [panels.FALSE_POSITIVE, panels.FALSE_NEGATIVE, dimmed, panels.OTHER_CLASS, dimmed]
    assert [tuple(pixel) for pixel in painted[0].tolist()] == expected


def test_without_a_background_every_wrong_class_is_like_the_others() -> None:
    image, classes = np.full((1, 3, 3), 90, np.uint8), class_colours("abc", background=None)
    truth, prediction = np.array([[0, 1, 2]], np.uint8), np.array([[1, 0, 2]], np.uint8)
    painted = panels.paint_errors(image, truth, prediction, classes)
    assert [tuple(pixel) for pixel in painted[0].tolist()] == [
        panels.OTHER_CLASS,
        panels.OTHER_CLASS,
        (50, 50, 50),
    ]
    assert panels.errors_key(classes) == "errors: purple"
    assert "purple other class" in panels.errors_key(class_colours("abc"))
    assert "purple" not in panels.errors_key(class_colours("ab"))


def test_pictures_of_gigapixels_are_drawn_from_some_of_their_pixels() -> None:
    image, mask = np.zeros((9000, 40, 3), np.uint8), np.zeros((9000, 40), np.uint8)
    small, labels = panels.shrunk(image, mask)
    assert small.shape[:2] == labels.shape == (3000, 14)
    assert panels.shrunk(image[:4000], mask[:4000])[1].shape == (4000, 40)


def test_a_sheet_of_any_size_and_channels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for shape in ((20, 30, 1), (900, 300, 3)):
        image = rng.integers(0, 256, shape, dtype=np.uint8)
        truth, prediction = rng.integers(0, 3, (2, *shape[:2]), dtype=np.uint8)
        rows.append(("caption", panels.draw_panel(image, truth, prediction, class_colours("abc"))))
    panels.write_panels(tmp_path / "sheet.png", rows, ("a", "b", "c", "d"))
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (4 * 262 + 6, 22 + 2 * 284)


def test_a_legend_names_every_class_within_the_sheet(tmp_path: Path) -> None:
    tile = np.zeros((20, 30, 3), np.uint8)
    names = [f"class number {k}" for k in range(30)]
    legend = class_colours(names).legend(names)
    panels.write_panels(tmp_path / "with.png", [("row", [tile, tile])], ("a", "b"), legend)
    panels.write_panels(tmp_path / "without.png", [("row", [tile, tile])], ("a", "b"))
    with Image.open(tmp_path / "with.png") as sheet, Image.open(tmp_path / "without.png") as plain:
        assert sheet.width == plain.width
        drawn = np.asarray(sheet)[plain.height :]
        for name, colour in legend:
            assert (drawn == colour).all(axis=2).sum() >= 11 * 11, name
        assert [row[0].shape for row in panels.cut_panels(sheet)] == [
            row[0].shape for row in panels.cut_panels(plain)
        ]
