"""Resizes images and masks."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.uint8]
Values = npt.NDArray[Any]  # of images: uint8, uint16 or float32


def by_fours(image: Values, change: Callable[[Values], Values]) -> Values:
    """An image (H, W, C) changed four channels at a time, which is OpenCV's limit."""
    if image.shape[2] <= 4:
        return change(image)
    parts = (image[:, :, k : k + 4] for k in range(0, image.shape[2], 4))
    return np.dstack([change(np.ascontiguousarray(part)) for part in parts])


def resize_image(image: Values, size: tuple[int, int]) -> Values:
    """Resize (H, W, C) to ``size`` = (height, width): area averages to shrink, else bilinear."""
    if size == image.shape[:2]:
        return image
    shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = by_fours(image, lambda part: cv2.resize(part, size[::-1], interpolation=how))
    return resized.reshape(*size, image.shape[2])  # cv2 drops C = 1


def resize_mask(mask: Array, size: tuple[int, int]) -> Array:
    """Resize labels (H, W) to ``size`` by nearest neighbour, which invents no labels."""
    if size == mask.shape:
        return mask
    return cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)  # type: ignore[return-value]
