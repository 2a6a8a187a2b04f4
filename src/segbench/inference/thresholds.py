"""The smallest probability of a pixel that is predicted as foreground, as an option."""

from typing import Any

from segbench.errors import ConfigError

BEST = "best"


def check_threshold(asked: Any, num_classes: int, own: bool = True) -> None:
    """Refuse a threshold that cannot be used.

    Args:
        asked: a probability, or ``best``.
        num_classes: number of classes, the background included.
        own: whether the data are those of the cells, whose val part ``best`` needs.

    Raises:
        ConfigError: the text says what was expected.
    """
    if num_classes != 2:
        raise ConfigError(
            f"threshold={asked}: of {num_classes} classes the most probable is predicted; a "
            "threshold needs two, background and foreground"
        )
    if asked == BEST:
        if not own:
            raise ConfigError(
                f"threshold={BEST}: it is chosen on the val part of the data that the cell was "
                "trained with, and these are other data; give a number"
            )
    elif isinstance(asked, bool) or not isinstance(asked, int | float) or not 0 < asked < 1:
        raise ConfigError(
            f"threshold={asked}: expected a probability above 0 and below 1, or {BEST}"
        )
