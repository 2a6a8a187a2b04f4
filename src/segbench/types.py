"""Shapes and types that data, models, losses and metrics share; they share nothing else.

Images are ``(N, C, H, W)`` float and normalised, masks ``(N, H, W)`` int64 in ``[0, num_classes)``
or ``ignore_index``. Logits are ``(N, K, H, W)``: K = 1 (sigmoid, the foreground's logit) for a task
of two classes, K = num_classes (softmax) for more.
"""

import math
from typing import TYPE_CHECKING, NotRequired, TypedDict

if TYPE_CHECKING:  # torch takes seconds to import, and the command line needs only K
    from collections.abc import Callable

    from torch import Tensor

IGNORE_INDEX = 255
NORMALISATIONS = ("imagenet", "train", "percentile", "none")  # the methods of data.normalize
# Statistics of ImageNet with which images are normalised, of red, green and blue in [0, 1]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SCHEMA = 1  # the format of run.json and scores.csv; files without a number are of format 0


class Batch(TypedDict):
    """A batch as a dataloader yields it and a training step takes it."""

    image: "Tensor"  # (N, C, H, W): uint8 from the loader, float and normalised on the device
    mask: "Tensor"  # (N, H, W) int64, class ids or ignore_index; uint8 of whole pictures
    index: "Tensor"  # (N,) int64, the case's index in the data set's sorted cases
    # of whole pictures: (height, width) of the windows that they are predicted by, and how each
    # window is normalised, since the picture itself is not
    windows: NotRequired[tuple[int, int]]
    normalise: NotRequired["Callable[[Tensor], Tensor]"]
    # N numbers (H_i, W_i) int32 of the object at each pixel, 0 for none, where objects are scored
    instances: NotRequired[list["Tensor"]]
    original: NotRequired[list["Tensor"]]  # N masks (H_i, W_i) uint8, at the sizes of their files


def logit_channels(num_classes: int) -> int:
    """Number of logit channels K of a task: 1 for two classes, else one for each class.

    Raises:
        ValueError: ``num_classes``, which includes the background, is below 2.
    """
    if num_classes < 2:
        raise ValueError(f"num_classes counts the background too: at least 2, got {num_classes}")
    return 1 if num_classes == 2 else num_classes


def probabilities(logits: "Tensor") -> "Tensor":
    """Class probabilities ``(N, num_classes, H, W)`` float32 from logits ``(N, K, H, W)``."""
    import torch

    if logits.shape[1] > 1:
        return logits.float().softmax(dim=1)
    foreground = logits.float().sigmoid()
    return torch.cat([1 - foreground, foreground], dim=1)


def predicted_labels(logits: "Tensor", threshold: float = 0.5) -> "Tensor":
    """Class ids ``(N, H, W)`` int64 from logits ``(N, K, H, W)``.

    Args:
        logits: of K = 1 channel, pixels of a probability of at least ``threshold`` are foreground;
            of more channels, the most probable class is taken.
        threshold: a probability above 0 and below 1.
    """
    if logits.shape[1] > 1:
        return logits.argmax(dim=1)
    return (logits[:, 0] >= math.log(threshold / (1 - threshold))).long()
