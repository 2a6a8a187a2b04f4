"""Copies of each data set with one fault: refused before training, by file and with a way out."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from made_data import MAKERS, box, make_pets, module, picture, save

from segbench.errors import DataError

# The second case's image and mask.
IMAGES = {
    "dsb2018": f"dsb2018/stage1_train/{1:064x}/images/{1:064x}.png",
    "ph2": "ph2/PH2Dataset/PH2 Dataset images/IMD001/IMD001_Dermoscopic_Image/IMD001.bmp",
    "pets": "oxford-iiit-pet/images/Abyssinian_1.jpg",
    "folder": "images/b.png",
}
MASKS = {
    "dsb2018": f"dsb2018/stage1_train/{1:064x}/masks/2.png",
    "ph2": "ph2/PH2Dataset/PH2 Dataset images/IMD001/IMD001_lesion/IMD001_lesion.bmp",
    "pets": "oxford-iiit-pet/annotations/trimaps/Abyssinian_1.png",
    "folder": "masks/b.png",
}
Breaks = Callable[[Path], object]
GREY: Any = {"photometric": "minisblack", "planarconfig": "contig"}


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def not_a_picture(file: Path) -> None:
    file.write_text("<html>404 not found</html>")


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


ANY = r"cannot be read|missing|no mask"
FAULTS: list[tuple[str, str, Breaks, str]] = [
    *((name, IMAGES[name], truncated, "cannot be read as a picture") for name in IMAGES),
    *((name, MASKS[name], truncated, "cannot be read as a picture") for name in MASKS),
    *((name, IMAGES[name], empty, "cannot be read as a picture") for name in IMAGES),
    *((name, IMAGES[name], not_a_picture, "unknown or damaged format") for name in IMAGES),
    *((name, MASKS[name], not_a_picture, "unknown or damaged format") for name in MASKS),
    *((name, IMAGES[name], Path.unlink, "restore it") for name in IMAGES),
    *(
        (name, MASKS[name], Path.unlink, "restore it|named as")
        for name in ("ph2", "pets", "folder")
    ),
    *((name, IMAGES[name], a_folder, ANY) for name in ("dsb2018", "ph2", "pets")),
]


def refused(name: str, root: Path, file: str, message: str, **options: Any) -> None:
    """Refused before training, in a message that names the file and says what is wrong."""
    with pytest.raises(DataError, match=message) as caught:
        module(name, root, **options).setup()
    text = str(caught.value)
    assert Path(file).stem in text, text
    way_out = (
        r"restore|remove|replace|repair|correct|change|export|expected|must have|complete|named as"
        r"|name it|data\."
    )
    assert caught.match(way_out)
    assert "\n" not in text


@pytest.mark.parametrize(("name", "file", "breaks", "message"), FAULTS)
def test_broken_files(name: str, file: str, breaks: Breaks, message: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path)
    breaks(tmp_path / file)
    refused(name, tmp_path, file, message)


@pytest.mark.parametrize("name", ["ph2", "pets", "folder"])
def test_a_mask_of_another_size(name: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path)
    values = {"ph2": box(0, 30, 31) > 0, "pets": box(0, 30, 31) + 1, "folder": box(0, 30, 31)}
    save(tmp_path / MASKS[name], values[name])
    refused(name, tmp_path, MASKS[name], r"\(31, 30\).*both must have one size")


def test_nuclei_of_another_size(tmp_path: Path) -> None:
    MAKERS["dsb2018"](tmp_path)
    save(tmp_path / MASKS["dsb2018"], box(0, 30, 31) * 255)
    refused("dsb2018", tmp_path, MASKS["dsb2018"], r"2\.png: the mask is \(31, 30\).*have one size")


def test_all_nuclei_of_another_size(tmp_path: Path) -> None:
    MAKERS["dsb2018"](tmp_path)
    for file in (tmp_path / MASKS["dsb2018"]).parent.iterdir():
        save(file, box(0, 30, 31) * 255)
    with pytest.raises(DataError, match=r"masks/0\.png: .*\(31, 30\).*both must have one size"):
        module("dsb2018", tmp_path).setup()


def test_a_case_without_any_nucleus_mask(tmp_path: Path) -> None:
    MAKERS["dsb2018"](tmp_path)
    shutil.rmtree((tmp_path / MASKS["dsb2018"]).parent)
    refused("dsb2018", tmp_path, IMAGES["dsb2018"], r"masks: no masks \(\*\.png\); restore them")


def test_values_that_are_no_trimap(tmp_path: Path) -> None:
    MAKERS["pets"](tmp_path)
    save(tmp_path / MASKS["pets"], box(1) * 255)
    refused("pets", tmp_path, MASKS["pets"], r"values \[0, 255\] in the trimap")


def test_labels_outside_the_classes(tmp_path: Path) -> None:
    MAKERS["folder"](tmp_path)
    save(tmp_path / MASKS["folder"], box(1) * 7)
    refused("folder", tmp_path, MASKS["folder"], r"labels \[7\] in the mask; expected 0 to 2")
    save(tmp_path / MASKS["folder"], box(1).astype(np.uint16) * 300)
    refused("folder", tmp_path, MASKS["folder"], r"labels \[300\] in the mask")


def test_values_that_stand_for_no_class(tmp_path: Path) -> None:
    MAKERS["folder"](tmp_path)
    save(tmp_path / MASKS["folder"], box(1) * 9)
    options = {"mask_values": [0, 1, 2]}
    refused("folder", tmp_path, MASKS["folder"], r"\[9\] in the mask.*mask_values", **options)


def test_masks_of_one_class_and_of_two_sizes(tmp_path: Path) -> None:
    MAKERS["folder"](tmp_path)
    for name in "abcdef":
        (tmp_path / "masks" / f"{name}.png").unlink()
        for label in ("road", "car"):
            save(tmp_path / "masks" / label / f"{name}.png", box(1))
    save(tmp_path / "masks" / "car" / "b.png", box(1, 30, 31))
    refused("folder", tmp_path, "car/b.png", r"\(31, 30\).*must have the image's size")
    save(tmp_path / "masks" / "bus" / "a.png", box(1))
    refused("folder", tmp_path, "masks/bus", "no class of this name in data.class_names")


def test_a_mask_without_an_image(tmp_path: Path) -> None:
    for name, file in (("pets", "images/beagle_0.jpg"), ("folder", "images/b.png")):
        MAKERS[name](tmp_path / name)
        root = "oxford-iiit-pet/" if name == "pets" else ""
        (tmp_path / name / root / file).unlink()
        refused(name, tmp_path / name, file, "restore it")


def test_two_images_of_one_name(tmp_path: Path) -> None:
    MAKERS["folder"](tmp_path)
    save(tmp_path / "images" / "b.jpg", picture(0))
    refused("folder", tmp_path, "b.jpg", "has its name; remove one")


def test_lists_that_name_what_is_not_there_or_one_twice(tmp_path: Path) -> None:
    make_pets(tmp_path, lists=True)
    lists = tmp_path / "oxford-iiit-pet" / "annotations"
    with (lists / "test.txt").open("a") as file:
        file.write("beagle_99 1 1 1\n")
    refused(
        "pets", tmp_path, "beagle_99", r"beagle_99\.jpg: missing; restore it, or remove the list"
    )
    (lists / "test.txt").write_text("Abyssinian_0 1 1 1\n")
    refused("pets", tmp_path, "test.txt", "Abyssinian_0 is named twice in the two lists: a leak")
    (lists / "test.txt").write_text("# nobody\n")
    refused("pets", tmp_path, "test.txt", "names no cases")


@pytest.mark.parametrize("name", list(MAKERS))
def test_nothing_there_at_all(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"data\.root=.*nowhere: no such folder; (get|data|expected)"
    ):
        module(name, tmp_path / "nowhere").setup()
    with pytest.raises(DataError, match="no such folder; (get|data|expected)"):
        module(name, tmp_path).setup()


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("dsb2018", "dsb2018/stage1_train"),
        ("ph2", "ph2/PH2Dataset/PH2 Dataset images"),
        ("folder", "images"),
        ("pets", "oxford-iiit-pet/images"),
    ],
)
def test_empty_folders(name: str, folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "masks").mkdir(exist_ok=True)
    (tmp_path / "oxford-iiit-pet" / "annotations" / "trimaps").mkdir(parents=True, exist_ok=True)
    with pytest.raises(DataError, match=f"{Path(folder).name}: holds no "):
        module(name, tmp_path).setup()


@pytest.mark.parametrize("name", list(MAKERS))
def test_masks_without_any_foreground(name: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path)
    blank = {"pets": np.full((20, 24), 2, np.uint8)}
    for file in tmp_path.rglob("*"):
        in_masks = {"masks", "trimaps"} & set(file.parts) or "_lesion" in file.stem
        if in_masks and file.is_file() and not file.name.startswith("."):
            from PIL import Image

            with Image.open(file) as old:
                size = old.size[::-1]
            save(file, blank.get(name, np.zeros(size, np.uint8)))
    with pytest.raises(DataError, match="no mask shows .*, only 0"):
        module(name, tmp_path).setup()


def test_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    MAKERS["folder"](tmp_path)
    (tmp_path / "images" / "b.png").unlink()
    (tmp_path / "images" / "b.png").symlink_to(tmp_path / "gone.png")
    refused("folder", tmp_path, "b.png", "No such file or directory; restore the file")


def test_every_fault_is_collected_for_a_check(tmp_path: Path) -> None:
    MAKERS["ph2"](tmp_path)
    (tmp_path / IMAGES["ph2"]).unlink()
    (tmp_path / MASKS["ph2"].replace("001", "004")).unlink()
    data = module("ph2", tmp_path)
    data.faults = faults = []
    assert sorted(case.id for case in data.find_cases()) == ["IMD000", "IMD002", "IMD003", "IMD005"]
    assert len(faults) == 2


def test_the_command_line_says_it_in_one_line(
    segbench: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    MAKERS["ph2"](tmp_path)
    truncated(tmp_path / IMAGES["ph2"])
    words = ["data.split={train:4,val:1,test:1}", "data.size=16", "model.base_channels=4"]
    assert segbench("data=ph2", f"data.root={tmp_path}", *words) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert "IMD001.bmp: cannot be read as a picture" in error
    assert len(error.splitlines()) == 1


def of_bands(values: np.ndarray) -> Callable[[Path], object]:
    """Writes values as a TIFF in place of a file."""
    return lambda file: tifffile.imwrite(
        file, values, photometric="minisblack", planarconfig="contig"
    )


def not_finite() -> np.ndarray:
    values = np.ones((20, 24, 5), np.float32)
    values[3, 4, 1] = np.nan
    return values


def as_npy(values: np.ndarray, **options: Any) -> Callable[[Path], object]:
    """Writes values as a NumPy file in place of a TIFF."""

    def write(file: Path) -> None:
        file.unlink()
        np.save(file.with_suffix(".npy"), values, **options)

    return write


OF_BANDS: list[tuple[Breaks, str]] = [
    (truncated, "cannot be read"),
    (empty, "cannot be read as a picture"),
    (not_a_picture, "unknown or damaged format"),
    (of_bands(np.ones((20, 24, 4), np.uint16)), "4 channels, where data.in_channels=5 expects 5"),
    (of_bands(not_finite()), "1 values are not finite"),
    (of_bands(np.ones((20, 25, 5), np.uint16)), "both must have one size"),
    (of_bands(np.ones((20, 24, 5), np.complex64)), "complex64; expected whole numbers or floats"),
    (as_npy(np.ones(7)), r"an array of shape \(7,\); expected height, width, channels"),
    (as_npy(np.full((20, 24, 5), None), allow_pickle=True), "cannot be read"),
    (as_npy(np.ones((20, 24, 9))), "9 channels, where data.in_channels=5 expects 5"),
]


@pytest.mark.parametrize(("breaks", "message"), OF_BANDS)
def test_broken_files_of_many_bands(breaks: Breaks, message: str, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in "abcdef":
        bands = np.random.default_rng(ord(name)).integers(0, 999, (20, 24, 5), np.uint16)
        tifffile.imwrite(
            tmp_path / "images" / f"{name}.tif",
            bands,
            photometric="minisblack",
            planarconfig="contig",
        )
        save(tmp_path / "masks" / f"{name}.png", box(1))
    file = "images/b.tif"
    breaks(tmp_path / file)
    refused("folder", tmp_path, file, message, in_channels=5)


def another_size(file: Path) -> None:
    save(file, picture(0, 20, 25)[:, :, 0])


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        (Path.unlink, r"b_0001\.png"),
        (truncated, "cannot be read"),
        (another_size, "the channels of an image have one size"),
    ],
)
def test_broken_files_of_one_channel(breaks: Breaks, message: str, tmp_path: Path) -> None:
    for name in "abcdef":
        for channel in range(2):
            file = tmp_path / "images" / f"{name}_000{channel}.png"
            save(file, picture(ord(name) + channel)[:, :, 0])
        save(tmp_path / "masks" / f"{name}.png", box(1))
    breaks(tmp_path / "images" / "b_0001.png")
    patterns = {"images": ["images/*_0000.png", "images/*_0001.png"], "masks": "masks/*.png"}
    refused("folder", tmp_path, "images/b", message, in_channels=2, **patterns)


def test_masks_that_were_compressed_with_loss(tmp_path: Path) -> None:
    MAKERS["folder"](tmp_path)
    (tmp_path / MASKS["folder"]).unlink()
    save(tmp_path / "masks" / "b.jpg", box(1))
    refused("folder", tmp_path, "b.jpg", "saved as JPEG with loss.*export it as PNG")


def test_masks_without_the_alpha_that_is_asked_for(tmp_path: Path) -> None:
    MAKERS["folder"](tmp_path)
    names = {"class_names": ["background", "car"], "mask_channel": "alpha"}
    with pytest.raises(DataError, match=r"a\.png: no alpha channel.*correct the file"):
        module("folder", tmp_path, **names).setup()
