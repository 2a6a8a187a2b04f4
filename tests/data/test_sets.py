"""The published data sets: on made-up copies of their layouts, and on the real samples."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_data import (
    COUNT,
    MAKERS,
    box,
    make_dsb2018,
    make_pets,
    make_ph2,
    module,
    picture,
    save,
    trimap,
)
from PIL import Image

from segbench.data.base import SegmentationDataModule
from segbench.data.decoding.pictures import decode_image, decode_mask
from segbench.data.store.normalisation import imagenet
from segbench.data.store.transforms import resize_image, resize_mask
from segbench.errors import ConfigError, DataError

SIZES = {"dsb2018": 664, "ph2": 200, "pets": 299}


@pytest.mark.parametrize("name", list(MAKERS))
def test_every_data_set_gives_batches_of_the_contract(name: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path)
    data = module(name, tmp_path, size=[12, 20])
    data.setup()
    assert len(data.cases) == COUNT
    batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    assert batch["image"].shape == (2, 3, 12, 20)
    assert batch["image"].dtype == torch.float32
    assert batch["image"].is_contiguous(memory_format=torch.channels_last)
    assert (batch["mask"].shape, batch["mask"].dtype) == ((2, 12, 20), torch.int64)
    assert set(batch["mask"].unique().tolist()) <= {*range(data.num_classes)}
    tested = next(iter(data.test_dataloader()))
    case = data.cases[int(tested["index"][0])]
    original = data.read(case).mask
    assert tested["original"][0].shape == original.shape != (12, 20)
    np.testing.assert_array_equal(tested["original"][0], original)
    data.scored_part = "val"
    assert int(next(iter(data.test_dataloader()))["index"][0]) == data.parts["val"][0]


@pytest.mark.parametrize("name", list(MAKERS))
def test_a_case_is_shown_as_it_is_read(name: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path)
    data = module(name, tmp_path)
    data.setup()
    for place in (0, len(data.cases) - 1):
        image, mask = data.show(place)
        read = data.read(data.cases[place])
        assert np.array_equal(image, read.image)
        assert np.array_equal(mask, read.mask)


def test_the_nuclei_of_an_image_are_merged(tmp_path: Path) -> None:
    make_dsb2018(tmp_path)
    data = module("dsb2018", tmp_path)
    case = sorted(data.find_cases(), key=lambda case: case.id)[2]
    expected = box(20, 22) | box(21, 22) | box(22, 22)
    np.testing.assert_array_equal(data.read(case).mask, expected)
    image = data.read(case).image
    np.testing.assert_array_equal(image, picture(2, 22, channels=4)[:, :, :3])


def test_lesion_masks_of_one_bit(tmp_path: Path) -> None:
    make_ph2(tmp_path)
    data = module("ph2", tmp_path)
    case = sorted(data.find_cases(), key=lambda case: case.id)[3]
    with Image.open(case.masks[0]) as stored:
        assert stored.mode == "1"
    np.testing.assert_array_equal(data.read(case).mask, box(3, 23))
    assert case.id == "IMD003"


@pytest.mark.parametrize("inside", ["", "ph2", "ph2/PH2Dataset"])
def test_the_root_may_be_any_folder_on_the_way(tmp_path: Path, inside: str) -> None:
    make_ph2(tmp_path)
    assert len(module("ph2", tmp_path / inside).find_cases()) == COUNT


@pytest.mark.parametrize(
    ("border", "labels"),
    [("class", [1, 0, 2]), ("pet", [1, 0, 1]), ("background", [1, 0, 0]), ("ignore", [1, 0, 255])],
)
def test_the_border_of_a_trimap_is_what_it_is_said_to_be(
    border: str, labels: list[int], tmp_path: Path
) -> None:
    make_pets(tmp_path)
    names = ["background", "pet", "border"][: 3 if border == "class" else 2]
    data = module("pets", tmp_path, class_names=names, border=border)
    data.setup()
    np.testing.assert_array_equal(
        data.prepared.original(1), np.array([0, *labels], np.uint8)[trimap(1)]
    )


def test_border_and_classes_must_agree(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="data.border=pet makes 2 classes"):
        module("pets", tmp_path, border="pet")
    with pytest.raises(ConfigError, match="data.border=thick: expected class, pet, background"):
        module("pets", tmp_path, border="thick")


def test_official_parts_of_the_pets(tmp_path: Path) -> None:
    make_pets(tmp_path, lists=True, count=12)
    save(tmp_path / "oxford-iiit-pet" / "images" / "unlisted_1.jpg", picture(0))
    data = module("pets", tmp_path, split="official")
    data.setup()
    ids = {name: [data.cases[i].id for i in part] for name, part in data.parts.items()}
    assert ids["test"] == ["beagle_4", "beagle_5"]
    assert [len(ids[name]) for name in ("train", "val")] == [9, 1]
    assert len(data.cases) == 12
    listed = {"train": 3, "val": 1, "test": "annotations/test.txt"}
    other = module("pets", tmp_path, split=listed)
    other.setup()
    assert other.parts["test"] == data.parts["test"]
    (tmp_path / "oxford-iiit-pet" / "annotations" / "test.txt").unlink()
    (tmp_path / "oxford-iiit-pet" / "images" / "unlisted_1.jpg").unlink()
    with pytest.raises(DataError, match=r"test\.txt: missing, so data\.split=official"):
        module("pets", tmp_path, split="official").setup()


def test_the_two_odd_pictures_just_work(tmp_path: Path) -> None:
    """A GIF and an RGBA PNG lie among the pets as .jpg."""
    make_pets(tmp_path)
    images = tmp_path / "oxford-iiit-pet" / "images"
    colours = picture(0) & 0xC0
    palette = Image.fromarray(colours).quantize(64)
    palette.save(images / "Abyssinian_0.jpg", format="GIF", transparency=3)
    save(images / "Abyssinian_1.jpg", picture(1, channels=4), format="PNG")
    save(
        tmp_path / "oxford-iiit-pet/annotations/trimaps/Abyssinian_0.png",
        np.full((20, 24), 2, "u1"),
    )
    data = module("pets", tmp_path)
    data.setup()
    first = data.read(data.cases[0])
    assert np.abs(first.image.astype(int) - colours).mean() < 40
    np.testing.assert_array_equal(data.read(data.cases[1]).image, picture(1, channels=4)[:, :, :3])
    assert data.prepared.labels[0] == [0]


@pytest.mark.parametrize("channels", [1, 4])
def test_other_numbers_of_channels(channels: int, tmp_path: Path) -> None:
    make_dsb2018(tmp_path)
    data = module("dsb2018", tmp_path, in_channels=channels)
    data.setup()
    assert next(iter(data.train_dataloader()))["image"].shape[1] == channels


@pytest.mark.parametrize("stratify", ["classes", "size", "name"])
def test_strata(stratify: str, tmp_path: Path) -> None:
    make_pets(tmp_path)
    data = module("pets", tmp_path, stratify=stratify, split={"train": 2, "val": 2, "test": 2})
    data.setup()
    if stratify == "name":
        for part in data.parts.values():
            assert sorted(data.cases[i].id.partition("_")[0] for i in part) == [
                "Abyssinian",
                "beagle",
            ]
    assert data.split_record()["stratify"] == stratify
    with pytest.raises(ConfigError, match="data.stratify=mood: expected null, classes, size, name"):
        module("pets", tmp_path, stratify="mood")


def test_folds_test_every_case_once(tmp_path: Path) -> None:
    make_ph2(tmp_path)
    tested = []
    for fold in range(3):
        data = module("ph2", tmp_path, folds=3, fold=fold)
        data.setup()
        tested += data.parts["test"]
        assert (data.split_record()["folds"], data.split_record()["fold"]) == (3, fold)
    assert sorted(tested) == list(range(COUNT))


def test_a_cells_own_split_can_be_asked_for_again(tmp_path: Path) -> None:
    from segbench.records.record import write_json

    make_ph2(tmp_path)
    first = module("ph2", tmp_path, split_seed=5)
    first.setup()
    write_json(tmp_path / "split.json", first.split_record())
    again = module("ph2", tmp_path, split=str(tmp_path / "split.json"))
    again.setup()
    assert again.parts == first.parts
    with pytest.raises(ConfigError, match="data.split=sometimes: no such file"):
        module("ph2", tmp_path, split="sometimes").setup()
    with pytest.raises(ConfigError, match="data.split.test=no.txt: no such file"):
        module("ph2", tmp_path, split={"train": 4, "val": 1, "test": "no.txt"}).setup()


def test_the_split_is_told_before_the_long_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_ph2(tmp_path)
    data = module("ph2", tmp_path, split={"train": 4, "val": 1, "test": 2})
    monkeypatch.setattr(type(data), "read", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ValueError, match="no more than there are"):
        data.setup()


def test_pixel_counts_are_of_the_training_part(tmp_path: Path) -> None:
    make_pets(tmp_path)
    names = ["background", "pet"]
    data = module("pets", tmp_path, class_names=names, border="ignore")
    masks = np.stack([data.prepared.masks[i] for i in data.train_dataloader().dataset.indices])
    assert data.pixel_counts().tolist() == [int((masks == k).sum()) for k in range(2)]
    assert data.pixel_counts().dtype == torch.int64
    assert (masks == 255).any()


def test_the_record_names_every_files_hash(tmp_path: Path) -> None:
    import hashlib

    make_ph2(tmp_path)
    data = module("ph2", tmp_path)
    data.setup()
    case = data.cases[data.parts["test"][0]]
    content = b"".join(Path(file).read_bytes() for file in case.files)
    expected = [{"id": case.id, "sha256": hashlib.sha256(content).hexdigest()}]
    assert data.split_record()["parts"]["test"] == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 3}, "data.num_classes=3 but data.class_names"),
        ({"ignore_index": 1}, "data.ignore_index=1: expected 2 to 255"),
        ({"ignore_index": 256}, "data.ignore_index=256"),
        ({"in_channels": 0}, "data.in_channels=0"),
        ({"in_channels": 513}, "data.in_channels=513"),
        ({"normalize": "min"}, "data.normalize=min: expected null, imagenet"),
        ({"in_channels": 5, "normalize": "imagenet"}, "data.normalize=imagenet: for 1, 3 or 4"),
        ({"show": [1, 2]}, r"data.show=\[1, 2\]: expected the numbers of three"),
        ({"show": [0]}, r"data.show=\[0\]"),
        ({"batch_size": 0}, "data.batch_size=0"),
        ({"num_workers": -1}, "data.num_workers=-1"),
        ({"size": [1, 2, 3]}, r"data.size=\[1, 2, 3\]: expected"),
        ({"size": 0}, "data.size=0: expected"),
    ],
)
def test_slips_in_the_options(options: dict[str, Any], message: str) -> None:
    settings = {"num_classes": 2, "size": 8, "batch_size": 1, "split": {}, **options}
    with pytest.raises((ConfigError, ValueError), match=message):
        SegmentationDataModule(class_names=["a", "b"], **settings)


def test_labels_are_resized_without_inventing_any() -> None:
    mask = np.random.default_rng(0).choice(np.array([0, 7, 255], np.uint8), (37, 53))
    for size in ((11, 19), (80, 90)):
        small = resize_mask(mask, size)
        assert small.shape == size
        assert set(np.unique(small)) <= {0, 7, 255}
    np.testing.assert_array_equal(resize_mask(mask, (37, 53)), mask)
    doubled = resize_mask(mask, (74, 106))
    np.testing.assert_array_equal(doubled[::2, ::2], mask)
    np.testing.assert_array_equal(doubled[1::2, 1::2], mask)


def test_images_are_averaged_down_and_keep_their_channels() -> None:
    image = picture(0, 40, 60)
    halved = resize_image(image, (20, 30))
    means = image.reshape(20, 2, 30, 2, 3).mean((1, 3))
    assert np.abs(halved - means).max() <= 0.5
    assert resize_image(image[:, :, :1], (7, 9)).shape == (7, 9, 1)


def test_normalised_images_have_imagenets_statistics() -> None:
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    image = picture(0)
    found = imagenet(3)(torch.from_numpy(image).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    np.testing.assert_allclose(found, (image / 255 - mean) / deviation, atol=1e-5)
    for channels in (1, 4):
        shape = (1, channels, 2, 2)
        assert imagenet(channels)(torch.zeros(shape, dtype=torch.uint8)).shape == shape


def encoded(array: np.ndarray, kind: str, **options: Any) -> bytes:
    import io

    out = io.BytesIO()
    Image.fromarray(array.squeeze()).save(out, kind, **options)
    return out.getvalue()


def test_pictures_of_16_bits() -> None:
    deep = np.array([[0, 1000, 4095, 65535]] * 2, np.uint16)
    for kind in ("PNG", "TIFF"):
        content = encoded(deep, kind)
        found = decode_image(content, Path("deep"), 1)
        np.testing.assert_array_equal(found[0, :, 0], [0, 4, 16, 255])
        bright = decode_image(content, Path("deep"), 3, white=4095)
        np.testing.assert_array_equal(bright[0], np.array([[0], [62], [255], [255]]).repeat(3, 1))
        np.testing.assert_array_equal(decode_mask(content, Path("deep")), deep)


def test_pictures_that_cannot_be_used_are_named() -> None:
    image = picture(0)
    stack, other = Image.fromarray(image), Image.fromarray(255 - image)
    import io

    out = io.BytesIO()
    stack.save(out, "TIFF", save_all=True, append_images=[other])
    with pytest.raises(DataError, match=r"s\.tif: .*a stack of 2 pictures"):
        decode_image(out.getvalue(), Path("s.tif"), 3)
    with pytest.raises(DataError, match=r"f\.tif: floating-point"):
        decode_image(encoded(np.ones((2, 2), np.float32), "TIFF"), Path("f.tif"), 3)
    for content in (b"", b"no picture", encoded(image, "PNG")[:200], encoded(image, "BMP")[:90]):
        with pytest.raises(DataError, match=r"p\.png: cannot be read as a picture"):
            decode_image(content, Path("p.png"), 3)


def test_photographs_are_turned_as_they_were_held() -> None:
    image = np.repeat(np.repeat(picture(0, 3, 4), 16, 0), 16, 1)
    exif = Image.Exif()
    exif[0x0112] = 6  # held upright: to be turned clockwise
    content = encoded(np.rot90(image), "JPEG", exif=exif, quality=100, subsampling=0)
    turned = decode_image(content, Path("p.jpg"), 3, upright=True)
    assert np.abs(turned.astype(int) - image).mean() < 3
    assert decode_image(content, Path("p.jpg"), 3).shape == (64, 48, 3)


@pytest.mark.parametrize("name", list(SIZES))
def test_the_real_samples_are_found_whole(name: str, real_samples: Path) -> None:
    data = module(name, real_samples)
    cases = data.find_cases()
    assert len(cases) == SIZES[name]
    for case in cases[:: len(cases) // 5]:
        decoded = data._read_checked(case)
        assert decoded.image.shape == (*decoded.mask.shape, 3)


def test_the_odd_pictures_of_the_real_sample(real_samples: Path) -> None:
    data = module("pets", real_samples)
    cases = {case.id: case for case in data.find_cases()}
    gif, png = (data._read_checked(cases[name]) for name in ("Abyssinian_34", "Abyssinian_5"))
    assert set(np.unique(gif.mask)) == {0}
    assert gif.image.std() > 10
    assert set(np.unique(png.mask)) == {0, 1, 2}
