"""Logs the same few val images to TensorBoard each epoch, with truth and prediction."""

from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.utils import make_grid

from segbench.colours import MOST_CLASSES, ClassColours, class_colours
from segbench.records.panels import (
    CAPTION,
    GAP,
    LARGEST_SIDE,
    Legend,
    draw_legend,
    paint_labels,
    placed_legend,
)
from segbench.types import Batch


class SampleImages(Callback):
    """Logs the first ``count`` images of the first val batch: input, truth, prediction.

    Args:
        count: number of images, at least 0; 0 logs nothing.

    Raises:
        ValueError: ``count`` is negative.
    """

    def __init__(self, count: int = 4) -> None:
        if count < 0:
            raise ValueError(f"callbacks.samples.count={count}: expected 0 or more")
        self.count = count

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Log the images of an epoch's first val batch."""
        boards = [each for each in trainer.loggers if isinstance(each, TensorBoardLogger)]
        if batch_idx or not self.count or not boards:
            return
        data = getattr(trainer, "datamodule", None)
        bands = getattr(data, "bands", None)
        images = batch["image"][: self.count]
        images = images[:, list(bands)] if bands else images
        height, width = batch["mask"].shape[1:]  # a small whole picture is padded
        step = 1 + max(height, width) // LARGEST_SIDE  # more would take gigabytes
        images = images[:, :, :height:step, :width:step].float()
        masks, labels = batch["mask"][:, ::step, ::step], outputs[:, ::step, ::step]
        classes = getattr(data, "colours", None) or class_colours([*map(str, range(MOST_CLASSES))])
        names = getattr(data, "class_names", ())
        grid = with_legend(_grid(images, masks, labels, classes), classes.legend(names))
        for board in boards:
            board.experiment.add_image("val/samples", grid, trainer.global_step)


def _grid(images: Tensor, masks: Tensor, labels: Tensor, classes: ClassColours) -> Tensor:
    """One picture (3, H, W) in [0, 1]; each row shows input, truth and prediction.

    Args:
        images: (N, C, H, W), normalised.
        masks: (M, H, W) class ids, M >= N.
        labels: (M, H, W) predicted class ids.
        classes: their colours.
    """
    low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    shown = ((images - low) / (high - low).clamp(min=1e-6)).cpu()
    shown = shown[:, :3] if shown.shape[1] >= 3 else shown[:, :1].expand(-1, 3, -1, -1)
    rows = zip(shown, masks.cpu(), labels.cpu(), strict=False)
    tiles = []
    for image, mask, label in rows:
        tiles += [image, _paint(mask, classes), _paint(label, classes)]
    grid: Tensor = make_grid(torch.stack(tiles), nrow=3, padding=2)
    return grid


def with_legend(grid: Tensor, legend: Legend) -> Tensor:
    """A picture (3, H, W) in [0, 1] with the names and colours of classes below it."""
    font = ImageFont.load_default(12)
    placed = placed_legend(legend, grid.shape[2], font)
    if not placed:
        return grid
    height = max(top for _, top, *_ in placed) + CAPTION + GAP
    below = Image.new("RGB", (grid.shape[2], height), "white")
    draw_legend(ImageDraw.Draw(below), placed, 0, font)
    strip = torch.from_numpy(np.array(below)).permute(2, 0, 1) / 255
    return torch.cat([grid, strip], dim=1)


def _paint(labels: Tensor, classes: ClassColours) -> Tensor:
    """Class ids (H, W) as colours (3, H, W) in [0, 1]."""
    painted = paint_labels(labels.to(torch.uint8).numpy(), classes)
    return torch.from_numpy(painted).permute(2, 0, 1) / 255
