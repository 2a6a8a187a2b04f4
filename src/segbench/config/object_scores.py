"""The scores of objects that a cell, an evaluation or a set of masks is asked for."""

from difflib import get_close_matches

from omegaconf import DictConfig

from segbench.errors import ConfigError
from segbench.metrics.objects import DISTANCE, METHODS, FindObjects
from segbench.metrics.registry import BY_NAME, OF_OBJECTS


def find_objects(cfg: DictConfig) -> FindObjects | None:
    """How predicted objects are found; None if ``scores`` asks for no score of objects.

    Raises:
        ConfigError: there is no such score, or no such way to find objects.
    """
    asked = cfg.get("scores") or []
    names = [str(name) for name in ([asked] if isinstance(asked, str) else asked)]
    for name in names:
        if name not in BY_NAME:
            close = get_close_matches(name, BY_NAME, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"scores: {', '.join(BY_NAME)}"
            raise ConfigError(f"scores: no score {name!r}; {hint}")
    method, distance = cfg.get("instances"), cfg.get("instance_distance")
    try:
        found = FindObjects(
            METHODS[0] if method is None else method, DISTANCE if distance is None else distance
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return found if any(name in OF_OBJECTS for name in names) else None


def check_instances_known(find: FindObjects | None, known: bool, num_classes: int) -> None:
    """Refuse scores of objects of a data set that does not tell objects apart.

    Args:
        find: how predicted objects are found; None: no score of objects is asked for.
        known: whether the data set tells objects apart.
        num_classes: the number of classes.

    Raises:
        ConfigError: the data set does not, or has more than two classes.
    """
    if find is not None and not (known and num_classes == 2):
        raise ConfigError(
            f"scores: {', '.join(OF_OBJECTS)} need two classes and masks that tell objects apart, "
            "as data=dsb2018 has, data=synthetic, or data=folder with data.instances=true; leave "
            "them out"
        )
