"""segbench: compare image-segmentation models honestly and fast."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # torch takes seconds to import
    from segbench.inference import Predictor


def load(run: str | Path | Sequence[str | Path], **options: Any) -> "Predictor":
    """A finished cell, or the mean of several, ready for pictures.

    ``load("outputs/mine")(picture)`` is the mask (H, W) of a NumPy array or a PIL image.

    Args:
        run: a cell's folder, its hash, ``outputs/<name>`` (its best cell), or a list of them.
        options: ``device``, ``precision``, ``tta``, ``window``, ``overlap``, ``batch_size`` and
            ``size``, as `segbench predict` takes them.
    """
    from segbench.runs import find_runs, make_predictor

    return make_predictor(find_runs(run), **options)
