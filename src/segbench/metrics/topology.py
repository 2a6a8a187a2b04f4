"""clDice: whether thin structures, such as vessels and roads, are connected as they should be."""

from typing import Any

import numpy as np

from segbench.metrics.surface import Mask, MaskPair


def cldice(pair: MaskPair) -> float:
    """Centreline Dice, from 0 to 1: the harmonic mean of two shares of skeletons.

    They are the share of the predicted mask's skeleton that lies in the true mask, and that of the
    true mask's skeleton that lies in the predicted mask.

    Raises:
        ValueError: scikit-image, which makes the skeletons, is not installed.

    Source:
        Shit et al. 2021, "clDice", arXiv:2003.07311.

    Example:
        >>> truth = np.zeros((5, 9), bool)
        >>> truth[1:4] = True  # a bar, and a prediction of its left half
        >>> left = truth & (np.arange(9) < 5)
        >>> round(cldice(MaskPair(left, truth)), 2)
        0.77
    """
    shares = []
    for mask, other in ((pair.prediction, pair.truth), (pair.truth, pair.prediction)):
        centre = _skeleton(mask)
        shares.append(np.count_nonzero(centre & other) / np.count_nonzero(centre))
    return float(2 * shares[0] * shares[1] / sum(shares)) if sum(shares) else 0.0


def check_installed() -> None:
    """Refuse clDice without scikit-image.

    Raises:
        ValueError: it is not installed.
    """
    _skeletonize()


def _skeleton(mask: Mask) -> Mask:
    """The skeleton of a mask that is not empty, of 8-connected lines (Zhang and Suen 1984)."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    window = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    centre = np.zeros_like(mask)
    found: Mask = _skeletonize()(window)
    centre[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = found
    return centre


def _skeletonize() -> Any:
    try:
        from skimage.morphology import skeletonize
    except ImportError as error:
        raise ValueError(
            "scores=[cldice]: scikit-image is not installed; pip install 'segbench[objects]'"
        ) from error
    return skeletonize
