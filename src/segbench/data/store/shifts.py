"""Images made worse on purpose, to test a trained network on what it was not trained for."""

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from PIL import Image

from segbench.data.store.transforms import Values, by_fours
from segbench.errors import ConfigError

SEVERITIES = range(1, 6)
# For each severity: the standard deviation of the blur in pixels, where the shorter side has 224;
# that of the noise as a fraction of the range; JPEG's quality; what is added, as such a fraction.
# The values are those of Hendrycks and Dietterich 2019, arXiv:1903.12261, who add the brightness in
# HSV; here it is added to every channel.
STEPS: Mapping[str, tuple[float, ...]] = {
    "blur": (1, 2, 3, 4, 6),
    "noise": (0.08, 0.12, 0.18, 0.26, 0.38),
    "jpeg": (25, 18, 15, 10, 7),
    "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),
}
_SIDE = 224  # pixels of the pictures for which the blur was defined
_LEAST = 0.5  # pixels; a smaller standard deviation changes nothing


@dataclass(frozen=True)
class Shift:
    """A change of images of one kind and severity, the same on every machine.

    Args:
        kind: ``blur``, ``noise``, ``jpeg`` or ``brightness``.
        severity: from 1 to 5.

    Raises:
        ConfigError: there is no such kind or severity.

    Example:
        >>> Shift("brightness", 1)(np.zeros((1, 2, 1), np.uint8), "an id").ravel()
        array([26, 26], dtype=uint8)
    """

    kind: str
    severity: int

    def __post_init__(self) -> None:
        if self.kind not in STEPS:
            raise ConfigError(f"shift={self.kind}: expected some of {', '.join(STEPS)}")
        whole = isinstance(self.severity, int) and not isinstance(self.severity, bool)
        if not whole or self.severity not in SEVERITIES:
            raise ConfigError(f"severity={self.severity}: expected whole numbers from 1 to 5")

    @property
    def name(self) -> str:
        """The kind and the severity, such as ``blur 3``."""
        return f"{self.kind} {self.severity}"

    def check(self, channels: int) -> None:
        """Refuse images that cannot be changed so.

        Raises:
            ConfigError: JPEG has no images of so many channels.
        """
        if self.kind == "jpeg" and channels not in (1, 3):
            raise ConfigError(
                f"shift=jpeg: needs images of 1 or 3 channels, and data.in_channels={channels}; "
                "leave jpeg out"
            )

    def __call__(self, image: Values, id_: str) -> Values:
        """The changed image (H, W, C), of the same type.

        Args:
            image: at its original size.
            id_: of the case, which decides the noise.

        Raises:
            ConfigError: JPEG has no such images.
        """
        image = np.ascontiguousarray(image)
        self.check(image.shape[2])
        step = STEPS[self.kind][self.severity - 1]
        if self.kind == "blur":
            return _blurred(image, max(_LEAST, step * min(image.shape[:2]) / _SIDE))
        if self.kind == "jpeg":
            return _compressed(image, int(step))
        change: Any = step
        if self.kind == "noise":
            text = f"{self.kind} {self.severity} {id_}".encode(errors="surrogateescape")
            seed = int.from_bytes(hashlib.sha256(text).digest()[:8], "little")
            drawn = np.random.default_rng(seed).standard_normal(image.shape, np.float32)
            change = drawn * np.float32(step)
        return _added(image, change)


def _blurred(image: Values, sigma: float) -> Values:
    blurred = by_fours(image, lambda part: cv2.GaussianBlur(part, (0, 0), sigma))
    return blurred.reshape(image.shape)  # OpenCV drops C = 1


def _compressed(image: Values, quality: int) -> Values:
    if image.dtype != np.uint8:
        raise ConfigError(f"shift=jpeg: needs images of 8 bits, got {image.dtype}; leave jpeg out")
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(
        file, "JPEG", quality=quality
    )
    return np.array(Image.open(file)).reshape(image.shape)


def _added(image: Values, change: Any) -> Values:
    """The image with a change, in units of its range: 0 to 255 of 8 bits, else its own.

    Values outside the range are set to its ends. Scientific images of 16 bits often fill a small
    part of what 16 bits can hold.
    """
    small = image.dtype == np.uint8
    low, high = (0, 255) if small else (float(image.min()), float(image.max()))
    changed = image.astype(np.float32) + np.float32(high - low) * change
    changed = (np.rint(changed) if image.dtype.kind in "ui" else changed).clip(low, high)
    return np.asarray(changed, image.dtype)


class ShiftedImages:
    """Prepared images, changed at their original size when they are read.

    Args:
        images: the prepared images: (N, H, W, C), or each of its own size.
        read: gives the changed image (H, W, C) of a case by its index, in the prepared form.
    """

    def __init__(self, images: Any, read: Callable[[int], Values]) -> None:
        self._images, self._read = images, read

    def __getattr__(self, name: str) -> Any:
        """Facts such as shape and type, which are those of the prepared images."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._images, name)

    def __getitem__(self, index: Any) -> Values:
        if np.ndim(index):
            return np.stack([self._read(int(each)) for each in index])
        return self._read(int(index))
