"""Data sets whose masks are annotations in JSON: COCO's and Labelme's."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_data import SPLIT, picture, save
from PIL import Image
from pycocotools import mask as reference

from segbench.data.formats.coco import COCODataModule
from segbench.data.formats.labelme import LabelmeDataModule
from segbench.errors import ConfigError, DataError

NAMES = ["background", "car", "person"]


def settings(root: Path, **options: Any) -> dict[str, Any]:
    given = {"size": 16, "batch_size": 2, "split": SPLIT, "class_names": NAMES, **options}
    return {"num_classes": len(given["class_names"]), "root": str(root), **given}


def block(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    """1 in the pixels of a rectangle whose edges are whole numbers."""
    mask = np.zeros((20, 24), np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


def corners(left: int, top: int, right: int, bottom: int) -> list[int]:
    return [left, top, right, top, right, bottom, left, bottom]


def lengths(mask: np.ndarray) -> list[int]:
    """Run lengths of a mask, column by column, zeros first, as COCO defines them."""
    found, value, count = [], 0, 0
    for pixel in mask.T.ravel().tolist():
        if pixel != value:
            found.append(count)
            value, count = pixel, 0
        count += 1
    return [*found, count]


def annotated() -> list[dict[str, Any]]:
    """For each of six pictures, ways to say the same: a large car, and a small person before it."""
    car, person = block(2, 3, 20, 18), block(5, 6, 9, 10)
    packed = reference.encode(np.asfortranarray(person))
    ways: list[Any] = [
        [corners(5, 6, 9, 10)],
        {"size": [20, 24], "counts": lengths(person)},
        {"size": [20, 24], "counts": packed["counts"].decode()},
    ]
    found = []
    for k in range(6):
        found += [
            {"image_id": k, "category_id": 17, "segmentation": ways[k % 3]},
            {
                "image_id": k,
                "category_id": 3,
                "segmentation": [corners(2, 3, 20, 18)]
                if k % 2
                else {
                    "size": [20, 24],
                    "counts": lengths(car),
                },
            },
            {"image_id": k, "category_id": 90, "segmentation": [corners(0, 0, 3, 3)]},
        ]
    return found


EXPECTED = np.where(block(5, 6, 9, 10), 2, block(2, 3, 20, 18))
CATEGORIES = [{"id": i, "name": n} for i, n in ((3, "car"), (17, "person"), (90, "kite"))]


def make_coco(root: Path, file: str = "annotations.json", ids: range = range(6)) -> dict[str, Any]:
    folder = root / "images" if file == "annotations.json" else root / Path(file).stem
    for k in ids:
        save(folder / f"{k:012d}.jpg", picture(k))
    content = {
        "images": [{"id": k, "file_name": f"{k:012d}.jpg", "height": 20, "width": 24} for k in ids],
        "annotations": [each for each in annotated() if each["image_id"] in ids],
        "categories": [*CATEGORIES],
    }
    (root / file).write_text(json.dumps(content))
    return content


def coco(root: Path, **options: Any) -> COCODataModule:
    data = COCODataModule(**settings(root, **options))
    data.setup()
    return data


def test_polygons_and_run_lengths_of_coco(tmp_path: Path) -> None:
    content = make_coco(tmp_path)
    data = coco(tmp_path)
    assert [case.id for case in data.cases] == [f"{k:012d}" for k in range(6)]
    for index in range(6):
        np.testing.assert_array_equal(data.prepared.original(index), EXPECTED)
    first = data.look()
    content["annotations"][0]["segmentation"] = [corners(5, 6, 9, 11)]
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    changed = coco(tmp_path)
    assert changed.look() != first
    assert (changed.prepared.original(0) != EXPECTED).sum() == 4


def test_a_picture_without_objects_is_background(tmp_path: Path) -> None:
    content = make_coco(tmp_path)
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] != 2]
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    assert not coco(tmp_path).prepared.original(2).any()


def test_a_json_file_for_each_part_is_the_split(tmp_path: Path) -> None:
    make_coco(tmp_path, "train2017.json", range(4))
    make_coco(tmp_path, "val2017.json", range(4, 6))
    data = coco(
        tmp_path,
        annotations={"train": "train2017.json", "val": "val2017.json"},
        images={"train": "train2017", "val": "val2017"},
        split={"train": 0.5, "val": 0.25, "test": 0.25},
    )
    assert len(data.parts["val"]) == 2
    assert len(data.parts["train"]) + len(data.parts["test"]) == 4
    assert {data.cases[i].id.split("/")[0] for i in data.parts["val"]} == {"val"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("categories"), "not a COCO JSON file .KeyError: 'categories'"),
        (lambda c: c["categories"].pop(0), "no category car; it has kite, person"),
        (lambda c: c["images"][0].update(file_name="no.jpg"), r"no\.jpg: missing, named in"),
        (lambda c: c["images"][0].update(file_name="../../no.jpg"), r"no\.jpg: missing, named in"),
        (lambda c: c["annotations"][0].update(category_id=5), "annotation None has no category"),
        (
            lambda c: c["annotations"][0].update(segmentation=[[1, 2, 3, 4]]),
            r"0\.jpg: an object \(person\) in .*cannot be drawn \(a polygon without three corners",
        ),
        (
            lambda c: c["annotations"][0].update(segmentation={"size": [20, 24], "counts": [7]}),
            "run lengths that do not add up",
        ),
        (lambda c: c["images"][0].update(height=24, width=20), "run lengths of size|the mask is"),
    ],
)
def test_faults_of_a_coco_file_are_named(change: Any, message: str, tmp_path: Path) -> None:
    content = make_coco(tmp_path)
    change(content)
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        coco(tmp_path)


def test_options_of_coco_that_do_not_fit(tmp_path: Path) -> None:
    make_coco(tmp_path)
    with pytest.raises(ConfigError, match="data.annotations=.*expected a path, or one for train"):
        coco(tmp_path, annotations={"val": "a.json"})
    with pytest.raises(ConfigError, match="data.images: for .'test', 'train'.*one folder for all"):
        coco(tmp_path, annotations={"train": "a"}, images={"train": "b", "test": "c"})


def labelme_shapes(k: int) -> list[dict[str, Any]]:
    out = io.BytesIO()
    Image.fromarray(block(5, 6, 9, 10)[6:10, 5:9] * 255).save(out, "PNG")
    car = [
        {"label": "car", "shape_type": "rectangle", "points": [[20, 18], [2, 3]]},
        {"label": "car", "points": [[2, 3], [20, 3], [20, 18], [2, 18]]},
    ]
    person = [
        {"label": "person", "shape_type": "polygon", "points": [[5, 6], [9, 6], [9, 10], [5, 10]]},
        {
            "label": "person",
            "shape_type": "mask",
            "points": [[5, 6], [8, 9]],
            "mask": base64.b64encode(out.getvalue()).decode(),
        },
    ]
    return [car[k % 2], person[k // 2 % 2]]


def make_labelme(root: Path) -> None:
    for k in range(6):
        save(root / "day" / f"{k}.jpg", picture(k))
        content = {"shapes": labelme_shapes(k), "imageHeight": 20, "imageWidth": 24}
        (root / "day" / f"{k}.json").write_text(json.dumps(content))


def labelme(root: Path, **options: Any) -> LabelmeDataModule:
    data = LabelmeDataModule(**settings(root, **options))
    data.setup()
    return data


def test_shapes_of_labelme(tmp_path: Path) -> None:
    make_labelme(tmp_path)
    data = labelme(tmp_path)
    assert [case.id for case in data.cases] == [f"day/{k}" for k in range(6)]
    for index in range(6):
        np.testing.assert_array_equal(data.prepared.original(index), EXPECTED)


def test_circles_and_ignored_pixels(tmp_path: Path) -> None:
    make_labelme(tmp_path)
    shapes = [
        {"label": "car", "shape_type": "circle", "points": [[12, 10], [12, 16]]},
        {"label": "ignore", "shape_type": "rectangle", "points": [[0, 0], [24, 4]]},
    ]
    content = {"shapes": shapes, "imageHeight": 20, "imageWidth": 24}
    (tmp_path / "day" / "0.json").write_text(json.dumps(content))
    mask = labelme(tmp_path).prepared.original(0)
    assert (mask[:4] == 255).all()
    rows, columns = np.mgrid[:20, :24] + 0.5
    inside = np.hypot(rows - 10, columns - 12) < 6
    assert (mask[4:] != inside[4:]).sum() <= 12  # pixels that the edge runs through


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"label": "dog", "points": [[0, 0], [1, 0], [1, 1]]}, "a shape labelled dog.*it names"),
        ({"label": "car", "shape_type": "point", "points": [[0, 0]]}, "kind point, which has no"),
        ({"label": "car", "points": [[0, 0], [1, 0]]}, "a shape .car, polygon. cannot be drawn"),
        ({"label": "car", "shape_type": "rectangle", "points": [[0, 0]]}, "cannot be drawn"),
        ({"points": []}, "not a JSON file of Labelme .KeyError: 'label'"),
    ],
)
def test_faults_of_labelmes_files_are_named(
    shape: dict[str, Any], message: str, tmp_path: Path
) -> None:
    make_labelme(tmp_path)
    content = {"shapes": [shape], "imageHeight": 20, "imageWidth": 24}
    (tmp_path / "day" / "3.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"3\.json: .*{message}"):
        labelme(tmp_path)


def test_pictures_without_labels_are_named(tmp_path: Path) -> None:
    make_labelme(tmp_path)
    (tmp_path / "day" / "4.json").unlink()
    with pytest.raises(DataError, match=r"4\.jpg: no .*4\.json beside it; label it"):
        labelme(tmp_path)
