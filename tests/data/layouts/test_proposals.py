"""What `check` proposes for folders of an unknown layout."""

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_data import box, picture, save
from PIL import Image

from segbench.config.build import build
from segbench.config.registry import compose
from segbench.data.layouts.numbers import are_numbers
from segbench.data.layouts.proposals import propose


def photograph(seed: int) -> np.ndarray:
    return picture(seed, 20, 24)


def indexed(file: Path, labels: np.ndarray) -> None:
    mask = Image.fromarray(labels).convert("P")
    mask.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    file.parent.mkdir(parents=True, exist_ok=True)
    mask.save(file)


def tree(root: Path, image: str, mask: str, masks: Any = None) -> None:
    """Six images and masks; ``{k}`` is the number, ``{p}`` the part, ``{c}`` a town."""
    for k in range(6):
        part = ("train", "train", "train", "val", "test", "test")[k]
        words = {"k": f"{k:03d}", "p": part, "c": ("aachen", "ulm")[k % 2]}
        save(root / image.format(**words), photograph(k))
        target = root / mask.format(**words)
        if masks == "indexed":
            indexed(target, box(k) + box(k + 9))
        else:
            save(target, (masks or (lambda k: box(k) * 255))(k))


COLOURS = np.array([[0, 0, 0], [128, 64, 128], [0, 0, 142]], np.uint8)


@pytest.mark.parametrize(
    ("image", "mask", "kind", "images", "masks"),
    [
        (
            "train/{k}.jpg",
            "train_masks/{k}_mask.gif",
            None,
            "<part>/*.jpg",
            "<part>_masks/*_mask.gif",
        ),
        ("{p}/f{k}.jpg", "{p}annot/f{k}.png", "ids", "<part>/f*.jpg", "<part>annot/f*.png"),
        (
            "leftImg8bit/{p}/{c}/{c}_{k}_leftImg8bit.png",
            "gtFine/{p}/{c}/{c}_{k}_gtFine_labelTrainIds.png",
            "ids",
            "leftImg8bit/<part>/*_leftImg8bit.png",
            "gtFine/<part>/*_gtFine_labelTrainIds.png",
        ),
        (
            "{p}/images/{k}_{p}.tif",
            "{p}/1st_manual/{k}_manual1.gif",
            None,
            "<part>/images/*_<part>.tif",
            "<part>/1st_manual/*_manual1.gif",
        ),
        ("x/img{k}.jpg", "y/mask{k}.png", "colours", "x/img*.jpg", "y/mask*.png"),
        (
            "ISIC_{k}.jpg",
            "ISIC_{k}_segmentation.png",
            None,
            "ISIC_*.jpg",
            "ISIC_*_segmentation.png",
        ),
        ("Pictures/{k}.jpg", "Truth/{k}.png", "indexed", "Pictures/*.jpg", "Truth/*.png"),
        ("{p}/{k}/image.png", "{p}/{k}/mask.png", None, "<part>/*/image.png", "<part>/*/mask.png"),
    ],
)
def test_layouts_that_people_have(
    image: str,
    mask: str,
    kind: str | None,
    images: str,
    masks: str,
    segbench: Any,
    capsys: pytest.CaptureFixture,
    tmp_path: Path,
) -> None:  # fmt: skip
    kinds: dict[Any, Any] = {
        "ids": lambda k: box(k) + box(k + 9),
        "colours": lambda k: COLOURS[box(k) + box(k + 9)],
        "indexed": "indexed",
        None: None,
    }
    root = tmp_path / "set"
    tree(root, image, mask, kinds[kind])
    found = propose(root)
    assert found is not None
    assert (found.images, found.masks, found.count) == (images, masks, 6)
    classes = found.options["class_names"]
    assert len(classes) == (2 if kind is None else 3)
    assert ("palette" in found.options) == (kind == "colours")
    # Pillow writes black and white as a GIF with the indices 0 and 1
    assert ("mask_values" in found.options) == (kind is None and not mask.endswith("gif"))
    # the printed line is a command, which reads the folder
    assert segbench("check", "data=folder", f"data.root={root}") == 1
    told = capsys.readouterr()
    line = next(line for line in told.out.split("\n") if "data.images=" in line)
    words = shlex.split(line)
    assert words[:4] == ["python", "-m", "segbench", "check"]
    assert segbench(*words[3:], "data.split.train=0.4", "data.split.val=0.2") == 0
    assert "no problems" in (out := capsys.readouterr().out) or "error" not in out


def test_the_lists_of_voc(tmp_path: Path) -> None:
    tree(tmp_path, "JPEGImages/2007_{k}.jpg", "SegmentationClass/2007_{k}.png", "indexed")
    save(tmp_path / "JPEGImages" / "2008_000.jpg", photograph(9))
    folder = tmp_path / "ImageSets" / "Segmentation"
    folder.mkdir(parents=True)
    (folder / "train.txt").write_text("2007_000\n2007_001\n2007_002\n")
    (folder / "val.txt").write_text("2007_003\n2007_004\n")
    found = propose(tmp_path)
    assert found is not None
    assert found.options["split.train"] == "ImageSets/Segmentation/train.txt"
    assert found.options["split.test"] == "val"


def test_nothing_is_proposed_where_nothing_fits(tmp_path: Path) -> None:
    assert propose(tmp_path) is None
    for k in range(4):
        save(tmp_path / "a" / f"{k}.png", photograph(k))
        save(tmp_path / "b" / f"{k}.png", photograph(k + 9))
    assert propose(tmp_path) is None  # two photographs of each


def test_the_masks_of_classes_come_before_those_of_instances(tmp_path: Path) -> None:
    for k in range(4):
        save(tmp_path / "rgb" / f"{k}.jpg", photograph(k))
        save(tmp_path / "ids" / f"{k}.png", box(k))
        save(tmp_path / "instances" / f"{k}.png", box(k) * np.uint8(100 + k))
        save(tmp_path / "colours" / f"{k}.png", COLOURS[box(k)])
    found = propose(tmp_path)
    assert found is not None
    assert (found.images, found.masks) == ("rgb/*.jpg", "ids/*.png")


@pytest.mark.parametrize("kind", ["coco", "labelme"])
def test_annotations_in_json(
    kind: str, segbench: Any, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    root = tmp_path / "set"
    save(root / "pictures" / "a.jpg", photograph(0))
    category = {"id": 1, "name": "car"}
    content: dict[str, Any] = {"images": [], "annotations": [], "categories": [category]}
    if kind == "labelme":
        content = {"shapes": [{"label": "car", "points": []}], "imageHeight": 20}
    (root / "pictures" / "a.json").write_text(json.dumps(content))
    assert segbench("check", "data=folder", f"data.root={root}") == 1
    assert f"data={kind}" in (told := capsys.readouterr().out)
    assert "data.class_names='[background,car]'" in told


def test_it_is_said_that_some_masks_alone_were_looked_into(tmp_path: Path) -> None:
    for k in range(90):
        save(tmp_path / "a" / f"{k}.png", photograph(k))
        save(tmp_path / "b" / f"{k}.png", box(k))
    found = propose(tmp_path)
    assert found is not None
    assert found.count == 90
    assert found.values.kind == "class ids 0 to 1 (45 masks were looked into)"


def numbered(k: int, objects: int) -> np.ndarray:
    """A mask of 16 bits with the numbers of some objects."""
    mask = np.zeros((48, 48), np.uint16)
    for number in range(1, objects + 1):
        y, x = divmod(number - 1, 11)
        mask[4 * y : 4 * y + 3, 4 * x : 4 * x + 3] = number
    return np.roll(mask, k, axis=1)


@pytest.mark.parametrize("objects", [(3, 5, 8, 0), (60, 5, 90, 100)])
def test_numbers_of_objects(
    objects: tuple[int, ...], segbench: Any, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for k, count in enumerate(objects):
        save(tmp_path / "set" / "a" / f"{k}.png", picture(k, 48, 48))
        save(tmp_path / "set" / "b" / f"{k}.png", numbered(k, count))
    found = propose(tmp_path / "set")
    assert found is not None
    assert found.options["instances"] is True
    kind = f"numbers of objects, 1 to n in each mask, with n from {min(objects)} to {max(objects)}"
    assert found.values.kind == kind
    names = [f"c{k}" for k in range(max(objects) + 1)]
    words = ["data=folder", "data.root=set", "data.images=a/*", "data.masks=b/*"]
    split = ["data.split.train=0.5", "data.split.val=0.25", "data.split.test=0.25"]
    told = "data.instances=true with two data.class_names tells the objects"
    assert segbench("check", *words, *split, f"data.class_names={names}") == 0
    assert told in " ".join(capsys.readouterr().out.split())
    data = build(compose(overrides=[*words, *split, f"data.class_names={names}"]).data, "data")
    data.setup()  # as in training
    assert told in " ".join(capsys.readouterr().out.split())
    classes = ["data.class_names=[background,cell]", "data.instances=true"]
    assert segbench("check", *words, *split, *classes) == 0
    assert told not in " ".join(capsys.readouterr().out.split())


def test_classes_are_no_numbers_of_objects() -> None:
    assert are_numbers([[0, 1, 2, 3], [0, 1], [0, 1, 2, 3, 4]]) == (1, 4)
    assert are_numbers([[0, 1, 2, 4], [0, 1], [0, 1, 2, 3, 4]]) is None  # 3 is left out
    assert are_numbers([[0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [0, 1]]) is None  # two numbers alone
    assert are_numbers([[0, 1], [0, 1, 2], [0, 1, 2, 3]]) is None  # few enough to be classes
    assert are_numbers([]) is None
