"""Scores of each image and class, and their averages, each named by what it is averaged over."""

from typing import TYPE_CHECKING

from segbench.exports import lazy_exports

if TYPE_CHECKING:
    from segbench.metrics.counts import ImageScores as ImageScores
    from segbench.metrics.counts import Scores as Scores
    from segbench.metrics.counts import image_counts as image_counts
    from segbench.metrics.objects import FindObjects as FindObjects
    from segbench.metrics.objects import Matching as Matching
    from segbench.metrics.registry import REGISTRY as REGISTRY
    from segbench.metrics.registry import Score as Score
    from segbench.metrics.registry import find_score as find_score
    from segbench.metrics.registry import mask_scores as mask_scores
    from segbench.metrics.registry import object_scores as object_scores
    from segbench.metrics.scores import aggregate as aggregate
    from segbench.metrics.scores import score_table as score_table
    from segbench.metrics.surface import MaskPair as MaskPair
else:
    __getattr__, __dir__, __all__ = lazy_exports(
        __name__,
        {
            "counts": ["ImageScores", "Scores", "image_counts"],
            "objects": ["FindObjects", "Matching"],
            "registry": ["REGISTRY", "Score", "find_score", "mask_scores", "object_scores"],
            "scores": ["aggregate", "score_table"],
            "surface": ["MaskPair"],
        },
    )
