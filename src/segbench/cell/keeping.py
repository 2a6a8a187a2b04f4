"""Writes the pictures of a cell: its panels, and small predictions for comparisons."""

import logging
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from lightning import Trainer
from torch import Tensor

from segbench.cell.task import SegmentationTask
from segbench.data.base import SegmentationDataModule
from segbench.records.cells import PANELS, split_digest
from segbench.records.panels import (
    ENTROPY_KEY,
    as_rgb,
    chosen_cases,
    draw_panel,
    errors_key,
    paint_entropy,
    shrunk,
    write_panels,
)
from segbench.records.pictures import (
    PREDICTIONS,
    Picture,
    truths_path,
    write_pictures,
    write_predictions,
)
from segbench.text.progress import track
from segbench.text.screen import say

log = logging.getLogger(__name__)


@contextmanager
def noted(what: str, notes: list[str]) -> Iterator[None]:
    """Turn an error into a note, so that a picture that fails does not lose computed results.

    Args:
        what: the name of the step, for the note.
        notes: the list to which the note is added.
    """
    try:
        yield
    except Exception as error:
        notes.append(f"{what}: {type(error).__name__}: {' '.join(str(error).split())}")
        say(f"note: {notes[-1]}", sys.stderr)
        log.exception("note: %s", what)


def draw_panels(
    trainer: Trainer,
    task: SegmentationTask,
    data: SegmentationDataModule,
    table: pd.DataFrame,
    folder: Path,
) -> None:
    """Draw panels of the best, median and worst test image at their original sizes."""
    indices = {case.id: index for index, case in enumerate(data.cases)}
    rows = []
    task.eval()  # Lightning leaves it in training mode
    for name, (id_, iou) in chosen_cases(table).items():
        index = indices[id_]
        image, mask = data.show(index)
        batch = data.batch_of(index, task.device)
        entropy = np.zeros(mask.shape, np.uint8)

        def see(place: int, top: int, chances: Tensor, entropy: Picture = entropy) -> None:
            entropy[top : top + chances.shape[1]] = entropy_of(chances)

        with torch.inference_mode(), trainer.precision_plugin.forward_context():
            (labels,), _ = task.labels(batch, [mask.shape], see)
        label = labels.to("cpu", torch.uint8).numpy()
        image, mask, label, entropy = shrunk(image, mask, label, entropy)
        panel = [*draw_panel(image, mask, label, data.colours), paint_entropy(entropy)]
        rows.append((f"{name}: {id_}, IoU {iou:.3f}", panel))
    heads = ("image", "truth", "prediction", errors_key(data.colours), ENTROPY_KEY)
    write_panels(folder / PANELS, rows, heads, data.colours.legend(data.class_names))


def entropy_of(chances: Tensor) -> Picture:
    """The entropy of probabilities (K, h, W) as (h, W), from 0 (certain) to 255 (all alike)."""
    nats = torch.special.entr(chances.float()).sum(dim=0)
    levels: Picture = (nats * (255 / math.log(len(chances)))).round().byte().cpu().numpy()
    return levels


def keep_pictures(
    data: SegmentationDataModule,
    pngs: Mapping[int, bytes],
    folder: Path,
    choice: str,
    part: str = "test",
) -> None:
    """Write small predictions for each image of the scored part into the cell's ``folder``.

    The images and their ground truth are equal for all cells of a sweep, and are written once.

    Args:
        data: the data set of the cell.
        pngs: for each image's index its predicted labels as a PNG.
        folder: the cell's folder.
        choice: the option chosen in the config group ``data``.
        part: the scored part of the split.
    """
    ids = {index: data.cases[index].id for index in pngs}
    write_predictions(folder / PREDICTIONS, {ids[index]: png for index, png in pngs.items()})
    split = split_digest(data.split_record()["parts"])
    path = truths_path(folder.parent, choice, split, part)
    if not path.is_file():
        write_pictures(path, list(ids.values()), _truths(data, list(pngs)))


def _truths(
    data: SegmentationDataModule, indices: Sequence[int]
) -> Iterable[tuple[Picture, Picture]]:
    title = f"keeping {len(indices)} test images for comparisons"
    for index in track(indices, len(indices), title, least=2.0):
        image, mask = data.show(index)
        yield as_rgb(image, mask), mask
