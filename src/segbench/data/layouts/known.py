"""Recognises the published layouts of the data sets that segbench reads by name."""

from pathlib import Path

# For each `data` option a folder that only this data set has, in the folder that the user names.
# A name alone that is common, as trainannot is, counts in the data set's own folder.
_PLACES = {
    "dsb2018": ("stage1_train", "dsb2018/stage1_train"),
    "ph2": ("PH2 Dataset images", "PH2Dataset/PH2 Dataset images", "ph2/PH2Dataset"),
    "pets": ("annotations/trimaps", "oxford-iiit-pet/annotations/trimaps"),
    "camvid": ("CamVid/trainannot",),
}


def find_known(root: Path) -> str | None:
    """The ``data`` option that reads the data set in a folder; None for any other folder.

    Args:
        root: the data set's folder, or its parent folder.
    """
    full = root.resolve()
    found = (data for data, places in _PLACES.items() if any(_has(full, each) for each in places))
    return next(found, None)


def _has(folder: Path, place: str) -> bool:
    is_own = place.startswith(f"{folder.name}/") and (folder.parent / place).is_dir()
    return is_own or (folder / place).is_dir()
