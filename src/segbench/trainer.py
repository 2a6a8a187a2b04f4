"""Lightning's Trainer as every cell has it: checkpoints, loggers, progress, precision."""

import os
import sys
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from omegaconf import DictConfig

from segbench.callbacks.life import EpochBar, EpochLines, LogTraining
from segbench.errors import ConfigError
from segbench.hardware import auto_precision
from segbench.report.record import whole_file

MONITOR, BEST, LAST = "val/iou", "best", "last"


def build_trainer(cfg: DictConfig, folder: Path, own: list[Callback]) -> Trainer:
    """Lightning's Trainer with the cell's checkpoints, loggers and progress."""
    _check_devices(cfg.trainer)
    precision = cfg.trainer.precision
    if precision == "auto":
        precision = auto_precision(cfg.trainer.accelerator)
    keep: dict[str, Any] = {
        "dirpath": folder / "checkpoints",
        "enable_version_counter": False,  # a resumed run takes the place of what it repeats
        "save_on_train_epoch_end": True,
    }
    bar = EpochBar(leave=False) if sys.stdout.isatty() else EpochLines()
    callbacks = [
        LogTraining(),
        *own,
        *(instantiate(each) for each in cfg.callbacks.values() if each),
        bar,
        ModelCheckpoint(**keep, filename=BEST, monitor=MONITOR, mode="max"),
        ModelCheckpoint(**keep, filename=LAST),
    ]
    try:
        trainer: Trainer = instantiate(
            cfg.trainer,
            precision=precision,
            callbacks=callbacks,
            logger=[instantiate(each) for each in cfg.logger.values() if each],
            plugins=[WholeCheckpoints()],
            enable_model_summary=False,
            enable_progress_bar=isinstance(bar, EpochBar),
            default_root_dir=str(folder),
        )
    except Exception as error:  # Hydra wraps what Lightning says of a bad combination
        cause = error.__cause__ or error
        if isinstance(cause, MisconfigurationException | ValueError):
            raise ConfigError(f"trainer: {' '.join(str(cause).split())}") from error
        raise
    return trainer


def _check_devices(trainer: DictConfig) -> None:
    """Lightning starts as many processes on a CPU as it is told to; thousands, if need be."""
    on_cpu = trainer.accelerator == "cpu" or not torch.cuda.is_available()
    cores = os.cpu_count() or 1
    if on_cpu and isinstance(trainer.devices, int) and trainer.devices > cores:
        raise ConfigError(
            f"trainer.devices={trainer.devices}: each is a process here, on {cores} cores; "
            "1 uses them all"
        )


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that are whole or not there, whenever the process is killed.

    Lightning writes to a temporary file too, but in the system's temporary folder: where that is
    another disk, its move is a copy, which can stop half-way.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write beside the final name, then rename; of the best epoch the weights are enough.

        Lightning's own ``save_weights_only`` would leave out what callbacks say: averaged weights.
        Once training is over there is nothing to go on with: what it cost stays, a few kB.
        """
        kept = ["epoch", "global_step", "state_dict"] if Path(path).stem == BEST else [*checkpoint]
        if Path(path).stem == LAST and checkpoint["over"]:
            kept = ["epoch", "global_step", "callbacks", "over"]
        checkpoint = {key: checkpoint[key] for key in kept}
        summed = torch.serialization.get_crc32_options()
        torch.serialization.set_crc32_options(False)  # a third of the time; files are renamed whole
        try:
            with whole_file(Path(path)) as temporary:
                torch.save(checkpoint, temporary)
        finally:
            torch.serialization.set_crc32_options(summed)

    def load_checkpoint(
        self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Load, with the folder as it is called now.

        Where it was moved meanwhile, Lightning would forget the best score so far, and a worse
        epoch would take the place of the best.
        """
        checkpoint: dict[str, Any] = super().load_checkpoint(path, map_location, weights_only)
        now = os.path.realpath(Path(path).parent)
        for name, state in checkpoint.get("callbacks", {}).items():
            if "dirpath" in state:
                checkpoint["callbacks"][name] = _moved(state, state["dirpath"], now)
        return checkpoint


def _moved(value: Any, before: str, now: str) -> Any:
    """A plain state with every path below ``before`` put below ``now``."""
    if isinstance(value, dict):
        return {_moved(k, before, now): _moved(v, before, now) for k, v in value.items()}
    if isinstance(value, str) and value.startswith(before):
        return now + value[len(before) :]
    return value
