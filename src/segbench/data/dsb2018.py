"""2018 Data Science Bowl, stage 1 (BBBC038): nuclei in microscopy images of nine sizes.

Caicedo et al., Nature Methods 16 (2019). Layout, as published:
``stage1_train/<id>/images/<id>.png`` and ``stage1_train/<id>/masks/*.png``, one per nucleus.
"""

import os
from typing import ClassVar

import numpy as np

from segbench.data.base import SegmentationDataModule
from segbench.data.decoding.files import is_folder, list_names, scan
from segbench.data.store.prepared import MOST_INSTANCES, Case, Instances
from segbench.data.store.transforms import Array
from segbench.errors import DataError


class DSB2018DataModule(SegmentationDataModule):
    """Nuclei and background; the masks of an image are merged, and their nuclei told apart."""

    folder_name: ClassVar[str] = "dsb2018"
    has_instances = True
    source: ClassVar[str] = (
        "get stage1_train.zip (BBBC038v1, Broad Bioimage Benchmark Collection) and unpack it so "
        "that data/dsb2018/stage1_train/<id>/images/<id>.png exists"
    )

    def find_cases(self) -> list[Case]:
        """One case for each folder in ``stage1_train``."""
        stage = self.find_root() / "stage1_train"
        if not stage.is_dir():
            raise DataError(f"{stage}: no such folder; {self.source}")
        folders = [entry for entry in scan(stage) if is_folder(entry)]
        if not folders:
            raise DataError(f"{stage}: holds no cases; {self.source}")
        return [case for case in map(self._find_case, folders) if case]

    def _find_case(self, folder: os.DirEntry[str]) -> Case | None:
        image, masks = f"{folder.path}/images/{folder.name}.png", f"{folder.path}/masks"
        names = list_names(masks, ".png") if os.path.isdir(masks) else []
        if not os.path.isfile(image):
            fault = f"{image}: missing; restore it or remove {folder.path}"
        elif not names:
            fault = f"{masks}: no masks (*.png); restore them or remove {folder.path}"
        else:
            return Case(folder.name, (image, *(f"{masks}/{name}" for name in names)))
        self.on_fault(DataError(fault))
        return None

    def merge_masks(self, case: Case, masks: list[Array]) -> Array:
        """Class ids (H, W): 1 where any mask of a nucleus is set, else 0."""
        for file, mask in zip(case.masks, masks, strict=True):
            if mask.shape != masks[0].shape:
                raise DataError(
                    f"{file}: the mask is {mask.shape[::-1]} (width, height), {case.masks[0].name} "
                    f"beside it {masks[0].shape[::-1]}; both must have one size"
                )
        merged: Array = (np.maximum.reduce(masks) > 127).astype(np.uint8)
        return merged

    def merge_instances(self, case: Case, masks: list[Array]) -> Instances:
        """The number of the nucleus at each pixel (H, W), in the order of their files.

        Where masks overlap, a pixel belongs to the first.
        """
        if len(masks) > MOST_INSTANCES:
            raise DataError(
                f"{case.masks[0].parent}: {len(masks)} masks, where at most {MOST_INSTANCES} "
                "objects are told apart; remove the case"
            )
        found = np.zeros(masks[0].shape, np.uint16)
        for number, mask in reversed([*enumerate(masks, 1)]):
            found[mask > 127] = number
        return found
