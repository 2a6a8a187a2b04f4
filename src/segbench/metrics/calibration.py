"""Scores of predicted probabilities: whether they are right as often as they say."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BINS = 15  # of confidence, of equal width, as in Guo et al. 2017


class Calibration:
    """Sums over an image's pixels, from which its calibration follows; pixels are added in strips.

    A pixel's confidence is the largest of its class probabilities, whatever threshold makes the
    predicted mask; the pixel is right if its true class has that probability.

    Example:
        >>> found = Calibration()
        >>> found.add(np.array([[[0.1, 0.2]], [[0.9, 0.8]]]), np.array([[1, 0]]))
        >>> round(ece(found), 2), round(brier(found), 3)
        (0.45, 0.325)
    """

    def __init__(self) -> None:
        self.bins: Floats = np.zeros((BINS, 3))  # pixels, sum of their confidences, right pixels
        self.squares = 0.0  # the sum of the pixels' squared errors

    def add(self, probabilities: NDArray[Any], truth: NDArray[Any], ignored: int = 255) -> None:
        """Add pixels.

        Args:
            probabilities: of each class ``(K, h, W)``, from 0 to 1, with the sum 1.
            truth: class ids ``(h, W)``; pixels of other values are left out.
            ignored: the value of pixels that do not count.
        """
        classes = len(probabilities)
        counted = (truth != ignored) & (truth < classes)
        chances = probabilities[:, counted].astype(np.float64)
        labels = truth[counted].astype(np.intp)
        confidence = chances.max(axis=0)
        steps = np.nan_to_num(np.ceil(confidence * BINS) - 1)  # of a network that diverged: NaN
        places = np.clip(steps, 0, BINS - 1).astype(np.intp)
        for column, weights in enumerate((None, confidence, chances.argmax(axis=0) == labels)):
            self.bins[:, column] += np.bincount(places, weights, minlength=BINS)
        of_truth = chances[labels, np.arange(len(labels))]
        squares = np.square(chances).sum() - 2 * of_truth.sum() + len(labels)
        self.squares += float(squares) / (2 if classes == 2 else 1)

    @property
    def pixels(self) -> float:
        """The number of pixels that count."""
        return float(self.bins[:, 0].sum())


def ece(found: Calibration) -> float:
    """Expected calibration error, from 0 to 1.

    It is Σ |right pixels − Σ confidence| / pixels over the bins of confidence (0, 1/15],
    (1/15, 2/15] … (14/15, 1].

    Source:
        Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599.
    """
    return float(np.abs(found.bins[:, 2] - found.bins[:, 1]).sum() / found.pixels)


def brier(found: Calibration) -> float:
    """Brier score: the mean over pixels of the squared error of the probabilities.

    Of two classes it is (p − y)² of the foreground, from 0 to 1; of more the sum over the classes,
    from 0 to 2.

    Source:
        Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2; of two classes half of it,
        as in scikit-learn.
    """
    return found.squares / found.pixels
