"""What a cell keeps to be looked at: its panels, and small pictures for a comparison."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from lightning import Trainer

from segbench.data.base import SegmentationDataModule
from segbench.data.transforms import normalise
from segbench.progress import track
from segbench.report.cells import PANELS, split_digest
from segbench.report.panels import as_rgb, chosen_cases, draw_panel, write_panels
from segbench.report.pictures import (
    PREDICTIONS,
    Picture,
    truths_path,
    write_pictures,
    write_predictions,
)
from segbench.task import SegmentationTask, resize_logits
from segbench.types import predicted_labels


def draw_panels(
    trainer: Trainer,
    task: SegmentationTask,
    data: SegmentationDataModule,
    table: pd.DataFrame,
    folder: Path,
) -> None:
    """The best, median and worst test image, at their own sizes."""
    places = {case.id: place for place, case in enumerate(data.cases)}
    rows = []
    task.eval()  # Lightning leaves it in the mode of training
    for name, (id_, iou) in chosen_cases(table).items():
        place = places[id_]
        image, mask = data.show(place)
        prepared = torch.from_numpy(data.prepared.images[[place]]).permute(0, 3, 1, 2)
        with torch.inference_mode(), trainer.precision_plugin.forward_context():
            logits = task(normalise(prepared.to(task.device)))
        labels = predicted_labels(resize_logits(logits.float(), mask.shape))
        label = labels[0].cpu().numpy().astype(np.uint8)
        panel = draw_panel(image, mask, label, data.num_classes, data.ignore_index)
        rows.append((f"{name}: {id_}, IoU {iou:.3f}", panel))
    heads = ("image", "truth", "prediction", "errors: orange too much, blue missed")
    write_panels(folder / PANELS, rows, heads)


def keep_pictures(
    data: SegmentationDataModule, pngs: Mapping[int, bytes], folder: Path, choice: str
) -> None:
    """Write what the cell in ``folder`` predicts of each test image, small.

    The images themselves and their truths, which all cells of a sweep share, are written once.
    """
    ids = {place: data.cases[place].id for place in pngs}
    write_predictions(folder / PREDICTIONS, {ids[place]: png for place, png in pngs.items()})
    path = truths_path(folder.parent, choice, split_digest(data.split_record()["parts"]))
    if not path.is_file():
        write_pictures(path, list(ids.values()), _truths(data, list(pngs)))


def _truths(
    data: SegmentationDataModule, places: Sequence[int]
) -> Iterable[tuple[Picture, Picture]]:
    told = f"keeping {len(places)} test images for comparisons"
    for place in track(places, len(places), told, least=2.0):
        image, mask = data.show(place)
        yield as_rgb(image, mask), mask
