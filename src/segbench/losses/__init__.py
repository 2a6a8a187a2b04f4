"""Losses: ``nn.Module``s that compute in float32 and leave pixels of ``ignore_index`` out."""

from typing import TYPE_CHECKING

from segbench.exports import lazy_exports

if TYPE_CHECKING:
    from segbench.losses.base import SegmentationLoss as SegmentationLoss
    from segbench.losses.boundary import BoundaryLoss as BoundaryLoss
    from segbench.losses.compound import CompoundLoss as CompoundLoss
    from segbench.losses.cross_entropy import BCELoss as BCELoss
    from segbench.losses.cross_entropy import CELoss as CELoss
    from segbench.losses.focal import FocalLoss as FocalLoss
    from segbench.losses.focal import FocalPositiveLoss as FocalPositiveLoss
    from segbench.losses.lovasz import LovaszLoss as LovaszLoss
    from segbench.losses.overlap import DiceLoss as DiceLoss
    from segbench.losses.overlap import FocalTverskyLoss as FocalTverskyLoss
    from segbench.losses.overlap import JaccardLoss as JaccardLoss
    from segbench.losses.overlap import TverskyLoss as TverskyLoss
else:
    __getattr__, __dir__, __all__ = lazy_exports(
        __name__,
        {
            "base": ["SegmentationLoss"],
            "boundary": ["BoundaryLoss"],
            "compound": ["CompoundLoss"],
            "cross_entropy": ["BCELoss", "CELoss"],
            "focal": ["FocalLoss", "FocalPositiveLoss"],
            "lovasz": ["LovaszLoss"],
            "overlap": ["DiceLoss", "FocalTverskyLoss", "JaccardLoss", "TverskyLoss"],
        },
    )
