"""Layouts that people have, as small trees, read without renaming a file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_data import SPLIT, box, module, picture, save
from PIL import Image
from tiny import only_cell

from segbench import load
from segbench.data.folder import FolderDataModule
from segbench.errors import ConfigError, DataError

TWO = {"class_names": ["background", "cell"]}
GREY = {**TWO, "mask_values": [0, 255]}
NAMES = ("a", "b", "c", "d", "e", "f")


def ready(root: Path, **options: Any) -> FolderDataModule:
    data: FolderDataModule = module("folder", root, **options)
    data.setup()
    return data


def check_masks(data: FolderDataModule, seeds: dict[str, int]) -> None:
    assert [case.id for case in data.cases] == sorted(seeds)
    for index, case in enumerate(data.cases):
        seed = seeds[case.id]
        np.testing.assert_array_equal(data.prepared.original(index), box(seed), case.id)


def pairs(root: Path, image: str, mask: str, factor: int = 255) -> dict[str, int]:
    """Images and masks by patterns, each with a ``*`` for its name."""
    for k, name in enumerate(NAMES):
        save(root / image.replace("*", name), picture(k))
        save(root / mask.replace("*", name), box(k) * factor)
    return dict(zip(NAMES, range(6), strict=True))


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("train/*.jpg", "train_masks/*_mask.gif"),  # Carvana
        ("Training_Input/ISIC_*.jpg", "Training_GroundTruth/ISIC_*_segmentation.png"),
        ("all/*.png", "all/*_mask.png"),  # both in one folder
        ("images/*_0000.png", "labels/*.png"),  # nnU-Net, one channel
    ],
)
def test_names_that_differ(image: str, mask: str, tmp_path: Path) -> None:
    seeds = pairs(tmp_path, image, mask)
    pattern = image if image != "all/*.png" else "all/*.png"
    if image == "all/*.png":  # a pattern of images that finds the masks too
        with pytest.raises(DataError, match=r"a_mask\.png: no mask .*all/a_mask_mask\.png"):
            ready(tmp_path, images=pattern, masks=mask, **GREY)
        for name in NAMES:
            (tmp_path / "all" / f"{name}.png").rename(tmp_path / "all" / f"{name}_rgb.png")
        pattern = "all/*_rgb.png"
    check_masks(ready(tmp_path, images=pattern, masks=mask, **GREY), seeds)


def test_cityscapes_parts_are_the_split(tmp_path: Path) -> None:
    seeds = {}
    for k, part in enumerate(("train", "train", "train", "val", "val", "test")):
        id_ = f"{part}/aachen/aachen_{k:06d}_000019"
        save(tmp_path / "leftImg8bit" / f"{id_}_leftImg8bit.png", picture(k))
        save(tmp_path / "gtFine" / f"{id_}_gtFine_labelTrainIds.png", box(k))
        save(tmp_path / "gtFine" / f"{id_}_gtFine_color.png", picture(k))
        seeds[id_] = k
    patterns = {
        "images": "leftImg8bit/*_leftImg8bit.png",
        "masks": "gtFine/*_gtFine_labelTrainIds.png",
    }
    data = ready(tmp_path, **patterns, **TWO)
    check_masks(data, seeds)
    assert [len(data.parts[name]) for name in ("train", "val", "test")] == [3, 2, 1]
    save(tmp_path / "leftImg8bit" / "odd_leftImg8bit.png", picture(0))
    save(tmp_path / "gtFine" / "odd_gtFine_labelTrainIds.png", box(0))
    with pytest.raises(DataError, match="test/aachen.*is in a folder that is a part.*odd is not"):
        ready(tmp_path, **patterns, **TWO)


def test_a_part_in_the_middle_and_in_the_name(tmp_path: Path) -> None:
    """DRIVE: training/images/21_training.tif and training/1st_manual/21_manual1.gif."""
    seeds = {}
    for k in range(6):
        part = "training" if k < 4 else "test"
        save(tmp_path / part / "images" / f"{k:02d}_{part}.tif", picture(k))
        save(tmp_path / part / "1st_manual" / f"{k:02d}_manual1.gif", box(k) * 255)
        seeds[f"{part}/{k:02d}"] = k
    data = ready(
        tmp_path,
        images="<part>/images/*_<part>.tif",
        masks="<part>/1st_manual/*_manual1.gif",
        split={"train": 3, "val": 1, "test": 2},
        **GREY,
    )
    check_masks(data, seeds)
    ids = {name: [data.cases[i].id for i in part] for name, part in data.parts.items()}
    assert ids["test"] == ["test/04", "test/05"]
    assert sorted(ids["train"] + ids["val"]) == [f"training/{k:02d}" for k in range(4)]


def test_only_folders_that_may_match_are_searched(tmp_path: Path) -> None:
    for k, part in enumerate(("train", "val", "test")):
        save(tmp_path / f"x_{part}" / "in" / "a.png", picture(k))
        save(tmp_path / f"y_{part}" / "a.png", box(k))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "gone.png").symlink_to(tmp_path / "nowhere.png")  # would be a fault
    data = ready(tmp_path, images="x_<part>/in/*", masks="y_<part>/*", **TWO)
    assert [case.id for case in data.cases] == ["test/a", "train/a", "val/a"]


def test_voc_takes_the_listed_cases_alone(tmp_path: Path) -> None:
    for k in range(9):
        save(tmp_path / "JPEGImages" / f"2007_{k}.jpg", picture(k))
    for k in range(6):
        mask = Image.fromarray(box(k)).convert("P")
        mask.putpalette([0, 0, 0, 128, 0, 0])
        (tmp_path / "SegmentationClass").mkdir(exist_ok=True)
        mask.save(tmp_path / "SegmentationClass" / f"2007_{k}.png")
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_0\n2007_1\n2007_2\n")
    (lists / "val.txt").write_text("2007_4\n2007_5\n")
    split = {part: f"ImageSets/Segmentation/{part}.txt" for part in ("train", "val")}
    options = {"images": "JPEGImages/*.jpg", "masks": "SegmentationClass/*.png", **TWO}
    data = ready(tmp_path, **options, split={**split, "test": "val"})
    check_masks(data, {f"2007_{k}": k for k in (0, 1, 2, 4, 5)})
    with pytest.raises(DataError, match=r"2007_6\.jpg: no mask .*SegmentationClass/2007_6\.png"):
        ready(tmp_path, **options, split=SPLIT)


def test_a_file_for_each_channel(tmp_path: Path) -> None:
    values = {}
    for k, name in enumerate(NAMES):
        bands = np.random.default_rng(k).integers(0, 4000, (20, 24, 2), np.uint16)
        for channel in range(2):
            save(tmp_path / "imagesTr" / f"{name}_{channel:04d}.png", bands[:, :, channel])
        save(tmp_path / "labelsTr" / f"{name}.png", box(k))
        values[name] = bands
    files = ["imagesTr/*_0000.png", "imagesTr/*_0001.png"]
    options = {"masks": "labelsTr/*.png", "in_channels": 2, "size": [20, 24], **TWO}
    data = ready(tmp_path, images=files, **options)
    for index, case in enumerate(data.cases):
        np.testing.assert_array_equal(data.prepared.images[index], values[case.id])
        assert data.show(index)[0].shape == (20, 24, 3)
    (tmp_path / "imagesTr" / "c_0001.png").unlink()
    with pytest.raises(DataError, match=r"c_0000\.png: no image .*c_0001\.png"):
        ready(tmp_path, images=files, **options)
    save(tmp_path / "imagesTr" / "c_0001.png", np.zeros((20, 20), np.uint16))
    with pytest.raises(DataError, match=r"c_0001\.png: 20 x 20 pixels, c_0000\.png 24 x 20"):
        ready(tmp_path, images=files, **options)
    with pytest.raises(DataError, match=r"one of 2 channels in files of their own.*in_channels=3"):
        ready(tmp_path, images=files, **{**options, "in_channels": 3})


def test_predict_reads_the_files_of_all_channels(segbench: Any, tmp_path: Path) -> None:
    root = tmp_path / "set"
    for k, name in enumerate(NAMES):
        bands = np.random.default_rng(k).integers(0, 4000, (20, 24, 2), np.uint16)
        for channel in range(2):
            save(root / "imagesTr" / f"{name}_{channel:04d}.png", bands[:, :, channel])
        save(root / "labelsTr" / f"{name}.png", box(k))
    words = ["data=folder", f"data.root={root}", "data.class_names=[background,cell]", "name=n"]
    words += ["data.images=[imagesTr/*_0000.png,imagesTr/*_0001.png]", "data.masks=labelsTr/*.png"]
    words += ["data.in_channels=2", "model.base_channels=4", "model.depth=2", "data.size=16"]
    split = "data.split={train:4,val:1,test:1}"
    assert segbench(*words, split, "trainer.max_epochs=1", "trainer.precision=32-true") == 0
    cell = only_cell(tmp_path, "n")
    output = f"output={tmp_path}/out"
    assert segbench("predict", f"run={cell}", f"input={root}/imagesTr", output) == 0
    masks = sorted((tmp_path / "out").glob("*.png"))
    assert [file.stem for file in masks] == [f"{name}_0000" for name in NAMES]
    bands = np.random.default_rng(0).integers(0, 4000, (20, 24, 2), np.uint16)
    np.testing.assert_array_equal(np.asarray(Image.open(masks[0])), load(cell)(bands))
    (root / "imagesTr" / "b_0001.png").unlink()
    assert segbench("predict", f"run={cell}", f"input={root}/imagesTr", output) == 1


def test_masks_in_the_alpha_channel(tmp_path: Path) -> None:
    for k, name in enumerate(NAMES):
        save(tmp_path / f"{name}.png", np.dstack([picture(k), box(k) * 200]))
    options = {"images": "*.png", "masks": "*.png", **TWO}
    data = ready(tmp_path, mask_channel="alpha", **options)
    check_masks(data, dict(zip(NAMES, range(6), strict=True)))
    save(tmp_path / "c.png", picture(0))
    with pytest.raises(DataError, match=r"c\.png: no alpha channel, which data\.mask_channel"):
        ready(tmp_path, mask_channel="alpha", **options)
    for wrong, text in (
        ({"mask_channel": "red"}, "data.mask_channel=red: expected alpha"),
        ({"mask_channel": "alpha", "mask_values": [0, 1]}, "neither data.mask_values"),
    ):
        with pytest.raises(ConfigError, match=text):
            ready(tmp_path, **options, **wrong)


def test_black_and_white_masks_may_be_jpeg(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for k, name in enumerate(NAMES):  # Kvasir: JPEG of three channels
        save(tmp_path / "images" / f"{name}.jpg", picture(k, 64, 64))
        coarse = np.kron(box(k, 16, 16), np.ones((4, 4), np.uint8))
        save(tmp_path / "masks" / f"{name}.jpg", np.dstack([coarse * 255] * 3))
    data = ready(tmp_path, **GREY)
    for k in range(6):
        coarse = np.kron(box(k, 16, 16), np.ones((4, 4), np.uint8))
        assert (data.prepared.original(k) == coarse).mean() > 0.98
    assert "6 of 6 pictures" in (told := capsys.readouterr().out)
    assert "masks saved with loss (JPEG)" in told
    with pytest.raises(DataError, match="a mask saved as JPEG with loss"):
        ready(tmp_path, **TWO)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": "a/*.png"}, "patterns of both are needed"),
        ({"images": "a/x.png", "masks": "b/*"}, r"data\.images=a/x\.png: expected a path"),
        ({"images": "/a/*", "masks": "b/*"}, "expected a path below data.root"),
        ({"images": "a/*", "masks": "../b/*"}, r"data\.masks=\.\./b/\*: expected"),
        ({"images": "<part>/*", "masks": "b/*"}, "has to stand in all or in none"),
        ({"images": "no/*", "masks": "masks/*"}, r"no: no such folder; data\.images=no/\*"),
        ({"images": "images/*.bmp", "masks": "masks/*"}, "no picture matches.*`segbench check"),
    ],
)
def test_patterns_that_cannot_be_meant(
    options: dict[str, str], message: str, tmp_path: Path
) -> None:
    pairs(tmp_path, "images/*.png", "masks/*.png")
    with pytest.raises((ConfigError, DataError), match=message):
        ready(tmp_path, **options, **GREY)


def test_several_spellings_of_a_part(tmp_path: Path) -> None:
    for k, part in enumerate(("train", "training", "Val", "test")):
        save(tmp_path / part / "a.png", picture(k))
        save(tmp_path / f"{part}annot" / "a.png", box(k))
    patterns = {"images": "<part>/*", "masks": "<part>annot/*", **TWO}
    with pytest.raises(DataError, match="train/ and training/ are both the train part"):
        ready(tmp_path, **patterns)
    for folder in ("training", "trainingannot"):
        (tmp_path / folder / "a.png").unlink()
    assert [len(part) for part in ready(tmp_path, **patterns).parts.values()] == [1, 1, 1]
