"""CaseReader: how a data set's cases are found and read from their files; subclasses adapt it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segbench.data.decoding.files import read_file
from segbench.data.decoding.opening import max_bytes
from segbench.data.decoding.picture_facts import image_notices
from segbench.data.decoding.pictures import decode_image, decode_mask
from segbench.data.store.prepared import Case, Decoded
from segbench.data.store.transforms import Array
from segbench.errors import DataError


class CaseReader:
    """Finds the cases of a data set and reads their images and masks.

    Args:
        in_channels: 3 (RGB), 1 (grey) or 4 (RGB and alpha).
        exif: ``apply`` or ``ignore``, see `SegmentationDataModule`.
        max_pixels: the largest accepted number of pixels.
    """

    faults: list[DataError] | None = None  # collects those of incomplete cases; None: they raise

    def __init__(self, in_channels: int, exif: str, max_pixels: int) -> None:
        self.in_channels, self.exif, self.max_pixels = in_channels, exif, max_pixels

    def find_cases(self) -> list[Case]:
        """All cases of the data set, in any order.

        Raises:
            DataError: the data set is missing or incomplete.
        """
        raise NotImplementedError

    def on_fault(self, fault: DataError) -> None:
        """Raise the error of an incomplete case, or keep it in ``faults`` if that is a list."""
        if self.faults is None:
            raise fault
        self.faults.append(fault)

    def read(self, case: Case) -> Decoded:
        """A case at its original size, with class ids in its mask.

        Raises:
            DataError: a file cannot be read, or has unexpected content.
        """
        contents = [self.read_file(file) for file in case.files]
        files = [Path(file) for file in case.files]
        image = self.read_image(contents[0], files[0])
        masks = [self.read_mask(*pair) for pair in zip(contents[1:], files[1:], strict=True)]
        digest = hashlib.sha256(b"".join(contents)).hexdigest()
        return Decoded(
            image, self.merge_masks(case, masks), digest, tuple(self.find_notes(contents, files))
        )

    def read_file(self, file: str | Path) -> bytes:
        """The content of a regular file no larger than a picture of ``max_pixels``.

        Raises:
            DataError: the file cannot be read, is too large, or is not a regular file.
        """
        return read_file(file, max_bytes(self.max_pixels))

    def read_picture(self, file: str | Path) -> Array:
        """The picture (H, W, in_channels) in a file."""
        return self.read_image(self.read_file(file), Path(file))

    def read_image(self, content: bytes, file: Path) -> Array:
        """A picture (H, W, in_channels) from a file's content."""
        return decode_image(content, file, self.in_channels, **self.how)

    def read_mask(self, content: bytes, file: Path) -> Array:
        """A mask as grey values (H, W) from a file's content; 1-bit files give 0 and 255."""
        return decode_mask(content, file, "L", **self.how)

    @property
    def how(self) -> dict[str, Any]:
        """The options of every decoding, as keyword arguments."""
        return {"upright": self.exif == "apply", "max_pixels": self.max_pixels}

    def find_notes(self, contents: Sequence[bytes], files: Sequence[Path]) -> list[str]:
        """Phrases for what reading a case leaves out or changes; the first file is the image."""
        return image_notices(contents[0], self.in_channels, **self.how)

    def merge_masks(self, case: Case, masks: list[Array]) -> Array:
        """Class ids (H, W) from the mask files of a case; by default the first mask."""
        return masks[0]
