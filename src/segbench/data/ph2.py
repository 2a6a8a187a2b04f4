"""PH2: 200 dermoscopic images of melanocytic lesions, of slightly different sizes.

Mendonça et al., EMBC 2013. Layout, as published: in ``PH2Dataset/PH2 Dataset images/IMDxxx`` the
image ``IMDxxx_Dermoscopic_Image/IMDxxx.bmp`` and its mask of one bit
``IMDxxx_lesion/IMDxxx_lesion.bmp``.
"""

import os
from typing import ClassVar

import numpy as np

from segbench.data.base import SegmentationDataModule
from segbench.data.decoding.files import scan
from segbench.data.store.prepared import Case
from segbench.data.store.transforms import Array
from segbench.errors import DataError

_FOLDER = "PH2 Dataset images"


class PH2DataModule(SegmentationDataModule):
    """Dermoscopic images with two classes, background (skin) and lesion."""

    folder_name: ClassVar[str] = "ph2"
    source: ClassVar[str] = (
        "get PH2Dataset.rar from the ADDI project (https://www.fc.up.pt/addi/ph2%20database.html) "
        f"and unpack it so that data/ph2/PH2Dataset/{_FOLDER}/IMD002 exists"
    )

    def find_cases(self) -> list[Case]:
        """A case for each folder ``IMDxxx``."""
        root = self.find_root()
        candidates = [root / "PH2Dataset" / _FOLDER, root / _FOLDER]
        folder = next((each for each in candidates if each.is_dir()), None)
        if folder is None:
            raise DataError(f"{candidates[0]}: no such folder; {self.source}")
        folders = [each for each in scan(folder) if each.name.startswith("IMD")]
        if not folders:
            raise DataError(f"{folder}: holds no folders IMDxxx; {self.source}")
        return [case for case in map(self._find_case, folders) if case]

    def _find_case(self, folder: os.DirEntry[str]) -> Case | None:
        name = folder.name
        image = f"{folder.path}/{name}_Dermoscopic_Image/{name}.bmp"
        mask = f"{folder.path}/{name}_lesion/{name}_lesion.bmp"
        for file in (image, mask):
            if not os.path.isfile(file):
                self.on_fault(DataError(f"{file}: missing; restore it or remove {folder.path}"))
                return None
        return Case(name, (image, mask))

    def merge_masks(self, case: Case, masks: list[Array]) -> Array:
        """Class ids (H, W): 1 where the lesion's mask is set, else 0."""
        lesion: Array = (masks[0] > 127).astype(np.uint8)
        return lesion
