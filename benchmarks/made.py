"""Data for the benchmarks: the real sets where they lie in data/, else generated ones as large."""

from pathlib import Path

import cv2
import numpy as np

from segbench.data.synthetic import SyntheticDataModule

DATA = Path(__file__).parents[1] / "data"
SETS = {"dsb2018": (664, 96, 16), "ph2": (200, 256, 10)}  # images, size, batch


def words(name: str, folder: Path, share: float = 1.0) -> list[str]:
    """A cell's words for a ``share`` of a data set: the real one, or one made in ``folder``."""
    count, size, batch = SETS[name]
    count = max(2 * batch, round(share * count))
    parts = {"train": int(0.7 * count), "val": int(0.15 * count)}
    split = ",".join(f"{part}:{n}" for part, n in {**parts, "test": int(0.15 * count)}.items())
    both = [f"data.size={size}", f"data.batch_size={batch}", f"data.split={{{split}}}"]
    if (DATA / name).is_dir():
        return [f"data={name}", f"data.root={DATA}", *both]
    made = make(folder / name, count, size)
    return ["data=folder", f"data.root={made}", "data.mask_values=[0,1]", *both]


def make(folder: Path, count: int, size: int) -> Path:
    """Generated cells as PNG files, images/ and masks/."""
    if not folder.is_dir():
        (folder / "images").mkdir(parents=True)
        (folder / "masks").mkdir()
        names = ["background", "cell"]
        options = {"class_names": names, "num_classes": 2, "size": size, "batch_size": 1}
        data = SyntheticDataModule(count=count, split={"train": 1.0}, **options)
        for place, case in enumerate(data.find_cases()):
            decoded = data.read(case)
            image = cv2.resize(decoded.image, (size, size))
            mask = cv2.resize(decoded.mask, (size, size), interpolation=cv2.INTER_NEAREST)
            cv2.imwrite(str(folder / "images" / f"{place}.png"), image)
            cv2.imwrite(str(folder / "masks" / f"{place}.png"), mask.astype(np.uint8))
    return folder
