"""Resizes logits bilinearly, of large pictures in strips of rows that take bounded memory."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

MOST = 1 << 24  # values of a strip; usual pictures are a single one
Strip = tuple[int, Tensor]  # its first row in the picture, and the values (K, h, W) of its rows


def resize_logits(logits: Tensor, size: tuple[int, ...]) -> Tensor:
    """Logits ``(N, K, H, W)`` resized bilinearly, for smoother borders than resized labels."""
    if logits.shape[2:] == size:
        return logits
    return F.interpolate(logits, list(size), mode="bilinear", align_corners=False)


def resized_strips(logits: Tensor, size: tuple[int, ...]) -> Iterator[Strip]:
    """A picture's logits (K, h, w) at another size, in strips from top to bottom.

    Pictures of usual size are a single strip, that of `resize_logits`.
    """
    if len(logits) * size[0] * size[1] <= MOST:
        yield 0, resize_logits(logits[None], size)[0]
        return
    yield from resize_strips(iter([(0, logits)]), logits.shape[1], size)


def resize_strips(strips: Iterator[Strip], height: int, size: tuple[int, ...]) -> Iterator[Strip]:
    """Strips of logits at another size, as soon as the rows that they are made of are known.

    The values are those of `resize_logits` but for rounding.

    Args:
        strips: from top to bottom, (K, h, w) each.
        height: of all strips together.
        size: the wanted (height, width).
    """
    rows = torch.arange(size[0], dtype=torch.float64)
    source = ((rows + 0.5) * (height / size[0]) - 0.5).clamp(min=0)
    above = source.long().clamp(max=height - 1)
    below = (above + 1).clamp(max=height - 1)
    share = (source - above).to(torch.float32)
    done, first, known = 0, 0, torch.empty(0)
    for _, strip in strips:
        known = torch.cat([known, strip], dim=1) if known.numel() else strip
        ready = int(torch.searchsorted(below, first + known.shape[1]))  # rows that can be made
        most = max(1, MOST // (len(known) * size[1]))
        for start in range(done, ready, most):
            chosen = slice(start, min(start + most, ready))
            upper, lower = (
                known[:, (of[chosen] - first).to(known.device)] for of in (above, below)
            )
            mixed = torch.lerp(upper, lower, share[chosen].to(known.device)[:, None])
            yield start, resize_logits(mixed[None], (mixed.shape[1], size[1]))[0]
        done = ready
        if done < size[0]:
            unused = min(max(0, int(above[done]) - first), known.shape[1])
            first, known = first + unused, known[:, unused:]


def in_blocks(strips: Iterator[Strip]) -> Iterator[Strip]:
    """Neighbouring strips joined, up to a block of memory; usual pictures become a single one."""
    waiting: list[Tensor] = []
    top = 0
    for _, strip in strips:
        if waiting and sum(map(torch.numel, waiting)) + strip.numel() > MOST:
            yield top, torch.cat(waiting, dim=1)
            top, waiting = top + sum(each.shape[1] for each in waiting), []
        waiting.append(strip)
    if waiting:
        yield top, torch.cat(waiting, dim=1)
