"""Decodes mask files with class ids, grey values, colours, or one class per file."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segbench.arrays import by_blocks, row_blocks
from segbench.data.decoding.opening import opened
from segbench.data.decoding.picture_facts import holds_loss
from segbench.data.decoding.pictures import decode_mask
from segbench.data.options import as_texts
from segbench.data.store.prepared import MOST_INSTANCES, Instances
from segbench.data.store.transforms import Array
from segbench.errors import ConfigError, DataError

Palette = Mapping[str, Sequence[int]]
_SHOWN = 8  # values or colours in a message


def check_values(
    values: Sequence[int] | None, num_classes: int, option: str = "data.mask_values"
) -> list[int] | None:
    """``data.mask_values``, or another ``option`` of this kind, as a plain list.

    Raises:
        ConfigError: there is not one distinct grey value for each class.
    """
    if values is None:
        return None
    plain = list(values)
    if len(set(plain)) != num_classes or len(plain) != num_classes:
        raise ConfigError(
            f"{option}={plain}: expected {num_classes} different grey values, one for each "
            "of data.class_names, such as [0, 255] for two"
        )
    return plain


def check_channel(channel: str | None, num_classes: int, with_values: bool) -> str | None:
    """``data.mask_channel``, which is ``alpha`` or None.

    Args:
        channel: the option.
        num_classes: the number of classes.
        with_values: whether ``data.mask_values`` or ``data.palette`` is given.

    Raises:
        ConfigError: another channel, more than two classes, or values besides it.
    """
    if channel is None:
        return None
    if channel != "alpha":
        raise ConfigError(f"data.mask_channel={channel}: expected alpha, or null")
    if num_classes != 2 or with_values:
        raise ConfigError(
            "data.mask_channel=alpha: two classes are read, transparent and opaque pixels; give "
            "two data.class_names, and neither data.mask_values nor data.palette"
        )
    return channel


def check_instances(instances: bool, num_classes: int, with_values: bool) -> bool:
    """``data.instances``.

    Args:
        instances: the option.
        num_classes: the number of classes.
        with_values: whether another option says what the masks' values mean.

    Raises:
        ConfigError: more than two classes, or another meaning of the values besides it.
    """
    if not isinstance(instances, bool):
        raise ConfigError(f"data.instances={instances}: expected true or false")
    if instances and (num_classes != 2 or with_values):
        raise ConfigError(
            "data.instances=true: a mask's values are the numbers of objects of one class; give "
            "two data.class_names, and none of data.mask_values, data.palette, data.mask_channel"
        )
    return instances


def is_blurred_pair(values: Sequence[int] | None) -> bool:
    """Whether masks have two grey values, which can be told apart after lossy compression too."""
    return values is not None and len(values) == 2


def check_palette(
    palette: Palette | None, class_names: Sequence[str], ignore_index: int
) -> dict[int, int] | None:
    """``data.palette`` as labels by colours r·2¹⁶ + g·2⁸ + b.

    Raises:
        ConfigError: a class has no colour, a colour has no class, or a colour is not [r, g, b].
    """
    if palette is None:
        return None
    names = as_texts(palette, "data.palette")
    palette = dict(zip(names, palette.values(), strict=True))
    labels = {"ignore": ignore_index} | {name: k for k, name in enumerate(class_names)}
    wrong = [n for n, colour in palette.items() if n not in labels or len(list(colour)) != 3]
    missing = [name for name in class_names if name not in palette]
    found = {_packed(palette[name]): labels[name] for name in palette if name not in wrong}
    if wrong or missing or len(found) < len(palette):
        raise ConfigError(
            f"data.palette: expected a different [r, g, b] for each of {list(class_names)} (and "
            f"for ignore), got {names}"
        )
    return found


def _packed(colour: Sequence[int]) -> int:
    red, green, blue = colour
    return (red << 16) | (green << 8) | blue


def read_ids(
    content: bytes,
    file: Path,
    values: list[int] | None,
    palette: dict[int, int] | None,
    ignore_index: int,
    **how: Any,
) -> Array:
    """Class ids (H, W) of a mask with class ids, grey values or colours.

    Args:
        content: the file's content.
        file: its name, for messages.
        values: the grey value of each class, or None.
        palette: labels by colour, as `check_palette` returns them, or None.
        ignore_index: the label of ignored pixels.
        how: options of `decode_mask`.

    Raises:
        DataError: the mask has a value or colour without a class.
    """
    if palette is not None:
        known = palette
        colours = decode_mask(content, file, "RGB", **how)
        return by_blocks(colours, lambda rows: _of_colours(rows, known, file))
    if values is not None and is_blurred_pair(values) and holds_loss(content):
        low, high = values
        grey = decode_mask(content, file, "L", blurred=True, **how)
        return by_blocks(grey, lambda rows: _nearer(rows.astype(np.int64), low, high))
    stored = _one_channel(decode_mask(content, file, **how), file)
    if values is not None:
        one_bit = stored.max() == 1 and 1 not in values and len(values) == 2
        factor = max(values) if one_bit else 1
        known = {ignore_index: ignore_index} | {value: k for k, value in enumerate(values)}
        option = "data.mask_values"
        return by_blocks(stored, lambda rows: _translate(_times(rows, factor), known, file, option))
    if stored.max() > 255 or stored.min() < 0:
        found = sorted({*stored.ravel().tolist()} - set(range(256)))
        raise DataError(
            f"{file}: labels {found[:_SHOWN]} in the mask; expected class ids up to 255"
        )
    return stored.astype(np.uint8, copy=False)


def _of_colours(colours: Array, known: dict[int, int], file: Path) -> Array:
    stored = colours.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    return _translate(stored, known, file, "data.palette")


def _nearer(grey: npt.NDArray[np.int64], low: int, high: int) -> Array:
    """1 where grey values are nearer to ``high`` than to ``low``, else 0."""
    return (abs(grey - high) < abs(grey - low)).astype(np.uint8)


def _times(stored: npt.NDArray[Any], factor: int) -> npt.NDArray[np.int64]:
    whole: npt.NDArray[np.int64] = stored.astype(np.int64) * factor
    return whole


def _one_channel(stored: npt.NDArray[Any], file: Path) -> npt.NDArray[Any]:
    """The channel (H, W) of a grey mask, which may be stored with several equal channels."""
    if stored.dtype.kind == "f":
        raise DataError(f"{file}: floating-point numbers; expected 8 or 16 bits: convert the file")
    if stored.ndim == 2:
        return stored
    colours = stored[:, :, : 3 if stored.shape[2] >= 3 else 1]
    if any((colours[rows] != colours[rows, :, :1]).any() for rows in _rows(colours)):
        found = np.unique(colours.reshape(-1, 3), axis=0)[:_SHOWN].tolist()
        raise DataError(
            f"{file}: a coloured mask, with {found}; say which class each is with "
            "data.palette='{background: [0, 0, 0], …}'"
        )
    return colours[:, :, 0]


def _rows(array: npt.NDArray[Any]) -> Iterator[slice]:
    return row_blocks(len(array), array[:1].size)


def _translate(
    stored: npt.NDArray[np.int64], known: Mapping[int, int], file: Path, option: str
) -> Array:
    found, indices = np.unique(stored, return_inverse=True)
    foreign = [value for value in found.tolist() if value not in known]
    if foreign:
        if option == "data.palette":
            foreign = [[v >> 16, v >> 8 & 255, v & 255] for v in foreign[:_SHOWN]]
        raise DataError(
            f"{file}: {foreign[:_SHOWN]} in the mask, which {option} does not name; complete it, "
            "or correct the mask"
        )
    labels = np.array([known[value] for value in found.tolist()], np.uint8)
    return labels[indices].reshape(stored.shape)


def read_numbers(content: bytes, file: Path, **how: Any) -> Instances:
    """The number of the object at each pixel (H, W) of a mask, 0 for none.

    Raises:
        DataError: the mask has numbers below 0 or of more than 16 bits, or colours.
    """
    stored = _one_channel(decode_mask(content, file, **how), file)
    if stored.min() < 0 or stored.max() > MOST_INSTANCES:
        raise DataError(
            f"{file}: numbers of objects from {stored.min()} to {stored.max()}; expected 0 to "
            f"{MOST_INSTANCES}"
        )
    return stored.astype(np.uint16)


def read_alpha(content: bytes, file: Path, **how: Any) -> Array:
    """1 where a picture (H, W) is more opaque than half, else 0; ``how`` as for `decode_mask`.

    Raises:
        DataError: the picture has no alpha channel.
    """
    with opened(content, file, how["max_pixels"]) as picture:
        if not picture.has_transparency_data:
            raise DataError(
                f"{file}: no alpha channel, which data.mask_channel=alpha reads; correct the file, "
                "or leave the option out"
            )
    alpha = decode_mask(content, file, "RGBA", blurred=True, **how)[:, :, 3]
    return (alpha > 127).astype(np.uint8)


def read_set(content: bytes, file: Path, **how: Any) -> Array:
    """A mask (H, W) of a single class as 0 and 1; ``how`` are options of `decode_mask`."""
    stored = _one_channel(decode_mask(content, file, blurred=True, **how), file)
    top = 65535 if stored.dtype.itemsize > 1 else 255
    found = np.unique(stored)
    exact = not holds_loss(content)  # after lossy compression black is not exactly 0
    two = exact and (len(found) == 1 or (len(found) == 2 and found[0] == 0))
    is_set: Array = (stored > (0 if two else top // 2)).astype(np.uint8)
    return is_set


def label(files: Sequence[Path], masks: Sequence[Array], labels: Sequence[int]) -> Array:
    """Class ids (H, W) from masks of one class each; where two overlap, the later one wins.

    Args:
        files: the masks' files, for messages.
        masks: (H, W) each, 0 or 1.
        labels: the class id of each mask.

    Raises:
        DataError: the masks have different sizes.
    """
    merged = np.zeros_like(masks[0])
    for file, mask, number in zip(files, masks, labels, strict=True):
        if mask.shape != merged.shape:
            raise DataError(
                f"{file}: the mask is {mask.shape[::-1]} (width, height), that of another class "
                f"of this image {merged.shape[::-1]}; all must have the image's size"
            )
        merged[mask > 0] = number
    return merged
