"""What options every data set takes, checked before any file is looked at."""

from collections.abc import Sequence

from segbench.errors import ConfigError

STRATA = ("classes", "size", "name")


def check_classes(names: Sequence[str], num_classes: int, ignore_index: int) -> None:
    """Refuse names, their number and the ignored label where they do not agree.

    Raises:
        ConfigError: naming the option.
    """
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


def check_loading(
    batch_size: int, num_workers: int | None, in_channels: int, stratify: str | None
) -> None:
    """Refuse what no data set can load.

    Raises:
        ConfigError: naming the option.
    """
    if batch_size < 1 or (num_workers or 0) < 0:
        raise ConfigError(
            f"data.batch_size={batch_size}, data.num_workers={num_workers}: the first must be "
            "1 or more, the second null or 0 or more"
        )
    if in_channels not in (1, 3, 4):
        raise ConfigError(
            f"data.in_channels={in_channels}: pictures are read with 3 channels (RGB), 1 (grey) "
            "or 4 (RGB and alpha)"
        )
    if stratify is not None and stratify not in STRATA:
        raise ConfigError(f"data.stratify={stratify}: expected null, {', '.join(STRATA)}")


def as_size(size: int | Sequence[int]) -> tuple[int, int]:
    """(height, width) of one number or two.

    Raises:
        ValueError: not one or two positive integers.
    """
    pair = [size, size] if isinstance(size, int) else list(size)
    if len(pair) != 2 or not all(isinstance(side, int) and side > 0 for side in pair):
        raise ValueError(f"data.size={size}: expected one positive number, or [height, width]")
    return pair[0], pair[1]
