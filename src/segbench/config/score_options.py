"""The scores that a cell is asked for: of each epoch, and of objects at the end."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Literal

from omegaconf import DictConfig

from segbench.errors import ConfigError
from segbench.metrics.objects import DISTANCE, METHODS, FindObjects
from segbench.metrics.optional import OptionalScores
from segbench.metrics.registry import (
    BY_NAME,
    OF_OBJECTS,
    OF_PROBABILITIES,
    OF_SKELETONS,
    OPTIONAL,
    SURFACE,
)
from segbench.metrics.topology import check_installed

MONITOR = "val/iou"
PARTS = ("train", "val")
WITHOUT_CLASSES = ("loss", "mean_pixel_accuracy")
ALWAYS = ("loss", "iou")  # of both parts, in every cell


def monitor_of(cfg: DictConfig) -> str:
    """The name of the score on val that selects a cell's weights, such as ``val/iou``."""
    return str(cfg.get("monitor") or MONITOR)


def mode_of(name: str) -> Literal["max", "min"]:
    """Whether the largest or the smallest value of a score such as ``val/hd95`` is the best."""
    score = BY_NAME.get(name.split("/")[1])
    return "min" if score is not None and score.lower_is_better else "max"


def following(node: DictConfig, cfg: DictConfig) -> DictConfig:
    """Early stopping's or a plateau scheduler's config with the monitor of the cell.

    A node that monitors another score than the default keeps its own.
    """
    monitor = monitor_of(cfg)
    if monitor == MONITOR or node.get("mode") is None or node.get("monitor", MONITOR) != MONITOR:
        return node
    changed = node.copy()
    changed.mode = mode_of(monitor)
    if "monitor" in node:
        changed.monitor = monitor
    return changed


def epoch_scores(cfg: DictConfig) -> dict[str, list[str]]:
    """The scores that are computed at the end of each epoch besides loss and IoU, by part.

    They are the scores of ``curves``, and those on val that something monitors.

    Raises:
        ConfigError: there is no such score, or the monitor is not one on val.
    """
    found: dict[str, list[str]] = {part: [] for part in PARTS}
    if cfg.get("monitor") is not None:
        _check_monitor(cfg.monitor)
    for option, name in _asked(cfg):
        first, _, rest = name.partition("/")
        parts, score = ((first,), rest) if first in PARTS else (PARTS, name)
        _check_name(option, name, score)
        for part in parts:
            if score not in (*ALWAYS, *found[part]):
                found[part].append(score)
    return found


def check_classes(scores: dict[str, list[str]], class_names: Sequence[str]) -> None:
    """Refuse scores of classes that the data set does not have.

    Raises:
        ConfigError: the text names the score and the classes.
    """
    known = class_names[1:] if len(class_names) == 2 else class_names
    for name in [name for names in scores.values() for name in names]:
        label = name.partition("/")[2]
        if label and label not in known:
            raise ConfigError(
                f"score {name} of an epoch: no class {label!r} is scored; classes: "
                f"{', '.join(known)}"
            )


def needs_surface(names: Sequence[str]) -> bool:
    """Whether a score needs the masks of every image, and not only counts of pixels."""
    return any(name.partition("/")[0] in SURFACE for name in names)


def _asked(cfg: DictConfig) -> list[tuple[str, str]]:
    """Pairs of an option and the name of a score that it asks for."""
    curves = cfg.get("curves") or []
    names = [curves] if isinstance(curves, str) else list(curves)
    asked = [("curves", str(name)) for name in names]
    asked += [("monitor", monitor_of(cfg))]
    for key, node in (cfg.get("callbacks") or {}).items():
        name: Any = node.get("monitor") if isinstance(node, DictConfig) else None
        if isinstance(name, str) and name.startswith("val/"):
            asked.append((f"callbacks.{key}.monitor", name))
    return asked


def _check_monitor(name: Any) -> None:
    if not isinstance(name, str) or not name.startswith("val/"):
        raise ConfigError(
            f"monitor={name}: weights are selected on the val part; expected val/ and the name of "
            "a score, such as val/dice or val/loss"
        )


def _check_name(option: str, name: str, score: str) -> None:
    plain = score.partition("/")[0]
    if plain in OPTIONAL:
        raise ConfigError(
            f"{option}={name}: {plain} is computed at the original size alone; scores=[{plain}] "
            "computes it of the test part"
        )
    if plain in BY_NAME and not (plain in WITHOUT_CLASSES and "/" in score):
        return
    if plain in BY_NAME:
        raise ConfigError(f"{option}={name}: {plain} has no value for a class; expected {plain}")
    raise ConfigError(f"{option}={name}: no score {plain!r}; {_hint(plain)}")


def _hint(name: str) -> str:
    """A score with a similar name, or all scores."""
    close = get_close_matches(name, BY_NAME, n=1)
    return f"did you mean {close[0]!r}?" if close else f"scores: {', '.join(BY_NAME)}"


def optional_scores(cfg: DictConfig) -> OptionalScores:
    """The scores that ``scores`` asks for beside those of every cell.

    Raises:
        ConfigError: there is no such score, no such way to find objects, or a package is missing.
    """
    asked = cfg.get("scores") or []
    names = [str(name) for name in ([asked] if isinstance(asked, str) else asked)]
    for name in names:
        if name not in BY_NAME:
            raise ConfigError(f"scores: no score {name!r}; {_hint(name)}")
    method, distance = cfg.get("instances"), cfg.get("instance_distance")
    try:
        find = FindObjects(
            METHODS[0] if method is None else method, DISTANCE if distance is None else distance
        )
        if skeletons := any(name in OF_SKELETONS for name in names):
            check_installed()
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return OptionalScores(
        find=find if any(name in OF_OBJECTS for name in names) else None,
        skeletons=skeletons,
        probabilities=any(name in OF_PROBABILITIES for name in names),
    )


def objects_record(optional: OptionalScores) -> dict[str, Any]:
    """The entry of a record that says how predicted objects were found, if they were."""
    return {} if optional.find is None else {"objects": optional.find.record}


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
