"""Patches at the pictures' own resolution: what is drawn, and what is scored."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from made_data import module, picture, save
from made_run import make_run
from PIL import Image
from tiny import only_cell

from segbench import arrays, load
from segbench.cell import resizing
from segbench.data.decoding import opening, pictures
from segbench.data.folder import FolderDataModule
from segbench.data.store.patches import PatchOptions, WholeCases, padded
from segbench.data.store.prepared import Decoded
from segbench.data.store.preparing import LOCATIONS, Form, prepare
from segbench.data.store.ragged import Ragged
from segbench.errors import ConfigError
from segbench.metrics.counts import image_counts

SIZES = [(40, 60), (30, 30), (90, 50), (20, 24), (64, 64), (33, 71)]
NAMES = {"class_names": ["background", "car", "tree"]}


def truth(k: int) -> np.ndarray:
    """Cars in the even pictures, and one tree of four pixels in the third."""
    mask = np.zeros(SIZES[k], np.uint8)
    if k % 2 == 0:
        mask[3:15, 4:20] = 1
    if k == 2:
        mask[80:82, 40:42] = 2
    mask[-1] = 255
    return mask


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("patches")
    for k, size in enumerate(SIZES):
        save(folder / "images" / f"{k}.png", picture(k, *size))
        save(folder / "masks" / f"{k}.png", truth(k))
    return folder


def patched(root: Path, **options: Any) -> FolderDataModule:
    given = {"patch": [24, 32], "split": {"train": 1.0, "val": 0, "test": "val"}, **options}
    given["split"] = {"train": ["0", "1", "2", "3"], "val": ["4"], "test": ["5"]}
    data: FolderDataModule = module("folder", root, **NAMES, **given)
    data.setup()
    return data


def drawn(data: FolderDataModule, epoch: int = 0) -> list[tuple[int, np.ndarray, np.ndarray]]:
    cases: Any = data.train_dataloader().dataset
    return [cases.draw(epoch, number) for number in range(len(cases))]


def test_a_patch_is_a_piece_of_its_picture(root: Path) -> None:
    data = patched(root, patches_per_epoch=60)
    for index, image, mask in drawn(data):
        assert image.shape == (24, 32, 3)
        assert mask.shape == (24, 32)
        whole, labels = picture(index, *SIZES[index]), truth(index)
        height, width = (min(pair) for pair in zip(SIZES[index], (24, 32), strict=True))
        found = [
            (top, left)
            for top in range(SIZES[index][0] - height + 1)
            for left in range(SIZES[index][1] - width + 1)
            if (whole[top : top + height, left : left + width] == image[:height, :width]).all()
        ]
        (top, left) = found[0]
        assert (labels[top : top + height, left : left + width] == mask[:height, :width]).all()
        assert (mask[height:] == 255).all()
        assert (mask[:, width:] == 255).all()


def test_a_patch_depends_on_seed_epoch_and_number_alone(root: Path) -> None:
    def batches(workers: int, batch_size: int) -> dict[bytes, int]:
        data = patched(root, num_workers=workers, batch_size=batch_size, patches_per_epoch=20)
        found: dict[bytes, int] = {}
        for batch in data.train_dataloader():
            for image in batch["image"]:
                key = image.numpy().tobytes()
                found[key] = found.get(key, 0) + 1
        return found

    assert batches(0, 4) == batches(2, 4) == batches(0, 7)
    first, second = drawn(patched(root), 0), drawn(patched(root), 1)
    assert any((a[1] != b[1]).any() for a, b in zip(first, second, strict=True))
    other = drawn(patched(root, seed=1), 0)
    assert any((a[1] != b[1]).any() for a, b in zip(first, other, strict=True))


def test_foreground_patches_show_each_class_equally_often(root: Path) -> None:
    masks = [mask for _, _, mask in drawn(patched(root, foreground=1.0, patches_per_epoch=400))]
    cars, trees = ([(mask == label).any() for mask in masks] for label in (1, 2))
    assert all(car or tree for car, tree in zip(cars, trees, strict=True))
    assert 0.42 < np.mean(trees) < 0.58  # four pixels of one picture
    centred = [mask for mask in masks if (mask == 2).any()]
    assert all((mask[8:, 8:] == 2).any() for mask in centred)
    none = [mask for _, _, mask in drawn(patched(root, foreground=0.0, patches_per_epoch=400))]
    assert np.mean([(mask == 2).any() for mask in none]) < 0.25


def test_an_epoch_covers_the_train_part(root: Path) -> None:
    assert len(drawn(patched(root))) == 2 * 2 + 2 * 1 + 4 * 2 + 1
    assert len(drawn(patched(root, patches_per_epoch=5))) == 5
    assert PatchOptions((10, 10)).count([(11, 10), (5, 5)]) == 3


def test_pictures_are_scaled_first(root: Path) -> None:
    data = patched(root, scale=0.5)
    assert [data.prepared.images[k].shape for k in (0, 2)] == [(20, 30, 3), (45, 25, 3)]
    np.testing.assert_array_equal(data.prepared.original(2), truth(2))


def test_the_store_is_opened_again_and_holds_the_same(root: Path) -> None:
    first, again = patched(root), patched(root)
    assert again.prepared.folder is not None
    for k, size in enumerate(SIZES):
        np.testing.assert_array_equal(again.prepared.images[k], picture(k, *size))
        np.testing.assert_array_equal(again.prepared.masks[k], truth(k))
    for one, other in zip(drawn(first), drawn(again), strict=True):
        np.testing.assert_array_equal(one[1], other[1])


def test_padding_has_the_mean_and_is_ignored() -> None:
    image, mask = padded(np.full((2, 3, 1), 7, np.uint8), np.ones((2, 3), np.uint8), (4, 3), 9)
    assert image.shape == (4, 3, 1)
    assert (image == 7).all()
    assert mask.tolist() == [[1] * 3] * 2 + [[9] * 3] * 2
    same = np.zeros((5, 5, 1), np.uint8)
    assert padded(same, same[..., 0], (4, 4), 9)[0] is same


def test_ragged_arrays() -> None:
    arrays = [np.arange(6).reshape(2, 3), np.zeros((0, 3), int), np.arange(4).reshape(1, 4)]
    ragged = Ragged.of(arrays, "<i4")
    for one, other in zip(ragged, arrays, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (len(ragged), ragged.itemsize, ragged.nbytes) == (3, 4, 40)
    with pytest.raises(ValueError, match="10 values for shapes of 6"):
        Ragged(ragged.flat, [(2, 3)])


def test_val_and_test_are_whole_pictures(root: Path) -> None:
    data = patched(root)
    (batch,) = data.test_dataloader()
    assert isinstance(data.test_dataloader().dataset, WholeCases)
    assert batch["image"].shape == (1, 3, 33, 71)
    np.testing.assert_array_equal(batch["original"][0], truth(5))
    small = data.batch_of(3, torch.device("cpu"))
    assert small["image"].shape == (1, 3, 24, 32)  # padded to a window
    assert small["mask"].shape == (1, 20, 24)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch": 0}, "data.patch=0: expected one positive number"),
        ({"patch": [1, 2, 3]}, "data.patch="),
        ({"scale": 0}, "data.scale=0: expected more than 0"),
        ({"scale": 2}, "data.scale=2: expected"),
        ({"foreground": 1.5}, "data.foreground=1.5: expected a share"),
        ({"patches_per_epoch": 0}, "data.patches_per_epoch=0: expected null"),
        ({"patch": None, "scale": 0.5}, "of random patches; give data.patch=256"),
    ],
)
def test_slips_in_the_options(options: dict[str, Any], message: str, root: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        patched(root, **options)


@pytest.mark.parametrize(("scale", "large"), [("1.0", False), ("0.5", False), ("0.5", True)])
def test_predict_gives_the_masks_that_were_scored(
    scale: str,
    large: bool,
    segbench: Any,
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if large:  # as pictures of gigapixels are handled
        monkeypatch.setattr(arrays, "BLOCK", 100)
        monkeypatch.setattr(resizing, "MOST", 300)
        monkeypatch.setattr(opening, "LARGE", 100)
        monkeypatch.setattr(pictures, "LARGE", 100)
    words = ["data=folder", f"data.root={root}", "data.class_names=[background,car,tree]"]
    words += ["data.patch=[24,32]", f"data.scale={scale}", "name=n", "trainer.max_epochs=2"]
    words += ["model.base_channels=4", "model.depth=2", "data.split={train:3,val:1,test:2}"]
    assert segbench(*words, "trainer.precision=32-true", "loss=ce_dice") == 0
    cell = only_cell(tmp_path, "n")
    output = f"output={tmp_path}/masks"
    predict = ("predict", f"run={cell}", f"input={root}/images", output, "precision=32-true")
    assert segbench(*predict) == 0
    table = pd.read_csv(cell / "scores.csv", dtype={"id": str})
    for id_, rows in table.groupby("id"):
        mask = np.asarray(Image.open(tmp_path / "masks" / f"{id_}.png")).astype(np.int64)
        pair = (torch.from_numpy(each)[None] for each in (mask, truth(int(id_)).astype(np.int64)))
        counts = image_counts(*pair, num_classes=3)[0]
        np.testing.assert_array_equal(counts, rows[["tp", "fp", "fn"]])
    assert segbench(*predict, "size=32") == 2  # pictures are not resized
    assert segbench("check", *words[:4], "name=n") == 0
    assert segbench("evaluate", f"run={cell}") == 0
    again = next((cell.parent / "evaluations").glob("*/scores.csv"))
    pd.testing.assert_frame_equal(pd.read_csv(again, dtype={"id": str}), table)
    other = ("evaluate", f"run={cell}", "data=folder", f"data.root={root}", "part=all", "name=o")
    assert segbench(*other, words[2]) == 0
    whole = next((tmp_path / "outputs" / "o" / "evaluations").glob("*/scores.csv"))
    both = pd.read_csv(whole, dtype={"id": str}).merge(table, on=["id", "class"])
    assert len(both) == len(table)
    assert (both["tp_x"] == both["tp_y"]).all()


def test_places_of_a_class_are_its_pixels_each_once() -> None:
    mask = np.zeros((90, 80), np.uint8)
    mask[5:60, 10:50] = 1
    mask[70, 3] = 2
    ready = prepare(Decoded(picture(0, 90, 80), mask, ""), Form(3, None))
    of_1, of_2 = (ready.locations[ready.locations[:, 0] == k, 1:] for k in (1, 2))
    assert len(np.unique(of_1, axis=0)) == LOCATIONS
    assert (mask[of_1[:, 0], of_1[:, 1]] == 1).all()
    assert of_1[:, 0].min() < 10
    assert of_1[:, 0].max() > 55
    assert of_2.tolist() == [[70, 3]]


def test_members_with_other_patches_are_no_ensemble(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / "a", "data.patch=32"),
        make_run(tmp_path / "b", "data.patch=32", "data.scale=0.5"),
        make_run(tmp_path / "c", "data.size=32"),
    ]
    for other in runs[1:]:
        with pytest.raises(ConfigError, match="an ensemble's patches must be the same; a has 32 x"):
            load([str(runs[0]), str(other)])


def test_a_damaged_place_of_a_class_is_seen(root: Path, tmp_path: Path) -> None:
    first = patched(root, cache=str(tmp_path)).prepared
    assert first.folder is not None
    file = first.folder / "locations.bin"
    content = bytearray(file.read_bytes())
    content[5] ^= 1
    file.write_bytes(content)
    again = patched(root, cache=str(tmp_path)).prepared
    assert again.locations is not None
    for one, other in zip(first.locations or [], again.locations, strict=True):
        assert set(other[:, 0].tolist()) <= {1, 2, 255}
        assert one.shape == other.shape
    assert file.read_bytes() != bytes(content)  # prepared again
