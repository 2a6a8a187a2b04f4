"""Volumes in NIfTI files, slice by slice (https://nifti.nimh.nih.gov).

``images/<volume>.nii.gz`` and ``masks/<volume>.nii.gz`` with equal names, or other patterns. Each
slice along an axis is a case, and its volume is its group.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from segbench.data.base import SegmentationDataModule
from segbench.data.layouts.patterns import VOLUMES, check_patterns, find_files, pair
from segbench.data.mask_files import check_values
from segbench.data.store.prepared import Case, Decoded
from segbench.data.store.transforms import Array, Values
from segbench.errors import ConfigError, DataError

_KEPT = 4  # files whose values are kept, since the slices of a volume are read one after another
_NEAR = 1e-2  # largest difference of the positions of an image's and its mask's voxels, in mm


class NIfTIDataModule(SegmentationDataModule):
    """Slices of volumes, with the values of the scanner, or windowed to 8 bits.

    Args:
        images: the pattern of the volumes' paths in ``root``, with a ``*`` for the volume's id.
        masks: that of the masks, with the same ids.
        axis: the axis of the array along which volumes are cut into slices, 0, 1 or 2.
        window: the values that become 0 and 255, such as [-160, 240] of a CT's soft tissue; None:
            values as stored, normalised as ``normalize`` says, by default by the train part.
        mask_values: the value of each class in a mask; None: class ids.
        options: those of `SegmentationDataModule`. A volume of four axes has its channels in the
            last one.

    Raises:
        ConfigError: an option has a wrong value, or nibabel is not installed.
    """

    source: ClassVar[str] = "expected images/<volume>.nii.gz and masks/<volume>.nii.gz"

    def __init__(
        self,
        *,
        images: str = "images/*",
        masks: str = "masks/*",
        axis: int = 2,
        window: Sequence[float] | None = None,
        mask_values: Sequence[int] | None = None,
        normalize: str | None = None,
        **options: Any,
    ) -> None:
        if normalize is None:
            normalize = "imagenet" if window is not None else "train"
        super().__init__(normalize=normalize, **options)
        if axis not in (0, 1, 2):
            raise ConfigError(f"data.axis={axis}: expected 0, 1 or 2")
        self.axis, self.window = axis, _check_window(window)
        if (self.window is not None) == self.stores_values:
            raise ConfigError(
                f"data.window={window}, data.normalize={normalize}: a window makes 8 bits, which "
                "data.normalize=imagenet normalises; give a window alone, or another normalisation "
                "alone"
            )
        self.values = check_values(mask_values, self.num_classes)
        self.patterns = check_patterns(images, masks, VOLUMES)
        self._volumes: OrderedDict[str, npt.NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()
        nibabel()

    def find_cases(self) -> list[Case]:
        """A case for each slice; its id is the volume's, a slash, and the slice's number."""
        root = self.find_root()
        assert self.patterns is not None
        images = find_files(self.patterns[0][0], root, self.on_fault, VOLUMES)
        masks = find_files(self.patterns[1], root, self.on_fault, VOLUMES)
        cases = []
        for key, files in pair([images], masks, self.patterns, root, None, self.on_fault).items():
            try:
                shapes = [_header(file).shape for file in files]
                _check_alike(files, shapes)
            except DataError as error:
                self.on_fault(error)
                continue
            name = "/".join(filter(None, key))
            numbers = range(shapes[0][self.axis])
            cases += [Case(f"{name}/{number:04d}", files) for number in numbers]
        return cases

    def read(self, case: Case) -> Decoded:
        """A slice of the volume and of its mask, with class ids."""
        number = int(case.id.rpartition("/")[2])
        image = self.read_slice(case.files[0], number)
        labels = self.read_labels(case.files[1], number, self.values)
        return Decoded(image, labels, self.contents.cases.get(case.id, ""))

    def read_truth(self, case: Case) -> tuple[Array, None]:
        """The class ids (H, W) of a slice's mask; its objects are not told apart."""
        return self.read_labels(case.files[1], int(case.id.rpartition("/")[2]), self.values), None

    def read_labels(self, file: str, number: int, values: Sequence[int] | None) -> Array:
        """Class ids (H, W) of slice ``number`` of a mask's file; ``values`` as mask_values."""
        return _as_ids(self._slice(file, number), file, values, self.ignore_index)

    def read_slice(self, file: str, number: int) -> Values:
        """Slice ``number`` of a volume's file as an image (H, W, in_channels)."""
        values = self._slice(file, number)
        values = values[:, :, None] if values.ndim == 2 else values
        if values.shape[2] != self.in_channels:
            raise DataError(
                f"{file}: {values.shape[2]} channels, where data.in_channels={self.in_channels}"
            )
        if not np.isfinite(values).all():
            raise DataError(f"{file}: slice {number} has values that are not finite; replace them")
        if self.window is None:
            return np.ascontiguousarray(values, np.float32)
        low, high = self.window
        grey = (values.astype(np.float32) - low) * (255 / (high - low))
        return np.ascontiguousarray(grey.round().clip(0, 255), np.uint8)

    def stored_as(self, case: Case, image: Values) -> str:
        """The format and type of a volume's file; the header alone is read."""
        return f"NIfTI {_header(case.files[0]).get_data_dtype()}"

    def count_slices(self, file: str) -> int:
        """The number of slices of a volume's file."""
        return int(_header(file).shape[self.axis])

    def _read_shown(self, case: Case) -> Values:
        return self.read_slice(case.files[0], int(case.id.rpartition("/")[2]))

    def _slice(self, file: str, number: int) -> npt.NDArray[Any]:
        with self._lock:  # several threads read slices of one volume
            if file not in self._volumes:
                self._volumes[file] = _load(file)
                while len(self._volumes) > _KEPT:
                    self._volumes.popitem(last=False)
            self._volumes.move_to_end(file)
            found: npt.NDArray[Any] = np.take(self._volumes[file], number, self.axis)
            return found


@cache
def nibabel() -> Any:
    """The package nibabel.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import nibabel as package
    except ImportError as error:
        raise ConfigError(
            "data: NIfTI files are read by nibabel: `pip install 'segbench[medical]'`"
        ) from error
    return package


def _header(file: str) -> Any:
    """A volume's file, of which the header alone is read.

    Raises:
        DataError: it cannot be read, or has neither three nor four axes.
    """
    try:
        found = nibabel().load(file)
        shape = tuple(map(int, found.shape))
    except ConfigError:
        raise
    except Exception as error:  # decoders raise many kinds of errors for damaged files
        raise _unreadable(file, error) from error
    if len(shape) not in (3, 4) or 0 in shape:
        raise DataError(f"{file}: an array of shape {shape}; expected a volume of three axes")
    return found


def _load(file: str) -> npt.NDArray[Any]:
    try:
        return np.asarray(_header(file).dataobj)
    except DataError:
        raise
    except Exception as error:
        raise _unreadable(file, error) from error


def _unreadable(file: str, error: Exception) -> DataError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return DataError(
        f"{file}: cannot be read as NIfTI ({reason}); replace the file or move its case out of the "
        "data set"
    )


def _check_alike(files: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> None:
    """Refuse an image and a mask of different shapes or positions in space."""
    image, mask = shapes
    if image[:3] != mask[:3] or len(mask) > 3:
        raise DataError(f"{files[1]}: the mask has the shape {mask}, its image {image}")
    away = np.abs(_header(files[0]).affine - _header(files[1]).affine).max()
    if not away <= _NEAR:
        raise DataError(
            f"{files[1]}: the mask lies elsewhere in space than its image (their affine matrices "
            "differ); resample it to the image"
        )


def _as_ids(
    mask: npt.NDArray[Any], file: str, values: Sequence[int] | None, ignore_index: int
) -> npt.NDArray[np.uint8]:
    whole = np.round(mask).astype(np.int64)
    if (whole != mask).any():
        raise DataError(f"{file}: values that are no whole numbers; expected class ids")
    if values is None:
        if whole.min() < 0 or whole.max() > 255:
            found = [int(whole.min()), int(whole.max())]
            raise DataError(f"{file}: values of {found[0]} to {found[1]}; expected class ids")
        return whole.astype(np.uint8)
    labels = np.full(whole.shape, -1)
    for label, value in [(ignore_index, ignore_index), *enumerate(values)]:
        labels[whole == value] = label
    if (labels < 0).any():
        foreign = sorted(set(whole[labels < 0].tolist()))[:8]
        raise DataError(f"{file}: {foreign} in the mask, which data.mask_values does not name")
    return labels.astype(np.uint8)


def _check_window(window: Sequence[float] | None) -> tuple[float, float] | None:
    if window is None:
        return None
    numbers = [float(value) for value in window]
    if len(numbers) != 2 or not numbers[0] < numbers[1]:
        raise ConfigError(f"data.window={list(window)}: expected [low, high]")
    return numbers[0], numbers[1]
