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
_LOOKED_AT = 20  # files, to find out what they are


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
    files = sorted(root.rglob("*.json"))
    for file in islice(files, _LOOKED_AT):
        found = _content(file)
        path = file.relative_to(root).as_posix()
        if {"images", "annotations", "categories"} <= found.keys():
            options = {
                "annotations": path,
                "images": _folder_of(root, _texts(found["images"], "file_name")),
                "class_names": _classes(_texts(found["categories"], "name")),
            }
            return Annotations(path, "coco", options)
        if _is_labelme(file, found):
            contents = ((each, _content(each)) for each in files)
            shapes = (found["shapes"] for each, found in contents if _is_labelme(each, found))
            labels = {label for each in shapes for label in _texts(each, "label")}
            names = _classes(sorted(labels - {"ignore"}))  # which marks ignored pixels
            return Annotations(path, "labelme", {"class_names": names})
    return None


def _is_labelme(file: Path, found: Mapping[str, Any]) -> bool:
    return "shapes" in found and any(file.with_suffix(suffix).is_file() for suffix in SUFFIXES)


def _texts(entries: Any, key: str) -> list[str]:
    """The values of a key in a list of mappings; other entries have none."""
    given = entries if isinstance(entries, list) else []
    return [str(each[key]) for each in given if isinstance(each, dict) and key in each]


def _classes(names: list[str]) -> list[str]:
    """Background, and every other name once."""
    return list(dict.fromkeys(["background", *names]))


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
