"""Folds and training sizes: one table, in which each image counts once for each seed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_folders import write_cell

from segbench.records.cells import find_cells
from segbench.records.record import SCORES, SPLIT
from segbench.report.compare.build import compare_cells
from segbench.report.figures.size_figures import learning_curves
from segbench.report.sections.comparison import Comparison
from segbench.report.tables.exports import markdown_table

rng = np.random.default_rng(0)
TRUE = rng.uniform(0.3, 0.9, (2, 12)).round(3)  # of two models, on 12 images


def rename(folder: Path, ids: list[str], parts: dict[str, list[str]]) -> None:
    """Give a made cell's test images their ids, and its split these parts."""
    table = (folder / SCORES).read_text()
    for place in reversed(range(len(ids))):
        table = table.replace(f"\n{place:03d},", f"\n{ids[place]},")
    (folder / SCORES).write_text(table)
    cases = {
        part: [{"id": each, "sha256": each * 4} for each in members]
        for part, members in parts.items()
    }
    (folder / SPLIT).write_text(json.dumps({"parts": cases}))


def fold(sweep: Path, place: int, seed: int, number: int, folds: int = 3, **more: Any) -> None:
    every = [f"i{k:02d}" for k in range(12)]
    tested = every[number::folds]
    others = [each for each in every if each not in tested]
    config = {"data.folds": folds, "data.fold": number, "data.split_seed": 0, "model.x": 1}
    scores = TRUE[place][number::folds] - 0.01 * seed
    folder = write_cell(
        sweep, list(scores), seed=seed, model=("unet", "segnet")[place], config=config, **more
    )
    if more.get("status", "done") == "done":
        rename(folder, tested, {"train": others[2:], "val": others[:2], "test": tested})


def compared(folder: Path, **options: Any) -> Comparison:
    return compare_cells(find_cells([folder]), ["a"], replicates=100, **options)


def test_folds_are_one_table_with_each_image_once_for_each_seed(tmp_path: Path) -> None:
    for place in range(2):
        for seed in range(2):
            for number in range(3):
                fold(tmp_path / "a", place, seed, number)
    comparison = compared(tmp_path / "a")
    (section,) = comparison.sections
    assert section.images == [f"i{k:02d}" for k in range(12)]
    for entry in section.entries:
        place = ("unet", "segnet").index(entry.label)
        assert entry.seeds == [0, 1]
        np.testing.assert_allclose(entry.values, np.stack([TRUE[place], TRUE[place] - 0.01]))
        assert entry.means == pytest.approx(TRUE[place].mean() - np.array([0, 0.01]))
    assert section.pairs[0].images == 12
    (note,) = [note for note in section.notes if note.startswith("Folds: ")]
    spread = np.std([TRUE[0][k::3].mean() for k in range(3)], ddof=1)
    assert f"unet {spread:.2g}" in note
    assert not any("was split in" in note or "more than once" in note for note in section.notes)
    assert "cells)" not in markdown_table(comparison, section)


def test_a_fold_that_is_missing_is_named_and_nothing_is_ranked(tmp_path: Path) -> None:
    for place in range(2):
        for number in range(3):
            lost = {"status": "failed", "split": None} if (place, number) == (1, 2) else {}
            fold(tmp_path / "a", place, 0, number, **lost)
    comparison = compared(tmp_path / "a")
    (section,) = comparison.sections
    assert section.best == []
    assert section.pairs[0].images == 8
    notes = " ".join(section.notes)
    assert "4 test images of 12 missing for some: segnet lacks 4 (i02, i05, i08 and i11)" in notes
    assert "segnet (seed 0, fold 2 failed)" in notes
    assert "(2 of 3 cells)" in markdown_table(comparison, section)
    (section,) = compared(tmp_path / "a", missing="drop").sections
    assert len(section.images) == 8
    assert section.best


def trained_on(sweep: Path, train: int, seed: int, ids: list[str]) -> None:
    config = {"data.split.train": train, "data.split.val": 0.2}
    folder = write_cell(sweep, [0.5 + train / 100 + seed / 1000] * 3, seed=seed, config=config)
    rename(folder, ["x", "y", "z"], {"train": ids, "val": ["v"], "test": ["x", "y", "z"]})


def test_nested_training_parts_are_one_table_and_a_curve(tmp_path: Path) -> None:
    for train in (2, 5, 9):
        for seed in range(2):
            trained_on(tmp_path / "a", train, seed, [f"t{k}" for k in range(train)])
    (section,) = compared(tmp_path / "a").sections
    assert {entry.options["data.split.train"] for entry in section.entries} == {"2", "5", "9"}
    ((name, entries),) = learning_curves(section).items()
    assert name == "unet · dice"
    assert [entry.mean for entry in entries] == pytest.approx([0.5205, 0.5505, 0.5905])


def test_training_parts_that_are_no_subsets_stay_apart(tmp_path: Path) -> None:
    trained_on(tmp_path / "a", 2, 0, ["t0", "t1"])
    trained_on(tmp_path / "a", 3, 0, ["t1", "t2", "t3"])
    assert len(compared(tmp_path / "a").sections) == 2
    trained_on(tmp_path / "b", 2, 0, ["t0", "t1"])
    trained_on(tmp_path / "b", 2, 1, ["t0"])  # other data, under the same option
    assert len(compared(tmp_path / "b").sections) == 2
