"""NIfTI volumes: their slices as cases, and every command on them."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from tiny import only_cell

from segbench import load
from segbench.data.formats.nifti import NIfTIDataModule
from segbench.errors import ConfigError, DataError
from segbench.records.record import read_record

SHAPE = (18, 14, 5)
TINY = ("model.base_channels=4", "model.depth=2", "trainer.max_epochs=1", "data.size=16")
AFFINE = np.diag([0.7, 0.7, 3, 1])


def volume(seed: int) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    mask = np.zeros(SHAPE, np.uint8)
    x, y = chance.integers(0, 6, 2)
    mask[x : x + 8, y : y + 7, 1:4] = 1
    return (chance.normal(0, 40, SHAPE) + mask * 150.0).astype(np.int16), mask


def write(root: Path, name: str, image: np.ndarray, mask: np.ndarray, **options: Any) -> None:
    for folder, values in (("images", image), ("masks", mask)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        affine = options.get(folder, AFFINE)
        nibabel.Nifti1Image(values, affine).to_filename(root / folder / f"{name}.nii.gz")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("volumes")
    for k in range(6):
        write(folder, f"p{k}", *volume(k))
    return folder


def nifti(root: Path, **options: Any) -> NIfTIDataModule:
    names = ["background", "liver"]
    settings = {"split": {"train": 0.5, "val": 0.2, "test": 0.3}, "size": 16, "batch_size": 4}
    settings |= {"group": "(.*)/[^/]*$", "in_channels": 1, "window": [-100, 200], **options}
    data = NIfTIDataModule(class_names=names, num_classes=2, root=str(root), **settings)
    data.setup()
    return data


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_along_an_axis(axis: int, root: Path) -> None:
    data = nifti(root, axis=axis)
    assert len(data.cases) == 6 * SHAPE[axis]
    for index, case in enumerate(data.cases):
        name, number = case.id.split("/")
        image, mask = volume(int(name[1:]))
        expected = np.take(mask, int(number), axis)
        np.testing.assert_array_equal(data.prepared.original(index), expected)
        shown = np.take(image, int(number), axis).astype(np.float32)
        windowed = ((shown + 100) * (255 / 300)).round().clip(0, 255)
        np.testing.assert_array_equal(data.read(case).image[:, :, 0], windowed)


def test_no_volume_is_in_two_parts(root: Path) -> None:
    data = nifti(root)
    parts = [{data.cases[i].id.split("/")[0] for i in part} for part in data.parts.values()]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 6
    assert data.groups is not None
    hashes = {case["sha256"] for part in data.split_record()["parts"].values() for case in part}
    assert len(hashes) == len(data.cases) == 30


def test_values_as_stored_are_normalised_by_the_train_part(root: Path) -> None:
    data = nifti(root, window=None)
    assert data.normalize == "train"
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].dtype.is_floating_point
    with pytest.raises(ConfigError, match="a window makes 8 bits"):
        nifti(root, window=[0, 1], normalize="train")
    with pytest.raises(ConfigError, match=r"data\.window=\[1, 0\]: expected"):
        nifti(root, window=[1, 0])
    with pytest.raises(ConfigError, match="data.axis=3: expected 0, 1 or 2"):
        nifti(root, axis=3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask": np.zeros((18, 14, 4), np.uint8)}, r"p9\.nii\.gz: the mask has the shape"),
        ({"mask": volume(0)[1] * 0.5}, "values that are no whole numbers"),
        ({"mask": volume(0)[1] * np.int16(300)}, "values of 0 to 300; expected class ids"),
        ({"mask": volume(0)[1] * np.uint8(7)}, r"labels \[7\] in the mask"),
        ({"image": np.full(SHAPE, np.nan, np.float32)}, "values that are not finite"),
        ({"image": np.zeros((*SHAPE, 2), np.float32)}, "2 channels, where data.in_channels=1"),
        ({"masks": np.diag([1, 1, 1, 1])}, "the mask lies elsewhere in space"),
    ],
)
def test_faults_of_volumes_are_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    for k in range(3):
        write(tmp_path, f"p{k}", *volume(k))
    image, mask = volume(0)
    where = {key: value for key, value in change.items() if key == "masks"}
    write(tmp_path, "p9", change.get("image", image), change.get("mask", mask), **where)
    with pytest.raises(DataError, match=message):
        nifti(tmp_path)


def test_files_that_are_no_volumes(tmp_path: Path) -> None:
    for k in range(3):
        write(tmp_path, f"p{k}", *volume(k))
    file = tmp_path / "images" / "p1.nii.gz"
    content = file.read_bytes()
    for damage in (b"", b"<html>", content[:200], content[: len(content) // 2]):
        file.write_bytes(damage)
        with pytest.raises(DataError, match=r"p1\.nii\.gz: .*cannot be read|p1\.nii\.gz: an array"):
            nifti(tmp_path)
    file.unlink()
    with pytest.raises(DataError, match=r"masks/p1\.nii\.gz: no image .*images/p1"):
        nifti(tmp_path)


def test_every_command(
    segbench: Any, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = ["data=nifti", f"data.root={root}", "data.class_names=[background,liver]", *TINY]
    words += ["name=n", "data.split={train:0.5,val:0.2,test:0.3}"]
    assert segbench("check", *words) == 0
    assert segbench(*words) == 0
    cell = only_cell(tmp_path, "n")
    assert read_record(cell)["normalisation"]["method"] == "train"
    scores = pd.read_csv(cell / "scores.csv", dtype=str)
    assert scores["group"].nunique() == 2
    assert segbench("evaluate", f"run={cell}") == 0
    again = next((cell.parent / "evaluations").glob("*/scores.csv"))
    pd.testing.assert_frame_equal(pd.read_csv(again, dtype=str), scores)
    assert segbench("predict", f"run={cell}", f"input={root}/images", "output=masks") == 0
    net = load(cell)
    for k in range(6):
        written = nibabel.load(tmp_path / "masks" / f"p{k}.nii.gz")
        np.testing.assert_allclose(written.affine, AFFINE)
        slices = [np.ascontiguousarray(volume(k)[0][:, :, z]) for z in range(SHAPE[2])]
        expected = np.stack([net(each) for each in slices], axis=2)
        np.testing.assert_array_equal(np.asarray(written.dataobj), expected)
    assert segbench("predict", f"run={cell}", f"input={root}/images", "overlay=true") == 2
    assert "of volumes only the masks are written" in capsys.readouterr().err
    assert segbench("export", f"run={cell}", "format=torch_export") == 0
    capsys.readouterr()
    assert segbench("compare", "name=n", "unit=group", "score=dice") == 0
    assert "one seed, 2 groups;" in (cell.parent / "report" / "table.md").read_text()
    assert segbench("compare", "name=n", "unit=group", "by=size") == 2
    assert segbench("compare", "name=n", "unit=volume") == 2
    assert "unit=volume: expected image or group" in capsys.readouterr().err
