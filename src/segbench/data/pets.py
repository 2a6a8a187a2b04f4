"""Oxford-IIIT Pet: cats and dogs of 37 breeds with trimaps (pet, background, border).

Parkhi et al., CVPR 2012. Layout, as published and as torchvision's ``OxfordIIITPet`` has it:
``oxford-iiit-pet/images/<id>.jpg``, ``annotations/trimaps/<id>.png``, and the official parts in
``annotations/trainval.txt`` and ``test.txt``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from segbench.data.base import SegmentationDataModule
from segbench.data.decoding.files import list_names
from segbench.data.download import Archive, fetch
from segbench.data.splits import Part, read_part
from segbench.data.store.prepared import Case
from segbench.data.store.transforms import Array
from segbench.errors import ConfigError, DataError

Border = Literal["class", "pet", "background", "ignore"]
_PET, _BACKGROUND, _BORDER = 1, 2, 3
_LISTS = ("annotations/trainval.txt", "annotations/test.txt")
_ADDRESS = "https://www.robots.ox.ac.uk/~vgg/data/pets/data"
# Checksums as torchvision has them; the two unpack to images/ and annotations/.
ARCHIVES = (
    Archive(f"{_ADDRESS}/images.tar.gz", "5c4f3ee8e5d25df40f4fd59a7f44e54c"),
    Archive(f"{_ADDRESS}/annotations.tar.gz", "95a8c909bbe2e81eed6a22bccdf3f68f"),
)


class PetsDataModule(SegmentationDataModule):
    """Pets and background; the border between them is a class, one of the two, or ignored.

    Args:
        border: how pixels of the border are labelled: ``class`` (a third class), ``pet``,
            ``background``, or ``ignore`` (left out of losses and scores).
        download: whether to download missing data from the publisher, about 800 MB.
        options: those of `SegmentationDataModule`. ``split="official"`` tests on the published
            test part, and takes a tenth of the published trainval part for val.

    Raises:
        ConfigError: ``border`` is unknown, or does not fit the number of classes.
    """

    folder_name: ClassVar[str] = "oxford-iiit-pet"
    source: ClassVar[str] = (
        "data.download=true fetches it; by hand: get images.tar.gz and annotations.tar.gz from "
        "https://www.robots.ox.ac.uk/~vgg/data/pets/ and unpack both in data/oxford-iiit-pet"
    )

    def __init__(self, *, border: Border = "class", download: bool = False, **options: Any) -> None:
        super().__init__(**options)
        labels = {"class": 2, "pet": 1, "background": 0, "ignore": self.ignore_index}
        if border not in labels:
            raise ConfigError(f"data.border={border}: expected {', '.join(labels)}")
        if self.num_classes != (3 if border == "class" else 2):
            raise ConfigError(
                f"data.border={border} makes {3 if border == 'class' else 2} classes, but "
                f"data.class_names={self.class_names}; data=pets has three, data=pets_binary two"
            )
        self.border, self.download = border, download
        self._labels = np.zeros(256, np.uint8)
        self._labels[[_PET, _BACKGROUND, _BORDER]] = [1, 0, labels[border]]

    def look(self) -> str:
        """Download the data set first, if the option asks for it; see the base class."""
        inside = self.root / self.folder_name
        if self.download and not (self.root / "images").is_dir() and not inside.is_dir():
            fetch(ARCHIVES, inside)
        return super().look()

    def find_cases(self) -> list[Case]:
        """The cases in the official lists; without the lists, all pictures with a trimap."""
        root = self.find_root()
        images, masks = root / "images", root / "annotations" / "trimaps"
        for folder in (images, masks):
            if not folder.is_dir():
                raise DataError(f"{folder}: no such folder; {self.source}")
        found = {
            f"{images}/%s.jpg": _stems(images, ".jpg"),
            f"{masks}/%s.png": _stems(masks, ".png"),
        }
        named = _listed(root)
        ids = sorted(set.union(*found.values())) if named is None else named
        if not ids:
            raise DataError(f"{images}: holds no pictures (*.jpg); {self.source}")
        way_out = "remove its counterpart" if named is None else "remove the lists to use all pairs"
        cases = []
        for id_ in ids:
            missing = [file % id_ for file, there in found.items() if id_ not in there]
            for file in missing:
                self.on_fault(DataError(f"{file}: missing; restore it, or {way_out}"))
            if not missing:
                cases.append(Case(id_, (f"{images}/{id_}.jpg", f"{masks}/{id_}.png")))
        return cases

    def read_mask(self, content: bytes, file: Path) -> Array:
        """Class ids (H, W) of a trimap.

        Raises:
            DataError: the trimap has values other than 1, 2 and 3.
        """
        trimap = super().read_mask(content, file)
        foreign = sorted(set(np.unique(trimap).tolist()) - {_PET, _BACKGROUND, _BORDER})
        if foreign:
            raise DataError(
                f"{file}: values {foreign} in the trimap; expected 1 (pet), 2 (background) and "
                "3 (border); restore the file or remove its case"
            )
        return self._labels[trimap]

    def named_split(self, name: str) -> Mapping[str, Part]:
        """For ``official``: the published test part; trainval is split 9:1 into train and val."""
        if name != "official":
            return super().named_split(name)
        file = self.find_root() / _LISTS[1]
        if not file.is_file():
            raise DataError(
                f"{file}: missing, so data.split=official cannot be made; restore it from "
                "annotations.tar.gz, or leave data.split as it is"
            )
        return {"train": 0.9, "val": 0.1, "test": read_part(file)}


def _stems(folder: Path, suffix: str) -> set[str]:
    """Names without suffix, except macOS's hidden ``._`` files in the archives."""
    return {name[: -len(suffix)] for name in list_names(folder, suffix)}


def _listed(root: Path) -> list[str] | None:
    """The ids in the official lists; None unless both lists exist."""
    lists = [root / name for name in _LISTS]
    if not all(file.is_file() for file in lists):
        return None
    ids = [id_ for file in lists for id_ in read_part(file)]
    if len(set(ids)) < len(ids):
        twice = next(id_ for id_ in ids if ids.count(id_) > 1)
        raise DataError(
            f"{lists[1]}: {twice} is named twice in the two lists: a leak; name it once"
        )
    return ids
