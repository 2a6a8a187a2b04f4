"""`segbench.compare`: the report's tables and figures as objects, and nothing on disk."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_cells import made_cells
from matplotlib.figure import Figure

import segbench as api
from segbench.errors import ConfigError, SegbenchError
from segbench.notebook.report import Report


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    made_cells(folder / "outputs/mine", images=12)
    made_cells(folder / "outputs/other", images=12, data="other", broken=False)
    return folder


@pytest.fixture(autouse=True)
def in_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


@pytest.fixture(scope="module")
def report(home: Path) -> Report:
    return api.compare(home / "outputs/mine")


def files(folder: Path) -> list[str]:
    return sorted(str(each) for each in folder.rglob("*"))


def test_the_tables_are_those_of_the_command(home: Path, report: Report) -> None:
    before = files(home)
    assert list(report.table.index) == ["segnet", "unet", "unetpp"]
    assert list(report.table.columns) == ["bce", "dice"]
    assert report.table.stack().str.endswith("(best)").sum() == 1
    assert report.table.loc["segnet", "dice"] == "failed"
    assert files(home) == before
    page = report.write(home / "written")
    assert page == home / "written/index.html"
    for name, frame in {"table": report.entries, "pairs": report.pairs}.items():
        assert (home / f"written/{name}.csv").read_text() == frame.to_csv(index=False)


def test_scores_are_those_of_each_image(home: Path, report: Report) -> None:
    rows = report.scores
    assert list(rows.columns) == ["data", "split", "model", "loss", "seed", "image", "iou"]
    for (model, loss, seed), found in rows.groupby(["model", "loss", "seed"]):
        (folder,) = home.glob(f"outputs/mine/{model}-{loss}-s{seed}-*")
        table = pd.read_csv(folder / "scores.csv")
        table = table[table["class"] == "nucleus"].set_index("id")["iou"]
        assert np.allclose(found.set_index("image")["iou"], table[found["image"]], equal_nan=True)
    means = rows.groupby(["model", "loss", "seed"])["iou"].mean().groupby(["model", "loss"]).mean()
    entries = report.entries.set_index(["model", "loss"])["mean"].dropna()
    assert np.allclose(means[entries.index], entries, atol=0.02)


def test_several_scores_and_sets(home: Path) -> None:
    both = api.compare(["mine", "outputs/other"], score=("iou", "dice_dataset", "dice"))
    assert both.table.index.names == ["data", "model"]
    assert set(both.table.index.get_level_values(0)) == set(both.entries["data"])
    assert both.scores["dice"].notna().sum() > 0
    assert both.scores["dice_dataset"].isna().all()  # it is a sum over all images
    name = next(name for name in both.figures if name.startswith("stability-"))
    assert isinstance(both.figure(name), Figure)


def test_options_are_those_of_the_command(report: Report) -> None:
    same = api.compare("mine", margin=0.3, by="size", rows=["loss"], columns=["model"])
    assert list(same.table.index) == ["bce", "dice"]
    assert same.pairs["equivalent"].any()
    assert "Within subgroups" in same._repr_html_()
    assert "margin=0.3 by=size" in same.comparison.command
    assert report.comparison.sections[0].margin is None


def test_figures_show_themselves(report: Report) -> None:
    assert {"stability", "boxes", "ranks", "pairs", "cost", "curves"} <= set(report.figures)
    figure: Any = report.figure("stability")
    assert figure.get_facecolor() == (1.0, 1.0, 1.0, 1.0)
    picture, size = figure._repr_png_()
    assert picture.startswith(b"\x89PNG")
    assert size["width"] == round(72 * figure.get_figwidth())
    assert isinstance(pickle.loads(pickle.dumps(figure)), Figure)


def test_html_has_the_numbers_and_escapes_names(home: Path, report: Report) -> None:
    html = report._repr_html_()
    (best,) = [each for each in report.table.stack() if each.endswith("(best)")]
    assert f"<b>{best.removesuffix(' (best)')}</b>" in html
    assert "cannot be told" in html
    assert report.notes[0] in html.replace("&#39;", "'")
    made_cells(home / "outputs/odd", models=["<script>x", "unet"], seeds=[0], broken=False)
    assert "<script" not in api.compare("odd")._repr_html_()
    assert "&lt;script&gt;x" in api.compare("odd")._repr_html_()


def test_text_shows_the_table(report: Report) -> None:
    assert repr(report).startswith("Report of mine, IoU\n")
    assert "unetpp" in repr(report)


@pytest.mark.parametrize(
    ("cells", "options", "says"),
    [
        ("nothing", {}, r"no such folder \(outputs/nothing\); there are mine"),
        ("outputs/nothing", {}, r"no such folder \(outputs/nothing\); there are mine"),
        ([], {}, "no cells"),
        (3, {}, "3: expected a folder"),
        ("mine", {"margin": -1}, r"^margin=-1: expected"),
        ("mine", {"unit": "slide"}, r"^unit=slide: expected"),
        ("mine", {"score": "ioo"}, r"^score=ioo: no cell has it; did you mean 'iou'"),
        ("mine", {"scores": "iou"}, r"^compare: no option 'scores'; there are score,"),
        ("mine", {"by": {1, 2}}, r"^compare: an option takes text"),
    ],
    ids=str,
)
def test_a_mistake_is_named(cells: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(SegbenchError, match=says):
        api.compare(cells, **options)


def test_a_figure_that_is_not_there_is_named(report: Report) -> None:
    with pytest.raises(ConfigError, match="there is none; there are stability, boxes"):
        report.figure("means")
    with pytest.raises(ConfigError, match="nothing to draw"):
        report.figure("sizes")


def test_a_name_is_looked_for_below_outputs_first(home: Path) -> None:
    (home / "mine").mkdir()  # such as the data of that name
    assert api.compare("mine").comparison.names == ["mine"]
    cell = next(path.parent for path in home.glob("outputs/mine/unet-bce-s0-*/run.json"))
    assert api.compare(cell).comparison.names == ["mine"]
    assert api.compare(os.path.relpath(home / "outputs/mine")).comparison.names == ["mine"]
