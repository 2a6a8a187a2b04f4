"""Sliding windows with Gaussian weights, for pictures much larger than those of training.

As in nnU-Net (Isensee et al. 2021, https://doi.org/10.1038/s41592-020-01008-z) and MONAI, windows
overlap, and each has the largest weight at its centre. Here the sums are kept for only one row of
windows, so that memory grows with the picture's width and not with its area.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segbench.cell.resizing import Strip
from segbench.types import Batch

# Windows (N, h, w, C) to values (N, K, h, w) float32, which are averaged
Forward = Callable[[Any], Tensor]
_SIGMA = 1 / 8  # of the window's side, as in nnU-Net and MONAI
OVERLAP = 0.5  # of windows in validation and test, and the default of `predict`
WINDOWS_AT_ONCE = 8
_NEAR = 1e-6  # the distance from 0 and 1 of probabilities that become logits
_LEAST = 1e-3  # prevents a division by almost 0 at corners that only one window covers


def window_starts(length: int, window: int, overlap: float) -> list[int]:
    """The first pixel of each window along a side; the last window ends at the side's end.

    Args:
        length: pixels of the side, at least ``window``.
        window: pixels of a window.
        overlap: the fraction of a window that the next one also covers, in [0, 1).
    """
    step = max(1, int(window * (1 - overlap)))
    return [*range(0, length - window, step), length - window]


def gaussian_weights(height: int, width: int) -> Tensor:
    """Weights (height, width) of a window's pixels, 1 at its centre."""
    sides = []
    for side in (height, width):
        away = torch.arange(side) - (side - 1) / 2
        sides.append(torch.exp(-(away**2) / (2 * (_SIGMA * side) ** 2)))
    return torch.outer(*sides).clamp(min=_LEAST)


def slide(
    picture: Any, forward: Forward, window: tuple[int, int], overlap: float, batch_size: int
) -> Iterator[Strip]:
    """Weighted means of the values of all windows of a picture, strip by strip from the top.

    Args:
        picture: array or tensor (H, W, C); if smaller than the window, it is one window.
        forward: maps windows (N, h, w, C) to values (N, K, h, w).
        window: (height, width) in pixels.
        overlap: the fraction of a window that the next one also covers, in [0, 1).
        batch_size: number of windows in a batch.

    Yields:
        The first row of each strip, and its values (K, rows, W).
    """
    height, width = (min(pair) for pair in zip(window, picture.shape[:2], strict=True))
    tops = window_starts(picture.shape[0], height, overlap)
    lefts = window_starts(picture.shape[1], width, overlap)
    weights = gaussian_weights(height, width)
    total = mass = torch.empty(0)
    for top, following in zip(tops, [*tops[1:], picture.shape[0]], strict=True):
        for start in range(0, len(lefts), batch_size):
            chosen = lefts[start : start + batch_size]
            windows = [picture[top:, left:][:height, :width] for left in chosen]
            stacked = torch.stack(windows) if isinstance(windows[0], Tensor) else np.stack(windows)
            values = forward(stacked)
            if not total.numel():
                weights = weights.to(values.device)
                total = values.new_zeros(values.shape[1], height, picture.shape[1])
                mass = torch.zeros_like(total[0])
            for value, left in zip(values, chosen, strict=True):
                total[:, :, left : left + width] += weights * value
                mass[:, left : left + width] += weights
        done = following - top
        yield top, total[:, :done] / mass[:done]
        total, mass = _moved_up(total, done), _moved_up(mass, done)


def _moved_up(rows: Tensor, done: int) -> Tensor:
    """Sums (…, h, W) without their first ``done`` rows, and as many rows of zeros after them."""
    return torch.cat([rows[..., done:, :], torch.zeros_like(rows[..., :done, :])], dim=-2)


def logit_strips(batch: Batch, network: Callable[[Tensor], Any]) -> Iterator[Strip]:
    """Logits (K, h, W) of a batch with a whole picture, by windows that overlap by half.

    They are those of the mean probabilities of all windows, at the size of the batch's mask.

    Args:
        batch: with ``windows`` and ``normalise``.
        network: maps normalised images to logits.
    """

    def forward(windows: Tensor) -> Tensor:
        logits: Tensor = network(batch["normalise"](windows.permute(0, 3, 1, 2))).float()
        return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)

    picture = batch["image"][0].permute(1, 2, 0)
    strips = slide(picture, forward, batch["windows"], OVERLAP, WINDOWS_AT_ONCE)
    yield from without_padding(strips, batch["mask"].shape[1:])


def without_padding(strips: Iterator[Strip], size: tuple[int, ...]) -> Iterator[Strip]:
    """Logits of strips of mean probabilities, without the rows and columns beyond ``size``."""
    height, width = size
    for top, values in strips:
        if top < height:
            yield top, as_logits(values[None, :, : height - top, :width])[0]


def as_logits(means: Tensor) -> Tensor:
    """Finite logits (N, K, H, W) of mean probabilities; K = 1 is the foreground."""
    inside = means.clamp(_NEAR, 1 - _NEAR)
    return inside.logit() if means.shape[1] == 1 else inside.log()
