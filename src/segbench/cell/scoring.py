"""The scores of a part: computed, averaged, written to ``scores.csv`` and shown in panels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from lightning import Trainer
from numpy.typing import NDArray

from segbench.cell.keeping import draw_panels, noted
from segbench.cell.task import SegmentationTask
from segbench.data.base import SegmentationDataModule
from segbench.metrics.counts import Scores
from segbench.metrics.scores import aggregate, score_table
from segbench.records.record import CONFUSION, RELIABILITY, SCORES, atomic_write
from segbench.text.escape import guarded


def score_parts(
    trainer: Trainer,
    task: SegmentationTask,
    data: SegmentationDataModule,
    parts: Sequence[str],
    folder: Path,
    notes: list[str],
) -> dict[str, dict[str, float]]:
    """The averages of each part's scores; the last part's table and panels are written.

    Args:
        trainer: tests the task.
        task: with the selected weights.
        data: set up.
        parts: names such as ``train``, ``val`` and ``test``.
        folder: for ``scores.csv`` and the panels.
        notes: receives an error in drawing.
    """
    averages = {}
    for part in parts:
        table, scores = _score_part(trainer, task, data, part)
        averages[part] = aggregate(table, data.class_names) | _loss(task)
    write_tables(table, scores, data.class_names, folder)
    with noted("panels", notes):
        draw_panels(trainer, task, data, table, folder)
    return averages


def _score_part(
    trainer: Trainer, task: SegmentationTask, data: SegmentationDataModule, part: str
) -> tuple[pd.DataFrame, Scores]:
    """The scores of each image and class of a part, computed at the image's original size."""
    data.scored_part, data.scores_objects = part, task.scores.asked.find is not None
    task.scores.reset()
    task.scored_loss.reset()
    trainer.test(task, datamodule=data, verbose=False)
    scores = task.scores.compute()
    ids = [data.cases[index].id for index in scores.index]
    groups = None if data.groups is None else [data.groups[index] for index in scores.index]
    facts = scores.counts, scores.sizes, scores.surface
    return score_table(ids, data.class_names, *facts, groups, scores.optional), scores


def _loss(task: SegmentationTask) -> dict[str, float]:
    """The mean loss of the images just scored; nothing if the task has no loss."""
    return {} if task.loss is None else {"loss": float(task.scored_loss.compute())}


def write_tables(
    table: pd.DataFrame, scores: Scores, class_names: Sequence[str], folder: Path
) -> None:
    """Write the tables of a part, with names that no spreadsheet takes for formulas.

    They are ``scores.csv``, ``confusion.csv`` of several classes, with a row for each pair of a
    true and a predicted class, and ``reliability.csv`` where probabilities were scored, with a row
    for each bin of confidence.
    """
    files = {SCORES: table}
    if scores.confusion is not None:
        pairs = pd.MultiIndex.from_product([class_names, class_names], names=["class", "predicted"])
        files[CONFUSION] = pd.Series(scores.confusion.ravel(), pairs, name="pixels").reset_index()
    if scores.reliability is not None:
        files[RELIABILITY] = reliability_table(scores.reliability)
    for name, each in files.items():
        with atomic_write(folder / name) as temporary:
            guarded(each).to_csv(temporary, index=False, errors="surrogateescape")


def reliability_table(bins: NDArray[np.float64]) -> pd.DataFrame:
    """Of each bin of confidence the bounds, the pixels, their mean confidence and accuracy.

    Args:
        bins: the sums ``(BINS, 3)`` of `Calibration`.
    """
    edges = np.arange(len(bins) + 1) / len(bins)
    pixels, confidence, right = bins.T
    with np.errstate(invalid="ignore"):  # 0 / 0: an empty bin has neither
        means = {"confidence": confidence / pixels, "accuracy": right / pixels}
    counted = pixels.astype(np.int64)
    return pd.DataFrame({"above": edges[:-1], "up_to": edges[1:], "pixels": counted, **means})
