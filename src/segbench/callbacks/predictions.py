"""Stores small predicted masks of every test image, for the image sheets of a comparison."""

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer

from segbench.records.pictures import encode_labels
from segbench.types import Batch


class KeepPredictions(Callback):
    """Keeps the predicted masks of a test run as PNGs, by the image's index in the data set."""

    def __init__(self) -> None:
        self.pngs: dict[int, bytes] = {}

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Discard the predictions of an earlier test run."""
        self.pngs = {}

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Encode the predicted masks of a batch as PNGs."""
        for index, labels in zip(batch["index"].tolist(), outputs["labels"], strict=True):
            self.pngs[index] = encode_labels(labels.to("cpu", torch.uint8).numpy())

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gather the predictions of all processes of the cell, sorted by index."""
        if trainer.world_size > 1:
            gathered: list[Any] = [None] * trainer.world_size
            torch.distributed.all_gather_object(gathered, self.pngs)
            self.pngs = {index: png for pngs in gathered for index, png in pngs.items()}
        self.pngs = dict(sorted(self.pngs.items()))
