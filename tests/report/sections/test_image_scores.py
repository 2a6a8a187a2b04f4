"""Scores of single images against the averages of the record."""

from pathlib import Path

import numpy as np
import pytest
from made_folders import write_cell

from segbench.errors import SegbenchError
from segbench.metrics.registry import OPTIONAL, SURFACE
from segbench.metrics.scores import aggregate, score_table
from segbench.records.cells import find_cells
from segbench.report.sections.image_scores import PER_IMAGE, has_images, per_image


def table(classes: list[str], images: int = 40):
    """Random counts, classes missing here and there."""
    rng = np.random.default_rng(len(classes))
    labels = rng.integers(0, 50, (images, len(classes), len(classes)))
    gone = rng.random((images, len(classes))) < 0.3
    gone[:, 0] = False
    labels[np.broadcast_to(gone[:, :, None] | gone[:, None, :], labels.shape)] = 0
    labels[0] = 0  # nothing at all
    tp = np.diagonal(labels, axis1=1, axis2=2)
    counts = np.stack([tp, labels.sum(axis=2) - tp, labels.sum(axis=1) - tp], axis=-1)
    surface = rng.random((images, len(classes), len(SURFACE)))
    surface[counts.sum(axis=2) == 0] = np.nan
    ids = [f"{k:02d}" for k in range(images)]
    return score_table(ids, classes, counts, np.full((images, 2), 90), surface)


@pytest.mark.parametrize("classes", [["ground", "cell"], ["ground", "cell", "a/b", "NA"]])
def test_their_means_are_the_records(classes: list[str]) -> None:
    rows = table(classes)
    expected = aggregate(rows, classes)
    scored = classes[1:] if len(classes) == 2 else classes
    checked = 0
    names = [score for score in PER_IMAGE if score not in OPTIONAL]  # the table has none
    for score in names:
        for name in (score, *(f"{score}/{each}" for each in scored)):
            ids, values = per_image(rows, name)
            assert len(ids) == len(values) == 40
            assert np.nanmean(values) == pytest.approx(expected[name], abs=1e-12), name
            assert np.isnan(values).any()
            checked += 1
    assert checked == len(names) * (1 + len(scored))


def test_of_a_cell(tmp_path: Path) -> None:
    write_cell(tmp_path / "a", [0.25, np.nan, 1.0])
    (cell,) = find_cells([tmp_path / "a"])
    ids, values = per_image(cell, "iou")
    assert ids == ["000", "001", "002"]
    assert values == pytest.approx([0.25, np.nan, 1.0], nan_ok=True)
    assert per_image(cell, "dice/cell")[1] == pytest.approx([0.4, np.nan, 1.0], nan_ok=True)


def test_scores_over_the_data_set_have_no_images() -> None:
    assert has_images("iou")
    assert has_images("nsd/cell")
    assert not any(map(has_images, ("iou_dataset", "pixel_accuracy", "dice_dataset/cell")))


def test_what_is_no_such_table_is_named() -> None:
    rows = table(["ground", "cell", "rim"])
    with pytest.raises(SegbenchError, match=r"score=iou/nucleus: .*there are ground, cell, rim"):
        per_image(rows, "iou/nucleus")
    with pytest.raises(SegbenchError, match=r"not a scored class; there are cell"):
        per_image(table(["ground", "cell"]), "iou/ground")
    with pytest.raises(SegbenchError, match=r"one row of each of \['ground', 'cell', 'rim'\]"):
        per_image(rows.iloc[:-1], "iou")
