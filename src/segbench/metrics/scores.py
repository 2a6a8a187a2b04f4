"""Scores made from counts: the table of every image and class, and the averages over it.

numpy and pandas alone, so that a report reads and averages the table without torch.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Counts = NDArray[np.int64]
Values = NDArray[np.float64]

COUNTS = ["tp", "fp", "fn"]
SURFACE = ["assd", "hd95", "nsd"]
COLUMNS = ["id", "class", *COUNTS, "iou", "dice", *SURFACE, "height", "width"]


def scored_classes(num_classes: int) -> list[int]:
    """The classes that are scored: of two the foreground alone, of more than two all."""
    return [1] if num_classes == 2 else list(range(num_classes))


def overlap_scores(counts: Counts) -> dict[str, Values]:
    """IoU, Dice, precision and recall ``(…)`` of counts ``(…, 3)``: tp, fp, fn.

    NaN where all three are 0 (the class is in neither mask); 0 where there is no hit.
    """
    tp, fp, fn = np.moveaxis(counts, -1, 0)
    ratios = {
        "iou": (tp, tp + fp + fn),
        "dice": (2 * tp, 2 * tp + fp + fn),
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
    }
    present = tp + fp + fn > 0
    return {
        name: np.where(present, part / np.maximum(whole, 1), np.nan)
        for name, (part, whole) in ratios.items()
    }


def thresholded_iou(counts: Counts) -> Values:
    """Share of the thresholds 0.50, 0.55 … 0.95 that the IoU of counts ``(…, 3)`` exceeds.

    ⌈clamp(20 · (IoU − ½), 0, 10)⌉ / 10, in whole numbers: in floating point an IoU of exactly 0.55
    exceeds 0.55. NaN where the class is in neither mask.
    """
    tp, union = counts[..., 0], counts.sum(axis=-1)
    passed = np.clip(-((10 * union - 20 * tp) // np.maximum(union, 1)), 0, 10)  # −⌊−x⌋ = ⌈x⌉
    return np.where(union > 0, passed / 10, np.nan)


def score_table(
    ids: Sequence[str],
    class_names: Sequence[str],
    counts: Counts,
    sizes: NDArray[np.int64],
    surface: Values | None = None,
) -> pd.DataFrame:
    """The table ``COLUMNS``: a row for each image and class, the images in the order given.

    A class that is not scored (the background of two) has its counts and no scores.

    Args:
        ids: n names of images.
        class_names: C names, the background's first.
        counts: ``(n, C, 3)`` true positives, false positives, false negatives.
        sizes: ``(n, 2)`` height and width in pixels.
        surface: ``(n, C, 3)`` ASSD, HD95 and NSD, or none.

    Raises:
        ValueError: If the arguments do not fit one another, or the masks held foreign labels.
    """
    n, num_classes = len(ids), len(class_names)
    surface = np.full((n, num_classes, 3), np.nan) if surface is None else surface
    if not counts.shape == surface.shape == (n, num_classes, 3) or sizes.shape != (n, 2):
        raise ValueError(
            f"{n} ids and {num_classes} class_names need counts and surface ({n}, {num_classes}, "
            f"3) and sizes ({n}, 2), got {counts.shape}, {surface.shape} and {sizes.shape}"
        )
    _check_labels(ids, counts)
    unscored = np.setdiff1d(np.arange(num_classes), scored_classes(num_classes))
    scores = np.stack([overlap_scores(counts)[name] for name in ("iou", "dice")], axis=-1)
    scores = np.concatenate([scores, surface], axis=-1)
    scores[:, unscored] = np.nan
    check_consistency({"iou": scores[..., 0], "dice": scores[..., 1]})
    columns: dict[str, Any] = {
        "id": np.repeat(np.asarray(ids, dtype=object), num_classes),
        "class": np.tile(np.asarray(class_names, dtype=object), n),
        **dict(zip(COUNTS, counts.reshape(-1, 3).T, strict=True)),
        **dict(zip(["iou", "dice", *SURFACE], scores.reshape(-1, 5).T, strict=True)),
        **dict(zip(["height", "width"], sizes.repeat(num_classes, axis=0).T, strict=True)),
    }
    return pd.DataFrame(columns)[COLUMNS]


def aggregate(table: pd.DataFrame, class_names: Sequence[str]) -> dict[str, float]:
    """Every average over a ``score_table``, or over the file that it was written to.

    The names and what each is averaged over stand in ``docs/scores.md``. Surface scores are there
    if the table has any. NaN where there is nothing to average.

    Raises:
        ValueError: If the table's rows are not the classes of each image in turn.
    """
    counts, surface = _arrays(table, class_names)
    scored = scored_classes(len(class_names))
    names = [class_names[c] for c in scored]
    per_image = {
        **overlap_scores(counts[:, scored]),
        "iou_thresholded": thresholded_iou(counts[:, scored]),
    }
    absent = np.isnan(per_image["iou"])
    averages = _named_sums("images_without", absent, absent.all(axis=1), names)
    if not np.isnan(surface).all():
        per_image |= {name: surface[:, scored, k] for k, name in enumerate(SURFACE)}
        predicted, actual = (counts[:, scored, 0] + counts[:, scored, k] > 0 for k in (1, 2))
        failures = predicted != actual
        averages |= _named_sums("surface_failures", failures, failures, names)
    for name, values in per_image.items():
        averages[name] = float(_mean(_mean(values, axis=1)))
        averages |= _by_class(name, _mean(values, axis=0), names)
    for name, ratio in overlap_scores(counts[:, scored].sum(axis=0)).items():
        averages[f"{name}_dataset"] = float(_mean(ratio))
        averages |= _by_class(f"{name}_dataset", ratio, names)
    averages |= _pixel_accuracy(counts.sum(axis=0), class_names)
    check_consistency(averages)
    return averages


def check_consistency(scores: Mapping[str, ArrayLike]) -> None:
    """Refuse an IoU above the Dice of the same name, or one of the two without the other.

    IoU ≤ Dice holds for each pair of masks, so for each average over the same pairs as well: where
    it does not hold, the two were averaged over different images or classes.

    Args:
        scores: Numbers or arrays by name; ``iou…`` is held against ``dice…``.

    Raises:
        ValueError: Naming the two scores and their first offending values.
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
    """Each wrong pixel is one class's false positive and another's false negative."""
    wrong = np.flatnonzero(counts[..., 1].sum(axis=1) != counts[..., 2].sum(axis=1))
    if len(wrong):
        raise ValueError(
            f"the mask of {ids[wrong[0]]!r} (and {len(wrong) - 1} more) holds labels that are "
            f"neither one of the {counts.shape[1]} classes nor ignore_index: correct the data "
            "set's num_classes or its masks"
        )


def _arrays(table: pd.DataFrame, class_names: Sequence[str]) -> tuple[Counts, Values]:
    """Counts and surface scores ``(n, C, 3)`` of a score table."""
    num_classes = len(class_names)
    found = table["class"].astype(str).to_numpy()
    if len(found) % num_classes or (found.reshape(-1, num_classes) != list(class_names)).any():
        raise ValueError(
            f"table must hold for each image one row of each of {list(class_names)}, in this "
            f"order, got {len(found)} rows of {sorted(set(found))}"
        )
    shape = (-1, num_classes, 3)
    counts = table[COUNTS].to_numpy(dtype=np.int64).reshape(shape)
    return counts, table[SURFACE].to_numpy(dtype=np.float64).reshape(shape)


def _pixel_accuracy(counts: Counts, class_names: Sequence[str]) -> dict[str, float]:
    """Accuracy over all pixels, of each class's pixels, and the mean of these, all classes."""
    hits, pixels = counts[:, 0], counts[:, 0] + counts[:, 2]
    with np.errstate(invalid="ignore"):  # 0 / 0: no pixel, no accuracy
        accuracy, overall = hits / pixels, hits.sum() / pixels.sum()
    return {
        "pixel_accuracy": float(overall),
        "mean_pixel_accuracy": float(_mean(accuracy)),
        **_by_class("pixel_accuracy", accuracy, class_names),
    }


def _by_class(name: str, values: Values, class_names: Sequence[str]) -> dict[str, float]:
    return {f"{name}/{c}": float(v) for c, v in zip(class_names, values, strict=True)}


def _named_sums(
    name: str, by_class: NDArray[np.bool_], overall: NDArray[np.bool_], class_names: Sequence[str]
) -> dict[str, float]:
    sums = by_class.sum(axis=0, dtype=np.float64)
    return {name: float(overall.sum()), **_by_class(name, sums, class_names)}


def _mean(values: Values, axis: int | None = None) -> Values:
    """Mean over what is not NaN; NaN where nothing is left, without numpy's warning."""
    there = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: Values = np.where(there, values, 0.0).sum(axis=axis) / there.sum(axis=axis)
    return mean
