"""Files of pretrained weights: how they are named and where they are looked for."""

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Any

from segbench.errors import SegbenchError

SUFFIXES = (".pth", ".pt", ".safetensors")
VARIABLE = "SEGBENCH_WEIGHTS"  # a folder that is looked in for files without a path


class WeightsError(SegbenchError):
    """Pretrained weights that could be neither found nor fetched."""


def is_file_name(weights: Any) -> bool:
    """Whether ``weights`` names a file, such as ``encoder.safetensors``.

    Example:
        >>> is_file_name("weights/mine.pth"), is_file_name("imagenet")
        (True, False)
    """
    return isinstance(weights, str) and weights.lower().endswith(SUFFIXES)


def find_file(weights: str) -> Path:
    """The path of a file of weights; the folder ``$SEGBENCH_WEIGHTS`` is looked in too.

    Raises:
        WeightsError: there is no such file.
    """
    known = os.environ.get(VARIABLE)
    places = [Path(weights), *([Path(known) / weights] if known else [])]
    for place in places:
        if place.is_file():
            return place
    looked = " and ".join(str(place) for place in places)
    raise WeightsError(
        f"model.weights={weights}: no such file; looked for {looked}; give the path of a file, or "
        f"name its folder by the environment variable {VARIABLE}"
    )


def digest_of(weights: str) -> str:
    """The SHA-256 of a file of weights, in hexadecimal digits.

    Raises:
        WeightsError: there is no such file.
    """
    path = find_file(weights)
    found = path.stat()
    return _digest(path, found.st_size, found.st_mtime_ns)


@cache
def _digest(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
