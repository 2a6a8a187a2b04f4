"""Arrays of different shapes in one flat array, which may be a memory map."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


class Ragged:
    """Arrays that lie one after another; each is a view, so that only what is used is read.

    Args:
        flat: all values, (sum of sizes,).
        shapes: the shape of each array.

    Raises:
        ValueError: the shapes do not fill the array.
    """

    def __init__(self, flat: npt.NDArray[Any], shapes: Sequence[tuple[int, ...]]) -> None:
        self.flat, self.shapes = flat, [*shapes]
        sizes = [int(np.prod(shape)) for shape in self.shapes]
        self.offsets = [0, *np.cumsum(sizes).tolist()]
        if self.offsets[-1] != len(flat):
            raise ValueError(f"{len(flat)} values for shapes of {self.offsets[-1]}")

    @classmethod
    def of(cls, arrays: Sequence[npt.NDArray[Any]], kind: str) -> "Ragged":
        """Arrays in memory, of the NumPy type ``kind``."""
        flat = np.concatenate([np.empty(0, kind), *(each.ravel() for each in arrays)])
        return cls(flat.astype(kind, copy=False), [each.shape for each in arrays])

    @property
    def itemsize(self) -> int:
        """The size of one value in bytes."""
        return self.flat.itemsize

    @property
    def nbytes(self) -> int:
        """The size of all values together in bytes."""
        return self.flat.nbytes

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, index: int) -> npt.NDArray[Any]:
        start, end = self.offsets[index], self.offsets[index + 1]
        return self.flat[start:end].reshape(self.shapes[index])

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        return (self[index] for index in range(len(self)))
