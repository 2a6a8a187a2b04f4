"""The scores of a part: computed, averaged, written to ``scores.csv`` and shown in panels."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from lightning import Trainer

from segbench.cell.keeping import draw_panels, noted
from segbench.cell.task import SegmentationTask
from segbench.data.base import SegmentationDataModule
from segbench.metrics.scores import aggregate, score_table
from segbench.records.record import SCORES, atomic_write
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
        table = _score_part(trainer, task, data, part)
        averages[part] = aggregate(table, data.class_names) | _loss(task)
    write_scores(table, folder)
    with noted("panels", notes):
        draw_panels(trainer, task, data, table, folder)
    return averages


def _score_part(
    trainer: Trainer, task: SegmentationTask, data: SegmentationDataModule, part: str
) -> pd.DataFrame:
    """The scores of each image and class of a part, computed at the image's original size."""
    data.scored_part, data.scores_objects = part, task.scores.find is not None
    task.scores.reset()
    task.scored_loss.reset()
    trainer.test(task, datamodule=data, verbose=False)
    scores = task.scores.compute()
    ids = [data.cases[index].id for index in scores.index]
    groups = None if data.groups is None else [data.groups[index] for index in scores.index]
    facts = scores.counts, scores.sizes, scores.surface
    return score_table(ids, data.class_names, *facts, groups, scores.objects)


def _loss(task: SegmentationTask) -> dict[str, float]:
    """The mean loss of the images just scored; nothing if the task has no loss."""
    return {} if task.loss is None else {"loss": float(task.scored_loss.compute())}


def write_scores(table: pd.DataFrame, folder: Path) -> None:
    """Write ``scores.csv``, with names that no spreadsheet takes for formulas."""
    with atomic_write(folder / SCORES) as temporary:
        guarded(table).to_csv(temporary, index=False, errors="surrogateescape")
