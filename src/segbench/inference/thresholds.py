"""The smallest probability of a pixel that is predicted as foreground, as an option."""

from typing import Any

from segbench.errors import ConfigError

BEST = "best"


def check_threshold(asked: Any, num_classes: int, selected: bool = False) -> None:
    """Refuse a threshold that cannot be used.

    Args:
        asked: a probability, or ``best``.
        num_classes: number of classes, the background included.
        selected: whether the val part is that with which the cells' weights were selected, which
            ``best`` needs.

    Raises:
        ConfigError: the text says what was expected.
    """
    if num_classes != 2:
        raise ConfigError(
            f"threshold={asked}: of {num_classes} classes the most probable is predicted; a "
            "threshold needs two, background and foreground"
        )
    if asked == BEST:
        if not selected:
            raise ConfigError(
                f"threshold={BEST}: it is chosen by `evaluate`, on the val part with which the "
                "cell's weights were selected, and here is no such part; give a number"
            )
    elif isinstance(asked, bool) or not isinstance(asked, int | float) or not 0 < asked < 1:
        raise ConfigError(
            f"threshold={asked}: expected a probability above 0 and below 1, or {BEST}"
        )
