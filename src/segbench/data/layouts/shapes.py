"""Rasterises annotated shapes with pycocotools, the reference of COCO's scores."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from segbench.data.store.transforms import Array
from segbench.errors import ConfigError

Size = tuple[int, int]  # (height, width) in pixels
_CIRCLE = 360  # corners of a circle


@cache
def _masks() -> Any:
    """The module ``pycocotools.mask``.

    Raises:
        ConfigError: the package is not installed.
    """
    try:
        from pycocotools import mask
    except ImportError as error:
        raise ConfigError(
            "data: polygons and run lengths are read by pycocotools: `pip install 'segbench[coco]'`"
        ) from error
    return mask


def fill(segmentation: Any, size: Size) -> Array:
    """The pixels of one object, 0 or 1.

    Args:
        segmentation: as in COCO: a list of polygons [x1, y1, x2, y2 …] in pixels, or run lengths
            ``{"size": [height, width], "counts": …}``, a list of numbers or their compressed text.
        size: of the picture.

    Raises:
        ValueError: it is none of these, or has the size of another picture.
    """
    masks = _masks()
    if isinstance(segmentation, dict):
        if [*map(int, segmentation["size"])] != [*size]:
            raise ValueError(f"run lengths of size {segmentation['size']}, not {[*size]}")
        listed = isinstance(segmentation["counts"], list)
        if listed and sum(segmentation["counts"]) != size[0] * size[1]:
            raise ValueError("run lengths that do not add up to the picture")
        runs = masks.frPyObjects(segmentation, *size) if listed else segmentation
        return np.asarray(masks.decode(runs), np.uint8)
    polygons = [[float(number) for number in polygon] for polygon in segmentation]
    if not polygons or any(len(each) < 6 or len(each) % 2 for each in polygons):
        raise ValueError("a polygon without three corners")
    if not all(math.isfinite(number) for polygon in polygons for number in polygon):
        raise ValueError("a corner that is not a finite number")
    return np.asarray(masks.decode(masks.merge(masks.frPyObjects(polygons, *size))), np.uint8)


def paint(objects: Sequence[tuple[int, Array]], size: Size) -> Array:
    """Class ids (H, W) of objects, larger ones first, so that a smaller one in front is seen.

    Args:
        objects: the class id and the pixels (H, W) of each.
        size: of the picture.
    """
    labels = np.zeros(size, np.uint8)
    for label, mask in sorted(objects, key=lambda each: -int(each[1].sum())):
        labels[mask > 0] = label
    return labels


def circle(centre: Sequence[float], edge: Sequence[float]) -> list[float]:
    """The polygon [x1, y1 …] of a circle by its centre and a point on its edge, in pixels."""
    radius = math.dist(centre, edge)
    angles = np.linspace(0, 2 * np.pi, _CIRCLE, endpoint=False)
    points = np.stack([centre[0] + radius * np.cos(angles), centre[1] + radius * np.sin(angles)], 1)
    corners: list[float] = points.ravel().tolist()
    return corners


def rectangle(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """The polygon [x1, y1 …] of a rectangle by two opposite corners, in pixels."""
    (left, top), (right, bottom) = one, other
    return [left, top, right, top, right, bottom, left, bottom]
