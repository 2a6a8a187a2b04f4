"""Weights that a network starts from: where they are looked for, and how they are read."""

import hashlib
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from segbench.errors import ConfigError, WeightsError
from segbench.records.cell_folders import HASH, WEIGHTS, find_cell

if TYPE_CHECKING:  # torch takes seconds to import
    from torch import Tensor

SUFFIXES = (".pth", ".pt", ".safetensors", ".ckpt")
VARIABLE = "SEGBENCH_WEIGHTS"  # a folder that is looked in for files without a path
OPTION = "model.weights"


def is_source(weights: Any) -> TypeGuard[str]:
    """Whether ``weights`` names a file or a cell, not weights that a package knows by a name.

    A cell is named by a path with a separator, or by its hash.

    Example:
        >>> is_source("weights/mine.pth"), is_source("outputs/ph2"), is_source("imagenet")
        (True, True, False)
    """
    if not isinstance(weights, str):
        return False
    folder = "/" in weights or os.sep in weights or weights in (".", "..")
    return _is_file(weights) or folder or bool(re.fullmatch(HASH, weights))


def _is_file(weights: str) -> bool:
    return weights.lower().endswith(SUFFIXES)


def find_weights(weights: str) -> Path:
    """The path of the file that ``weights`` names, or of the selected weights of a cell.

    A file is looked for in the folder ``$SEGBENCH_WEIGHTS`` too.

    Raises:
        WeightsError: there is no such file or cell.
    """
    if not _is_file(weights):
        try:
            path = find_cell(weights, OPTION) / WEIGHTS
        except ConfigError as error:
            raise WeightsError(str(error)) from error
        if not path.is_file():
            raise WeightsError(f"{OPTION}={weights}: this cell has no selected weights (yet)")
        return path
    known = os.environ.get(VARIABLE)
    places = [Path(weights), *([Path(known) / weights] if known else [])]
    for place in places:
        if place.is_file():
            return place
    looked = " and ".join(str(place) for place in places)
    raise WeightsError(
        f"{OPTION}={weights}: no such file; looked for {looked}; give the path of a file, or "
        f"name its folder by the environment variable {VARIABLE}"
    )


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    found = path.stat()
    return _digest(path, found.st_size, found.st_mtime_ns)


@cache
def _digest(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_weights(path: Path) -> "dict[str, Tensor]":
    """The tensors of a file, by name; nothing else in it is loaded.

    Raises:
        WeightsError: the file is damaged, or cannot be read without running code from it.
    """
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            state: object = load_file(path)
        else:
            from segbench.records.checkpoint_files import read_checkpoint

            state = read_checkpoint(path)
    except Exception as error:  # a damaged file can cause any error
        text = " ".join(str(error.__cause__ or error).split())[:200]
        raise WeightsError(f"{path}: damaged, or holds more than weights ({text})") from error
    for key in ("state_dict", "model", "model_state_dict"):
        inner = state.get(key) if isinstance(state, Mapping) else None
        state = inner if isinstance(inner, Mapping) else state
    tensors = state.items() if isinstance(state, Mapping) else ()
    return {str(key): value for key, value in tensors if hasattr(value, "shape")}
