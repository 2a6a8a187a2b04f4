"""The scores of an image that are computed only where ``scores`` asks for them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.arrays import Values
from segbench.metrics.calibration import Calibration
from segbench.metrics.objects import FindObjects
from segbench.metrics.registry import (
    OF_OBJECTS,
    OF_PROBABILITIES,
    OF_SKELETONS,
    object_scores,
    probability_scores,
    skeleton_scores,
)
from segbench.metrics.scores import scored_classes


@dataclass(frozen=True)
class OptionalScores:
    """The kinds of scores that are asked for.

    Args:
        find: finds the predicted objects that are scored, of two classes; None: none are.
        skeletons: whether scores of skeletons are asked for.
        probabilities: whether scores of probabilities are asked for.

    Example:
        >>> OptionalScores(probabilities=True).names
        ['ece', 'brier']
    """

    find: FindObjects | None = None
    skeletons: bool = False
    probabilities: bool = False

    @property
    def names(self) -> list[str]:
        """The names of the scores, in the order of `of_image`."""
        return [
            *(OF_SKELETONS if self.skeletons else ()),
            *(OF_OBJECTS if self.find is not None else ()),
            *(OF_PROBABILITIES if self.probabilities else ()),
        ]

    def of_image(
        self,
        prediction: NDArray[Any],
        truth: NDArray[Any],
        num_classes: int,
        ignored: int = 255,
        objects: NDArray[Any] | None = None,
        calibration: Calibration | None = None,
    ) -> Values:
        """The scores ``(C, len(names))`` of an image; NaN for classes and scores without one.

        Args:
            prediction: labels ``(H, W)``.
            truth: labels ``(H, W)``.
            num_classes: the number C of classes, the background included.
            ignored: the true label of pixels that do not count.
            objects: the number of the true object at each pixel ``(H, W)``, 0 for none.
            calibration: of the image's probabilities.
        """
        out, classes = truth == ignored, scored_classes(num_classes)
        kinds = []
        if self.skeletons:
            scores = np.full((num_classes, len(OF_SKELETONS)), np.nan)
            for c in classes:
                scores[c] = skeleton_scores((prediction == c) & ~out, (truth == c) & ~out)
            kinds.append(scores)
        if self.find is not None:
            scores = np.full((num_classes, len(OF_OBJECTS)), np.nan)
            if objects is not None:
                scores[1] = object_scores(prediction == 1, objects, self.find, out)
            kinds.append(scores)
        if self.probabilities:
            scores = np.full((num_classes, len(OF_PROBABILITIES)), np.nan)
            if calibration is not None:
                scores[classes] = probability_scores(calibration)
            kinds.append(scores)
        return np.concatenate(kinds, axis=1)
