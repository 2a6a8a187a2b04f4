"""SegmentationTask: the one LightningModule, around any network and any loss."""

import inspect
import math
from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from segbench.errors import ConfigError
from segbench.metrics.counts import ImageScores
from segbench.metrics.scores import aggregate, score_table
from segbench.types import IGNORE_INDEX, Batch, predicted_labels

MakeOptimizer = Callable[..., Optimizer]
MakeScheduler = Callable[..., LRScheduler]
NEVER = 2**62


class EpochIoU(ImageScores):
    """Mean over an epoch's images of their IoU, at the network's size: for curves and selection."""

    def compute(self) -> Tensor:  # type: ignore[override]
        """The mean, a scalar."""
        scores = super().compute()
        names = [str(c) for c in range(self.num_classes)]
        ids = [str(i) for i in scores.index]
        table = score_table(ids, names, scores.counts, scores.sizes)
        return torch.tensor(aggregate(table, names)["iou"], device=self.device)


class SegmentationTask(LightningModule):
    """Trains a network with a loss and scores it.

    Args:
        network: images ``(N, C, H, W)`` to logits ``(N, K, H, W)``; in training it may return a
            list of them (deep supervision), of which the last is scored.
        loss: logits and masks ``(N, H, W)`` to a scalar. Several heads' losses are averaged.
        optimizer: makes the optimizer of the parameters given.
        scheduler: makes the learning-rate scheduler of an optimizer, or None. It is stepped each
            epoch; one that asks for ``total_steps`` gets them and is stepped each batch.
        num_classes: the background included.
        ignore_index: the label that neither loss nor scores see.
        monitor: what a plateau scheduler watches.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        optimizer: MakeOptimizer,
        scheduler: MakeScheduler | None = None,
        num_classes: int = 2,
        ignore_index: int = IGNORE_INDEX,
        monitor: str = "val/iou",
    ) -> None:
        super().__init__()
        self.network, self.loss = network, loss
        self._make_optimizer, self._make_scheduler = optimizer, scheduler
        self._plateau: ReduceLROnPlateau | None = None
        self.monitor = monitor
        self.train_iou = EpochIoU(num_classes, ignore_index)
        self.val_iou = EpochIoU(num_classes, ignore_index)
        self.scores = ImageScores(num_classes, ignore_index, surface=True)

    def forward(self, image: Tensor) -> Tensor:
        """Logits ``(N, K, H, W)`` of normalised images ``(N, C, H, W)``."""
        logits: Tensor = self.network(image)
        return logits

    def on_train_epoch_start(self) -> None:
        """Note the learning rate that the epoch starts with."""
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.log("lr", rate, sync_dist=True, logger=False)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of a batch; nothing here waits for the device."""
        output = self.network(batch["image"])
        heads = output if isinstance(output, list) else [output]
        loss = torch.stack([self.loss(head, batch["mask"]) for head in heads]).mean()
        self._log_step("train", loss, heads[-1], batch, self.train_iou)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Labels ``(N, H, W)`` of a batch, for callbacks that draw them."""
        logits = self.network(batch["image"])
        loss = self.loss(logits, batch["mask"])
        return self._log_step("val", loss, logits, batch, self.val_iou)

    def _log_step(
        self, part: str, loss: Tensor, logits: Tensor, batch: Batch, iou: EpochIoU
    ) -> Tensor:
        labels = predicted_labels(logits.detach())
        iou.update(labels, batch["mask"], batch["index"])
        values: dict[str, Tensor | EpochIoU] = {
            f"{part}/loss": loss.detach(),
            f"{part}/iou": iou,
        }
        for name, value in values.items():  # each epoch: a step's value would be waited for
            self.log(
                name,
                value,
                batch_size=len(labels),
                on_step=False,
                on_epoch=True,
                prog_bar=True,
                sync_dist=True,
                logger=part != "train",  # see LogTraining
            )
        return labels

    def on_train_epoch_end(self) -> None:
        """Step a plateau scheduler, and stop a run that has diverged: the rest is wasted time."""
        seen = self.trainer.callback_metrics
        if self._plateau is not None:
            self._plateau.step(seen[self.monitor].item())
        loss = seen["train/loss"].item()
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the training loss became {loss} in epoch {self.current_epoch + 1}; try a "
                "lower optimizer.lr, trainer.gradient_clip_val=1 or trainer.precision=32-true"
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say whether this epoch was the last."""
        trainer, epochs = self.trainer, self.current_epoch + 1
        stopped = trainer.should_stop and epochs >= (trainer.min_epochs or 0)
        checkpoint["over"] = epochs == trainer.max_epochs or stopped

    def test_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """Count each image at its own size against its own mask; returns each one's labels."""
        logits = self.network(batch["image"]).float()
        found = []
        for logit, mask, index in zip(logits, batch["original"], batch["index"], strict=True):
            labels = predicted_labels(resize_logits(logit[None], (mask.shape[0], mask.shape[1])))
            self.scores.update(labels, mask[None].long(), index[None])
            found.append(labels[0])
        return {"labels": found}

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Lightning's hook."""
        options: dict[str, Any] = {}
        clipping = "mixed" in str(self.trainer.precision) and self.trainer.gradient_clip_val
        if clipping and "fused" in getattr(self._make_optimizer, "keywords", {}):
            options["fused"] = False  # Lightning refuses: a fused step may unscale after clipping
        try:
            optimizer = self._make_optimizer(self.network.parameters(), **options)
        except ValueError as error:  # torch says what is wrong, not of whom
            raise ConfigError(f"optimizer: {error}") from error
        make = self._make_scheduler
        if make is None:
            return optimizer
        if _asks_for_total_steps(make):
            steps = int(self.trainer.estimated_stepping_batches)
            scheduler = make(optimizer, total_steps=steps)
            return _plan(optimizer, scheduler, interval="step")
        scheduler = make(optimizer)
        if not isinstance(scheduler, ReduceLROnPlateau):
            return _plan(optimizer, scheduler)
        # Lightning would step it after the checkpoint of the epoch, and a resumed run would miss
        # that step: it only keeps its state, and on_train_epoch_end steps it.
        self._plateau = scheduler
        return _plan(optimizer, scheduler, frequency=NEVER, monitor=self.monitor)


def _asks_for_total_steps(make: MakeScheduler) -> bool:
    return "total_steps" in inspect.signature(getattr(make, "func", make)).parameters


def _plan(optimizer: Optimizer, scheduler: LRScheduler, **options: Any) -> OptimizerLRScheduler:
    plan: Any = {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, **options}}
    return cast(OptimizerLRScheduler, plan)


def resize_logits(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Logits ``(N, K, H, W)`` at another size, bilinearly: smoother borders than resized labels."""
    if logits.shape[2:] == size:
        return logits
    return F.interpolate(logits, size, mode="bilinear", align_corners=False)
