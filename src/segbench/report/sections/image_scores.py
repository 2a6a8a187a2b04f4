"""Scores of each image, made from a cell's table ``scores.csv``."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from segbench.arrays import Values
from segbench.errors import SegbenchError
from segbench.metrics.registry import OF_COUNTS, PER_IMAGE
from segbench.metrics.scores import COUNTS, known_mean, scored_classes
from segbench.records.cells import Cell


def has_images(score: str) -> bool:
    """Whether a score is a mean over images; the others come from counts summed over all."""
    return score.partition("/")[0] in PER_IMAGE


def class_names(table: pd.DataFrame) -> list[str]:
    """All classes of a table in its order, the background first."""
    return [str(name) for name in pd.unique(table["class"])]


def per_image(
    cell: Cell | pd.DataFrame, score: str, names: Sequence[str] | None = None
) -> tuple[list[str], Values]:
    """The ids of a cell's test images and their scores ``(n,)``, NaN where one has none.

    Averaged as in the record: without a class, the mean over the scored classes that the image
    has a score of; so the mean of the values that are there is ``metrics.test[score]``.

    Args:
        cell: A finished one, or its table.
        score: one of the registry's ``PER_IMAGE``, or ``score/class``.
        names: The classes, the background first; as the table has them if not given.

    Raises:
        SegbenchError: The table does not hold each image's classes in turn, or not this class.
    """
    table, where = (cell.scores, str(cell.folder)) if isinstance(cell, Cell) else (cell, "scores")
    names = list(class_names(table) if names is None else names)
    _check(table, names, where)
    name, _, wanted = score.partition("/")
    scored = scored_classes(len(names))
    chosen = [c for c in scored if not wanted or names[c] == wanted]
    if not chosen:
        known = ", ".join(names[c] for c in scored)
        raise SegbenchError(f"{where}: score={score}: not a scored class; there are {known}")
    if name not in OF_COUNTS and name not in table:
        raise SegbenchError(f"{where}: scores.csv has no column {name}")
    values = _values(table, name, len(names))[:, chosen]
    return table["id"].astype(str).tolist()[:: len(names)], known_mean(values, axis=1)


def _check(table: pd.DataFrame, names: list[str], where: str) -> None:
    count = len(names)
    found = table["class"].to_numpy(dtype=object)
    if not count or len(found) % count or (found.reshape(-1, count) != names).any():
        raise SegbenchError(
            f"{where}: scores.csv must hold one row of each of {names} for each image, got "
            f"{len(found)} rows; overwrite=true runs the cell again"
        )


def _values(table: pd.DataFrame, name: str, count: int) -> Values:
    """Scores ``(n, C)`` of each image and class."""
    if name in table:
        return table[name].to_numpy(dtype=np.float64).reshape(-1, count)
    counts = table[COUNTS].to_numpy(dtype=np.int64).reshape(-1, count, 3)
    return OF_COUNTS[name](counts)
