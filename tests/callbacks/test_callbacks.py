"""Curves that survive, sample images, and the command's memory of seeds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny import TINY, only_cell

from segbench.callbacks.curves import CurvesLogger
from segbench.callbacks.samples import SampleImages, _grid, with_legend
from segbench.colours import class_colours
from segbench.records.checkpoints.saving import WholeCheckpoints


def test_an_epoch_run_again_takes_its_rows_place(tmp_path: Path) -> None:
    first = CurvesLogger(str(tmp_path))
    first.log_metrics({"val/iou": 0.1, "epoch": 0})
    first.log_metrics({"train/iou": 0.2, "epoch": 0})
    first.log_metrics({"val/iou": 0.3, "epoch": 1})
    first.log_metrics({"hp_metric": 1.0})
    first.save()
    again = CurvesLogger(str(tmp_path))
    again.log_metrics({"val/iou": 0.4, "train/iou": 0.5, "epoch": 1})
    again.save()
    table = pd.read_csv(tmp_path / "curves.csv")
    assert table.to_dict("list") == {
        "epoch": [1, 2],
        "train/iou": [0.2, 0.5],
        "val/iou": [0.1, 0.4],
    }


def test_damaged_curves_are_said_and_begun_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = CurvesLogger(str(tmp_path))
    for epoch in range(2):
        first.log_metrics({"val/iou": 0.1, "epoch": epoch})
        first.save()
    whole = (tmp_path / "curves.csv").read_text()
    assert capsys.readouterr().out == ""
    for damaged in (whole.replace("0.1", "0.3", 1), whole[:-4], ""):
        (tmp_path / "curves.csv").write_text(damaged)
        again = CurvesLogger(str(tmp_path))
        again.log_metrics({"val/iou": 0.2, "epoch": 2})
        said = capsys.readouterr().out
        assert "curves.csv: cannot be read (it is damaged); a new file is begun" in said
        assert "curves.csv: without the epochs before 3, which are lost" in said
    (tmp_path / ".curves.sum").unlink()  # as in the folder of an older version
    (tmp_path / "curves.csv").write_text(whole)
    CurvesLogger(str(tmp_path)).save()
    assert (tmp_path / "curves.csv").read_text() == whole
    assert capsys.readouterr().out == ""


def test_an_epochs_row_is_whole_before_its_checkpoint_says_that_it_is_done(
    segbench: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    save = WholeCheckpoints.save_checkpoint

    def save_and_look(
        self: WholeCheckpoints, checkpoint: dict[str, Any], path: Any, **options: Any
    ) -> None:
        save(self, checkpoint, path, **options)
        row = pd.read_csv(only_cell(tmp_path) / "curves.csv").iloc[-1]
        seen.append((Path(path).stem, checkpoint["epoch"] + 1, int(row["epoch"]), row.isna().any()))

    monkeypatch.setattr(WholeCheckpoints, "save_checkpoint", save_and_look)
    assert segbench(*TINY, "logger=csv") == 0
    assert [each for each in seen if each[0] == "last"] == [
        ("last", 1, 1, False),
        ("last", 2, 2, False),
    ]


def test_grid_has_input_truth_and_prediction() -> None:
    images = torch.randn(3, 1, 8, 8)
    masks = torch.tensor([0, 1, 255])[:, None, None].expand(3, 8, 8)
    grid = _grid(images, masks, torch.ones(3, 8, 8).long(), class_colours("ab"))
    assert grid.shape == (3, 3 * 10 + 2, 3 * 10 + 2)
    assert 0 <= grid.min() <= grid.max() <= 1
    orange = torch.tensor([0xE6, 0x9F, 0x00]) / 255
    assert torch.allclose(grid[:, 16, 16], orange)  # truth of the second
    assert torch.allclose(grid[:, 6, 26], orange)  # prediction of the first
    assert torch.allclose(grid[:, 26, 16], torch.full((3,), 128 / 255))  # ignored


def test_a_legend_of_all_classes_stands_below_the_samples() -> None:
    names = [f"class {k}" for k in range(11)]
    classes, grid = class_colours(names), torch.zeros(3, 40, 200)
    found = with_legend(grid, classes.legend(names))
    assert torch.equal(found[:, :40], grid)
    below = (found[:, 40:] * 255).round().permute(1, 2, 0).reshape(-1, 3).tolist()
    assert {tuple(map(float, colour)) for colour in classes.colours} <= set(map(tuple, below))
    assert torch.equal(with_legend(grid, ()), grid)


def test_negative_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 0 or more"):
        SampleImages(-1)


def test_tensorboard_has_curves_and_images_of_each_epoch(
    segbench: Callable[..., int], tmp_path: Path
) -> None:
    assert segbench(*TINY) == 0
    events = EventAccumulator(str(only_cell(tmp_path) / "tensorboard"), {"images": 0}).Reload()
    scalars = {"train/loss", "train/iou", "val/loss", "val/iou", "lr"}
    assert scalars <= set(events.Tags()["scalars"])
    assert len(events.Scalars("val/iou")) == len(events.Images("val/samples")) == 2
    curves = pd.read_csv(only_cell(tmp_path) / "curves.csv")
    board = [point.value for point in events.Scalars("val/iou")]
    assert curves["val/iou"].tolist() == pytest.approx(board)
