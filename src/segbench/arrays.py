"""The type of arrays of scores, and steps over large arrays in blocks of rows to save memory."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
BLOCK = 1 << 22  # the most elements of a block


def row_blocks(rows: int, elements: int) -> Iterator[slice]:
    """Slices of the rows of an array, each of at most `BLOCK` elements.

    Args:
        rows: the number of rows.
        elements: the number of elements of a row.
    """
    step = max(1, BLOCK // max(1, elements))
    yield from (slice(top, min(top + step, rows)) for top in range(0, rows, step))


def by_blocks(array: NDArray[Any], change: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
    """``change`` of an array (H, W, …), computed block by block.

    Args:
        array: the array.
        change: maps some rows (h, W, …) to as many rows of any shape.
    """
    blocks = [*row_blocks(len(array), array[:1].size)]
    if len(blocks) < 2:
        return change(array)
    first = change(array[blocks[0]])
    found = np.empty((len(array), *first.shape[1:]), first.dtype)
    found[blocks[0]] = first
    for rows in blocks[1:]:
        found[rows] = change(array[rows])
    return found


def label_counts(mask: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The number of pixels of a mask (H, W) with each label, (256,)."""
    counts = np.zeros(256, np.int64)
    for rows in row_blocks(len(mask), mask[:1].size):
        counts += np.bincount(mask[rows].ravel(), minlength=256)
    return counts
