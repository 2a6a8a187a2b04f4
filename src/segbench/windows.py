"""Sliding windows with Gaussian weights, for pictures much larger than what a network learnt on.

As in nnU-Net (Isensee et al. 2021, https://doi.org/10.1038/s41592-020-01008-z) and MONAI: windows
overlap, and where they do, each counts most at its middle. Here the sums are kept for one row of
windows alone, so that memory grows with the picture's width, not with its area.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from segbench.data.transforms import Array

# Windows (N, h, w, C) uint8 to values (N, K, h, w) float32, which are averaged
Forward = Callable[[Array], Tensor]
Strip = tuple[int, Tensor]  # its first row in the picture, and the values (K, h, W) of its rows
_SIGMA = 1 / 8  # of the window's side, as in both
_LEAST = 1e-3  # so that a corner seen once is not divided by nothing


def window_starts(length: int, window: int, overlap: float) -> list[int]:
    """Where windows begin along a side; the last ends with it."""
    step = max(1, int(window * (1 - overlap)))
    return [*range(0, length - window, step), length - window]


def gaussian_weights(height: int, width: int) -> Tensor:
    """Weights (height, width) of a window's pixels, 1 at its middle."""
    sides = []
    for side in (height, width):
        away = torch.arange(side) - (side - 1) / 2
        sides.append(torch.exp(-(away**2) / (2 * (_SIGMA * side) ** 2)))
    return torch.outer(*sides).clamp(min=_LEAST)


def slide(
    picture: Array, forward: Forward, window: tuple[int, int], overlap: float, batch_size: int
) -> Iterator[Strip]:
    """Weighted means of the values of all windows over a picture (H, W, C), strip by strip.

    A picture smaller than the window is one window of its own size.
    """
    height, width = (min(pair) for pair in zip(window, picture.shape[:2], strict=True))
    tops = window_starts(picture.shape[0], height, overlap)
    lefts = window_starts(picture.shape[1], width, overlap)
    weights = gaussian_weights(height, width)
    total = mass = torch.empty(0)
    for top, following in zip(tops, [*tops[1:], picture.shape[0]], strict=True):
        for start in range(0, len(lefts), batch_size):
            chosen = lefts[start : start + batch_size]
            values = forward(np.stack([picture[top:, left:][:height, :width] for left in chosen]))
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
    """Sums (…, h, W) without their first rows, as many empty ones behind them."""
    return torch.cat([rows[..., done:, :], torch.zeros_like(rows[..., :done, :])], dim=-2)
