"""Panels: which images, and what the colours say."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

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
    painted = panels.paint_errors(image, truth, prediction, 255)
    dimmed = (50, 50, 50)
    expected = [panels.FALSE_POSITIVE, panels.FALSE_NEGATIVE, dimmed, panels.OTHER_CLASS, dimmed]
    assert [tuple(pixel) for pixel in painted[0].tolist()] == expected


def test_a_sheet_of_any_size_and_channels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for shape in ((20, 30, 1), (900, 300, 3)):
        image = rng.integers(0, 256, shape, dtype=np.uint8)
        truth, prediction = rng.integers(0, 3, (2, *shape[:2]), dtype=np.uint8)
        rows.append(("caption", panels.draw_panel(image, truth, prediction, 3, 255)))
    panels.write_panels(tmp_path / "sheet.png", rows, ("a", "b", "c", "d"))
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (4 * 262 + 6, 22 + 2 * 284)


def test_a_legend_names_every_class_within_the_sheet(tmp_path: Path) -> None:
    tile = np.zeros((20, 30, 3), np.uint8)
    names = [f"class number {k}" for k in range(30)]
    panels.write_panels(tmp_path / "with.png", [("row", [tile, tile])], ("a", "b"), names)
    panels.write_panels(tmp_path / "without.png", [("row", [tile, tile])], ("a", "b"))
    with Image.open(tmp_path / "with.png") as sheet, Image.open(tmp_path / "without.png") as plain:
        assert sheet.width == plain.width
        legend = np.asarray(sheet)[plain.height :]
        for label in range(len(names)):
            swatch = (legend == panels.class_colour(label)).all(axis=2)
            assert swatch.sum() >= 13 * 13, label
        assert [row[0].shape for row in panels.cut_panels(sheet)] == [
            row[0].shape for row in panels.cut_panels(plain)
        ]
