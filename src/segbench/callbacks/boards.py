"""A cell's hyperparameters, final scores and panels, for TensorBoard and loggers like it."""

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
    """Log them once, at a cell's end: TensorBoard shows them in its HParams and Images tabs.

    Of ``metrics``, the record's by part, those over all classes are logged: ``test/iou``, and
    ``val_best/iou``, as ``val/iou`` is a curve's name.
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
                logger.experiment.file_writer.add_summary(_as_it_is(panel))
        else:
            logger.log_hyperparams(dict(params))
            logger.log_metrics(finals)
            if panel.is_file():
                _log_image(logger, panel)
        logger.save()


def close_runs() -> None:
    """Weights & Biases has one run at a time, into which the next cell would go on writing."""
    wandb = sys.modules.get("wandb")
    if wandb is not None and wandb.run is not None:
        wandb.finish()


def _as_it_is(panel: Path) -> Any:
    """The PNG as TensorBoard's event; ``add_image`` would encode it once more."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    with Image.open(panel) as opened:
        width, height = opened.size
    png = Summary.Image(
        width=width, height=height, colorspace=3, encoded_image_string=panel.read_bytes()
    )
    return Summary(value=[Summary.Value(tag="test/panels", image=png)])


def _log_image(logger: Any, panel: Path) -> None:
    """MLflow keeps files; Weights & Biases shows images."""
    if isinstance(logger, MLFlowLogger):
        logger.experiment.log_artifact(logger.run_id, str(panel))
    elif hasattr(logger, "log_image"):
        logger.log_image("test/panels", [str(panel)])
