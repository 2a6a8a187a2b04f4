"""Scores that are asked for: in records, tables, the page, evaluations and other tools' masks."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tiny import only_cell

from segbench.cell.keeping import entropy_of
from segbench.errors import SegbenchError
from segbench.inference.runs import load_network, read_run
from segbench.metrics.calibration import Calibration, ece
from segbench.records.cells import Cell
from segbench.records.panels import cut_panels
from segbench.records.record import read_record
from segbench.report.figures.reliability_figures import reliability_bins
from segbench.report.sections.comparison import Entry
from segbench.types import probabilities

TINY = ("model.base_channels=4", "model.depth=2", "trainer.max_epochs=1", "data.size=16")
ASKED = "scores=[cldice,ece]"


@pytest.mark.parametrize(("classes", "patches"), [(2, ()), (3, ()), (2, ("data.patch=16",))])
def test_a_cell_has_them_and_the_page_shows_them(
    segbench: Any,
    tmp_path: Path,
    classes: int,
    patches: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = (*TINY, *patches, "data.count=12", f"data.num_classes={classes}", "name=n", ASKED)
    assert segbench("-m", *words, "seed=0,1") == 0
    folder = min(each.parent for each in (tmp_path / "outputs" / "n").glob("*/run.json"))
    cell = Cell(folder, read_record(folder))
    test, table = cell.averages, cell.scores
    scored = table[table["class"] != "background"] if classes == 2 else table
    for name in ("ece", "brier", "cldice"):
        by_image = scored.groupby("id")[name].mean()
        assert test[name] == pytest.approx(by_image.mean())
    assert (scored.groupby("id")["ece"].nunique() == 1).all()  # one value for all classes
    assert not any(key.startswith(("ece/", "brier/")) for key in test)
    assert any(key.startswith("cldice/") for key in test)
    pixels = table.groupby("id")[["tp", "fn"]].sum().sum().sum()
    assert cell.reliability["pixels"].sum() == pixels
    right = (cell.reliability["pixels"] * cell.reliability["accuracy"]).sum() / pixels
    assert right == pytest.approx(test["pixel_accuracy"])
    page = (tmp_path / "outputs" / "n" / "report" / "index.html").read_text()
    assert "Are the probabilities right?" in page
    assert "clDice" in page
    printed = capsys.readouterr().out
    assert segbench("compare", "name=n", "score=[iou,ece,cldice,brier]") == 0
    assert "ECE" in printed or "expected calibration error" in capsys.readouterr().out
    assert segbench("compare", "name=n", "score=ece/cell") == 2
    assert "no cell has it" in capsys.readouterr().err


def test_the_error_is_that_of_the_networks_probabilities(segbench: Any, tmp_path: Path) -> None:
    assert segbench(*TINY, "data.count=12", "name=n", "trainer.precision=32-true", ASKED) == 0
    folder = only_cell(tmp_path, "n")
    run = read_run(folder)
    network, data = load_network(run), run.data
    data.setup()
    table = Cell(folder, read_record(folder)).scores.set_index(["id", "class"])
    for index in data.indices("test"):
        batch = data.batch_of(index, torch.device("cpu"))
        with torch.inference_mode():
            logits = network(batch["image"])
        truth = data.show(index)[1]
        wide = torch.nn.functional.interpolate(logits, truth.shape, mode="bilinear")
        found = Calibration()
        found.add(probabilities(wide)[0].numpy(), truth)
        assert table.loc[(data.cases[index].id, data.class_names[1]), "ece"] == pytest.approx(
            ece(found), abs=1e-5
        )


def test_finished_cells_get_them_by_an_evaluation(
    segbench: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segbench(*TINY, "data.count=12", "name=n") == 0
    folder = only_cell(tmp_path, "n")
    assert not (folder / "reliability.csv").exists()
    capsys.readouterr()
    assert segbench(*TINY, "data.count=12", "name=n", ASKED) == 0
    assert "scored without cldice, ece and brier" in capsys.readouterr().out
    assert segbench("evaluate", f"run={folder}", ASKED) == 0
    found = next((tmp_path / "outputs" / "n" / "evaluations").glob("*/run.json")).parent
    typed = f"python -m segbench evaluate run={folder} '{ASKED}'"
    assert read_record(found)["command"] == typed
    assert {"cldice", "ece", "brier"} <= set(Cell(found, read_record(found)).averages)


def test_slips(segbench: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mask = np.zeros((8, 8), np.uint8)
    mask[2:6, 2:6] = 1
    for name in ("pred", "truth"):
        (tmp_path / name).mkdir()
        Image.fromarray(mask).save(tmp_path / name / "a.png")
    words = ("score", "pred=pred", "truth=truth", "name=n", "model=m", "data.class_names=[a,b]")
    assert segbench(*words, "scores=[brier]") == 2
    assert "scores: ece and brier need probabilities" in capsys.readouterr().err
    assert segbench(*words, "scores=[cldice]") == 0
    table = pd.read_csv(next((tmp_path / "outputs" / "n").glob("*/scores.csv")))
    assert table["cldice"].tolist()[1] == 1
    (run,) = (tmp_path / "outputs" / "n").glob("*/run.json")
    command = read_record(run.parent)["command"]
    assert command.startswith("python -m segbench score pred=pred truth=truth name=n model=m ")
    assert segbench(*TINY, "curves=[ece]") == 2
    assert "ece is computed at the original size alone" in capsys.readouterr().err


DAMAGED = ["above\n", "above,up_to,pixels,confidence,accuracy\n0,1,3,2,0.5\n", "a,b\n1,2\n"]


def test_damaged_confidences_are_named(segbench: Any, tmp_path: Path) -> None:
    assert segbench(*TINY, "data.count=12", "name=n", ASKED) == 0
    folder = only_cell(tmp_path, "n")
    record = read_record(folder)
    record["files"].pop("reliability.csv")
    for text in DAMAGED:
        (folder / "reliability.csv").write_text(text)
        with pytest.raises(SegbenchError, match=r"reliability\.csv: no table of confidences"):
            Cell(folder, record).reliability  # noqa: B018


def test_the_bins_of_a_diverged_network_are_read_and_not_drawn(
    segbench: Any, tmp_path: Path
) -> None:
    assert segbench(*TINY, "data.count=12", "name=n", ASKED) == 0
    folder = only_cell(tmp_path, "n")
    record = read_record(folder)
    record["files"].pop("reliability.csv")
    table = pd.read_csv(folder / "reliability.csv")
    table.loc[table["pixels"] > 0, "confidence"] = np.nan
    table.to_csv(folder / "reliability.csv", index=False)
    cell = Cell(folder, record)
    assert cell.reliability["confidence"].isna().all()
    assert len(reliability_bins(Entry("a", {}, cells=[cell]))) == 0


def test_panels_end_with_the_entropy(segbench: Any, tmp_path: Path) -> None:
    assert segbench(*TINY, "data.count=12", "name=n") == 0
    with Image.open(only_cell(tmp_path, "n") / "panels" / "test.png") as sheet:
        assert {len(row) for row in cut_panels(sheet)} == {5}
    chances = torch.tensor([[[1.0, 0.5, 0.25]], [[0.0, 0.5, 0.75]]])
    bits = -(0.25 * np.log2(0.25) + 0.75 * np.log2(0.75))
    assert entropy_of(chances).tolist() == [[0, 255, round(255 * bits)]]
