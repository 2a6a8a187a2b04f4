"""Generated images that resemble microscopy: overlapping textured cells with blur and noise.

An image depends only on its index and the number of classes, so that all machines generate the same
images and nothing is downloaded.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from segbench.data.base import SegmentationDataModule
from segbench.data.store.prepared import Case, Decoded, Instances
from segbench.errors import ConfigError

Floats = npt.NDArray[np.float32]


class SyntheticDataModule(SegmentationDataModule):
    """Generated images of cells of ``num_classes`` - 1 kinds on a background.

    The images are 64 to 112 pixels wide and high, so that scores at the original resolution
    differ from those at the network's.

    Args:
        count: number of images, at least 3.
        num_classes: number of classes with the background, 2 to 8.
        class_names: background first; None: ``cell``, or ``cell1``, ``cell2`` …
        options: those of `SegmentationDataModule`.

    Raises:
        ConfigError: an option is out of range.
    """

    def __init__(
        self,
        *,
        count: int = 120,
        num_classes: int = 2,
        class_names: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        if count < 3 or not 2 <= num_classes <= 8:
            raise ConfigError(
                f"data.count={count}, data.num_classes={num_classes}: the synthetic data set takes "
                "3 images or more (one for each part) and 2 to 8 classes"
            )
        kinds = [f"cell{k}" if num_classes > 2 else "cell" for k in range(1, num_classes)]
        names = class_names or ["background", *kinds]
        super().__init__(class_names=names, num_classes=num_classes, **options)
        if self.in_channels not in (1, 3):
            raise ConfigError(f"data.in_channels={self.in_channels}: generated with 3, or 1")
        self.count, self.has_instances = count, num_classes == 2

    def find_cases(self) -> list[Case]:
        """One case for each image, with its number as the id and without files."""
        return [Case(f"{index:05d}") for index in range(self.count)]

    def read(self, case: Case) -> Decoded:
        """Generate the image with the number in the case's id."""
        image, mask, numbers = draw_objects(int(case.id), self.num_classes)
        if self.in_channels == 1:
            image = image.mean(axis=2, keepdims=True).astype(np.uint8)
        digest = hashlib.sha256(image.tobytes() + mask.tobytes()).hexdigest()
        return Decoded(image, mask, digest, instances=numbers if self.has_instances else None)


def draw_cells(
    index: int, num_classes: int = 2
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """The image (H, W, 3) and the mask (H, W) number ``index``, both uint8."""
    return draw_objects(index, num_classes)[:2]


def draw_objects(
    index: int, num_classes: int = 2
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], Instances]:
    """Image, mask and, as uint16, the number of the cell at each pixel; a later cell covers."""
    rng = np.random.default_rng([2018, index, num_classes])
    height, width = rng.integers(64, 113, size=2)
    image = _background(rng, height, width)
    mask = np.zeros((height, width), np.uint8)
    numbers = np.zeros((height, width), np.uint16)
    for number in range(1, int(rng.integers(4, 14)) + 1):
        kind = int(rng.integers(1, num_classes))
        inside = _outline(rng, height, width)
        _paint(rng, image, inside, kind)
        mask[inside > 0.5], numbers[inside > 0.5] = kind, number
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.4))  # type: ignore[assignment]
    image += rng.normal(0, rng.uniform(0.02, 0.09), image.shape).astype(np.float32)
    return (image.clip(0, 1) * 255).astype(np.uint8), mask, numbers


def _texture(rng: np.random.Generator, height: int, width: int, scale: float) -> Floats:
    """Smooth noise (H, W, 1) of standard deviation 1 with grains ``scale`` pixels wide."""
    noise = rng.normal(size=(height, width)).astype(np.float32)
    smooth = np.asarray(cv2.GaussianBlur(noise, (0, 0), scale))
    unit: Floats = (smooth / smooth.std())[:, :, None]
    return unit


def _background(rng: np.random.Generator, height: int, width: int) -> Floats:
    colour = rng.uniform(0.15, 0.55) + rng.normal(0, 0.03, 3).astype(np.float32)
    shading = _texture(rng, height, width, 25) * rng.uniform(0.02, 0.08)
    grain = _texture(rng, height, width, 2.5) * rng.uniform(0.02, 0.06)
    picture: Floats = (colour + shading + grain).astype(np.float32)
    return picture


def _outline(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Coverage (H, W) in [0, 1] of an irregular ellipse, with an edge one pixel wide."""
    cy, cx, turn = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(0, np.pi)
    a, b = rng.uniform(4, 15), rng.uniform(0.55, 1.0)
    depth, lobes, phase = rng.uniform(0, 0.15), rng.integers(2, 5), rng.uniform(0, 6.3)
    reach = 1.15 * a + 2  # no pixel further off is covered
    top, left = max(0, int(cy - reach)), max(0, int(cx - reach))
    y, x = np.mgrid[top : min(height, int(cy + reach)), left : min(width, int(cx + reach))]
    dy, dx = y.astype(np.float32) - cy, x.astype(np.float32) - cx
    u, v = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
    wobble = 1 + depth * np.sin(lobes * np.arctan2(v, u) + phase)
    distance = np.hypot(u, v / b) - a * wobble
    coverage = np.zeros((height, width), np.float32)
    coverage[top : top + len(y), left : left + y.shape[1]] = (0.5 - distance).clip(0, 1)
    return coverage


def _paint(rng: np.random.Generator, image: Floats, inside: Floats, kind: int) -> None:
    """Blend a cell into the image; its kind determines tint and grain, the contrast is random."""
    height, width = inside.shape
    hue = 2.4 * kind + np.array([0, 2.1, 4.2], np.float32)
    contrast = rng.uniform(0.12, 0.4)
    tint = contrast * (1 + 0.5 * np.cos(hue))
    grain = _texture(rng, height, width, 1 + kind) * rng.uniform(0.03, 0.12)
    alpha = (inside * rng.uniform(0.7, 1.0))[:, :, None]
    image += alpha * (tint + grain).astype(np.float32)
