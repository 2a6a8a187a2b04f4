"""Normalises images on the device: by ImageNet's statistics, or those of the train part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from segbench.arrays import row_blocks
from segbench.types import IMAGENET_MEAN, IMAGENET_STD, NORMALISATIONS

LOW, HIGH = 0.5, 99.5  # percentiles, as nnU-Net clips (Isensee et al. 2021)
_MOST_VALUES = 1 << 26  # of all channels, from which percentiles are taken
Images = Any  # an array (N, H, W, C), or Ragged


@dataclass(frozen=True)
class Normalisation:
    """(x − offset) / scale for each channel, cut to 0 … 1 for ``percentile``.

    Args:
        method: ``imagenet``: ImageNet's mean and standard deviation, for values of 0 to 255;
            ``train``: the mean and standard deviation of the train part; ``percentile``: its
            percentiles 0.5 and 99.5 become 0 and 1; ``none``: values as stored.
        offset: of each channel, in the images' units.
        scale: of each channel, above 0.
    """

    method: str
    offset: tuple[float, ...]
    scale: tuple[float, ...]
    # the buffers of each device, since a copy in each step would block the host
    _buffers: dict[Any, tuple[Tensor, Tensor]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def cuts(self) -> bool:
        """Whether values beyond 0 and 1 are cut."""
        return self.method == "percentile"

    @property
    def record(self) -> dict[str, Any]:
        """The entry in a cell's record."""
        return {"method": self.method, "offset": list(self.offset), "scale": list(self.scale)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Normalisation":
        """The normalisation of a cell's record.

        Raises:
            ValueError, KeyError, TypeError: the entry is damaged.
        """
        offset, scale = (tuple(map(float, record[key])) for key in ("offset", "scale"))
        if record["method"] not in NORMALISATIONS or len(offset) != len(scale) or min(scale) <= 0:
            raise ValueError(f"a normalisation of {record}")
        return cls(str(record["method"]), offset, scale)

    def __call__(self, images: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` as float32, normalised, on their device."""
        offset, scale = self._on(images.device, images.shape[3])
        found = torch.sub(images, offset).div_(scale)
        return found.clamp_(0, 1) if self.cuts else found

    def _on(self, device: torch.device, width: int) -> tuple[Tensor, Tensor]:
        """Offset and scale (1, C, 1, W); whole rows are three times as fast in channels_last."""
        if (device, width) not in self._buffers:
            rows = []
            for values in (self.offset, self.scale):
                row = torch.tensor(values, device=device).view(1, -1, 1, 1)
                row = row.expand(1, -1, 1, width)
                rows.append(row.contiguous(memory_format=torch.channels_last))
            self._buffers[device, width] = rows[0], rows[1]
        return self._buffers[device, width]

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_buffers": {}}


@cache
def imagenet(channels: int) -> Normalisation:
    """ImageNet's mean and standard deviation of values 0 to 255, repeated for C ≠ 3 channels."""
    offset, scale = (
        255 * (np.resize(values, channels) if channels > 1 else np.mean(values, keepdims=True))
        for values in (IMAGENET_MEAN, IMAGENET_STD)
    )
    return Normalisation("imagenet", tuple(map(float, offset)), tuple(map(float, scale)))


def fit(method: str, images: Images, indices: Sequence[int], channels: int) -> Normalisation:
    """The normalisation for ``data.normalize``.

    Args:
        method: one of `NORMALISATIONS`.
        images: prepared images, N of (H, W, C).
        indices: the images of the train part.
        channels: C.
    """
    if method == "imagenet":
        return imagenet(channels)
    if method == "none":
        return Normalisation(method, (0.0,) * channels, (1.0,) * channels)
    if method == "train":
        offset, scale = _moments(images, indices, channels)
    else:
        step = max(1, sum(images[i].size for i in indices) // _MOST_VALUES)
        pixels = np.concatenate([images[i].reshape(-1, channels)[::step] for i in indices])
        offset, high = np.percentile(pixels, [LOW, HIGH], axis=0)
        scale = high - offset
    scale = np.where(scale > 0, scale, 1.0)  # of a constant channel
    return Normalisation(method, tuple(map(float, offset)), tuple(map(float, scale)))


def _moments(
    images: Images, indices: Sequence[int], channels: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and standard deviation of each channel, image by image (Chan et al. 1979)."""
    count, mean, squares = 0, np.zeros(channels), np.zeros(channels)
    for index in indices:
        stored = images[index].reshape(-1, channels)
        for rows in row_blocks(len(stored), channels):
            pixels = stored[rows].astype(np.float64)
            number, own = len(pixels), pixels.mean(axis=0)
            shift, total = own - mean, count + number
            squares += ((pixels - own) ** 2).sum(axis=0) + shift**2 * count * number / total
            mean, count = mean + shift * number / total, total
    return mean, np.sqrt(squares / max(1, count))
