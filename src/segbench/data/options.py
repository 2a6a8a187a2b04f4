"""Checks the options of data sets before any file is read."""

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING

from segbench.data.decoding.opening import MOST_CHANNELS
from segbench.errors import ConfigError, printable
from segbench.types import NORMALISATIONS

if TYPE_CHECKING:
    from segbench.data.store.patches import PatchOptions

STRATA = ("classes", "size", "name")
MOST_PIXELS = 1 << 30  # the limit of OpenCV, which decodes the prepared masks
MOST_CLASSES = 255  # masks have 8 bits, and one of their 256 values is the ignored label


def as_texts(values: Iterable[object], option: str) -> list[str]:
    """Names or ids as text; a whole number becomes its digits.

    YAML reads ``off`` as false, ``1e3`` as 1000.0 and ``null`` as None. Such values are refused,
    because the text that the user typed is not known.

    Args:
        values: the values that YAML gave.
        option: the name of the option, for messages.

    Raises:
        ConfigError: a value is neither text nor a whole number, is empty, or has control
            characters.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise ConfigError(f"{option}={values!r}: expected a list, such as {option}='[a,b]'")
    found = list(values)
    for value in found:
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not whole and not isinstance(value, str):
            quoted = ",".join(f'"{_SPELT.get(str(each), each)}"' for each in found)
            raise ConfigError(
                f"{option}: {_SPELT.get(str(value), value)} without quotes is not text in YAML; "
                f"quote it, such as {option}='[{quoted}]'"
            )
        if isinstance(value, str) and (not value.strip() or printable(value) != value):
            raise ConfigError(f"{option}: {value!r} is empty, or holds control characters")
    return [str(value) for value in found]


# The most likely spelling of YAML's values that are not text.
_SPELT = {"True": "on", "False": "off", "None": "null"}


def check_classes(names: Sequence[str], num_classes: int, ignore_index: int) -> None:
    """Refuse class names, their number and an ignored label that do not fit each other.

    Raises:
        ConfigError: an option has a wrong value; the text names it.
    """
    if len(names) > MOST_CLASSES:
        raise ConfigError(
            f"data.class_names: {len(names)} classes; at most {MOST_CLASSES} are possible, since "
            "masks have 8 bits and one value is data.ignore_index; merge some of them"
        )
    if num_classes != len(names) or num_classes < 2 or len(set(names)) < len(names):
        raise ConfigError(
            f"data.num_classes={num_classes} but data.class_names={list(names)}: one name for each "
            "class, background first, two classes at least, no name twice"
        )
    if not num_classes <= ignore_index <= 255:
        raise ConfigError(
            f"data.ignore_index={ignore_index}: expected {num_classes} to 255, since 0 to "
            f"{num_classes - 1} are classes"
        )


def check_background(background: int | None, num_classes: int) -> None:
    """Refuse a ``data.background`` that does not fit.

    Raises:
        ConfigError: neither 0 nor null, or null with two classes.
    """
    if background is None and num_classes == 2:
        raise ConfigError(
            "data.background=null: of two classes the first is the background; expected 0"
        )
    if background is not None and (isinstance(background, bool) or background != 0):
        raise ConfigError(
            f"data.background={background}: expected 0, the first of data.class_names, or null"
        )


def check_loading(
    batch_size: int, num_workers: int | None, in_channels: int, stratify: str | None
) -> None:
    """Refuse options of loading that no data set accepts.

    Raises:
        ConfigError: an option has a wrong value; the text names it.
    """
    if batch_size < 1 or (num_workers or 0) < 0:
        raise ConfigError(
            f"data.batch_size={batch_size}, data.num_workers={num_workers}: the first must be "
            "1 or more, the second null or 0 or more"
        )
    whole = isinstance(in_channels, int) and not isinstance(in_channels, bool)
    if not whole or not 1 <= in_channels <= MOST_CHANNELS:
        raise ConfigError(
            f"data.in_channels={in_channels}: expected 3 (RGB), 1 (grey), 4 (RGB and a fourth), or "
            f"the number of channels that the images have, up to {MOST_CHANNELS}"
        )
    if stratify is not None and stratify not in STRATA:
        raise ConfigError(f"data.stratify={stratify}: expected null, {', '.join(STRATA)}")


def check_patches(
    patch: int | Sequence[int] | None, scale: float, foreground: float, per_epoch: int | None
) -> "PatchOptions | None":
    """The options of patches; None where ``patch`` is None.

    Raises:
        ConfigError: an option is out of range, or given without ``patch``.
    """
    from segbench.data.store.patches import PatchOptions  # torch takes seconds to import

    if patch is None:
        if (scale, foreground, per_epoch) != (1.0, 0.33, None):
            raise ConfigError(
                "data.scale, data.foreground and data.patches_per_epoch: of random patches; give "
                "data.patch=256, say, or leave them out"
            )
        return None
    try:
        size = as_size(patch)
    except ValueError as error:
        raise ConfigError(
            f"data.patch={patch}: expected one positive number, or [height, width]"
        ) from error
    if not 0 < scale <= 1:
        raise ConfigError(f"data.scale={scale}: expected more than 0, and 1 at most")
    if not 0 <= foreground <= 1:
        raise ConfigError(f"data.foreground={foreground}: expected a share of patches, 0 to 1")
    if per_epoch is not None and (not isinstance(per_epoch, int) or per_epoch < 1):
        raise ConfigError(f"data.patches_per_epoch={per_epoch}: expected null, or 1 or more")
    return PatchOptions(size, float(scale), float(foreground), per_epoch)


def check_normalize(method: str | None, in_channels: int) -> str:
    """``data.normalize``; None is ``imagenet`` for 1, 3 and 4 channels, else ``train``.

    Raises:
        ConfigError: an unknown method.
    """
    if method is None:
        return "imagenet" if in_channels in (1, 3, 4) else "train"
    if method not in NORMALISATIONS:
        raise ConfigError(f"data.normalize={method}: expected null, {', '.join(NORMALISATIONS)}")
    if method == "imagenet" and in_channels not in (1, 3, 4):
        raise ConfigError(
            f"data.normalize=imagenet: for 1, 3 or 4 channels of 8 bits, not for {in_channels}; "
            "give train, percentile or none"
        )
    return method


def check_reading(exif: str, max_pixels: int, option: str = "data.max_pixels") -> None:
    """Refuse wrong options of reading pictures.

    Raises:
        ConfigError: an option has a wrong value; the text names it.
    """
    if exif not in ("apply", "ignore"):
        raise ConfigError(f"data.exif={exif}: expected apply or ignore")
    whole = isinstance(max_pixels, int) and not isinstance(max_pixels, bool)
    if not whole or not 1 <= max_pixels <= MOST_PIXELS:
        raise ConfigError(f"{option}={max_pixels}: expected a whole number, 1 to {MOST_PIXELS}")


def as_size(size: int | Sequence[int]) -> tuple[int, int]:
    """A size as (height, width) in pixels; one number stands for both.

    Raises:
        ValueError: the size is not one or two positive integers.
    """
    pair = [size, size] if isinstance(size, int) else list(size)
    if len(pair) != 2 or not all(isinstance(side, int) and side > 0 for side in pair):
        raise ValueError(f"data.size={size}: expected one positive number, or [height, width]")
    return pair[0], pair[1]
