"""What every cell has beside its recipe: repeatable epochs, its own cost, lines on a pipe."""

import time
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar

from segbench.hardware import keep_freed_memory, return_freed_memory
from segbench.memory import peak_memory, reset_peak_memory


class EpochSeed(Callback):
    """Seeds each epoch from (seed, epoch), so that dropout in a resumed run repeats itself."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed torch's generators on all devices, before an epoch's first batch.

        Not at the epoch's start: making the loader's iterator draws a number, which happens before
        that in a run's first epoch and after it in all others.
        """
        if batch_idx == 0:
            torch.manual_seed((self.seed * 1_000_003 + trainer.current_epoch) % 2**63)


class Cost(Callback):
    """Seconds, images and peak memory of training; counted on through a resumption."""

    KEPT = ("train_seconds", "step_seconds", "images", "peak_bytes")

    def __init__(self) -> None:
        self.train_seconds = 0.0  # whole epochs, with their validation
        self.step_seconds = 0.0  # without it
        self.images = 0
        self.peak_bytes = 0
        self._epoch_start = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count memory from here: what a former cell of this process took is not ours."""
        reset_peak_memory(pl_module.device)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._epoch_start = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count images."""
        self.images += len(batch["image"]) * trainer.world_size

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The epoch's steps are over."""
        if self._epoch_start:
            self.step_seconds += time.perf_counter() - self._epoch_start

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock; the checkpoint that follows carries it."""
        self.train_seconds += time.perf_counter() - self._epoch_start
        self.peak_bytes = max(self.peak_bytes, peak_memory(pl_module.device))

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {name: getattr(self, name) for name in self.KEPT}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the checkpoint."""
        for name in self.KEPT:
            setattr(self, name, state_dict[name])

    @staticmethod
    def record(state: dict[str, Any]) -> dict[str, float | int]:
        """The record's fields of a state in a checkpoint."""
        speed = state["images"] / state["step_seconds"] if state["step_seconds"] else 0.0
        return {
            "train_seconds": state["train_seconds"],
            "images_per_second": speed,
            "peak_memory_bytes": state["peak_bytes"],
        }


class KeepMemory(Callback):
    """On a CPU, memory that a training step freed stays with the process for the next step.

    Args:
        large: Blocks from 32 MB on too. Steps on large images then take two thirds of the time,
            and the process up to 40 % more memory.
    """

    def __init__(self, large: bool = True) -> None:
        self.large = large

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From here."""
        if pl_module.device.type == "cpu":
            keep_freed_memory(self.large)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """To here."""
        if stage == "fit" and pl_module.device.type == "cpu":
            return_freed_memory()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Or to where an error ended it: Lightning calls no teardown then."""
        self.teardown(trainer, pl_module, "fit")


class LogTraining(Callback):
    """Logs an epoch's training before its checkpoint is written.

    Lightning would log it after that: a run killed between the two would go on with the next epoch
    and miss a point of its curves for ever.
    """

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """To every logger, and to the disk."""
        seen = trainer.callback_metrics
        row = {name: seen[name].item() for name in ("lr", "train/loss", "train/iou")}
        for logger in trainer.loggers:
            logger.log_metrics(
                {**row, "epoch": trainer.current_epoch}, step=trainer.global_step - 1
            )
            logger.save()


class EpochLines(Callback):
    """A plain line for each epoch, where there is no terminal to draw a bar on."""

    def __init__(self) -> None:
        self._start = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the line."""
        seen = trainer.callback_metrics
        parts = [
            f"{part} loss {seen[f'{part}/loss']:.4f} IoU {seen[f'{part}/iou']:.4f}"
            for part in ("train", "val")
            if f"{part}/loss" in seen
        ]
        of = f"/{trainer.max_epochs}" if (trainer.max_epochs or -1) > 0 else ""
        parts.append(f"{time.perf_counter() - self._start:.1f} s")
        print(f"epoch {trainer.current_epoch + 1}{of}  " + "  ".join(parts), flush=True)


class EpochBar(RichProgressBar):
    """Lightning's bar, without the number of the log folder and with epochs counted from 1."""

    def _get_train_description(self, current_epoch: int) -> str:
        last = self.trainer.max_epochs
        return f"Epoch {current_epoch + 1}" + (f"/{last}" if last and last > 0 else "")

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Loss and IoU of the last epoch."""
        shown = super().get_metrics(trainer, pl_module)
        shown.pop("v_num", None)
        return shown
