"""Builds Lightning's Trainer for a cell: checkpoints, loggers, progress, precision."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from hydra.errors import InstantiationException
from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar
from omegaconf import DictConfig

from segbench.callbacks.ending import Ending
from segbench.callbacks.life import EpochLines, LogTraining
from segbench.config.build import build
from segbench.config.score_options import following, mode_of, monitor_of
from segbench.config.trainer_options import check_trainer
from segbench.errors import ConfigError
from segbench.hardware.device import auto_precision, available_cores
from segbench.records.checkpoints.saving import BestCheckpoint, WholeCheckpoints
from segbench.records.record import BEST, LAST
from segbench.text.screen import say


def build_trainer(
    cfg: DictConfig,
    folder: Path,
    own: list[Callback],
    devices: list[int] | None = None,
    keep_state: bool = False,
) -> Trainer:
    """Build Lightning's Trainer with the cell's checkpoints, loggers and progress display.

    Args:
        cfg: the cell's config.
        folder: the cell's folder.
        own: callbacks that run before all others.
        devices: the indices of the GPUs to use; None: those that ``cfg.trainer.devices`` gives.
        keep_state: whether to keep, after training, the state that a longer training needs.

    Raises:
        ConfigError: Lightning or a cell cannot take an option; the text names it.
    """
    check_trainer(cfg.trainer, cfg.get("scheduler"))
    _check_devices(cfg.trainer)
    precision = cfg.trainer.precision
    if precision == "auto":
        precision = auto_precision(cfg.trainer.accelerator)
    keep: dict[str, Any] = {
        "dirpath": folder / "checkpoints",
        "enable_version_counter": False,  # a resumed run overwrites its files
        "save_on_train_epoch_end": True,
    }
    drawn = cfg.trainer.get("enable_progress_bar") is not False and sys.stdout.isatty()
    bar = RichProgressBar(leave=False) if drawn else EpochLines()
    monitor = monitor_of(cfg)
    callbacks = [
        *own,
        LogTraining(),
        *(
            _after_validation(build(following(each, cfg), f"callbacks.{name}"))
            for name, each in cfg.callbacks.items()
            if each
        ),
        bar,
        Ending(),
        BestCheckpoint(**keep, filename=BEST, monitor=monitor, mode=mode_of(monitor)),
        ModelCheckpoint(**keep, filename=LAST),
    ]
    given: dict[str, Any] = {} if devices is None else {"devices": devices}
    with lightning_mistakes():
        trainer: Trainer = build(
            cfg.trainer,
            "trainer",
            **given,
            precision=precision,
            callbacks=callbacks,
            logger=[build(each, f"logger.{key}") for key, each in cfg.logger.items() if each],
            plugins=[WholeCheckpoints(keep_state)],
            enable_model_summary=bool(cfg.trainer.get("enable_model_summary")),
            enable_progress_bar=drawn,
            default_root_dir=str(folder),
            _convert_="all",
        )
    limit = trainer.limit_test_batches
    if isinstance(limit, int) or limit < 1.0:
        say(f"note: trainer.limit_test_batches={limit}: not all images are scored")
    return trainer


def _after_validation(callback: Callback) -> Callback:
    """Let early stopping check after each validation; an epoch may have none, one or several."""
    if isinstance(callback, EarlyStopping) and callback.monitor.startswith("val/"):
        callback._check_on_train_epoch_end = False
    return callback


@contextmanager
def lightning_mistakes() -> Iterator[None]:
    """Turn Lightning's errors on the Trainer's options into errors of the config.

    Raises:
        ConfigError: Lightning refused an option, or a combination of several.
    """
    try:
        yield
    except Exception as error:
        cause = error.__cause__ if isinstance(error, InstantiationException) else error
        kinds = (MisconfigurationException, ValueError, TypeError, RuntimeError)
        if isinstance(cause, kinds) and _raised_in_lightning(cause):
            raise ConfigError(f"trainer: {' '.join(str(cause).split())}") from error
        raise


def _raised_in_lightning(error: BaseException) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
    return module.partition(".")[0] == "lightning"


def _check_devices(trainer: DictConfig) -> None:
    """Refuse devices that a CPU cannot provide; Lightning would start any number of processes."""
    on_cpu = trainer.accelerator == "cpu" or not torch.cuda.is_available()
    cores = available_cores()
    if on_cpu and isinstance(trainer.devices, int) and trainer.devices > cores:
        raise ConfigError(
            f"trainer.devices={trainer.devices}: on a CPU each device is a process, and this "
            f"machine has {cores} cores; trainer.devices=1 uses all of them"
        )
    one_process = trainer.devices == 1 and trainer.get("strategy", "auto") == "auto"
    if on_cpu and trainer.get("sync_batchnorm") and not one_process:
        raise ConfigError(
            "trainer.sync_batchnorm=True: only GPUs can share the statistics of a batch; "
            "give trainer.sync_batchnorm=false"
        )
