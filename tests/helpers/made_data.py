"""Small data sets in the published layouts, made up for the tests."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segbench.data.dsb2018 import DSB2018DataModule
from segbench.data.folder import FolderDataModule
from segbench.data.pets import PetsDataModule
from segbench.data.ph2 import PH2DataModule

COUNT = 6
SPLIT = {"train": 4, "val": 1, "test": 1}
CHECKOUT = Path(__file__).parents[2]


def picture(seed: int, height: int = 20, width: int = 24, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def box(seed: int, height: int = 20, width: int = 24) -> np.ndarray:
    """1 in a rectangle somewhere, else 0."""
    y, x = np.random.default_rng(seed).integers(0, 8, 2)
    mask = np.zeros((height, width), np.uint8)
    mask[y : y + 9, x : x + 11] = 1
    return mask


def save(file: Path, array: np.ndarray, **options: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array.squeeze()).save(file, **options)
    return file


def make_dsb2018(root: Path) -> None:
    for k in range(COUNT):
        folder = root / "dsb2018" / "stage1_train" / f"{k:064x}"
        save(folder / "images" / f"{folder.name}.png", picture(k, 20 + k, channels=4))
        for part in range(3):
            save(folder / "masks" / f"{part}.png", 255 * box(10 * k + part, 20 + k))


def make_ph2(root: Path) -> None:
    for k in range(COUNT):
        folder = root / "ph2" / "PH2Dataset" / "PH2 Dataset images" / f"IMD{k:03d}"
        save(folder / f"{folder.name}_Dermoscopic_Image" / f"{folder.name}.bmp", picture(k, 20 + k))
        save(folder / f"{folder.name}_lesion" / f"{folder.name}_lesion.bmp", box(k, 20 + k) > 0)


def trimap(seed: int) -> np.ndarray:
    """2 outside, 3 at the edge, 1 inside."""
    inside = box(seed)
    values = np.full(inside.shape, 2, np.uint8)
    values[inside == 1] = 3
    values[:, 1:-1][(inside[:, 2:] & inside[:, 1:-1] & inside[:, :-2]) == 1] = 1
    return values


def make_pets(root: Path, lists: bool = False, count: int = COUNT) -> None:
    root = root / "oxford-iiit-pet"
    names = [f"{breed}_{k}" for breed in ("Abyssinian", "beagle") for k in range(count // 2)]
    for k, name in enumerate(names):
        save(root / "images" / f"{name}.jpg", picture(k))
        save(root / "annotations" / "trimaps" / f"{name}.png", trimap(k))
        (root / "annotations" / "trimaps" / f"._{name}.png").write_bytes(b"macOS leaves these")
    if lists:
        for file, chosen in (("trainval.txt", names[:-2]), ("test.txt", names[-2:])):
            lines = "".join(f"{name} 1 1 1\n" for name in chosen)
            (root / "annotations" / file).write_text(lines)


def make_folder(root: Path, names: str = "abcdef", suffix: str = ".png") -> None:
    for k, name in enumerate(names):
        save(root / "images" / f"{name}{suffix}", picture(k))
        save(root / "masks" / f"{name}.png", box(k) + box(k + 50))  # labels 0, 1, 2


NAMES = {
    "dsb2018": ["background", "nucleus"],
    "ph2": ["background", "lesion"],
    "pets": ["background", "pet", "border"],
    "folder": ["background", "road", "car"],
}
CLASSES = {
    "dsb2018": DSB2018DataModule,
    "ph2": PH2DataModule,
    "pets": PetsDataModule,
    "folder": FolderDataModule,
}
MAKERS = {"dsb2018": make_dsb2018, "ph2": make_ph2, "pets": make_pets, "folder": make_folder}


def module(name: str, root: Path, **options: Any) -> Any:
    """The data module of a data set with small settings."""
    names = options.pop("class_names", NAMES[name])
    settings = {"size": 16, "batch_size": 2, "split": SPLIT, **options}
    return CLASSES[name](class_names=names, num_classes=len(names), root=str(root), **settings)
