"""Scores masks that any tool has predicted, as a cell's own are scored."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segbench.cell.keeping import keep_pictures, noted
from segbench.cell.scoring import write_tables
from segbench.data.base import SegmentationDataModule
from segbench.data.decoding.files import SUFFIXES, find_pictures
from segbench.data.formats.nifti import NIfTIDataModule
from segbench.data.layouts.patterns import VOLUMES
from segbench.data.mask_files import check_values, read_ids
from segbench.data.store.prepared import Case, Instances
from segbench.data.store.transforms import Array
from segbench.errors import DataError
from segbench.metrics.counts import ImageScores
from segbench.metrics.optional import OptionalScores
from segbench.metrics.scores import aggregate, score_table
from segbench.records.pictures import encode_labels
from segbench.records.record import Record
from segbench.text.progress import track
from segbench.text.wording import listed

_SHOWN = 8  # names in a message


class Predictions:
    """The predicted masks in a folder, by the ids of the images.

    Args:
        folder: the folder.
        data: reads the masks' sizes and slices.
        values: the grey value of each class; None: class ids.

    Raises:
        DataError: the folder is missing, or a file cannot be taken.
    """

    def __init__(
        self, folder: Path, data: SegmentationDataModule, values: Sequence[int] | None
    ) -> None:
        if not folder.is_dir():
            raise DataError(f"pred={folder}: no such folder; it holds the predicted masks")
        self.folder, self.data = folder, data
        self.values = check_values(values, data.num_classes, "pred_values")
        self._volumes = data if isinstance(data, NIfTIDataModule) else None
        self.files = _by_id(folder, VOLUMES if self._volumes else SUFFIXES)

    def check(self, ids: Sequence[str]) -> list[str]:
        """Names of files that belong to no image.

        Args:
            ids: of the images that are scored.

        Raises:
            DataError: an image has no file.
        """
        wanted = {self._name(id_) for id_ in ids}
        missing = sorted(wanted - set(self.files))
        if missing:
            raise DataError(
                f"pred={self.folder}: {len(missing)} of {len(wanted)} images have no mask: "
                f"{listed(missing, _SHOWN)}; nothing is scored on fewer images than others are: "
                "add the masks, named as the images are"
            )
        return sorted(set(self.files) - wanted)

    def _name(self, id_: str) -> str:
        return id_.rpartition("/")[0] if self._volumes else id_

    def digest(self, ids: Sequence[str]) -> list[str]:
        """The SHA-256 of the file of each image."""
        files = dict.fromkeys(self.files[self._name(id_)] for id_ in ids)
        return [hashlib.sha256(self.data.read_file(file)).hexdigest() for file in files]

    def read(self, case: Case) -> Array:
        """The predicted class ids (H, W) of a case.

        Raises:
            DataError: the file cannot be read, or has a value without a class.
        """
        file = Path(self.files[self._name(case.id)])
        if self._volumes is not None:
            number = int(case.id.rpartition("/")[2])
            if number >= self._volumes.count_slices(str(file)):
                raise DataError(f"{file}: has no slice {number}, which the true mask has")
            labels = self._volumes.read_labels(str(file), number, self.values)
        else:
            content = self.data.read_file(file)
            how: dict[str, Any] = {"upright": False, "max_pixels": self.data.max_pixels}
            labels = read_ids(content, file, self.values, None, self.data.ignore_index, **how)
        if labels.max(initial=0) >= self.data.num_classes:
            raise DataError(
                f"{file}: the label {labels.max()}, where classes are 0 to "
                f"{self.data.num_classes - 1}; pred_values=[…] gives the grey value of each class"
            )
        return labels


@dataclass(frozen=True)
class Scored:
    """The images that are scored, and their true masks.

    Args:
        data: the data set.
        cases: the scored cases by their index.
        part: the part of the data set that they are.
        split: the content of ``split.json``.
        truth_of: gives the true mask (H, W) of a case by its index, and the numbers of its objects
            if the data set tells them apart.
        groups: of the cases, in their order; None: none are known.
        own: whether they are a data set's, whose pictures reports can show.
    """

    data: SegmentationDataModule
    cases: Mapping[int, Case]
    part: str
    split: dict[str, Any]
    truth_of: Callable[[int], tuple[Array, Instances | None]]
    groups: list[str] | None
    own: bool

    @classmethod
    def of_part(cls, data: SegmentationDataModule, part: str) -> "Scored":
        """A part of a data set in the split of its options, as a cell scores it."""
        data.setup()
        cases = {index: data.cases[index] for index in data.indices(part)}
        groups = None if data.groups is None else [data.groups[index] for index in cases]
        split, prepared = data.split_record(), data.prepared

        def truth_of(index: int) -> tuple[Array, Instances | None]:
            return prepared.original(index), prepared.instances(index)

        return cls(data, cases, part, split, truth_of, groups, own=True)

    @classmethod
    def of_files(cls, data: SegmentationDataModule) -> "Scored":
        """All mask files of a folder."""
        found = sorted(data.find_cases(), key=lambda case: case.id)
        groups = data.splitting.find_groups(found)
        entries = []
        for number, case in enumerate(found):
            contents = b"".join(data.read_file(file) for file in case.masks)
            sha256 = hashlib.sha256(contents + case.id.encode()).hexdigest()
            group = {} if groups is None else {"group": groups[number]}
            entries.append({"id": case.id, "sha256": sha256, **group})
        split = {"parts": {"train": [], "val": [], "test": entries}}

        def truth_of(index: int) -> tuple[Array, Instances | None]:
            return data.read_truth(found[index])

        return cls(data, dict(enumerate(found)), "test", split, truth_of, groups, own=False)

    @property
    def ids(self) -> list[str]:
        """The ids of the scored cases."""
        return [case.id for case in self.cases.values()]

    def write(
        self, predictions: Predictions, folder: Path, record: Record, optional: OptionalScores
    ) -> dict[str, float]:
        """Score the predictions, and write their table and small pictures of them.

        Args:
            predictions: the predicted masks.
            folder: receives the files.
            record: of the masks.
            optional: the further scores that are asked for.

        Returns:
            The averages.

        Raises:
            DataError: a mask cannot be read, or has another size than the true one.
        """
        data, pngs = self.data, {}
        scores = ImageScores(data.num_classes, data.ignore_index, surface=True, optional=optional)
        for index in track(self.cases, len(self.cases), f"scoring {len(self.cases)} masks"):
            labels, (truth, objects) = predictions.read(self.cases[index]), self.truth_of(index)
            if labels.shape != truth.shape:
                raise DataError(
                    f"pred={predictions.folder}: the mask of {self.cases[index].id} has "
                    f"{labels.shape[1]} x {labels.shape[0]} pixels, the true one {truth.shape[1]} "
                    f"x {truth.shape[0]}; masks are scored at the original size"
                )
            one, other = (torch.from_numpy(m.astype(np.int64))[None] for m in (labels, truth))
            known = None if objects is None else [objects.astype(np.int32)]
            scores.update(one, other, torch.tensor([index]), known)
            pngs[index] = encode_labels(labels)
        found = scores.compute()
        facts = found.counts, found.sizes, found.surface
        table = score_table(self.ids, data.class_names, *facts, self.groups, found.optional)
        write_tables(table, found, data.class_names, folder)
        if self.own:
            with noted("pictures for comparisons", record["notes"]):
                keep_pictures(data, pngs, folder, record["choices"]["data"], self.part)
        return aggregate(table, data.class_names)


def _by_id(folder: Path, suffixes: tuple[str, ...]) -> dict[str, str]:
    """Files below a folder by their paths without suffix."""
    faults: list[DataError] = []
    found: dict[str, str] = {}
    for file in find_pictures(folder, faults.append, suffixes):
        stem = file[: -len(".nii.gz")] if file.endswith(".nii.gz") else os.path.splitext(file)[0]
        id_ = Path(stem).relative_to(folder).as_posix()
        if id_ in found:
            faults.append(DataError(f"{file}: {found[id_]} has its name; remove one"))
        found[id_] = file
    if faults:
        raise faults[0]
    return found
