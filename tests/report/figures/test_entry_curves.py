"""The curves of an entry: every recorded score, every seed, the selected epochs."""

from pathlib import Path

import numpy as np
import pandas as pd
from made_cells import made_comparison

from segbench.report.figures.drawing import svg_text
from segbench.report.figures.entry_curves import entry_curves, panels
from segbench.report.sections.comparison import Entry


def test_each_score_has_a_panel() -> None:
    columns = ["lr", "train/loss", "val/dice", "val/hd95/cell", "train/dice", "val/loss"]
    assert panels(columns) == {
        "loss": ("train/loss", "val/loss"),
        "Dice": ("train/dice", "val/dice"),
        "HD95 (px), cell": ("val/hd95/cell",),
    }
    assert panels(["lr"]) == {}


def test_seeds_their_mean_and_the_selected_epochs_are_drawn(tmp_path: Path) -> None:
    made = made_comparison(tmp_path / "group", ("unet",), images=4)
    entry = made.sections[0].scored[0]
    figure = entry_curves(entry, "Training of <it>")
    assert figure is not None
    loss, iou, *_ = figure.axes
    assert (loss.get_title(), iou.get_title()) == ("loss", "IoU")
    seeds = [cell.curves["val/iou"] for cell in entry.cells]
    drawn = [np.asarray(line.get_ydata(), float) for line in iou.get_lines()]
    mean = pd.concat(seeds, axis=1).dropna().mean(axis=1).to_numpy()
    for wanted in (*(seed.to_numpy() for seed in seeds), mean):
        assert any(len(y) == len(wanted) and np.allclose(y, wanted) for y in drawn)
    epochs = [cell.record["best_epoch"] for cell in entry.cells]
    best = {(epoch, seed[epoch]) for epoch, seed in zip(epochs, seeds, strict=True)}
    dots = {
        (line.get_xdata()[0], line.get_ydata()[0])  # type: ignore[index]
        for line in iou.get_lines()
        if line.get_marker() == "o"
    }
    assert dots == best
    assert 'aria-label="Training of &lt;it&gt;"' in svg_text(figure)


def test_no_curves_are_no_figure() -> None:
    assert entry_curves(Entry("unet", {}), "none") is None
