"""`segbench init` writes a YAML file that reads a folder, with what its masks and ids tell."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from tiny import TINY

Run = Callable[..., int]


def write_pictures(folder: Path, names: list[str], values: tuple[int, ...] = (0, 255)) -> None:
    rng = np.random.default_rng(0)
    for part in ("photos", "labels"):
        (folder / part).mkdir(parents=True)
    for name in names:
        mask = np.zeros((40, 48), np.uint8)
        for value in values[1:]:
            y, x = rng.integers(4, 24, 2)
            mask[y : y + 12, x : x + 16] = value
        noise = rng.integers(0, 60, (40, 48, 3))
        image = np.clip(np.repeat(mask[..., None] // 2, 3, axis=2) + noise, 0, 255)
        Image.fromarray(image.astype(np.uint8)).save(folder / "photos" / f"{name}.png")
        Image.fromarray(mask).save(folder / "labels" / f"{name}_mask.png")


def test_the_three_commands_that_come_next_work(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(tmp_path / "pictures", [f"{p}_{k}" for p in "abcdef" for k in range(3)])
    assert segbench("init", "pictures", "cells") == 0
    said = capsys.readouterr().out
    text = (tmp_path / "mine/data/cells.yaml").read_text()
    assert text in said
    found = yaml.safe_load(text)
    assert found["images"] == "photos/*.png"
    assert found["masks"] == "labels/*_mask.png"
    assert found["mask_values"] == [0, 255]
    assert "group" not in found
    assert "# group: ([^/]+)_[^/_]*$" in text  # six patients of three images each
    assert "segbench check data=cells" in said
    assert segbench("check", "data=cells") == 0
    tiny = [word for word in TINY if not word.startswith("data.count")]
    assert segbench("data=cells", *tiny, "trainer=smoke", "model=unet") == 0
    assert segbench("-m", "--dry-run", "data=cells", "model=unet,segnet", *tiny) == 0
    assert "2 cells" in capsys.readouterr().out


def test_groups_of_the_proposal_are_taken(segbench: Run, tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", [f"{p}_{k}" for p in "abcdef" for k in range(3)])
    assert segbench("init", "pictures") == 0
    file = tmp_path / "mine/data/mine.yaml"
    file.write_text(file.read_text().replace("# group:", "group:"))
    assert segbench("check", "data=mine") == 0
    record = json.loads((tmp_path / "outputs/default/check-mine/check.json").read_text())
    assert record["groups"]["number"]["all"] == 6


def test_annotations_are_read_by_their_own_data_set(segbench: Run, tmp_path: Path) -> None:
    folder = tmp_path / "marked"
    write_pictures(folder, ["one", "two"])
    content = {
        "images": [{"id": 1, "file_name": "one.png"}],
        "annotations": [],
        "categories": [{"id": 1, "name": "cell: round"}],
    }
    (folder / "objects.json").write_text(json.dumps(content))
    assert segbench("init", "marked") == 0
    found = yaml.safe_load((tmp_path / "mine/data/mine.yaml").read_text())
    assert found["defaults"] == ["coco", "_self_"]
    assert found["annotations"] == "objects.json"
    assert found["images"] == "photos"
    assert found["class_names"] == ["background", "cell: round"]


def test_every_class_of_annotations_is_proposed(segbench: Run, tmp_path: Path) -> None:
    names = [f"kind{k:02d}" for k in range(30)]
    write_pictures(tmp_path / "coco", ["one"])
    categories = [{"id": k, "name": name} for k, name in enumerate(["background", *names])]
    content = {"images": [], "annotations": [], "categories": [*categories, "damaged"]}
    (tmp_path / "coco" / "objects.json").write_text(json.dumps(content))
    write_pictures(tmp_path / "marked", names)
    for file, name in zip(sorted((tmp_path / "marked/photos").iterdir()), names, strict=True):
        shapes = [{"label": label} for label in (name, "ignore")]
        file.with_suffix(".json").write_text(json.dumps({"shapes": shapes}))
    for folder in ("coco", "marked"):
        assert segbench("init", folder, f"my_{folder}") == 0
        found = yaml.safe_load((tmp_path / f"mine/data/my_{folder}.yaml").read_text())
        assert found["class_names"] == ["background", *names]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "expected `segbench init FOLDER [NAME]`"),
        (("nowhere",), "init nowhere: no such folder"),
        (("empty",), "no images with masks"),
        (("empty", "ph2"), "data=ph2 exists already"),
    ],
)
def test_a_slip_is_one_line(
    segbench: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    text: str,
) -> None:
    (tmp_path / "empty").mkdir()
    assert segbench("init", *words) == 2
    said = capsys.readouterr().err
    assert text in said
    assert said.count("\n") == 1
    assert not (tmp_path / "mine").exists()


def test_a_file_that_is_there_stays(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(tmp_path / "pictures", ["a1", "b1", "c1"])
    assert segbench("init", "pictures") == 0
    assert segbench("init", "pictures") == 2
    assert "data=mine exists already" in capsys.readouterr().err


def test_colours_and_lists_of_parts_are_taken(segbench: Run, tmp_path: Path) -> None:
    folder = tmp_path / "coloured"
    write_pictures(folder, [f"x{k}" for k in range(6)])
    for file in (folder / "labels").glob("*.png"):
        grey = np.asarray(Image.open(file))
        Image.fromarray(np.stack([grey, grey // 2, 0 * grey], axis=-1)).save(file)
    for part, ids in (("train", "012"), ("val", "3"), ("test", "45")):
        (folder / f"{part}.txt").write_text("".join(f"x{k}\n" for k in ids))
    assert segbench("init", "coloured") == 0
    text = (tmp_path / "mine/data/mine.yaml").read_text()
    found = yaml.safe_load(text)
    assert found["palette"] == {"background": [0, 0, 0], "foreground": [255, 127, 0]}
    assert list(found["palette"]) == found["class_names"]
    assert "} # with the same names" in text  # both are renamed together
    assert found["split"] == {"train": "train.txt", "val": "val.txt", "test": "test.txt"}
    assert segbench("check", "data=mine") == 0
    record = json.loads((tmp_path / "outputs/default/check-mine/check.json").read_text())
    assert [record["parts"][part]["cases"] for part in ("train", "val", "test")] == [3, 1, 2]
