"""SegmentationTask: the LightningModule that trains any network with any loss."""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torchmetrics import MeanMetric

from segbench.cell.resizing import Strip, in_blocks, resize_strips, resized_strips
from segbench.cell.windows import logit_strips
from segbench.config.score_options import needs_surface
from segbench.errors import ConfigError
from segbench.metrics.calibration import Calibration
from segbench.metrics.counts import ImageScores
from segbench.metrics.epoch_iou import EpochIoU
from segbench.metrics.optional import OptionalScores
from segbench.types import IGNORE_INDEX, Batch, predicted_labels, probabilities

MakeOptimizer = Callable[..., Optimizer]
MakeScheduler = Callable[..., LRScheduler]
See = Callable[[int, int, Tensor], None]
NEVER = 2**62


class SegmentationTask(LightningModule):
    """Trains a network with a loss and scores it.

    Args:
        network: maps images ``(N, C, H, W)`` to logits ``(N, K, H, W)``; in training it may return
            a list of logits (deep supervision), of which the last is scored.
        loss: maps logits and masks ``(N, H, W)`` to a scalar. The losses of several heads are
            averaged. None if the task is only to score.
        optimizer: makes an optimizer from parameters.
        scheduler: makes a learning-rate scheduler from an optimizer, or None. It is stepped each
            epoch; one that takes ``total_steps`` is given their number and stepped each batch.
        num_classes: number of classes, including the background.
        ignore_index: the label of pixels that loss and scores ignore.
        monitor: the metric that a plateau scheduler monitors.
        threshold: with two classes, the foreground's smallest probability when images are scored.
        class_names: background first, for scores of classes; None: the numbers of the classes.
        optional: the further scores that are computed at the end; None: none are.
        epoch_scores: by part (``train``, ``val``) the scores that are logged at the end of each
            epoch besides the loss and the IoU.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module | None,
        optimizer: MakeOptimizer,
        scheduler: MakeScheduler | None = None,
        num_classes: int = 2,
        ignore_index: int = IGNORE_INDEX,
        monitor: str = "val/iou",
        threshold: float = 0.5,
        class_names: Sequence[str] | None = None,
        epoch_scores: Mapping[str, Sequence[str]] | None = None,
        optional: OptionalScores | None = None,
    ) -> None:
        super().__init__()
        self.network: nn.Module = network
        self.loss: Any = loss
        self._make_optimizer, self._make_scheduler = optimizer, scheduler
        self._plateau: ReduceLROnPlateau | None = None
        self.monitor, self.threshold = monitor, threshold
        names = class_names or [str(label) for label in range(num_classes)]
        asked = epoch_scores or {}
        self.epoch_scores = {part: list(asked.get(part, ())) for part in ("train", "val")}
        self.train_iou, self.val_iou = (
            EpochIoU(names, ignore_index, needs_surface(self.epoch_scores[part]))
            for part in ("train", "val")
        )
        self.scores = ImageScores(num_classes, ignore_index, surface=True, optional=optional)
        self.scored_loss = MeanMetric(nan_strategy="disable")  # of the batches, by their images

    def forward(self, image: Tensor) -> Any:
        """Logits ``(N, K, H, W)`` of normalised images ``(N, C, H, W)``; in training maybe a list.

        Images are float32; the weights may have another type (``trainer.precision=64-true``).
        """
        return self.network(image.to(self.dtype))

    def strips(
        self, batch: Batch, sizes: Sequence[tuple[int, ...]], losses: list[Tensor]
    ) -> Iterator[Iterator[Strip]]:
        """For each image of a batch its logits (K, h, W) at another size, in strips of rows.

        Args:
            batch: of val or test; a whole picture is predicted window by window.
            sizes: for each image the wanted height and width.
            losses: receives tensors whose sum is the batch's loss, if the task has a loss.
        """
        if "windows" in batch:
            mask = batch["mask"]
            found = self._with_losses(in_blocks(logit_strips(batch, self)), mask, losses)
            height, width = mask.shape[1:]
            same = (height, width) == (sizes[0][0], sizes[0][1])
            yield found if same else resize_strips(found, height, sizes[0])
            return
        logits = self(batch["image"])
        if self.loss is not None:
            losses.append(self.loss(logits, batch["mask"]))
        for each, size in zip(logits.float(), sizes, strict=True):
            yield resized_strips(each, size)

    def labels(
        self, batch: Batch, sizes: Sequence[tuple[int, ...]], see: See | None = None
    ) -> tuple[list[Tensor], Tensor | None]:
        """The predicted labels (H, W) of each image of a batch at ``sizes``, and the loss.

        Args:
            batch: of val or test.
            sizes: for each image the wanted height and width.
            see: is given each strip of probabilities (num_classes, h, W): the image's place in the
                batch, the strip's first row, and the strip.
        """
        losses: list[Tensor] = []
        strips = self.strips(batch, sizes, losses)
        found = [
            self._collect(_shown(each, place, see), size)
            for place, (each, size) in enumerate(zip(strips, sizes, strict=True))
        ]
        return found, torch.stack(losses).sum() if losses else None

    def _with_losses(
        self, strips: Iterator[Strip], mask: Tensor, losses: list[Tensor]
    ) -> Iterator[Strip]:
        """The strips; ``losses`` receives each one's loss times its share of the mask's rows."""
        for top, logits in strips:
            rows = logits.shape[1]
            if self.loss is not None:
                loss = self.loss(logits[None], mask[:, top : top + rows].long())
                losses.append(loss * (rows / mask.shape[1]))
            yield top, logits

    def _collect(self, strips: Iterator[Strip], size: tuple[int, ...]) -> Tensor:
        """Predicted labels (H, W) of a picture from the logits of its strips."""
        found: Tensor | None = None
        for top, logits in strips:
            labels = predicted_labels(logits[None], self.threshold)[0]
            if labels.shape == size:
                return labels
            if found is None:
                found = labels.new_empty(size, dtype=torch.uint8)
            found[top : top + len(labels)] = labels
        assert found is not None
        return found

    def on_train_epoch_start(self) -> None:
        """Log the learning rate at the start of the epoch, and remove the last validation's values.

        Otherwise Lightning would show them again after an epoch without validation.
        """
        for name in ("loss", "iou", *self.epoch_scores["val"]):
            self.trainer.callback_metrics.pop(f"val/{name}", None)
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.log("lr", rate, sync_dist=True, logger=False)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of a batch, a scalar; this step never waits for the device."""
        output = self(batch["image"])
        heads = output if isinstance(output, list) else [output]
        loss = torch.stack([self.loss(head, batch["mask"]) for head in heads]).mean()
        labels = predicted_labels(heads[-1].detach())
        self._log_step("train", loss, labels, batch, self.train_iou)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Predicted labels ``(N, H, W)`` of a batch, for callbacks that draw them."""
        if "windows" in batch:
            (found,), loss = self.labels(batch, [batch["mask"].shape[1:]])
            assert loss is not None
            return self._log_step("val", loss, found[None], batch, self.val_iou)
        logits = self(batch["image"])
        loss = self.loss(logits, batch["mask"])
        return self._log_step("val", loss, predicted_labels(logits), batch, self.val_iou)

    def _log_step(
        self, part: str, loss: Tensor, labels: Tensor, batch: Batch, iou: EpochIoU
    ) -> Tensor:
        iou.update(labels, batch["mask"], batch["index"])
        values: dict[str, Tensor | EpochIoU] = {
            f"{part}/loss": loss.detach(),
            f"{part}/iou": iou,
        }
        # once per epoch, because logging a step's value would wait for the device
        for name, value in values.items():
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

    def averages(self, part: str) -> dict[str, float]:
        """The asked scores of the images of this epoch, such as ``{"val/dice": 0.8}``.

        Args:
            part: ``train`` or ``val``.
        """
        metric = self.train_iou if part == "train" else self.val_iou
        if self.epoch_scores[part]:
            metric.compute()
        return {f"{part}/{name}": metric.averages[name] for name in self.epoch_scores[part]}

    def on_validation_epoch_end(self) -> None:
        """Log the asked scores of the val part."""
        for name, value in self.averages("val").items():
            self.log(name, value)

    def on_train_epoch_end(self) -> None:
        """Step a plateau scheduler, and stop a run that has diverged."""
        seen = self.trainer.callback_metrics
        if self._plateau is not None and self.monitor in seen:
            self._plateau.step(seen[self.monitor].item())
        loss = seen["train/loss"].item()
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the training loss became {loss} in epoch {self.current_epoch + 1}; try a "
                "lower optimizer.lr, trainer.gradient_clip_val=1 or trainer.precision=32-true"
            )

    def test_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """Score each image at its original size; returns the predicted labels of each image.

        The loss is that of the network's size, as in validation.
        """
        truths = batch["original"]
        calibrations, see = None, None
        if self.scores.asked.probabilities:
            calibrations = [Calibration() for _ in truths]
            see = self._calibrated(calibrations, [each.cpu().numpy() for each in truths])
        found, loss = self.labels(batch, [mask.shape for mask in truths], see)
        if loss is not None:
            self.scored_loss.update(loss.expand(len(batch["mask"])))
        objects = [each.cpu().numpy() for each in batch.get("instances", ())]
        for place, (labels, mask) in enumerate(zip(found, truths, strict=True)):
            one = slice(place, place + 1)
            further = objects[one] or None, calibrations and calibrations[one]
            self.scores.update(labels[None], mask[None], batch["index"][one], *further)
        return {"labels": found}

    def _calibrated(self, calibrations: list[Calibration], truths: list[Any]) -> See:
        """Adds strips of probabilities to the calibration of their image."""
        ignored = self.scores.ignore_index

        def add(place: int, top: int, chances: Tensor) -> None:
            truth = truths[place][top : top + chances.shape[1]]
            calibrations[place].add(chances.cpu().numpy(), truth, ignored)

        return add

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimizer and learning-rate scheduler that Lightning is to use."""
        options: dict[str, Any] = {}
        clipping = "mixed" in str(self.trainer.precision) and self.trainer.gradient_clip_val
        if clipping and "fused" in getattr(self._make_optimizer, "keywords", {}):
            # Lightning refuses both, because a fused step may unscale after clipping
            options["fused"] = False
        try:
            optimizer = self._make_optimizer(self.network.parameters(), **options)
        except ValueError as error:  # torch's message does not name the option
            raise ConfigError(f"optimizer: {error}") from error
        make = self._make_scheduler
        if make is None:
            return optimizer
        if asks_for_total_steps(make):
            steps = self.trainer.estimated_stepping_batches
            if not math.isfinite(steps):
                raise ConfigError(
                    "scheduler: expected a limit of training, since it plans the learning rate of "
                    "each step; give trainer.max_epochs=… or +trainer.max_steps=…"
                )
            scheduler = make(optimizer, total_steps=int(steps))
            return _plan(optimizer, scheduler, interval="step")
        scheduler = make(optimizer)
        if not isinstance(scheduler, ReduceLROnPlateau):
            return _plan(optimizer, scheduler)
        if not self.trainer.limit_val_batches:
            raise ConfigError(
                f"scheduler: {type(scheduler).__name__} monitors {self.monitor}, but "
                "trainer.limit_val_batches=0 leaves no validation; choose another scheduler"
            )
        # Lightning would step it after the epoch's checkpoint was written, so that a resumed run
        # would miss that step. So Lightning only saves its state; on_train_epoch_end steps it.
        self._plateau = scheduler
        return _plan(optimizer, scheduler, frequency=NEVER, monitor=self.monitor)


def _shown(strips: Iterator[Strip], place: int, see: See | None) -> Iterator[Strip]:
    """The strips of logits of an image; ``see`` is given their probabilities."""
    for top, logits in strips:
        if see is not None:
            see(place, top, probabilities(logits[None])[0])
        yield top, logits


def asks_for_total_steps(make: MakeScheduler) -> bool:
    """Whether a scheduler takes ``total_steps``; such a scheduler is stepped each batch."""
    return "total_steps" in inspect.signature(getattr(make, "func", make)).parameters


def _plan(optimizer: Optimizer, scheduler: LRScheduler, **options: Any) -> OptimizerLRScheduler:
    plan: Any = {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, **options}}
    return cast(OptimizerLRScheduler, plan)
