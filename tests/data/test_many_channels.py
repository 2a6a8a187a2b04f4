"""Images of twelve bands of floats through every command."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
from made_data import box, module, picture, save
from PIL import Image
from tiny import only_cell

from segbench import load
from segbench.data.store.normalisation import imagenet
from segbench.errors import ConfigError
from segbench.records.record import read_record, write_json

BANDS = 12
TINY = ("model.base_channels=4", "model.depth=2", "trainer.max_epochs=1")


def values(seed: int) -> np.ndarray:
    """(20, 24, 12): the eighth band shows the mask, the last one is 5 everywhere."""
    made = np.random.default_rng(seed).normal(1000, 300, (20, 24, BANDS)).astype(np.float32)
    made[:, :, 7] += box(seed) * 900.0
    made[:, :, 11] = 5
    return made


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bands")
    (folder / "images").mkdir()
    for k in range(10):
        tifffile.imwrite(
            folder / "images" / f"{k}.tif",
            values(k),
            photometric="minisblack",
            planarconfig="contig",
        )
        save(folder / "masks" / f"{k}.png", box(k))
    return folder


def options(root: Path) -> list[str]:
    shown = ["data.in_channels=12", "data.show=[8,2,1]", "augment=standard"]
    return ["data=folder", f"data.root={root}", *TINY, "data.size=[20,24]", "name=n", *shown]


def test_every_command(
    segbench: Any, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = options(root)
    assert segbench("check", *words) == 0
    told = capsys.readouterr().out
    assert "channel 12 of 12 is 5 in every pixel of every image" in told
    assert "TIF, 12 channels of float32 (10)" in told
    assert segbench(*words) == 0
    assert "notice: channel 12 of 12 is 5" in capsys.readouterr().out
    cell = only_cell(tmp_path, "n")
    record = read_record(cell)
    split = json.loads((cell / "split.json").read_text())
    train = np.stack([values(int(case["id"])) for case in split["parts"]["train"]])
    assert record["normalisation"]["method"] == "train"
    np.testing.assert_allclose(record["normalisation"]["offset"], train.mean((0, 1, 2)), rtol=1e-5)
    deviations = np.where(train.std((0, 1, 2)) > 0, train.std((0, 1, 2)), 1)
    np.testing.assert_allclose(record["normalisation"]["scale"], deviations, rtol=1e-4)
    scores = pd.read_csv(cell / "scores.csv", dtype=str)
    assert segbench("evaluate", f"run={cell}") == 0
    again = next((cell.parent / "evaluations").glob("*/scores.csv"))
    pd.testing.assert_frame_equal(pd.read_csv(again, dtype=str), scores)
    other = ("evaluate", f"run={cell}", "data=folder", f"data.root={root}", "part=all")
    assert segbench(*other, "data.class_names=[background,foreground]", "name=o") == 0
    whole = next((tmp_path / "outputs" / "o" / "evaluations").glob("*/scores.csv"))
    both = pd.read_csv(whole, dtype=str).merge(scores, on=["id", "class"])
    assert len(both) == len(scores)
    assert (both["tp_x"] == both["tp_y"]).all()
    assert segbench("predict", f"run={cell}", f"input={root}/images", "overlay=true") == 0
    masks = sorted(tmp_path.glob("masks/*.png"))
    assert len(masks) == 10
    net = load(cell)
    for file in masks:
        expected = net(values(int(file.stem)))
        np.testing.assert_array_equal(np.asarray(Image.open(file)), expected)
    exported = ("export", f"run={cell}", "format=torch_export", f"picture={root}/images/3.tif")
    assert segbench(*exported) == 0
    assert "on a real picture, 24 x 20" in capsys.readouterr().out


def test_a_record_without_its_normalisation_is_refused(
    segbench: Any, root: Path, tmp_path: Path
) -> None:
    assert segbench(*options(root)) == 0
    cell = only_cell(tmp_path, "n")
    record = read_record(cell)
    del record["normalisation"]
    write_json(cell / "run.json", record)
    with pytest.raises(ConfigError, match=r"run\.json: its normalisation is missing"):
        load(cell)


def test_augmentation_keeps_the_units_and_pairs_of_pixels(root: Path) -> None:
    flip = {"HorizontalFlip": {"p": 1.0}}
    names = {"class_names": ["background", "cell"], "size": [20, 24], "in_channels": BANDS}
    data = module("folder", root, augment=flip, **names)
    batch = next(iter(data.train_dataloader()))
    for image, mask, index in zip(batch["image"], batch["mask"], batch["index"], strict=True):
        expected = values(int(data.cases[index].id))[:, ::-1]
        np.testing.assert_allclose(image.permute(1, 2, 0), expected, rtol=1e-4)
        np.testing.assert_array_equal(mask, box(int(data.cases[index].id))[:, ::-1])


def test_every_transform_of_the_shipped_recipes_takes_twelve_bands(root: Path) -> None:
    names = {"class_names": ["background", "cell"], "size": [20, 24], "in_channels": BANDS}
    for transforms in ({"GridElastic": {"p": 1.0}}, {"Affine": {"rotate": 45, "p": 1.0}}):
        data = module("folder", root, augment=transforms, **names)
        batch = next(iter(data.train_dataloader()))
        assert batch["image"].shape[1:] == (BANDS, 20, 24)
        flat = batch["image"][:, 11]
        assert ((flat == 5) | (flat == 0)).all() or (abs(flat - 5) < 1e-3).float().mean() > 0.5


def test_what_shows_in_pictures_does_not_change_the_cell(root: Path) -> None:
    from segbench.config.identity import identify
    from segbench.config.registry import compose

    hashes = {
        identify(compose(overrides=[*options(root)[:-2], show, "augment=none"])).hash
        for show in ("data.show=[1,2,3]", "data.show=null", "data.show=[4]")
    }
    assert len(hashes) == 1


def test_pictures_of_8_bits_are_shown_as_they_are() -> None:
    from segbench.data.decoding.display import displayed

    image = picture(0, channels=4)
    np.testing.assert_array_equal(displayed(image, None), image[..., :3])
    np.testing.assert_array_equal(displayed(image, (3, 1, 0)), image[..., [3, 1, 0]])
    np.testing.assert_array_equal(displayed(image, (2,)), image[..., [2, 2, 2]])
    assert imagenet(4).offset[3] == imagenet(4).offset[0]
