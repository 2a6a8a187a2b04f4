"""CaseReader: how a data set's cases are found and read from their files; subclasses adapt it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segbench.data.decoding.channels import Values, decode_channels
from segbench.data.decoding.files import read_file
from segbench.data.decoding.opening import max_bytes, stored_as
from segbench.data.decoding.picture_facts import image_notices
from segbench.data.decoding.pictures import decode_image, decode_mask
from segbench.data.store.prepared import Case, Decoded, Instances
from segbench.data.store.transforms import Array
from segbench.errors import DataError


class CaseReader:
    """Finds the cases of a data set and reads their images and masks.

    Args:
        in_channels: 3 (RGB), 1 (grey), 4 (RGB and alpha or a fourth), or any other number.
        exif: ``apply`` or ``ignore``, see `SegmentationDataModule`.
        max_pixels: the largest accepted number of pixels.
        normalize: ``imagenet``: images are read as 8 bits; others: with their stored values.
    """

    white = 65535  # the value of 16-bit grey images that becomes 255
    faults: list[DataError] | None = None  # collects those of incomplete cases; None: they raise

    def __init__(
        self, in_channels: int, exif: str, max_pixels: int, normalize: str = "imagenet"
    ) -> None:
        self.in_channels, self.exif, self.max_pixels = in_channels, exif, max_pixels
        self.normalize = normalize

    @property
    def stores_values(self) -> bool:
        """Whether images keep their stored values as floats, instead of 8 bits."""
        return self.normalize != "imagenet"

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
        digest = hashlib.sha256()
        for content in contents:
            digest.update(content)
        notes = tuple(self.find_notes(contents, files))
        pairs = [*zip(contents, files, strict=True)]
        images, pairs = pairs[: case.images], pairs[case.images :]
        del content, contents
        image = self.read_channels(images)
        images.clear()  # a large picture's file takes memory too
        mask, instances = self.read_truths(case, pairs)
        return Decoded(image, mask, digest.hexdigest(), notes, instances)

    def read_truths(
        self, case: Case, files: Sequence[tuple[bytes, Path]]
    ) -> tuple[Array, Instances | None]:
        """The class ids (H, W) of a case, and the number of the object at each pixel.

        Args:
            case: the case.
            files: the contents and the paths of its mask files.
        """
        masks = [self.read_mask(*file) for file in files]
        return self.merge_masks(case, masks), self.merge_instances(case, masks)

    def read_truth(self, case: Case) -> tuple[Array, Instances | None]:
        """The class ids (H, W) of a case's mask and the numbers of its objects, without image."""
        return self.read_truths(case, [(self.read_file(file), file) for file in case.masks])

    def read_file(self, file: str | Path) -> bytes:
        """The content of a regular file no larger than a picture of ``max_pixels``.

        Raises:
            DataError: the file cannot be read, is too large, or is not a regular file.
        """
        return read_file(file, max_bytes(self.max_pixels, self.in_channels))

    def read_picture(self, *files: str | Path) -> Values:
        """The image (H, W, in_channels) in a file, or in one file for each channel."""
        return self.read_channels([(self.read_file(file), Path(file)) for file in files])

    def channel_files(self, file: Path) -> tuple[Path, ...]:
        """The files of the image that ``file`` begins; none if it is a further channel of one.

        Raises:
            DataError: its name is not that of an image's file.
        """
        return (file,)

    def read_channels(self, files: Sequence[tuple[bytes, Path]]) -> Values:
        """The image (H, W, in_channels) of one file's content, or of one for each channel.

        Raises:
            DataError: the number or sizes of the files do not fit.
        """
        if len(files) == 1:
            return self.read_image(*files[0])
        if len(files) != self.in_channels:
            raise DataError(
                f"{files[0][1]}: one of {len(files)} channels in files of their own; "
                f"data.in_channels={self.in_channels} expects {self.in_channels}"
            )
        found = [self.read_image(*file, channels=1) for file in files]
        for values, (_, file) in zip(found, files, strict=True):
            if values.shape != found[0].shape:
                raise DataError(
                    f"{file}: {values.shape[1]} x {values.shape[0]} pixels, {files[0][1].name} "
                    f"{found[0].shape[1]} x {found[0].shape[0]}; the channels of an image have one "
                    "size: correct the file, or remove the case"
                )
        return np.concatenate(found, axis=2)

    def read_image(self, content: bytes, file: Path, channels: int | None = None) -> Values:
        """An image (H, W, C) from a file's content; C is ``channels``, or else in_channels."""
        if self.stores_values:
            return decode_channels(content, file, channels or self.in_channels, **self.how)
        return decode_image(
            content, file, channels or self.in_channels, white=self.white, **self.how
        )

    def read_mask(self, content: bytes, file: Path) -> Array:
        """A mask as grey values (H, W) from a file's content; 1-bit files give 0 and 255."""
        return decode_mask(content, file, "L", **self.how)

    def stored_as(self, case: Case, image: Values) -> str:
        """Format and mode of a case's image, such as ``PNG RGB``; its suffix if that is unknown.

        Args:
            case: the case.
            image: as it was read.
        """
        if case.image is None:
            return "generated"
        suffix = case.image.suffix.lstrip(".").upper()
        if self.stores_values:
            return f"{suffix}, {image.shape[2]} channels of {image.dtype}"
        return stored_as(case.image) or suffix

    @property
    def how(self) -> dict[str, Any]:
        """The options of every decoding, as keyword arguments."""
        return {"upright": self.exif == "apply", "max_pixels": self.max_pixels}

    def find_notes(self, contents: Sequence[bytes], files: Sequence[Path]) -> list[str]:
        """Phrases for what reading a case leaves out or changes; the first file is the image."""
        notes = image_notices(contents[0], self.in_channels, **self.how)
        if self.stores_values:  # nothing of their values is left out or changed
            return [note for note in notes if "EXIF" in note]
        return notes

    def merge_masks(self, case: Case, masks: list[Array]) -> Array:
        """Class ids (H, W) from the mask files of a case; by default the first mask."""
        return masks[0]

    def merge_instances(self, case: Case, masks: list[Array]) -> Instances | None:
        """The number of the object at each pixel (H, W), 0 for none; None: they are not known."""
        return None
