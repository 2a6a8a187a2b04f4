"""What unknown mask files hold: class ids, grey values or colours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from segbench.data.decoding.files import read_file
from segbench.data.decoding.opening import max_bytes
from segbench.data.decoding.picture_facts import holds_loss
from segbench.data.decoding.pictures import decode_mask
from segbench.data.layouts.numbers import are_numbers
from segbench.errors import DataError

_MOST_PIXELS = 50_000_000  # of a mask that is looked into
_MOST_VALUES = 40  # a mask with more is no mask of classes
_READ = 40  # masks whose values are collected
# In a mask with numbers of objects at least these shares of
_SAME = 0.5  # the pixels equal their neighbour,
_WHOLE = 0.9  # and the numbers are one connected area each.
_LOOKED_AT = 20  # numbers of a mask, to see whether they are
_DARK, _BRIGHT = 40, 215  # of a black-and-white mask after compression with loss


@dataclass(frozen=True)
class Values:
    """The options that translate masks into class ids.

    Args:
        kind: in words.
        options: of ``data``, ``class_names`` among them.
        rank: the lower, the likelier are these the masks of classes.
    """

    kind: str
    options: Mapping[str, Any]
    rank: int


def looks_like_mask(file: Path) -> bool:
    """Whether a picture has as few values as a mask of classes has."""
    found = _stored(file)
    if found is None:
        return False
    stored, lossy = found
    if lossy:
        grey = stored if stored.ndim == 2 else stored[:, :, :3].max(axis=2)
        return float(((grey < _DARK) | (grey > _BRIGHT)).mean()) > 0.97
    return len(_distinct(stored)) <= _MOST_VALUES or _is_numbered(stored)


def describe_masks(files: Sequence[Path]) -> Values | None:
    """The options that fit what the masks hold; None if no option does.

    Args:
        files: all masks, of which some are read.
    """
    step = max(1, len(files) // _READ)
    opened = [found for file in files[::step] if (found := _stored(file)) is not None]
    described = _describe(opened) if opened else None
    if described is None or len(opened) == len(files):
        return described
    return replace(described, kind=f"{described.kind} ({len(opened)} masks were looked into)")


def _describe(opened: Sequence[tuple[npt.NDArray[Any], bool]]) -> Values | None:
    if any(lossy for _, lossy in opened):
        return _black_and_white("black and white, compressed with loss")
    if all(_is_numbered(stored) or not stored.any() for stored, _ in opened):
        found = are_numbers(np.unique(stored).tolist() for stored, _ in opened)
        if found is not None:
            kind = f"numbers of objects, 1 to n in each mask, with n from {found[0]} to {found[1]}"
            return Values(kind, {"class_names": _names(2), "instances": True}, 2)
    tuples = {value for stored, _ in opened for value in _distinct(stored)}
    if len(tuples) > _MOST_VALUES:
        return None
    grey = all(len(set(value[:3])) == 1 for value in tuples)
    if not grey:
        colours = sorted({tuple(value[:3]) for value in tuples}, key=lambda c: (sum(c), c))
        names = _names(len(colours))
        palette = {name: list(map(int, c)) for name, c in zip(names, colours, strict=True)}
        return Values(f"{len(colours)} colours", {"class_names": names, "palette": palette}, 1)
    return _of_grey(sorted({int(value[0]) for value in tuples}))


def _of_grey(values: list[int]) -> Values | None:
    without = [value for value in values if value != 255]
    if values in ([0, 255], [255], [0, 1], [0]):
        return _black_and_white() if 255 in values else _ids(2)
    if len(without) >= 2 and without[-1] < _MOST_VALUES and len(without) * 2 > without[-1]:
        return _ids(without[-1] + 1, 255 in values)
    options = {"class_names": _names(len(values)), "mask_values": values}
    return Values(f"the grey values {values}", options, 2)


def _ids(count: int, ignored: bool = False) -> Values:
    kind = f"class ids 0 to {count - 1}{' and 255 (ignored)' if ignored else ''}"
    return Values(kind, {"class_names": _names(count)}, 0)


def _black_and_white(kind: str = "black and white") -> Values:
    return Values(kind, {"class_names": _names(2), "mask_values": [0, 255]}, 0)


def _names(count: int) -> list[str]:
    """Names to be replaced by the user's."""
    return [
        "background",
        *([f"class{k}" for k in range(1, count)] if count > 2 else ["foreground"]),
    ]


def _stored(file: Path) -> tuple[npt.NDArray[Any], bool] | None:
    """The stored values of a picture, and whether it was compressed with loss."""
    try:
        content = read_file(file, max_bytes(_MOST_PIXELS))
        stored = decode_mask(content, file, None, max_pixels=_MOST_PIXELS, blurred=True)
        if stored.dtype == bool:
            stored = stored.astype(np.uint8) * 255
        return (stored, holds_loss(content)) if stored.dtype.kind in "ui" else None
    except DataError:
        return None


def _is_numbered(stored: npt.NDArray[Any]) -> bool:
    """Whether a grey picture holds the values 0 to n, each a connected area, as objects are."""
    if stored.ndim != 2 or stored.shape[1] < 2:
        return False
    if (stored[:, 1:] == stored[:, :-1]).mean() < _SAME:
        return False
    values = np.unique(stored)
    if values[0] != 0 or not 1 <= values[-1] == len(values) - 1:
        return False
    boxes = [*enumerate(ndimage.find_objects(stored.astype(np.int64)), 1)]
    chosen = boxes[:: max(1, len(boxes) // _LOOKED_AT)]
    pieces = [ndimage.label(stored[box] == number)[1] for number, box in chosen]
    return pieces.count(1) >= _WHOLE * len(pieces)


def _distinct(stored: npt.NDArray[Any]) -> set[tuple[int, ...]]:
    """The distinct values of an array (H, W) or (H, W, C), of which too many are not all given."""
    pixels = stored.reshape(-1, stored.shape[2] if stored.ndim == 3 else 1)
    pixels = pixels[:, : 3 if pixels.shape[1] >= 3 else 1]
    first = np.unique(pixels[:: max(1, len(pixels) // 5000)], axis=0)
    found = first if len(first) > _MOST_VALUES else np.unique(pixels, axis=0)
    return {tuple(map(int, value)) for value in found}
