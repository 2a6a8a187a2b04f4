"""The data validator lists all faults; training stops at the first one with the same message."""

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from segbench.data.base import SegmentationDataModule
from segbench.data.check.check import check_data, describe
from segbench.data.check.duplicates import near_duplicates, thumbnail
from segbench.data.folder import FolderDataModule
from segbench.data.synthetic import draw_cells
from segbench.errors import DataError

COUNT = 24
Fault = Callable[[Path], object]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images and masks of 24 generated cases, whose masks hold class ids 0 and 1."""
    root = tmp_path_factory.mktemp("healthy")
    for folder in ("images", "masks"):
        (root / folder).mkdir()
    for index in range(COUNT):
        image, mask = draw_cells(index)
        Image.fromarray(image).save(root / "images" / f"{index:02d}.png")
        Image.fromarray(mask).save(root / "masks" / f"{index:02d}.png")
    return root


@pytest.fixture
def root(healthy: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(healthy, tmp_path / "pictures"))


def module(
    root: Path, kind: type[FolderDataModule] = FolderDataModule, **options: Any
) -> FolderDataModule:
    defaults: dict[str, Any] = {
        "class_names": ["background", "cell"],
        "num_classes": 2,
        "size": 32,
        "batch_size": 4,
        "split": {"train": 0.5, "val": 0.25, "test": 0.25},
    }
    return kind(root=str(root), **defaults | options)


def quietly(items: Iterable[Any], total: int) -> Iterable[Any]:
    return items


def check(data: SegmentationDataModule) -> dict[str, Any]:
    found, _ = check_data(data, quietly)
    json.dumps(found, allow_nan=False)  # what check.json can hold
    return found


def remake(file: Path, change: Callable[[Any], Any]) -> None:
    Image.fromarray(change(np.asarray(Image.open(file)).copy())).save(file)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def label_seven(mask: Any) -> Any:
    mask[:3, :3] = 7
    return mask


ERRORS: dict[str, tuple[Fault, str, str, str]] = {
    "truncated image": (
        lambda r: truncate(r / "images/03.png"),
        "unreadable",
        "images/03.png",
        "cannot be read as a picture",
    ),
    "truncated mask": (
        lambda r: truncate(r / "masks/03.png"),
        "unreadable",
        "masks/03.png",
        "cannot be read as a picture",
    ),
    "no picture": (
        lambda r: (r / "images/03.png").write_text("<html>404</html>"),
        "unreadable",
        "images/03.png",
        "unknown or damaged format",
    ),
    "empty file": (
        lambda r: (r / "images/03.png").write_bytes(b""),
        "unreadable",
        "images/03.png",
        "unknown or damaged format",
    ),
    "image without mask": (
        lambda r: (r / "masks/03.png").unlink(),
        "incomplete",
        "images/03.png",
        "no mask",
    ),
    "mask without image": (
        lambda r: (r / "images/03.png").unlink(),
        "incomplete",
        "masks/03.png",
        "no image",
    ),
    "size mismatch": (
        lambda r: remake(r / "masks/03.png", lambda mask: mask[:-1]),
        "size",
        "masks/03.png",
        "both must have one size",
    ),
    "foreign label": (
        lambda r: remake(r / "masks/03.png", label_seven),
        "label",
        "masks/03.png",
        "labels [7] in the mask; expected 0 to 1 (background, cell) or ignore_index 255",
    ),
}


def test_a_healthy_data_set_is_described_and_has_no_problems(root: Path) -> None:
    data = module(root)
    found, samples = check_data(data, quietly)
    assert (found["cases"], found["errors"], found["notices"]) == (COUNT, 0, 0)
    assert found["problems"] == []
    assert {name: part["cases"] for name, part in found["parts"].items()} == {
        "all": 24,
        "train": 12,
        "val": 6,
        "test": 6,
    }
    data.setup()
    assert sorted(samples) == data.parts["train"]  # the very split that training makes
    masks = [np.asarray(Image.open(file)) for file in sorted((root / "masks").iterdir())]
    cells = sum(int((mask == 1).sum()) for mask in masks)
    everything = found["parts"]["all"]
    assert everything["classes"]["cell"]["pixels"] == cells
    assert everything["classes"]["cell"]["share"] == pytest.approx(
        cells / sum(mask.size for mask in masks)
    )
    assert everything["classes"]["cell"]["images"] == sum(1 for mask in masks if mask.any())
    assert everything["stored"] == {"PNG RGB": COUNT}
    assert sum(everything["sizes"].values()) == COUNT
    assert everything["sizes"][f"{masks[0].shape[1]}x{masks[0].shape[0]}"] >= 1


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_names_its_file_and_stops_training_in_the_same_words(
    root: Path, name: str
) -> None:
    spoil, kind, file, said = ERRORS[name]
    spoil(root)
    found = check(module(root))
    assert (found["errors"], found["notices"]) == (1, 0), found["problems"]
    problem = found["problems"][0]
    assert (problem["severity"], problem["kind"]) == ("error", kind)
    assert problem["file"] == str(root / file)
    assert problem["message"].startswith(str(root / file))
    assert said in problem["message"]
    with pytest.raises(DataError) as refused:
        module(root).setup()
    assert str(refused.value) == problem["message"]


def test_all_faults_are_listed_at_once(root: Path) -> None:
    (root / "masks/01.png").unlink()
    (root / "images/02.png").unlink()
    truncate(root / "images/03.png")
    remake(root / "masks/04.png", label_seven)
    remake(root / "masks/05.png", lambda mask: mask[1:])
    remake(root / "masks/06.png", lambda mask: label_seven(mask[1:]))  # two faults in one file
    remake(root / "masks/07.png", np.zeros_like)
    found = check(module(root))
    kinds = [problem["kind"] for problem in found["problems"]]
    assert kinds == [
        *("incomplete", "incomplete"),
        *("label", "label"),
        *("size", "size"),
        "unreadable",
        "empty mask",  # errors come first
    ]
    assert (found["cases"], found["errors"], found["notices"]) == (22, 7, 1)


def test_a_decoder_that_fails_in_a_new_way_does_not_end_the_check(root: Path) -> None:
    class Failing(FolderDataModule):
        def read_image(self, content: bytes, file: Path) -> Any:
            if file.stem == "03":
                raise RuntimeError("not foreseen")
            return super().read_image(content, file)

    found = check(module(root, Failing))
    assert [problem["message"] for problem in found["problems"]] == [
        f"{root / 'images' / '03.png'}: RuntimeError: not foreseen"
    ]


def test_black_and_white_masks_are_no_class_ids(root: Path) -> None:
    for file in (root / "masks").iterdir():
        remake(file, lambda mask: mask * 255)
    found = check(module(root))
    errors = found["problems"]
    assert [problem["kind"] for problem in errors] == ["no foreground"]  # once, not for each mask
    for word in ("no mask shows cell", "255 is data.ignore_index", "data.mask_values='[0, 255]'"):
        assert word in errors[0]["message"]
    assert found["parts"]["all"]["classes"]["(ignored)"]["images"] == COUNT
    with pytest.raises(DataError) as refused:
        module(root).setup()
    assert str(refused.value) == errors[0]["message"]

    other = check(module(root, ignore_index=254))  # 255 is then simply foreign, in each file
    assert {p["kind"] for p in other["problems"] if p["severity"] == "error"} == {"label"}
    assert other["errors"] == COUNT
    assert "data.mask_values='[0, 255]'" in other["problems"][0]["message"]
    assert check(module(root, mask_values=[0, 255]))["problems"] == []  # the way out works


def test_one_black_and_white_mask_among_class_ids_is_noticed(root: Path) -> None:
    remake(root / "masks/03.png", lambda mask: mask * 255)
    found = check(module(root))
    assert (found["errors"], found["notices"]) == (0, 1)
    assert "data.mask_values" in found["problems"][0]["message"]


def test_empty_masks_and_absent_classes_are_notices(root: Path) -> None:
    remake(root / "masks/03.png", np.zeros_like)
    found = check(module(root))
    assert (found["errors"], found["notices"]) == (0, 1)
    assert "03.png: the mask is empty" in found["problems"][0]["message"]
    module(root).setup()  # a notice stops nothing

    third = {"class_names": ["background", "cell", "ghost"], "num_classes": 3}
    found = check(module(root, **third))
    absent = [problem for problem in found["problems"] if problem["kind"] == "absent class"]
    assert found["errors"] == 0
    assert [problem["message"].split(":")[0] for problem in absent] == ["train", "val", "test"]
    assert "train: no mask shows ghost, which cannot be learnt" in str(absent)


def copy_case(root: Path, source: str, name: str, change: Callable[[Any], Any]) -> None:
    for folder in ("images", "masks"):
        pixels = np.asarray(Image.open(root / folder / f"{source}.png"))
        changed = change(pixels) if folder == "images" else pixels
        Image.fromarray(changed).save(root / folder / f"{name}.png", compress_level=1)


def brighter(image: Any) -> Any:
    return (image * 1.1 + 5).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("change", "said"),
    [(lambda image: image, "the same picture as"), (brighter, "nearly the same picture as")],
    ids=["exact", "near"],
)
def test_a_copy_in_another_part_is_a_leak_and_within_one_a_notice(
    root: Path, change: Callable[[Any], Any], said: str
) -> None:
    copy_case(root, "03", "99", change)  # other bytes, for the compression is another
    rest = [f"{index:02d}" for index in range(COUNT) if index != 3]
    apart = {"train": [*rest[:12], "03"], "val": rest[12:18], "test": [*rest[18:], "99"]}
    problem = check(module(root, split=apart))["problems"][0]
    assert (problem["severity"], problem["kind"]) == ("error", "leak")
    assert f"03.png (train): {said} {root / 'images' / '99.png'} (test)" in problem["message"]

    together = {**apart, "train": [*apart["train"], "99"], "test": rest[18:]}
    problem = check(module(root, split=together))["problems"][0]
    assert (problem["severity"], problem["kind"]) == ("notice", "duplicate")

    unused = {**apart, "test": rest[18:]}  # in no part: nothing leaks
    assert check(module(root, split=unused))["errors"] == 0


def test_copies_make_one_problem_however_many(root: Path) -> None:
    for number in range(90, 96):
        copy_case(root, "03", str(number), lambda image: image)
    found = check(module(root))
    assert [problem["kind"] for problem in found["problems"]] == ["leak"]
    assert "and 3 more" in found["problems"][0]["message"]


def test_val_as_test_is_no_leak_of_itself(root: Path) -> None:
    found = check(module(root, split={"train": 0.75, "val": 0.25, "test": "val"}))
    assert found["problems"] == []
    assert found["parts"]["val"] == found["parts"]["test"]


def test_a_broken_case_that_a_list_names_is_still_reported(root: Path) -> None:
    ids = [f"{index:02d}" for index in range(COUNT)]
    (root / "masks/03.png").unlink()
    parts = {"train": ids[:12], "val": ids[12:18], "test": ids[18:]}
    found, samples = check_data(module(root, split=parts), quietly)
    assert [problem["kind"] for problem in found["problems"]] == ["incomplete", "split"]
    assert "'03'" in found["problems"][1]["message"]
    assert list(found["parts"]) == ["all"]
    assert samples == {}


@pytest.mark.parametrize("stratify", ["classes", "size"])
def test_stratified_parts_are_those_of_training(root: Path, stratify: str) -> None:
    remake(root / "masks/03.png", np.zeros_like)
    _, samples = check_data(module(root, stratify=stratify), quietly)
    data = module(root, stratify=stratify)
    data.setup()
    assert {*samples, 3} == {*data.parts["train"], 3}  # 3 has a notice: no sample


def test_what_files_hold_counts_not_what_they_are_called(root: Path) -> None:
    picture = Image.open(root / "images/03.png")
    picture.load()
    picture.convert("RGBA").save(root / "images/03.png")
    picture = Image.open(root / "images/04.png")
    picture.load()
    picture.convert("P").save(root / "images/04.png", format="GIF")
    found = check(module(root))
    assert found["errors"] == 0
    stored = found["parts"]["all"]["stored"]
    assert stored == {"PNG RGB": COUNT - 2, "PNG RGBA": 1, "GIF P": 1}


def test_nothing_readable_at_all(root: Path) -> None:
    for file in (root / "images").iterdir():
        file.write_bytes(b"")
    found = check(module(root))
    assert found["errors"] == COUNT
    assert describe([], ["a", "b"], 255)["classes"]["a"] == {"pixels": 0, "share": 0, "images": 0}


def test_two_of_the_real_pets_are_there_twice(real_samples: Path) -> None:
    root = real_samples / "oxford-iiit-pet"
    pairs = [("Abyssinian_122", "Abyssinian_172"), ("Abyssinian_5", "Abyssinian_87")]
    others = ("Abyssinian_24", "Abyssinian_80")  # one photograph, cropped twice: not looked for
    small = [
        thumbnail(cv2.imread(str(root / "images" / f"{name}.jpg")))
        for pair in [*pairs, others]
        for name in pair
    ]
    assert near_duplicates(np.stack(small)) == [(0, 1), (2, 3)]
