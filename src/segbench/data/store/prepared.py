"""Cases: as they are found, as they are decoded, and as the store holds them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from segbench.data.store.ragged import Ragged
from segbench.data.store.transforms import Array, Values
from segbench.records.checksums import DamagedError, digest_bytes

Instances = npt.NDArray[np.uint16]
MOST_INSTANCES = 65_535


@dataclass(frozen=True)
class Case:
    """One sample: its id and its files, the images first; generated cases have no files.

    The first ``images`` files are the image: one file, or one for each of its channels.

    Files are plain strings, because creating a `Path` for each of tens of thousands of files takes
    longer than opening the store.
    """

    id: str
    files: tuple[str, ...] = ()
    images: int = 1

    @property
    def image(self) -> Path | None:
        """The file of the image; None for a generated case."""
        return Path(self.files[0]) if self.files else None

    @property
    def name(self) -> str:
        """The name in messages: the image's file, or the id of a generated case."""
        return self.files[0] if self.files else self.id

    @property
    def masks(self) -> tuple[Path, ...]:
        """The files of the mask, which may have several."""
        return tuple(map(Path, self.files[self.images :]))


@dataclass(frozen=True)
class Decoded:
    """A case at its original size.

    Args:
        image: (H, W, C), of uint8, or with its stored values.
        mask: class ids (H, W) uint8.
        sha256: the SHA-256 of its concatenated files.
        notes: phrases for what reading left out or changed, without the file's name.
        instances: the number of the object at each pixel (H, W) uint16, 0 for none; None: the data
            set does not tell objects apart.
    """

    image: Values
    mask: Array
    sha256: str
    notes: tuple[str, ...] = ()
    instances: Instances | None = None


@dataclass(frozen=True)
class Prepared:
    """All N cases at one size, or each at its own, with their original masks as PNG."""

    images: Any  # (N, H, W, C) uint8 or float32, or Ragged of (H, W, C)
    masks: Any  # (N, H, W), or Ragged of (H, W)
    # PNG files, one after another: of each case the original mask and, if objects are told apart,
    # their numbers
    originals: Array
    offsets: list[int]  # N + 1 byte positions in originals
    instance_bytes: list[int]  # of the last bytes of each case in originals; 0: no objects
    sha256: list[str]
    sizes: list[tuple[int, int]]  # (height, width) of the files
    labels: list[list[int]]  # the labels in the original mask
    pixels: list[list[tuple[int, int]]]  # label and its number of pixels in `masks`
    notes: list[list[str]]  # what reading left out or changed
    ranges: list[list[list[float]]]  # the least and the largest value of each channel, (C, 2)
    sums: list[str]  # checksum of each case's image, mask and original mask
    folder: Path | None = None  # of the store; None: in memory
    # at their own sizes: some pixels of each class, (n, 3): label, row, column
    locations: Ragged | None = None
    _checked: set[int] = field(default_factory=set, repr=False, compare=False)

    def check(self, indices: Iterable[int]) -> None:
        """Compare cases with their checksums, each case once.

        Raises:
            DamagedError: a case differs from its checksum.
        """
        for index in set(map(int, indices)) - self._checked:
            png = self.originals[self.offsets[index] : self.offsets[index + 1]]
            stored = [self.images[index], self.masks[index], png]
            if self.locations is not None:
                stored.append(self.locations[index])
            if case_sum(*stored) != self.sums[index]:
                raise DamagedError(
                    f"{self.folder}: the prepared images are damaged (case {index}); remove this "
                    "folder, and the next run prepares them again"
                )
            self._checked.add(index)

    def original(self, index: int) -> Array:
        """The mask (H_i, W_i) of a case at its original size."""
        self.check([index])
        png = self.originals[self.offsets[index] : self.offsets[index + 1]]
        png = png[: len(png) - self.instance_bytes[index]]
        return cv2.imdecode(np.asarray(png), cv2.IMREAD_UNCHANGED)  # type: ignore[return-value]

    def instances(self, index: int) -> Instances | None:
        """The number of the object at each pixel (H_i, W_i) of a case, 0 for none.

        None if the data set does not tell objects apart.
        """
        self.check([index])
        if not self.instance_bytes[index]:
            return None
        end = self.offsets[index + 1]
        png = np.asarray(self.originals[end - self.instance_bytes[index] : end])
        return cv2.imdecode(png, cv2.IMREAD_UNCHANGED)  # type: ignore[return-value]


def case_sum(*stored: Values) -> str:
    """The checksum of what is stored of a case: its image, its mask, its original mask as PNG."""
    return digest_bytes(*(each.data for each in stored))


def with_facts(
    images: Any,
    masks: Any,
    originals: Array,
    facts: list[dict[str, Any]],
    folder: Path | None = None,
    locations: Ragged | None = None,
) -> Prepared:
    """Prepared cases from their arrays and the entries of ``index.json``."""
    offsets = [0, *np.cumsum([each["bytes"] for each in facts]).tolist()]
    hashes, labels = [each["sha256"] for each in facts], [each["labels"] for each in facts]
    sizes = [(each["size"][0], each["size"][1]) for each in facts]
    pixels = [[(label, count) for label, count in each["pixels"]] for each in facts]
    notes = [each["notes"] for each in facts]
    ranges = [each["range"] for each in facts]
    sums = [str(each["sum"]) for each in facts]
    instance_bytes = [each.get("instance_bytes", 0) for each in facts]
    found = instance_bytes, hashes, sizes, labels, pixels, notes, ranges, sums
    return Prepared(images, masks, originals, offsets, *found, folder, locations)
