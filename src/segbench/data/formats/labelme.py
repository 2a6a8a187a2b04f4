"""Annotations of Labelme: a JSON file with shapes beside each picture.

The format is that of https://github.com/wkentaro/labelme.
"""

import base64
import json
import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from segbench.data.base import SegmentationDataModule
from segbench.data.decoding.files import SUFFIXES, find_pictures
from segbench.data.decoding.pictures import decode_mask
from segbench.data.layouts.shapes import Size, circle, fill, rectangle
from segbench.data.store.prepared import Case
from segbench.data.store.transforms import Array
from segbench.errors import DataError


class LabelmeDataModule(SegmentationDataModule):
    """Pictures with Labelme's polygons, rectangles, circles and masks; later shapes lie in front.

    Pictures and their JSON files are found in all folders below ``root``. A picture without a JSON
    file has not been labelled, and is refused.

    Args:
        options: those of `SegmentationDataModule`. ``class_names`` are background, and the labels;
            the label ``ignore`` marks ignored pixels.
    """

    source: ClassVar[str] = "expected pictures, each with a JSON file of Labelme beside it"

    def find_cases(self) -> list[Case]:
        """A case for each picture with a JSON file; its id is the path without suffix."""
        root = self.find_root()
        cases = []
        for file in find_pictures(root, self.on_fault):
            stem = os.path.splitext(file)[0]
            if not os.path.isfile(f"{stem}.json"):
                self.on_fault(
                    DataError(f"{file}: no {stem}.json beside it; label it, or move it away")
                )
                continue
            cases.append(Case(Path(stem).relative_to(root).as_posix(), (file, f"{stem}.json")))
        if not cases:
            raise DataError(f"{root}: holds no pictures ({', '.join(SUFFIXES)}); {self.source}")
        return cases

    def read_mask(self, content: bytes, file: Path) -> Array:
        """Class ids (H, W) of the shapes in a JSON file."""
        try:
            found = json.loads(content)
            size = int(found["imageHeight"]), int(found["imageWidth"])
            shapes = [(str(shape["label"]), shape) for shape in found["shapes"]]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{file}: not a JSON file of Labelme ({type(error).__name__}: {error}); it has "
                "shapes, imageHeight and imageWidth"
            ) from error
        labels = {name: k for k, name in enumerate(self.class_names)}
        labels["ignore"] = self.ignore_index
        mask = np.zeros(size, np.uint8)
        for name, shape in shapes:
            if name not in labels:
                raise DataError(
                    f"{file}: a shape labelled {name}, which data.class_names does not name; it "
                    f"names {', '.join(self.class_names)}"
                )
            mask[self._pixels(shape, size, file) > 0] = labels[name]
        return mask

    def _pixels(self, shape: dict[str, Any], size: Size, file: Path) -> Array:
        kind = shape.get("shape_type") or "polygon"
        try:
            points = [(float(x), float(y)) for x, y in shape["points"]]
            if kind == "polygon":
                return fill([[value for point in points for value in point]], size)
            if kind == "rectangle":
                return fill([rectangle(*points)], size)
            if kind == "circle":
                return fill([circle(*points)], size)
            if kind == "mask":
                return self._pasted(shape["mask"], points, size, file)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise DataError(
                f"{file}: a shape ({shape['label']}, {kind}) cannot be drawn ({error}); correct it"
            ) from error
        raise DataError(
            f"{file}: a shape of the kind {kind}, which has no area; expected polygon, rectangle, "
            "circle or mask"
        )

    def _pasted(
        self, encoded: str, points: list[tuple[float, float]], size: Size, file: Path
    ) -> Array:
        """A mask that is stored as a PNG in base64 for the rectangle of two points."""
        small = decode_mask(base64.b64decode(encoded), file, "L", max_pixels=self.max_pixels) > 0
        left, top = (round(value) for value in points[0])
        whole = np.zeros(size, np.uint8)
        height, width = small.shape
        if whole[top : top + height, left : left + width].shape != small.shape:
            raise ValueError("a mask that reaches beyond the picture")
        whole[top : top + height, left : left + width] = small
        return whole
