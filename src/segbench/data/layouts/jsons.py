"""Finds annotations in JSON files of a folder whose layout is unknown."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from segbench.data.decoding.files import SUFFIXES

_MOST_BYTES = 64 << 20  # of a JSON file that is looked into
_LOOKED_AT = 20
_SHOWN = 12  # names of classes


@dataclass(frozen=True)
class Annotations:
    """Options that would read the annotations of a folder.

    Args:
        file: the JSON file that was looked into, relative to the folder.
        data: the data option that reads such files, ``coco`` or ``labelme``.
        options: of ``data``, by their names.
    """

    file: str
    data: str
    options: Mapping[str, Any]

    @property
    def line(self) -> str:
        """What the file is, and what to type."""
        names = ",".join(self.options["class_names"])
        what = {"coco": "a COCO JSON file", "labelme": "a file of Labelme"}[self.data]
        words = f"data.annotations={self.file} data.images=… " if self.data == "coco" else ""
        return f"{self.file} is {what}: data={self.data} {words}data.class_names='[{names}]'"


def find_annotations(root: Path) -> Annotations | None:
    """The options that read the annotations below ``root``; None where there are none."""
    for file in islice(sorted(root.rglob("*.json")), _LOOKED_AT):
        found = _content(file)
        path = file.relative_to(root).as_posix()
        if {"images", "annotations", "categories"} <= found.keys():
            names = [str(each.get("name")) for each in found["categories"][:_SHOWN]]
            images = _folder_of(root, [str(each.get("file_name")) for each in found["images"]])
            options = {"annotations": path, "images": images}
            return Annotations(path, "coco", options | {"class_names": ["background", *names]})
        if "shapes" in found and any(file.with_suffix(suffix).is_file() for suffix in SUFFIXES):
            names = sorted({str(each.get("label")) for each in found["shapes"]})
            return Annotations(path, "labelme", {"class_names": ["background", *names]})
    return None


def _folder_of(root: Path, names: list[str]) -> str:
    """The folder below ``root`` in which the first picture of a COCO file lies."""
    found = sorted(root.rglob(Path(names[0]).name)) if names else []
    inside = [file for file in found if file.as_posix().endswith(f"/{names[0]}")]
    if not inside:
        return "images"
    folder = Path(inside[0].as_posix().removesuffix(names[0]))
    return folder.relative_to(root).as_posix()


def _content(file: Path) -> dict[str, Any]:
    try:
        if not os.path.isfile(file) or file.stat().st_size > _MOST_BYTES:
            return {}
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
