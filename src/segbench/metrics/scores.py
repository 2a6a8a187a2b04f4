"""The table of scores of every image and class, and the averages over it.

This module imports NumPy and pandas but not torch, so that a report can read the table quickly.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from segbench.arrays import Values
from segbench.metrics.registry import (
    OF_COUNTS,
    OF_PROBABILITIES,
    OPTIONAL,
    PER_IMAGE,
    REGISTRY,
    SURFACE,
    Counts,
)
from segbench.types import SCHEMA

COUNTS = ["tp", "fp", "fn"]
OVERLAP = [score.name for score in REGISTRY if score.of_counts and score.column]
GROUP = "group"  # an optional column
COLUMNS = ["id", "class", *COUNTS, *OVERLAP, *SURFACE, "height", "width", "schema"]


def scored_classes(num_classes: int) -> list[int]:
    """Ids of the scored classes: the foreground alone of two classes, all of more.

    Example:
        >>> scored_classes(2), scored_classes(3)
        ([1], [0, 1, 2])
    """
    return [1] if num_classes == 2 else list(range(num_classes))


def score_table(
    ids: Sequence[str],
    class_names: Sequence[str],
    counts: Counts,
    sizes: NDArray[np.int64],
    surface: Values | None = None,
    groups: Sequence[str] | None = None,
    optional: Mapping[str, Values] | None = None,
) -> pd.DataFrame:
    """A table with ``COLUMNS``: one row for each image and class, the images in the given order.

    A class that is not scored (the background of two) has its counts and no scores.

    Args:
        ids: n names of images.
        class_names: C names, the background's first.
        counts: ``(n, C, 3)`` true positives, false positives, false negatives.
        sizes: ``(n, 2)`` height and width in pixels.
        surface: the scores ``SURFACE``, ``(n, C, S)``; None: they were not computed.
        groups: of each image the patient, slide or video that it comes from, for a column ``group``
            after ``id``; None: no such column.
        optional: some of the scores ``OPTIONAL``, ``(n, C)`` each, for further columns.

    Raises:
        ValueError: if the arguments do not fit one another, or the masks held foreign labels.

    Example:
        >>> counts = np.array([[[5, 1, 1], [2, 1, 1]]])  # one image; tp, fp and fn of two classes
        >>> table = score_table(["a"], ["none", "cell"], counts, sizes=np.array([[3, 3]]))
        >>> table[["id", "class", "iou"]].values.tolist()
        [['a', 'none', nan], ['a', 'cell', 0.5]]
    """
    n, num_classes = len(ids), len(class_names)
    shape = (n, num_classes, len(SURFACE))
    surface = np.full(shape, np.nan) if surface is None else surface
    right = counts.shape == (n, num_classes, 3) and surface.shape == shape
    if not right or sizes.shape != (n, 2):
        raise ValueError(
            f"{n} ids and {num_classes} class_names need counts ({n}, {num_classes}, 3), surface "
            f"{shape} and sizes ({n}, 2), got {counts.shape}, {surface.shape} and {sizes.shape}"
        )
    _check_labels(ids, counts)
    unscored = np.setdiff1d(np.arange(num_classes), scored_classes(num_classes))
    overlap = np.stack([OF_COUNTS[name](counts) for name in OVERLAP], axis=-1)
    scores = np.concatenate([overlap, surface], axis=-1)
    scores[:, unscored] = np.nan
    check_consistency(dict(zip(OVERLAP, np.moveaxis(scores, -1, 0), strict=False)))
    columns: dict[str, Any] = {
        "id": np.repeat(np.asarray(ids, dtype=object), num_classes),
        "class": np.tile(np.asarray(class_names, dtype=object), n),
        **dict(zip(COUNTS, counts.reshape(-1, 3).T, strict=True)),
        **dict(zip([*OVERLAP, *SURFACE], scores.reshape(-1, scores.shape[-1]).T, strict=True)),
        **dict(zip(["height", "width"], sizes.repeat(num_classes, axis=0).T, strict=True)),
        "schema": SCHEMA,
    }
    table = pd.DataFrame(columns)[COLUMNS]
    found = optional or {}
    for place, name in enumerate(name for name in OPTIONAL if name in found):
        table.insert(COLUMNS.index("height") + place, name, found[name].ravel())
    if groups is not None:
        table.insert(1, GROUP, np.repeat(np.asarray(groups, dtype=object), num_classes))
    return table


def sum_groups(table: pd.DataFrame) -> pd.DataFrame:
    """A ``score_table`` of groups, from one of images with the column ``group``.

    The pixels of all images of a group are counted together, as those of the slices of a volume.
    Scores of surfaces are NaN, since they are not defined across images.

    Args:
        table: a ``score_table`` with groups.

    Example:
        >>> counts = np.array([[[5, 1, 1], [2, 1, 1]], [[5, 0, 0], [4, 0, 0]]])  # two slices
        >>> slices = score_table(["a/0", "a/1"], ["none", "cell"], counts, np.array([[3, 3]] * 2),
        ...                      groups=["a", "a"])
        >>> sum_groups(slices)[["id", "class", "tp", "iou"]].values.tolist()
        [['a', 'none', 10, nan], ['a', 'cell', 6, 0.75]]
    """
    names = [str(name) for name in pd.unique(table["class"])]
    ids = [str(name) for name in pd.unique(table[GROUP])]
    keys = [GROUP, "class"]
    sums = table.groupby(keys, sort=False)[COUNTS].sum()
    order = pd.MultiIndex.from_product([ids, names], names=keys)
    counts = sums.loc[order].to_numpy(dtype=np.int64).reshape(len(ids), len(names), 3)
    first = table[table["class"] == names[0]].groupby(GROUP, sort=False)
    sizes = np.stack([first["height"].sum(), first["width"].max()], axis=1)
    return score_table(ids, names, counts, sizes)


def aggregate(table: pd.DataFrame, class_names: Sequence[str]) -> dict[str, float]:
    """All averages over a ``score_table``, or over the file that it was written to.

    ``docs/scores.md`` lists their names and what each is averaged over. Surface scores are averaged
    if the table has any. An average over nothing is NaN.

    Args:
        table: a ``score_table``.
        class_names: C names, the background's first.

    Raises:
        ValueError: if the table's rows are not the classes of each image in turn.

    Example:
        >>> counts = np.array([[[5, 1, 1], [2, 1, 1]], [[5, 0, 0], [4, 0, 0]]])  # two images
        >>> sizes = np.array([[3, 3], [3, 3]])
        >>> found = aggregate(score_table(["a", "b"], ["none", "cell"], counts, sizes),
        ...                   ["none", "cell"])
        >>> found["iou"], found["iou_dataset"]  # (½ + 1) / 2, and 6 / 8
        (0.75, 0.75)
    """
    counts = _counts(table, class_names)
    scored = scored_classes(len(class_names))
    names = [class_names[c] for c in scored]
    per_image = {
        name: formula(counts[:, scored]) for name, formula in OF_COUNTS.items() if name in PER_IMAGE
    }
    absent: NDArray[np.bool_] = np.isnan(per_image["iou"])
    nowhere: NDArray[np.bool_] = np.asarray(absent.all(axis=1))
    averages = _named_sums("images_without", absent, nowhere, names)
    measured = _columns(table, SURFACE, len(class_names))
    if measured:
        per_image |= {name: values[:, scored] for name, values in measured.items()}
        predicted, actual = (counts[:, scored, 0] + counts[:, scored, k] > 0 for k in (1, 2))
        failures = predicted != actual
        averages |= _named_sums("surface_failures", failures, failures, names)
    per_image |= {
        name: values[:, scored]
        for name, values in _columns(table, OPTIONAL, len(class_names)).items()
    }
    for name, values in per_image.items():
        averages[name] = float(known_mean(known_mean(values, axis=1)))
        if name not in OF_PROBABILITIES:  # which have one value for all classes
            averages |= _by_class(name, known_mean(values, axis=0), names)
    summed = counts[:, scored].sum(axis=0)
    for name, formula in OF_COUNTS.items():
        if name in PER_IMAGE:
            continue
        ratio = formula(summed)
        averages[name] = float(known_mean(ratio))
        averages |= _by_class(name, ratio, names)
    averages |= _pixel_accuracy(counts.sum(axis=0), class_names)
    check_consistency(averages)
    return averages


def check_consistency(scores: Mapping[str, ArrayLike]) -> None:
    """Refuse an IoU above the Dice of the same name, or one of the two without the other.

    IoU ≤ Dice holds for each pair of masks and so for each average over the same pairs. Where it
    does not hold, the two were averaged over different images or classes.

    Args:
        scores: numbers or arrays by name; ``iou…`` is held against ``dice…``.

    Raises:
        ValueError: naming the two scores and their first offending values.
    """
    for name in [name for name in scores if name.startswith("iou")]:
        partner = f"dice{name.removeprefix('iou')}"
        if partner not in scores:
            continue
        iou, dice = (np.asarray(scores[key], dtype=float) for key in (name, partner))
        wrong = (iou > dice) | (np.isnan(iou) != np.isnan(dice))
        if wrong.any():
            raise ValueError(
                f"{name} = {iou[wrong].flat[0]:.6g} beside {partner} = {dice[wrong].flat[0]:.6g}: "
                "over the same images and classes IoU is never above Dice and neither is without "
                "the other; average both over the same rows"
            )


def _check_labels(ids: Sequence[str], counts: Counts) -> None:
    """Refuse counts in which the false positives of all classes are not the false negatives."""
    wrong = np.flatnonzero(counts[..., 1].sum(axis=1) != counts[..., 2].sum(axis=1))
    if len(wrong):
        raise ValueError(
            f"the mask of {ids[wrong[0]]!r} (and {len(wrong) - 1} more) holds labels that are "
            f"neither one of the {counts.shape[1]} classes nor ignore_index: correct the data "
            "set's num_classes or its masks"
        )


def _counts(table: pd.DataFrame, class_names: Sequence[str]) -> Counts:
    """The counts ``(n, C, 3)`` in a score table."""
    num_classes = len(class_names)
    found = table["class"].astype(str).to_numpy()
    if len(found) % num_classes or (found.reshape(-1, num_classes) != list(class_names)).any():
        raise ValueError(
            f"table must hold for each image one row of each of {list(class_names)}, in this "
            f"order, got {len(found)} rows of {sorted(set(found))}"
        )
    return table[COUNTS].to_numpy(dtype=np.int64).reshape(-1, num_classes, 3)


def _columns(table: pd.DataFrame, names: Sequence[str], num_classes: int) -> dict[str, Values]:
    """The scores ``(n, C)`` in those columns of a table that are there and not empty."""
    columns = {name: table[name].to_numpy(dtype=np.float64) for name in names if name in table}
    return {
        name: values.reshape(-1, num_classes)
        for name, values in columns.items()
        if not np.isnan(values).all()
    }


def _pixel_accuracy(counts: Counts, class_names: Sequence[str]) -> dict[str, float]:
    """Accuracy over all pixels, over each class's pixels, and the mean of the classes'."""
    hits, pixels = counts[:, 0], counts[:, 0] + counts[:, 2]
    with np.errstate(invalid="ignore"):  # 0 / 0: no pixel, no accuracy
        accuracy, overall = hits / pixels, hits.sum() / pixels.sum()
    return {
        "pixel_accuracy": float(overall),
        "mean_pixel_accuracy": float(known_mean(accuracy)),
        **_by_class("pixel_accuracy", accuracy, class_names),
    }


def _by_class(name: str, values: Values, class_names: Sequence[str]) -> dict[str, float]:
    return {f"{name}/{c}": float(v) for c, v in zip(class_names, values, strict=True)}


def _named_sums(
    name: str, by_class: NDArray[np.bool_], overall: NDArray[np.bool_], class_names: Sequence[str]
) -> dict[str, float]:
    sums = by_class.sum(axis=0, dtype=np.float64)
    return {name: float(overall.sum()), **_by_class(name, sums, class_names)}


def known_mean(values: Values, axis: int | None = None) -> Values:
    """Mean over what is not NaN; NaN where nothing is left, without numpy's warning."""
    there = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: Values = np.where(there, values, 0.0).sum(axis=axis) / there.sum(axis=axis)
    return mean
