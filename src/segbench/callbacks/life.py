"""Callbacks of every cell: seeding of epochs, cost of training, memory, progress lines."""

import time
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer

from segbench.hardware.device import keep_freed_memory, return_freed_memory
from segbench.hardware.memory import peak_memory, reset_peak_memory
from segbench.text.screen import say


class EpochSeed(Callback):
    """Seeds each epoch from (seed, epoch, rank), so that a resumed run repeats its dropout.

    Each process of ``trainer=ddp`` draws its own numbers; a single process has rank 0.

    Args:
        seed: the cell's seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed torch's generators on all devices, before an epoch's first batch.

        The start of the epoch would be the wrong moment: creating the loader's iterator draws a
        number, before that moment in a run's first epoch and after it in all others.
        """
        if batch_idx == 0:
            seed = self.seed * 1_000_003 + trainer.current_epoch + trainer.global_rank * 2**53
            torch.manual_seed(seed % 2**63)


class Cost(Callback):
    """Seconds, images and peak memory of training, summed over all resumptions."""

    KEPT = ("train_seconds", "step_seconds", "images", "peak_bytes")

    def __init__(self) -> None:
        self.train_seconds = 0.0  # whole epochs, with their validation
        self.step_seconds = 0.0  # training steps alone, without validation
        self.images = 0
        self.peak_bytes = 0
        self._epoch_start = 0.0
        self._steps_start = 0.0
        self._has_stepped = False  # since the clock of the steps was started

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reset the peak of memory, which may be that of an earlier cell of this process."""
        reset_peak_memory(pl_module.device)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clocks of the epoch and of its steps."""
        self._epoch_start = self._steps_start = time.perf_counter()
        self._has_stepped = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add the images of this step in all processes."""
        self.images += len(batch["image"]) * trainer.world_size
        self._has_stepped = True

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Pause the clock of the steps; more steps may follow in this epoch."""
        self._count_steps(pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restart the clock of the steps."""
        self._steps_start = time.perf_counter()

    def _count_steps(self, pl_module: LightningModule) -> None:
        """Add the time since the clock was started, if a step has ended since then."""
        if self._has_stepped:
            if pl_module.device.type == "cuda":  # the GPU still computes when the CPU is done
                torch.cuda.synchronize(pl_module.device)
            self.step_seconds += time.perf_counter() - self._steps_start
        self._has_stepped = False

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop both clocks before the checkpoint that stores them is written."""
        self._count_steps(pl_module)
        self.train_seconds += time.perf_counter() - self._epoch_start
        self.peak_bytes = max(self.peak_bytes, peak_memory(pl_module.device))

    def state_dict(self) -> dict[str, Any]:
        """The counters to store in the checkpoint, by name."""
        return {name: getattr(self, name) for name in self.KEPT}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the counters of a checkpoint."""
        for name in self.KEPT:
            setattr(self, name, state_dict[name])

    @staticmethod
    def record(state: dict[str, Any]) -> dict[str, float | int]:
        """The fields of ``run.json`` that follow from the counters stored in a checkpoint.

        Returns:
            Seconds of whole epochs, images per second of training steps alone, and bytes.
        """
        speed = state["images"] / state["step_seconds"] if state["step_seconds"] else 0.0
        return {
            "train_seconds": state["train_seconds"],
            "images_per_second": speed,
            "peak_memory_bytes": state["peak_bytes"],
        }


class KeepMemory(Callback):
    """Keeps, on a CPU, the memory that a training step frees for the next step.

    Args:
        large: whether blocks of 32 MB and more are kept too. Steps on large images then take two
            thirds of the time, and the process takes up to 40 % more memory.
    """

    def __init__(self, large: bool = True) -> None:
        self.large = large

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start keeping freed memory."""
        if pl_module.device.type == "cpu":
            keep_freed_memory(self.large)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Return freed memory when fit ends."""
        if stage == "fit" and pl_module.device.type == "cpu":
            return_freed_memory()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Return freed memory when fit raises, since Lightning then calls no teardown."""
        self.teardown(trainer, pl_module, "fit")


class LogTraining(Callback):
    """Logs an epoch's training scores before its checkpoint is written.

    Lightning would log them after it: a run killed between the two would resume with the next
    epoch, and this epoch would be missing from its curves.
    """

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Pass learning rate, loss, IoU and the asked scores to every logger, and save them."""
        seen = trainer.callback_metrics
        row = {name: seen[name].item() for name in ("lr", "train/loss", "train/iou")}
        row |= pl_module.averages("train")  # type: ignore[operator]
        for logger in trainer.loggers:
            logger.log_metrics(
                {**row, "epoch": trainer.current_epoch}, step=trainer.global_step - 1
            )
            logger.save()


class EpochLines(Callback):
    """Prints a line for each epoch where the output is not a terminal."""

    def __init__(self) -> None:
        self._start = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock of the epoch."""
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print losses, IoUs, the further scores on val, and seconds of the epoch."""
        seen = trainer.callback_metrics
        further = "".join(
            f" {name} {seen[f'val/{name}']:.4f}"
            for name in pl_module.epoch_scores["val"]  # type: ignore[index]
            if f"val/{name}" in seen
        )
        parts = [
            f"{part} loss {seen[f'{part}/loss']:.4f} IoU {seen[f'{part}/iou']:.4f}"
            for part in ("train", "val")
            if f"{part}/loss" in seen
        ]
        parts[-1] += further  # of val; without a validation there is none
        of = f"/{trainer.max_epochs}" if (trainer.max_epochs or -1) > 0 else ""
        parts.append(f"{time.perf_counter() - self._start:.1f} s")
        say(f"epoch {trainer.current_epoch + 1}{of}  " + "  ".join(parts))
