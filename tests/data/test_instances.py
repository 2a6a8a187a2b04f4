"""Objects that are told apart: read, stored, and scored by every command."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from made_data import MAKERS, module, picture, save
from tiny import only_cell

from segbench.data.synthetic import SyntheticDataModule, draw_objects
from segbench.errors import ConfigError, DataError
from segbench.metrics.objects import FindObjects
from segbench.metrics.registry import OF_OBJECTS, object_scores
from segbench.records.record import read_record

TINY = ("model.base_channels=4", "model.depth=2", "trainer.max_epochs=1")


def numbers(seed: int) -> np.ndarray:
    """Two objects that touch, whose numbers need 16 bits, and a third one."""
    made = np.zeros((20, 24), np.uint16)
    made[2 : 8 + seed % 3, 3:9] = 300
    made[2 : 8 + seed % 3, 9:15] = 301
    made[14:18, 15:20] = 1
    return made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for seed, name in enumerate("abcdef"):
        save(tmp_path / "data" / "images" / f"{name}.png", picture(seed))
        save(tmp_path / "data" / "masks" / f"{name}.png", numbers(seed))
    return tmp_path / "data"


def folder(root: Path, **options: Any) -> Any:
    names = {"class_names": ["background", "cell"], "instances": True, **options}
    data = module("folder", root, **names)
    data.setup()
    return data


def test_masks_of_numbers_are_one_class(root: Path) -> None:
    for data in (folder(root), folder(root)):  # the second one from the store
        for index in range(6):
            np.testing.assert_array_equal(data.prepared.instances(index), numbers(index))
            np.testing.assert_array_equal(data.prepared.original(index), numbers(index) > 0)


def test_nuclei_are_told_apart(tmp_path: Path) -> None:
    MAKERS["dsb2018"](tmp_path)
    data = module("dsb2018", tmp_path)
    data.setup()
    for index, case in enumerate(data.cases):
        found = data.prepared.instances(index)
        assert set(np.unique(found)) <= {0, *range(1, len(case.masks) + 1)}
        np.testing.assert_array_equal(found > 0, data.prepared.original(index) > 0)


def test_generated_cells_are_told_apart() -> None:
    _, mask, made = draw_objects(3)
    np.testing.assert_array_equal(made > 0, mask > 0)
    assert made.max() >= 4
    options = {"size": 16, "batch_size": 2, "split": {"train": 2, "val": 1, "test": 1}}
    data = SyntheticDataModule(count=4, **options)
    data.setup()
    np.testing.assert_array_equal(data.prepared.instances(3), made)
    assert not SyntheticDataModule(count=4, num_classes=3, **options).has_instances


def test_batches_have_the_numbers_only_if_objects_are_scored(root: Path) -> None:
    data = folder(root)
    assert "instances" not in next(iter(data.test_dataloader()))
    data.scores_objects = True
    batch = next(iter(data.test_dataloader()))
    for found, index in zip(batch["instances"], batch["index"].tolist(), strict=True):
        assert found.dtype == torch.int32
        np.testing.assert_array_equal(found, numbers(index))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_names": ["a", "b", "c"]}, "data.instances=true: .* give two data.class_names"),
        ({"mask_values": [0, 255]}, "data.instances=true: .*none of data.mask_values"),
        ({"instances": "yes"}, "data.instances=yes: expected true or false"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], message: str, root: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        folder(root, **options)


def test_numbers_of_more_than_16_bits_are_refused(root: Path) -> None:
    np.save(root / "masks" / "b.npy", numbers(0).astype(np.int64) * 1000)
    (root / "masks" / "b.png").unlink()
    with pytest.raises(DataError, match=r"b\.npy: numbers of objects from 0 to 301000; expected 0"):
        folder(root)


def test_every_command(
    segbench: Any, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["data=folder", f"data.root={root}", "data.instances=true", *TINY, "data.size=16"]
    words += ["name=n", "data.split={train:3,val:1,test:2}"]
    assert segbench(*words, "scores=[ap,pq]") == 0
    assert re.search(r"AP ┃ +PQ ┃ +AJI ┃ +count error", capsys.readouterr().out)
    cell = only_cell(tmp_path, "n")
    record, table = read_record(cell), pd.read_csv(cell / "scores.csv")
    assert record["objects"] == {"method": "components"}
    of_cells = table[table["class"] == "foreground"]
    assert record["metrics"]["test"]["pq"] == pytest.approx(of_cells["pq"].mean())
    assert table.loc[table["class"] == "background", OF_OBJECTS].isna().all(axis=None)
    assert segbench(*words) == 0  # scores change no result, and so no hash
    assert "already done" in capsys.readouterr().out
    predicted = f"output={tmp_path}/masks"
    assert segbench("predict", f"run={cell}", f"input={root}/images", predicted) == 0
    score = ("score", f"pred={tmp_path}/masks", f"truth={root}/masks", "model=other", "seed=0")
    assert segbench(*score, "data.instances=true", "scores=ap", "name=s") == 0
    other = pd.read_csv(only_cell(tmp_path, "s") / "scores.csv")
    both = of_cells.merge(other, on=["id", "class"])
    assert len(both) == 2
    for name in OF_OBJECTS:
        np.testing.assert_allclose(both[f"{name}_x"], both[f"{name}_y"])
    capsys.readouterr()
    ways = ("scores=[aji]", "instances=watershed", "instance_distance=3")
    assert segbench("evaluate", f"run={cell}", *ways) == 0
    (run,) = (tmp_path / "outputs" / "n" / "evaluations").glob("*/run.json")
    assert read_record(run.parent)["objects"] == {"method": "watershed", "distance": 3}
    assert segbench("compare", "name=n", "score=[iou,ap]") == 0
    assert "AP of objects" in capsys.readouterr().out


def test_a_cell_without_the_scores_says_how_to_get_them(
    segbench: Any, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["data=folder", f"data.root={root}", "data.instances=true", *TINY, "data.size=16"]
    assert segbench(*words, "data.split={train:3,val:1,test:2}") == 0
    for further in ((), ("-m",)):  # one cell, and the same as a sweep
        capsys.readouterr()
        asked = ("data.split={train:3,val:1,test:2}", "scores=ap", "score_train=true")
        assert segbench(*further, *words, *asked) == 0
        told = capsys.readouterr().out
        assert (
            "note: finished cells were scored without ap50, ap, pq, sq, rq and 2 more; `segbench e"
            in told
        )
        assert "note: finished cells were scored without their train part; `segbench" in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("scores=[app]",), "scores: no score 'app'; did you mean 'ap"),
        (("scores=[ap]", "instances=cells"), "instances=cells: expected components or watershed"),
        (("scores=[ap]", "data.num_classes=3"), "need two classes and masks that tell objects"),
        (("curves=[ap]",), "curves=ap: ap is computed at the original size alone"),
    ],
)
def test_slips(
    words: tuple[str, ...], message: str, segbench: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segbench(*TINY, "data.count=6", *words) == 2
    assert message in capsys.readouterr().err


def test_scores_are_those_of_the_stored_objects(root: Path) -> None:
    truth = folder(root).prepared.instances(0)
    found = object_scores(truth > 0, truth, FindObjects())
    assert dict(zip(OF_OBJECTS, found.tolist(), strict=True))["count_error"] == 1  # two touch


def by_threshold(images: Path, output: Path) -> None:
    """A tool that is not segbench: Otsu's threshold and connected parts, from scikit-image."""
    from skimage import filters, io, measure

    for file in images.glob("*.png"):
        grey = io.imread(file).mean(axis=2)
        mask = grey > filters.threshold_otsu(grey)
        parts = measure.label(mask)
        large = [part.label for part in measure.regionprops(parts) if part.area > 3]
        save(output / file.name, np.isin(parts, large).astype(np.uint8))


def test_another_tools_masks_are_ranked_by_objects_beside_cells(
    segbench: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    for seed in range(20):
        made, chance = numbers(seed), np.random.default_rng(seed)
        grey = chance.integers(0, 60, made.shape) + 120 * (made > 0)
        save(root / "images" / f"{seed:02d}.png", np.repeat(grey[..., None], 3, 2).astype(np.uint8))
        save(root / "masks" / f"{seed:02d}.png", made)
    words = ["data=folder", f"data.root={root}", "data.instances=true", "data.size=16", "name=n"]
    words += ["data.split={train:8,val:2,test:10}", "scores=[ap,pq]"]
    assert segbench("-m", *words, *TINY, "model=unet", "seed=0,1") == 0
    by_threshold(root / "images", tmp_path / "masks")
    assert segbench("score", f"pred={tmp_path}/masks", "model=otsu", *words) == 0
    capsys.readouterr()
    assert segbench("compare", "name=n", "score=[iou,boundary_iou,ap,pq]") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert re.search(r"otsu is better than unet by .* \((adjusted )?95 % interval", told)
    assert "scheduler" not in told  # which another tool's masks do not have
    page = (tmp_path / "outputs" / "n" / "report" / "index.html").read_text()
    for title in ("Boundary IoU", "AP of objects", "panoptic quality", "otsu"):
        assert title in page
    assert re.search("AP of objects has (the same|another) best entry", page)
