"""Finds annotations in JSON files of a folder whose layout is unknown."""

import json
import os
from itertools import islice
from pathlib import Path
from typing import Any

from segbench.data.decoding.files import SUFFIXES

_MOST_BYTES = 64 << 20  # of a JSON file that is looked into
_LOOKED_AT = 20
_SHOWN = 12  # names of classes


def find_annotations(root: Path) -> str | None:
    """Words that read the annotations below ``root`` instead of data=folder; None without any."""
    for file in islice(sorted(root.rglob("*.json")), _LOOKED_AT):
        found = _content(file)
        if {"images", "annotations", "categories"} <= found.keys():
            path = file.relative_to(root).as_posix()
            names = ",".join(str(each.get("name")) for each in found["categories"][:_SHOWN])
            return (
                f"{path} is a COCO JSON file: data=coco data.annotations={path} data.images=… "
                f"data.class_names='[background,{names}]'"
            )
        if "shapes" in found and any(file.with_suffix(suffix).is_file() for suffix in SUFFIXES):
            names = ",".join(sorted({str(each.get("label")) for each in found["shapes"]}))
            return (
                f"{file.relative_to(root).as_posix()} is a file of Labelme: data=labelme "
                f"data.class_names='[background,{names}]'"
            )
    return None


def _content(file: Path) -> dict[str, Any]:
    try:
        if not os.path.isfile(file) or file.stat().st_size > _MOST_BYTES:
            return {}
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
