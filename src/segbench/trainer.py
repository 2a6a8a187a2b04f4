"""Lightning's Trainer as every cell has it: checkpoints, loggers, progress, precision."""

import sys
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from omegaconf import DictConfig

from segbench.callbacks.life import EpochBar, EpochLines, KeepMemory, LogTraining
from segbench.checkpoints import BEST, LAST, WholeCheckpoints
from segbench.errors import ConfigError
from segbench.hardware import auto_precision, available_cores

MONITOR = "val/iou"


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
        KeepMemory(large=False),
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
    cores = available_cores()
    if on_cpu and isinstance(trainer.devices, int) and trainer.devices > cores:
        raise ConfigError(
            f"trainer.devices={trainer.devices}: each is a process here, on {cores} cores; "
            "1 uses them all"
        )
