"""`segbench score`: masks of other tools in the same table."""

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from made_data import box, save
from tiny import only_cell

from segbench.records.cells import find_cells
from segbench.report.compare.build import compare_cells

TINY = ("model.base_channels=4", "model.depth=2", "trainer.max_epochs=1", "data.size=16")
COUNT = 12


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    for k in range(COUNT):
        noise = np.random.default_rng(k).integers(0, 90, (20, 24, 3))
        image = (noise + box(k)[:, :, None] * 120).astype(np.uint8)
        save(folder / "images" / f"p{k % 4}_{k:02d}.png", image)
        save(folder / "masks" / f"p{k % 4}_{k:02d}.png", box(k))
    return folder


def words(root: Path) -> list[str]:
    named = ["data=folder", f"data.root={root}", "data.class_names=[background,cell]"]
    return [*named, "data.split={train:5,val:2,test:5}", "data.size=16", "name=n"]


def threshold(root: Path, folder: Path, values: tuple[int, int] = (0, 1)) -> None:
    """Masks of a tool that is not segbench: what is brighter than a threshold."""
    from PIL import Image

    for file in (root / "images").glob("*.png"):
        grey = np.asarray(Image.open(file).convert("L"))
        save(folder / file.name, np.where(grey > 110, values[1], values[0]).astype(np.uint8))


def test_a_cells_own_predictions_get_the_cells_own_scores(
    segbench: Any, root: Path, tmp_path: Path
) -> None:
    assert segbench(*words(root), *TINY[:3], "data.group='^[^_]+'") == 0
    cell = only_cell(tmp_path, "n")
    output = f"output={tmp_path}/masks"
    assert segbench("predict", f"run={cell}", f"input={root}/images", output) == 0
    again = ("score", f"pred={tmp_path}/masks", "model=again", *words(root), "data.group='^[^_]+'")
    assert segbench(*again) == 0
    scored = next(folder for folder in cell.parent.glob("again-s0-*"))
    assert (scored / "scores.csv").read_bytes() == (cell / "scores.csv").read_bytes()
    first, second = (json.loads((each / "run.json").read_text()) for each in (cell, scored))
    own = first["metrics"]["test"]
    own.pop("loss")
    assert second["metrics"]["test"] == pytest.approx(own, nan_ok=True)
    assert (scored / "split.json").read_bytes() == (cell / "split.json").read_bytes()


def test_another_tool_stands_in_the_sweeps_table(
    segbench: Any, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert segbench("-m", *words(root), *TINY[:3], "model=unet,segnet", "seed=0,1") == 0
    threshold(root, tmp_path / "found")
    for seed in (0, 1):
        made = ("score", f"pred={tmp_path}/found", "model=threshold", f"seed={seed}")
        assert segbench(*made, *words(root)) == 0
    told = capsys.readouterr().out
    assert "notice: not scored, since the test part has no such image" in told
    assert segbench("compare", "name=n") == 0
    comparison = compare_cells(find_cells([tmp_path / "outputs" / "n"]), ["n"], replicates=50)
    (section,) = comparison.sections
    best = section.entries[0]
    assert best.label.startswith("threshold")
    assert len(best.means) == 2
    assert best.mean > 0.9
    assert len(section.pairs) == 3
    page = (tmp_path / "outputs" / "n" / "report" / "index.html").read_text()
    assert "threshold" in page


def test_a_folder_of_true_masks_without_a_data_set(
    segbench: Any, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    threshold(root, tmp_path / "found", (0, 255))
    made = ["score", f"pred={tmp_path}/found", f"truth={root}/masks", "name=mine", "model=otsu"]
    made += ["data.class_names=[background,cell]", "data.group='^[^_]+'"]
    assert segbench(*made) == 1
    assert (
        "the label 255, where classes are 0 to 1; pred_values=[…] gives the grey value"
        in capsys.readouterr().err
    )
    assert segbench(*made, "pred_values=[0,255]") == 0
    (folder,) = (tmp_path / "outputs" / "mine").glob("otsu-*")
    table = pd.read_csv(folder / "scores.csv")
    assert len(table) == 2 * COUNT
    assert set(table["group"]) == {"p0", "p1", "p2", "p3"}
    assert segbench(*made, "pred_values=[0,255]") == 0
    assert "scored already" in capsys.readouterr().out
    assert segbench("compare", "name=mine") == 0
    # the same masks in another folder are the same run
    (tmp_path / "found").rename(tmp_path / "moved")
    moved = [f"pred={tmp_path}/moved", *made[2:], "pred_values=[0,255]"]
    assert segbench("score", *moved) == 0
    assert "scored already" in capsys.readouterr().out
    assert segbench("score", *moved, "-m") == 2


def test_nothing_is_scored_on_fewer_images(
    segbench: Any, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    found = tmp_path / "found"
    threshold(root, found)
    made = ["score", f"pred={found}", f"truth={root}/masks", "name=mine", "model=otsu"]
    made += ["data.class_names=[background,cell]"]
    (found / "p1_05.png").unlink()
    assert segbench(*made) == 1
    assert "1 of 12 images have no mask: p1_05" in capsys.readouterr().err
    save(found / "p1_05.png", np.zeros((20, 20), np.uint8))
    assert segbench(*made) == 1
    assert "the mask of p1_05 has 20 x 20 pixels, the true one 24 x 20" in capsys.readouterr().err
    save(found / "p1_05.png", np.full((20, 24), 3, np.uint8))
    assert segbench(*made) == 1
    assert "p1_05.png: the label 3, where classes are 0 to 1" in capsys.readouterr().err
    assert not list((tmp_path / "outputs" / "mine").glob("otsu-*/run.json"))


def test_arrays_and_volumes(segbench: Any, root: Path, tmp_path: Path) -> None:
    for k in range(COUNT):
        (tmp_path / "arrays").mkdir(exist_ok=True)
        np.save(tmp_path / "arrays" / f"p{k % 4}_{k:02d}.npy", box(k))
    made = ["score", f"pred={tmp_path}/arrays", f"truth={root}/masks", "name=mine", "model=npy"]
    assert segbench(*made, "data.class_names=[background,cell]") == 0
    (folder,) = (tmp_path / "outputs" / "mine").glob("npy-*")
    assert (pd.read_csv(folder / "scores.csv").query("`class` == 'cell'")["iou"] == 1).all()
    for place in ("truth", "pred"):
        (tmp_path / place).mkdir()
        volume = np.stack([box(k) for k in range(4)], axis=2)
        nibabel.Nifti1Image(volume, np.eye(4)).to_filename(tmp_path / place / "v.nii.gz")
    made = ["score", f"pred={tmp_path}/pred", f"truth={tmp_path}/truth", "name=vol", "model=x"]
    assert segbench(*made, "data=nifti", "data.class_names=[background,cell]") == 0
    (folder,) = (tmp_path / "outputs" / "vol").glob("x-*")
    table = pd.read_csv(folder / "scores.csv").query("`class` == 'cell'")
    assert table["id"].tolist() == [f"v/{k:04d}" for k in range(4)]
    assert (table["iou"] == 1).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["pred=no"], "pred=no: no such folder"),
        (["truth=no"], "truth=no: no such folder"),
        (["data=pets"], "with data=pets: a data set has true masks of its own"),
        (["part=all of it"], "part=all of it: expected test"),
        (["pred_values=[0,0]"], r"pred_values=[0, 0]: expected 2 different"),
        (["seed=true"], "seed=True: expected a whole number"),
    ],
)
def test_slips(
    options: list[str],
    message: str,
    segbench: Any,
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    threshold(root, tmp_path / "found")
    made = [f"pred={tmp_path}/found", f"truth={root}/masks", "name=mine", "model=otsu"]
    names = [] if "data=pets" in options else ["data.class_names=[background,cell]"]
    assert segbench("score", *made, *names, *options) != 0
    assert message in capsys.readouterr().err
