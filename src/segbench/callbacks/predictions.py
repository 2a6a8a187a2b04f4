"""The predicted labels of every test image, small, for the sheets of a comparison."""

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer

from segbench.report.pictures import encode_labels
from segbench.types import Batch


class KeepPredictions(Callback):
    """Keeps what a test run predicts, as PNGs by the image's place in the data set."""

    def __init__(self) -> None:
        self.pngs: dict[int, bytes] = {}

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget an earlier run."""
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
        """Encode a batch."""
        for place, labels in zip(batch["index"].tolist(), outputs["labels"], strict=True):
            self.pngs[place] = encode_labels(labels.to("cpu", torch.uint8).numpy())

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gather what the processes of a cell saw."""
        if trainer.world_size > 1:
            shares: list[Any] = [None] * trainer.world_size
            torch.distributed.all_gather_object(shares, self.pngs)
            self.pngs = {place: png for share in shares for place, png in share.items()}
        self.pngs = dict(sorted(self.pngs.items()))
