"""A user's own pictures in every layout that is promised."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_data import SPLIT, box, make_folder, module, picture, save
from PIL import Image

from segbench.errors import ConfigError, DataError

COLOURS = {"background": [0, 0, 0], "road": [128, 64, 128], "car": [0, 0, 142]}
LABELS = (box(0) + box(50)).astype(np.uint8)  # 0, 1, 2


def masks(root: Path, **options: Any) -> list[np.ndarray]:
    """The original masks of a folder, sorted by id."""
    data = module("folder", root, **options)
    data.setup()
    return [data.prepared.original(index) for index in range(len(data.cases))]


def indexed(file: Path, labels: np.ndarray) -> None:
    picture = Image.fromarray(labels, "L").convert("P")
    picture.putdata(labels.ravel().tolist())
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    picture.save(file)


def test_class_ids_in_grey_and_indexed_files_of_8_and_16_bits(tmp_path: Path) -> None:
    make_folder(tmp_path)
    save(tmp_path / "masks" / "b.png", LABELS.astype(np.uint16))
    save(tmp_path / "masks" / "c.png", LABELS[:, :, None].repeat(3, 2))
    indexed(tmp_path / "masks" / "d.png", LABELS)
    (tmp_path / "masks" / "e.png").unlink()
    save(tmp_path / "masks" / "e.tiff", LABELS)
    rgba = np.dstack([LABELS, LABELS, LABELS, np.full_like(LABELS, 255)])
    save(tmp_path / "masks" / "f.png", rgba)
    for mask in masks(tmp_path):
        np.testing.assert_array_equal(mask, LABELS)


@pytest.mark.parametrize("bits", [1, 8, 16])
def test_black_and_white_masks_by_their_values(bits: int, tmp_path: Path) -> None:
    make_folder(tmp_path)
    for k, name in enumerate("abcdef"):
        mask = {1: box(k) > 0, 8: box(k) * 255, 16: box(k).astype(np.uint16) * 255}[bits]
        save(tmp_path / "masks" / f"{name}.png", mask)
    names = ["background", "cell"]
    found = masks(tmp_path, class_names=names, mask_values=[0, 255])
    np.testing.assert_array_equal(found, [box(k) for k in range(6)])
    inverse = masks(tmp_path, class_names=names, mask_values=[255, 0])
    np.testing.assert_array_equal(inverse, [1 - box(k) for k in range(6)])


def test_black_and_white_masks_without_a_word_are_refused(tmp_path: Path) -> None:
    make_folder(tmp_path)
    for k, name in enumerate("abcdef"):
        save(tmp_path / "masks" / f"{name}.png", box(k) * 255)
    with pytest.raises(DataError, match="no mask shows cell, only 0 and 255"):
        masks(tmp_path, class_names=["background", "cell"])


def test_colours(tmp_path: Path) -> None:
    make_folder(tmp_path)
    table = np.array([*COLOURS.values()], np.uint8)
    for name in "abcdef":
        save(tmp_path / "masks" / f"{name}.png", table[LABELS])
    np.testing.assert_array_equal(masks(tmp_path, palette=COLOURS)[0], LABELS)
    coloured = table[LABELS]
    coloured[0, 0] = [255, 255, 255]
    save(tmp_path / "masks" / "c.png", coloured)
    with pytest.raises(DataError, match=r"c\.png: \[\[255, 255, 255\]\].*data\.palette does not"):
        masks(tmp_path, palette=COLOURS)
    found = masks(tmp_path, palette={**COLOURS, "ignore": [255, 255, 255]})
    assert found[2][0, 0] == 255
    with pytest.raises(
        DataError, match=r"a\.png: a coloured mask, with \[\[0, 0, 0\].*data\.palette"
    ):
        masks(tmp_path)


def test_a_mask_for_each_class(tmp_path: Path) -> None:
    make_folder(tmp_path)
    for k, name in enumerate("abcdef"):
        (tmp_path / "masks" / f"{name}.png").unlink()
        save(tmp_path / "masks" / "road" / f"{name}.png", box(k) * 255)
        if k % 2:  # a class that an image does not show needs no file
            save(tmp_path / "masks" / "car" / f"{name}.png", box(k + 50) > 0)
    save(tmp_path / "masks" / "ignore" / "a.png", np.eye(20, 24, dtype=np.uint8))
    found = masks(tmp_path)
    for k, mask in enumerate(found):
        expected = box(k)
        if k % 2:
            expected[box(k + 50) == 1] = 2  # the later class stands
        if k == 0:
            expected[np.eye(20, 24) == 1] = 255
        np.testing.assert_array_equal(mask, expected)


def test_soft_and_dim_masks_of_one_class(tmp_path: Path) -> None:
    make_folder(tmp_path)
    soft = np.tile(np.linspace(0, 255, 24).astype(np.uint8), (20, 1))
    for name in "abcdef":
        (tmp_path / "masks" / f"{name}.png").unlink()
        save(tmp_path / "masks" / "road" / f"{name}.png", box(0) * 100)
    save(tmp_path / "masks" / "road" / "b.png", soft)
    found = masks(tmp_path, class_names=["background", "road"])
    np.testing.assert_array_equal(found[0], box(0))
    np.testing.assert_array_equal(found[1], soft > 127)


def test_classes_of_the_eight_class_study(tmp_path: Path) -> None:
    names = [f"mask{k}" for k in range(8)]
    make_folder(tmp_path)
    for name in "abcdef":
        (tmp_path / "masks" / f"{name}.png").unlink()
    for k, name in enumerate(names):
        stripe = np.zeros((20, 24), np.uint8)
        stripe[:, 3 * k : 3 * k + 3] = 255
        for image in "abcdef":
            save(tmp_path / "masks" / name / f"{image}.png", stripe)
    found = masks(tmp_path, class_names=names)
    np.testing.assert_array_equal(found[0], np.arange(24)[None].repeat(20, 0) // 3)


def test_folders_train_val_and_test_are_the_split(tmp_path: Path) -> None:
    for part, stems in (("train", "abc"), ("val", "d"), ("test", "ae")):
        make_folder(tmp_path / part, stems)
    data = module("folder", tmp_path)
    data.setup()
    ids = {name: [data.cases[i].id for i in part] for name, part in data.parts.items()}
    assert ids["train"] == ["train/a", "train/b", "train/c"]
    assert (ids["val"], ids["test"]) == (["val/d"], ["test/a", "test/e"])


def make_parts(root: Path, *parts: str) -> None:
    """images/<part> and masks/<part>, three cases in each, named after it."""
    for k, part in enumerate(parts):
        for i in range(3):
            save(root / "images" / part / f"{part}{i}.png", picture(10 * k + i))
            save(root / "masks" / part / f"{part}{i}.png", box(10 * k + i))


def ids(data: Any) -> dict[str, list[str]]:
    return {name: [data.cases[i].id for i in part] for name, part in data.parts.items()}


@pytest.mark.parametrize(
    "parts",
    [("train", "val", "test"), ("training", "validation", "testing"), ("Train", "valid", "TEST")],
)
@pytest.mark.parametrize("outside", [True, False])
def test_parts_in_images_and_masks_are_the_split_too(
    parts: tuple[str, ...], outside: bool, tmp_path: Path
) -> None:
    make_parts(tmp_path, *parts)
    if outside:  # the other layout, with the same names
        for part in parts:
            for kind in ("images", "masks"):
                (tmp_path / part).mkdir(exist_ok=True)
                (tmp_path / kind / part).rename(tmp_path / part / kind)
        (tmp_path / "images").rmdir()
        (tmp_path / "masks").rmdir()
    data = module("folder", tmp_path)
    data.setup()
    expected = [[f"{part}/{part}{i}" for i in range(3)] for part in parts]
    assert list(ids(data).values()) == expected


def test_parts_with_a_mask_for_each_class(tmp_path: Path) -> None:
    make_parts(tmp_path, "train", "val", "test")
    for part in ("train", "val", "test"):
        (tmp_path / "masks" / part).rename(tmp_path / "road")
        (tmp_path / "masks" / part).mkdir()
        (tmp_path / "road").rename(tmp_path / "masks" / part / "road")
    data = module("folder", tmp_path, class_names=["background", "road"])
    data.setup()
    assert ids(data)["val"] == ["val/val0", "val/val1", "val/val2"]
    np.testing.assert_array_equal(data.prepared.original(0), box(20))  # of test


def test_of_parts_in_images_train_is_shared_where_others_lack(tmp_path: Path) -> None:
    make_parts(tmp_path, "train", "test")
    data = module("folder", tmp_path, split={"train": 0.6, "val": 0.3, "test": 0.1})
    data.setup()
    assert ids(data)["test"] == ["test/test0", "test/test1", "test/test2"]
    assert [len(part) for part in data.parts.values()].count(3) == 1
    assert all(id_.startswith("train/") for id_ in ids(data)["val"])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["images/town/a.png", "masks/town/a.png"], "images: town beside"),
        (["images/a.png", "masks/a.png"], r"images: a\.png beside train/, val/, test/"),
        (["masks/road/a.png"], "masks: road beside"),
        (["masks/testing/a.png"], "masks: testing beside"),
        (["images/validation/a.png"], "val/ and validation/ are both the val part"),
        (["test/images/a.png"], "images/ and test/ beside each other"),
    ],
)
def test_what_may_be_a_split_and_may_not_is_refused(
    more: list[str], said: str, tmp_path: Path
) -> None:
    make_parts(tmp_path, "train", "val", "test")
    for file in more:
        save(tmp_path / file, box(0))
    with pytest.raises(DataError, match=said):
        module("folder", tmp_path).setup()


@pytest.mark.parametrize("lacks", ["masks", "masks/val"])
def test_a_part_without_masks_is_named(lacks: str, tmp_path: Path) -> None:
    make_parts(tmp_path, "train", "val", "test")
    (tmp_path / lacks).rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"masks/(train|val): no such folder; expected"):
        module("folder", tmp_path).setup()


def test_a_class_and_a_topic_that_are_called_as_parts_are(tmp_path: Path) -> None:
    make_folder(tmp_path)
    for name in "abcdef":  # masks/<class>/ of the class "train"
        (tmp_path / "masks" / f"{name}.png").unlink()
        save(tmp_path / "masks" / "train" / f"{name}.png", box(0) * 255)
    data = module("folder", tmp_path, class_names=["background", "train"])
    data.setup()
    assert [len(part) for part in data.parts.values()] == [4, 1, 1]


def test_a_split_beside_folders_that_are_one_must_be_the_same(tmp_path: Path) -> None:
    make_parts(tmp_path, "train", "val", "test")
    data = module("folder", tmp_path)
    data.setup()
    same = module("folder", tmp_path, split=ids(data))
    same.setup()
    assert same.parts == data.parts
    other = {**ids(data), "val": ids(data)["test"], "test": ids(data)["val"]}
    for split in (other, {"train": 0.5, "val": 0.5, "test": "val"}):
        with pytest.raises(ConfigError, match="(val|test) names other cases than the folder"):
            module("folder", tmp_path, split=split).setup()


@pytest.mark.parametrize("shares", [{"train": 0.6, "val": 0.2, "test": 0.2}, SPLIT])
def test_without_a_folder_val_train_is_shared(shares: dict[str, float], tmp_path: Path) -> None:
    make_folder(tmp_path / "train", "abcdefgh")
    make_folder(tmp_path / "test", "ij")
    data = module("folder", tmp_path, split=shares)
    data.setup()
    assert [data.cases[i].id for i in data.parts["test"]] == ["test/i", "test/j"]
    assert len(data.parts["val"]) == (1 if shares is SPLIT else 2)
    assert all(data.cases[i].id.startswith("train/") for i in data.parts["val"])


def test_without_a_folder_train_nothing_can_be_learnt(tmp_path: Path) -> None:
    make_folder(tmp_path / "test", "ij")
    with pytest.raises(DataError, match="train: no such folder"):
        module("folder", tmp_path).setup()


def test_two_layouts_at_once_are_refused(tmp_path: Path) -> None:
    make_folder(tmp_path)
    make_folder(tmp_path / "test", "ij")
    with pytest.raises(DataError, match="images/ and test/ beside each other"):
        module("folder", tmp_path).setup()


@pytest.mark.parametrize("suffix", [".jpg", ".JPG", ".tif", ".bmp", ".webp", ".gif", ".ppm"])
def test_images_of_any_common_format(suffix: str, tmp_path: Path) -> None:
    make_folder(tmp_path, suffix=suffix)
    data = module("folder", tmp_path)
    data.setup()
    assert data.prepared.images.std() > 20


@pytest.mark.parametrize(("channels", "dtype"), [(1, "u1"), (1, "u2"), (3, "u1"), (4, "u1")])
@pytest.mark.parametrize("wanted", [1, 3, 4])
def test_grey_rgb_and_rgba_images(channels: int, dtype: str, wanted: int, tmp_path: Path) -> None:
    make_folder(tmp_path)
    scale = 257 if dtype == "u2" else 1
    save(tmp_path / "images" / "a.png", picture(1, channels=channels).astype(dtype) * scale)
    data = module("folder", tmp_path, in_channels=wanted)
    data.setup()
    image = data.read(data.cases[0]).image
    assert image.shape == (20, 24, wanted)
    if channels == 1 or channels == wanted:
        expected = picture(1, channels=channels)
        np.testing.assert_array_equal(image[:, :, : min(3, wanted)], expected[:, :, :3].repeat(
            3 if channels == 1 and wanted > 1 else 1, 2
        ))  # fmt: skip


def test_folders_in_images_and_hidden_files(tmp_path: Path) -> None:
    make_folder(tmp_path, "ab")
    for k in range(4):
        save(tmp_path / "images" / "town" / f"{k}.png", picture(k))
        save(tmp_path / "masks" / "town" / f"{k}.png", box(k))
    (tmp_path / "images" / ".DS_Store").write_bytes(b"")
    (tmp_path / "images" / "._a.png").write_bytes(b"")
    (tmp_path / "images" / "notes.txt").write_text("")
    data = module("folder", tmp_path)
    data.setup()
    assert [case.id for case in data.cases] == ["a", "b", *(f"town/{k}" for k in range(4))]


def test_the_store_lies_in_the_folder_and_follows_the_options(tmp_path: Path) -> None:
    make_folder(tmp_path)
    for _ in range(2):
        masks(tmp_path)
        masks(tmp_path, mask_values=[2, 1, 0])
    assert len([f for f in (tmp_path / ".segbench").iterdir() if f.is_dir()]) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask_values": [0, 255]}, r"data.mask_values=\[0, 255\]: expected 3 different"),
        ({"mask_values": [0, 0, 1]}, "expected 3 different"),
        ({"palette": {"background": [0, 0, 0]}}, "data.palette: expected a different"),
        ({"palette": {**COLOURS, "bus": [1, 1, 1]}}, "data.palette"),
        ({"palette": {**COLOURS, "car": [0, 0, 0]}}, "data.palette"),
        ({"palette": {**COLOURS, "car": [0, 0]}}, "data.palette"),
        ({"palette": COLOURS, "mask_values": [0, 1, 2]}, "a mask has one of them"),
        ({"white": 0}, "data.white=0"),
    ],
)
def test_slips_in_the_options(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        module("folder", tmp_path, **options)


def test_one_command_trains(segbench: Any, tmp_path: Path) -> None:
    make_folder(tmp_path / "my pictures", "abcdefghij")
    words = ["data=folder", f"data.root={tmp_path / 'my pictures'}"]
    words.append("data.class_names=[background,road,car]")
    small = ["model.base_channels=4", "model.depth=2", "data.size=16", "trainer.max_epochs=1"]
    assert segbench(*words, *small) == 0
