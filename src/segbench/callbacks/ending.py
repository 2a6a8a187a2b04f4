"""Why training ends: limits that cannot act are named at its start, the reason at its end."""

import math
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, Timer

from segbench.callbacks.pruning import Pruning
from segbench.errors import ConfigError
from segbench.text.screen import say


class Ending(Callback):
    """Reports and records which limit ended training, and has the last weights validated."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print a note where no validation is planned or early stopping cannot act."""
        planned = planned_validations(trainer)
        if not planned:
            say(
                "note: no validation is planned: the last epoch's weights are selected, and early "
                "stopping cannot act",
            )
            return
        for stopping in trainer.early_stopping_callbacks:
            if stopping.patience + 1 >= planned:
                say(
                    f"note: early stopping with patience={stopping.patience} cannot act (planned "
                    f"validations: {planned:.0f}); a lower patience or more epochs would let it",
                )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop at ``max_steps`` by ``should_stop``, after which Lightning still validates."""
        if 0 < trainer.max_steps <= trainer.global_step:
            trainer.should_stop = True

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Store whether this epoch was the last, and the reason."""
        checkpoint["stopped_by"] = stopped_by(trainer, trainer.current_epoch + 1)
        checkpoint["over"] = checkpoint["stopped_by"] is not None

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the number of epochs and why training ended."""
        epochs = trainer.current_epoch
        why = _describe(trainer, stopped_by(trainer, epochs))
        if not _has_validated(trainer):
            why += "; no validation took place, and its last weights are selected"
        say(f"training ended after epoch {epochs}: {why}")

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse a time limit that ended before the first epoch.

        Raises:
            ConfigError: no epoch was completed, so that there are no weights to score.
        """
        if not trainer.current_epoch:
            raise ConfigError("trainer.max_time: it was over before the first step; give more time")


def stopped_by(trainer: Trainer, epochs: int) -> str | None:
    """The option that ends training after ``epochs`` epochs; None while training continues."""
    if 0 < trainer.max_steps <= trainer.global_step:
        return "max_steps"
    if epochs == trainer.max_epochs:
        return "max_epochs"
    enough = epochs >= (trainer.min_epochs or 0) and trainer.global_step >= (trainer.min_steps or 0)
    if not (trainer.should_stop and enough):
        return None
    timers = [each for each in trainer.callbacks if isinstance(each, Timer)]  # type: ignore[attr-defined]
    if any(map(_is_over, timers)):
        return "max_time"
    if any(isinstance(each, Pruning) and each.has_pruned for each in trainer.callbacks):  # type: ignore[attr-defined]
        return "pruner"
    return (
        "early_stopping" if any(map(_has_stopped, trainer.early_stopping_callbacks)) else "callback"
    )


def _describe(trainer: Trainer, reason: str | None) -> str:
    if reason == "early_stopping":
        stopping = next(filter(_has_stopped, trainer.early_stopping_callbacks))
        message = (stopping.stopping_reason_message or "").partition(". ")[0]
        return f"early stopping ({message})"
    if reason in ("max_epochs", "max_steps"):
        return f"trainer.{reason}={getattr(trainer, reason)}"
    if reason == "pruner":
        return "the search's pruner"
    return "trainer.max_time" if reason == "max_time" else "a callback stopped it"


def _has_validated(trainer: Trainer) -> bool:
    """Whether a checkpoint was selected by a validation score."""
    kept = [each for each in trainer.checkpoint_callbacks if isinstance(each, ModelCheckpoint)]
    return any(each.monitor and each.best_model_path for each in kept)


def _has_stopped(stopping: EarlyStopping) -> bool:
    return stopping.stopping_reason_message is not None


def _is_over(timer: Timer) -> bool:
    left = timer.time_remaining()
    return left is not None and left <= 0


def planned_validations(trainer: Trainer) -> float:
    """How many times training validates if nothing stops it; infinite where this is not known."""
    if not trainer.enable_validation:
        return 0
    every, interval = trainer.check_val_every_n_epoch, trainer.val_check_batch
    if not interval:  # by the clock
        return math.inf
    batches = int(trainer.num_training_batches)
    limit = trainer.max_epochs or -1
    epochs = float(limit) if limit > 0 else math.inf
    if trainer.max_steps > 0:
        steps = trainer.max_steps * trainer.accumulate_grad_batches
        epochs = min(epochs, math.ceil(steps / batches))
    if every is None:
        return epochs * batches // interval
    return (epochs // every) * (batches // interval)
