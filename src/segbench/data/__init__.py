"""Data sets: one LightningDataModule for each, with a common base class."""

from typing import TYPE_CHECKING

from segbench.exports import lazy_exports

if TYPE_CHECKING:
    from segbench.data.base import SegmentationDataModule as SegmentationDataModule
    from segbench.data.camvid import CamVidDataModule as CamVidDataModule
    from segbench.data.dsb2018 import DSB2018DataModule as DSB2018DataModule
    from segbench.data.folder import FolderDataModule as FolderDataModule
    from segbench.data.formats.coco import COCODataModule as COCODataModule
    from segbench.data.formats.labelme import LabelmeDataModule as LabelmeDataModule
    from segbench.data.formats.nifti import NIfTIDataModule as NIfTIDataModule
    from segbench.data.pets import PetsDataModule as PetsDataModule
    from segbench.data.ph2 import PH2DataModule as PH2DataModule
    from segbench.data.store.prepared import Case as Case
    from segbench.data.store.prepared import Decoded as Decoded
    from segbench.data.synthetic import SyntheticDataModule as SyntheticDataModule
else:
    __getattr__, __dir__, __all__ = lazy_exports(
        __name__,
        {
            "base": ["SegmentationDataModule"],
            "camvid": ["CamVidDataModule"],
            "dsb2018": ["DSB2018DataModule"],
            "folder": ["FolderDataModule"],
            "formats.coco": ["COCODataModule"],
            "formats.labelme": ["LabelmeDataModule"],
            "formats.nifti": ["NIfTIDataModule"],
            "pets": ["PetsDataModule"],
            "ph2": ["PH2DataModule"],
            "store.prepared": ["Case", "Decoded"],
            "synthetic": ["SyntheticDataModule"],
        },
    )
