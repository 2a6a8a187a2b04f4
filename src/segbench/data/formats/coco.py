"""Annotations in COCO's JSON: polygons and run lengths of objects, as classes of pixels.

Lin et al., ECCV 2014; the format is described at https://cocodataset.org/#format-data.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from segbench.data.base import SegmentationDataModule
from segbench.data.decoding.files import read_file
from segbench.data.layouts.patterns import PART_NAMES
from segbench.data.layouts.shapes import fill, paint
from segbench.data.splits import Part, complete_parts
from segbench.data.store.prepared import Case
from segbench.data.store.transforms import Array
from segbench.errors import ConfigError, DataError

MAX_JSON = 4 << 30  # bytes
Places = str | Mapping[str, str]


@dataclass(frozen=True)
class _Picture:
    """A picture of the JSON file: its size, and its objects with their class ids."""

    source: Path
    size: tuple[int, int]
    objects: list[tuple[int, Any]]


class COCODataModule(SegmentationDataModule):
    """The classes of objects that a COCO JSON file outlines; smaller objects lie in front.

    Args:
        annotations: the JSON file below ``root``, or one for each part, such as ``{train:
            annotations/train.json, val: annotations/val.json}``, which are the split.
        images: the folder of the pictures below ``root``, or one for each part.
        options: those of `SegmentationDataModule`. ``class_names`` are background, and names of the
            file's categories; objects of other categories are background.

    Raises:
        ConfigError: an option has a wrong value.
    """

    source: ClassVar[str] = "data.annotations names a COCO JSON file, data.images the pictures"

    def __init__(
        self,
        *,
        annotations: Places = "annotations.json",
        images: Places = "images",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.annotations = _by_part(annotations, "data.annotations")
        self.images = _by_part(images, "data.images")
        if set(self.images) not in ({""}, set(self.annotations)):
            raise ConfigError(
                f"data.images: for {sorted(self.images)}, data.annotations for "
                f"{sorted(self.annotations)}; give one folder for all, or one for each file"
            )
        self._pictures: dict[str, _Picture] = {}
        self._given: dict[str, list[str]] = {}

    def find_cases(self) -> list[Case]:
        """A case for each picture that a JSON file names; its id is the path without suffix."""
        root = self.find_root()
        self._pictures, self._given = {}, {}
        cases = []
        for part, name in self.annotations.items():
            folder = root / (self.images.get(part) or self.images[""])
            if not folder.is_dir():
                raise DataError(f"{folder}: no such folder; {self.source}")
            found = self._find_in(root / name, folder, f"{part}/" if part else "")
            cases += found
            if part:
                self._given[PART_NAMES[part.lower()]] = [case.id for case in found]
        return cases

    def _find_in(self, source: Path, folder: Path, prefix: str) -> list[Case]:
        try:
            content = json.loads(read_file(source, MAX_JSON))
            labels = self._labels(content["categories"], source)
            by_image: dict[Any, list[tuple[int, Any]]] = {}
            for each in content["annotations"]:
                if each["category_id"] not in labels:
                    raise DataError(f"{source}: annotation {each.get('id')} has no category")
                label = labels[each["category_id"]]
                if label:
                    by_image.setdefault(each["image_id"], []).append((label, each["segmentation"]))
            pictures = {
                str(image["file_name"]): _Picture(
                    source,
                    (int(image["height"]), int(image["width"])),
                    by_image.get(image["id"], []),
                )
                for image in content["images"]
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{source}: not a COCO JSON file ({type(error).__name__}: {error}); expected "
                "images, annotations with segmentation, and categories"
            ) from error
        cases = []
        for name, picture in sorted(pictures.items()):
            file = folder / name
            if not file.resolve().is_relative_to(folder.resolve()) or not file.is_file():
                self.on_fault(
                    DataError(f"{file}: missing, named in {source}; restore it, or remove it there")
                )
                continue
            id_ = prefix + Path(name).with_suffix("").as_posix()
            if id_ in self._pictures:
                self.on_fault(DataError(f"{file}: another picture has its name; rename one"))
                continue
            self._pictures[id_] = picture
            cases.append(Case(id_, (str(file),)))
        if not cases:
            raise DataError(f"{source}: names no pictures in {folder}; {self.source}")
        return cases

    def _labels(self, categories: list[dict[str, Any]], source: Path) -> dict[Any, int]:
        """The class id of each category by its id in the file; 0 for those without a class."""
        names = {each["id"]: str(each["name"]) for each in categories}
        known = {name: label for label, name in enumerate(self.class_names) if label}
        if missing := sorted(set(known) - set(names.values())):
            raise DataError(
                f"{source}: no category {', '.join(missing)}; it has "
                f"{', '.join(sorted(names.values()))}; data.class_names are background, then "
                "categories"
            )
        return {id_: known.get(name, 0) for id_, name in names.items()}

    def merge_masks(self, case: Case, masks: list[Array]) -> Array:
        """Class ids (H, W) of the case's objects."""
        picture = self._pictures[case.id]
        objects = []
        for label, segmentation in picture.objects:
            try:
                objects.append((label, fill(segmentation, picture.size)))
            except (ValueError, KeyError, TypeError) as error:
                name = self.class_names[label]
                raise DataError(
                    f"{case.name}: an object ({name}) in {picture.source} cannot be drawn "
                    f"({error}); correct it there"
                ) from error
        return paint(objects, picture.size)

    def find_split(self) -> Mapping[str, Part]:
        """The split by the JSON files of parts; with one file that of the config."""
        asked = super().find_split()
        return complete_parts(self._given, asked) if self._given else asked


def _by_part(places: Places, option: str) -> dict[str, str]:
    """A path for each part's name; for "" if there is one for all."""
    if isinstance(places, str):
        return {"": places}
    found = {str(part): str(path) for part, path in places.items()}
    parts = [PART_NAMES.get(part.lower()) for part in found]
    if None in parts or "train" not in parts or len(set(parts)) < len(parts):
        raise ConfigError(
            f"{option}={found}: expected a path, or one for train and others for val and test"
        )
    return found
