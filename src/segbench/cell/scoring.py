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
from segbench.metrics.scores import aggregate, score_table
from segbench.records.record import CONFUSION, SCORES, atomic_write
from segbench.text.escape import guarded

Confusion = NDArray[np.int64]


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
        table, confusion = _score_part(trainer, task, data, part)
        averages[part] = aggregate(table, data.class_names) | _loss(task)
    write_scores(table, folder)
    write_confusion(confusion, data.class_names, folder)
    with noted("panels", notes):
        draw_panels(trainer, task, data, table, folder)
    return averages


def _score_part(
    trainer: Trainer, task: SegmentationTask, data: SegmentationDataModule, part: str
) -> tuple[pd.DataFrame, Confusion | None]:
    """The scores of each image and class of a part, computed at the image's original size.

    Also the part's pixels by their true and their predicted class.
    """
    data.scored_part, data.scores_objects = part, task.scores.find is not None
    task.scores.reset()
    task.scored_loss.reset()
    trainer.test(task, datamodule=data, verbose=False)
    scores = task.scores.compute()
    ids = [data.cases[index].id for index in scores.index]
    groups = None if data.groups is None else [data.groups[index] for index in scores.index]
    facts = scores.counts, scores.sizes, scores.surface
    table = score_table(ids, data.class_names, *facts, groups, scores.objects)
    return table, scores.confusion


def _loss(task: SegmentationTask) -> dict[str, float]:
    """The mean loss of the images just scored; nothing if the task has no loss."""
    return {} if task.loss is None else {"loss": float(task.scored_loss.compute())}


def write_scores(table: pd.DataFrame, folder: Path) -> None:
    """Write ``scores.csv``, with names that no spreadsheet takes for formulas."""
    with atomic_write(folder / SCORES) as temporary:
        guarded(table).to_csv(temporary, index=False, errors="surrogateescape")


def write_confusion(confusion: Confusion | None, class_names: Sequence[str], folder: Path) -> None:
    """Write ``confusion.csv``: a row for each pair of a true and a predicted class."""
    if confusion is None:
        return
    pairs = pd.MultiIndex.from_product([class_names, class_names], names=["class", "predicted"])
    table = pd.Series(confusion.ravel(), pairs, name="pixels").reset_index()
    with atomic_write(folder / CONFUSION) as temporary:
        guarded(table).to_csv(temporary, index=False, errors="surrogateescape")
