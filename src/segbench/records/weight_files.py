"""Finds finished cells, and the weights that a network starts from: of a cell or a file."""

import hashlib
import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from segbench.errors import ConfigError, SegbenchError, WeightsError
from segbench.names import user_path
from segbench.records.checksums import DamagedError
from segbench.records.record import BEST, CONFIG, RUN, read_record
from segbench.text.screen import say
from segbench.weights import SUFFIXES, VARIABLE, in_own_folder, read_tensors, tensors_in

if TYPE_CHECKING:  # torch takes seconds to import
    from torch import Tensor

OPTION = "model.weights"
WEIGHTS = Path("checkpoints") / f"{BEST}.ckpt"
HASH = "[0-9a-f]{8}"
HOW = "give a cell's folder, its hash, or outputs/<name> for the best cell in there"


def find_cell(name: str, option: str = "run") -> Path:
    """The folder of a cell: itself, that with a hash, or the best one on val in ``outputs/<name>``.

    Args:
        name: the folder, hash or sweep.
        option: the option that gave it, for messages.

    Raises:
        ConfigError: there is no such cell.
    """
    folder = user_path(name)
    if (folder / CONFIG).is_file() or (folder / RUN).is_file():
        return folder
    if folder.is_dir():
        return _best_in(folder, option)
    if re.fullmatch(HASH, name):
        return _of_hash(name, option)
    raise ConfigError(f"{option}={name}: no such folder; {HOW}")


def _best_in(folder: Path, option: str) -> Path:
    scores: dict[Path, float] = {}
    for file in sorted(folder.glob(f"*/{RUN}")):
        try:
            record = read_record(file.parent)
        except SegbenchError as error:
            say(f"note: passed over: {error}")
            continue
        score = (record.get("metrics") or {}).get("val", {}).get("iou")
        done = record.get("status") == "done" and (file.parent / WEIGHTS).is_file()
        if done and score is not None:
            scores[file.parent] = score
    if not scores:
        raise ConfigError(f"{option}={folder}: holds no finished cell with its weights; {HOW}")
    best = max(scores, key=lambda cell: scores[cell])
    say(f"{option}: {best}, val IoU {scores[best]:.4f}, the best of {len(scores)}")
    return best


def _of_hash(digest: str, option: str) -> Path:
    cells = [file.parents[1] for file in Path("outputs").glob(f"*/*-{digest}/{WEIGHTS}")]
    if not cells:
        raise ConfigError(f"{option}={digest}: no cell outputs/*/*-{digest} with weights; {HOW}")
    if len(cells) > 1:
        found = ", ".join(map(str, sorted(cells)))
        raise ConfigError(f"{option}={digest}: {found}; name one of them")
    return cells[0]


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
    found = Path(weights) if Path(weights).is_file() else in_own_folder(weights)
    if found is None:
        raise WeightsError(
            f"{OPTION}={weights}: no such file, here or in the folder that the environment "
            f"variable {VARIABLE} names ({os.environ.get(VARIABLE) or 'not set'})"
        )
    return found


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    found = path.stat()
    return _digest(path, found.st_size, found.st_mtime_ns)


@cache
def _digest(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_weights(path: Path) -> "dict[str, Tensor]":
    """The tensors of a file or of a cell's checkpoint, by name.

    Raises:
        WeightsError: the file is damaged, or holds more than weights.
    """
    if path.suffix.lower() != WEIGHTS.suffix:
        return read_tensors(path)
    from segbench.records.checkpoints.files import read_checkpoint

    try:
        return tensors_in(read_checkpoint(path))  # its checksum is compared
    except DamagedError as error:
        raise WeightsError(str(error)) from error
