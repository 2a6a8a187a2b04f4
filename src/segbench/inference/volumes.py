"""Predicts masks of NIfTI volumes, slice by slice."""

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segbench.data.formats.nifti import NIfTIDataModule, nibabel
from segbench.errors import ConfigError, DataError
from segbench.inference.files import Wanted
from segbench.inference.inputs import Input
from segbench.inference.predictor import Predictor
from segbench.records.record import atomic_write


def refuse_picture_options(wanted: Wanted) -> None:
    """Refuse options that write more than masks.

    Raises:
        ConfigError: one is given.
    """
    given = [name for name in ("probabilities", "overlay", "show") if getattr(wanted, name)]
    if given:
        raise ConfigError(f"{given[0]}: of volumes only the masks are written; leave it out")


def predict_volumes(
    predictor: Predictor, data: NIfTIDataModule, inputs: Sequence[Input], output: Path
) -> Iterator[DataError | None]:
    """Write the mask of each volume as ``<name>.nii.gz``, in the volume's own position and shape.

    Args:
        predictor: predicts slices.
        data: reads slices as training did.
        inputs: the volumes.
        output: the folder of the masks.

    Yields:
        For each volume None, or the error for which it was skipped.
    """
    for each in inputs:
        try:
            labels = _predict(predictor, data, str(each.file))
        except DataError as error:
            yield error
            continue
        _write(output / f"{each.name}.nii.gz", labels, str(each.file))
        yield None


def _predict(predictor: Predictor, data: NIfTIDataModule, file: str) -> Any:
    """Class ids of a volume, in its array's shape without the channels."""
    numbers = range(data.count_slices(file))
    found = []
    for start in range(0, len(numbers), predictor.batch_size):
        chosen = numbers[start : start + predictor.batch_size]
        slices = [data.read_slice(file, number) for number in chosen]
        prepared = [predictor.prepare(each) for each in slices]
        sizes = [each.shape[:2] for each in slices]
        found += [each.labels for each in predictor.predict(prepared, sizes)]
    return np.stack(found, axis=data.axis)


def _write(path: Path, labels: Any, like: str) -> None:
    image = nibabel().Nifti1Image(labels, nibabel().load(like).affine)
    with atomic_write(path) as temporary:
        temporary.write_bytes(gzip.compress(image.to_bytes(), mtime=0))  # equal masks, equal files
