"""Logs a cell's hyperparameters, final scores and panels to TensorBoard and other loggers."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger
from PIL import Image

NAMES = {"val": "val_best"}


def log_result(
    loggers: Iterable[Logger],
    params: Mapping[str, Any],
    metrics: Mapping[str, Mapping[str, float]],
    panel: Path,
) -> None:
    """Log the result once, at a cell's end; TensorBoard has it in its HParams and Images tabs.

    Args:
        loggers: the cell's loggers.
        params: the hyperparameters to show.
        metrics: the record's scores, by part and name. The finite ones over all classes are logged
            as ``test/iou`` and ``val_best/iou``, because ``val/iou`` is already a curve's name.
        panel: the PNG of the panels; nothing is logged of it where the file does not exist.
    """
    finals = {
        f"{NAMES.get(part, part)}/{name}": value
        for part, scores in metrics.items()
        for name, value in scores.items()
        if "/" not in name and np.isfinite(value)
    }
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(dict(params), finals)
            if panel.is_file():
                logger.experiment.file_writer.add_summary(_png_event(panel))
        else:
            logger.log_hyperparams(dict(params))
            logger.log_metrics(finals)
            if panel.is_file():
                _log_image(logger, panel)
        logger.save()


def close_runs() -> None:
    """End the Weights & Biases run, into which the next cell would otherwise write."""
    wandb = sys.modules.get("wandb")
    if wandb is not None and wandb.run is not None:
        wandb.finish()


def _png_event(panel: Path) -> Any:
    """The PNG as a TensorBoard event; ``add_image`` would encode it a second time."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    with Image.open(panel) as opened:
        width, height = opened.size
    png = Summary.Image(
        width=width, height=height, colorspace=3, encoded_image_string=panel.read_bytes()
    )
    return Summary(value=[Summary.Value(tag="test/panels", image=png)])


def _log_image(logger: Any, panel: Path) -> None:
    """Log the PNG as a file to MLflow, and as an image to loggers such as Weights & Biases."""
    if isinstance(logger, MLFlowLogger):
        logger.experiment.log_artifact(logger.run_id, str(panel))
    elif hasattr(logger, "log_image"):
        logger.log_image("test/panels", [str(panel)])
