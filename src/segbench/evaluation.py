"""Finished cells scored again: on their own test part, or on other data with the same classes."""

import os
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from hydra.utils import instantiate
from lightning import Trainer
from omegaconf import DictConfig, OmegaConf
from torch import nn

from segbench.averaging import Averaged, check_tta
from segbench.callbacks.predictions import KeepPredictions
from segbench.data.base import SegmentationDataModule
from segbench.errors import ConfigError
from segbench.experiment import record_scores, score_part
from segbench.hardware import count_flops, environment
from segbench.keeping import keep_pictures
from segbench.logs import log_to
from segbench.metrics.scores import aggregate
from segbench.report.record import CONFIG, LOG, SPLIT, Record, write_json, write_record, write_text
from segbench.runs import Run, check_alike, load_network, without_augment
from segbench.task import SegmentationTask
from segbench.trainer import build_trainer


def evaluate(
    runs: Sequence[Run], cfg: DictConfig, folder: Path, record: Record, own_size: bool = True
) -> Record:
    """Score the runs' weights, or their mean, as ``cfg.evaluation`` says; record it in ``folder``.

    Args:
        runs: the cells, one or several.
        cfg: the first cell's config with the data set, and options of the model, to evaluate.
        folder: its own; no cell's.
        record: what is known before: choices, seed, hash, and what is evaluated.
        own_size: the cells' sizes must be the same, since none is asked for.
    """
    print(f"evaluation: {os.path.relpath(folder)}", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    part, tta = cfg.evaluation.part, cfg.evaluation.tta
    check_alike(runs, size=None if own_size else cfg.data.size)
    with log_to(folder / LOG):
        data: SegmentationDataModule = instantiate(without_augment(cfg.data))
        check_classes(runs[0], data)
        task = _build_task(_build_network(runs, cfg, check_tta(tta)), data)
        predictions = KeepPredictions()
        trainer = build_trainer(_without_training(cfg), folder, [predictions])
        if part == "all":
            _add_all(data)
        data.setup()
        record |= training_cost(runs) | _cost(task, data, trainer)
        split = data.split_record()
        split["parts"].pop("all", None)
        record["metrics"] = _score(trainer, task, data, part, folder)
        if part == "test":
            keep_pictures(data, predictions.pngs, folder, record["choices"]["data"])
        write_text(folder / CONFIG, OmegaConf.to_yaml(cfg, resolve=True))
        write_json(folder / SPLIT, split)
        record["status"] = "done"
        write_record(folder, record)
    return record


def _score(
    trainer: Trainer,
    task: SegmentationTask,
    data: SegmentationDataModule,
    part: str,
    folder: Path,
) -> dict[str, dict[str, float]]:
    """Scores of val, and under ``test`` those of the part asked for, last."""
    found = {}
    for name, scored in (("val", "val"), ("test", part)):
        table = score_part(trainer, task, data, scored)
        found[name] = aggregate(table, data.class_names)
    record_scores(trainer, task, data, table, folder)
    return found


def _add_all(data: SegmentationDataModule) -> None:
    """Make all cases a part too, each time that Lightning has the data split."""
    make = data.make_parts
    data.make_parts = lambda cases, *facts: {  # type: ignore[method-assign]
        **make(cases, *facts),
        "all": list(range(len(cases))),
    }


def check_classes(run: Run, data: SegmentationDataModule) -> None:
    """Refuse data of other classes; of two, the foreground may have another name.

    Raises:
        ConfigError: naming both.
    """
    known, named = run.data.class_names, data.class_names
    if known == named:
        return
    if len(known) != 2 or len(named) != 2:
        raise ConfigError(
            f"data.class_names={named}: {run.folder.name} knows {known}; the same classes are "
            "expected, in the same order"
        )
    print(f"note: {known[1]!r}, which {run.folder.name} knows, is scored as {named[1]!r}")


def _build_network(runs: Sequence[Run], cfg: DictConfig, flips: bool) -> nn.Module:
    if len(runs) == 1:
        networks = [load_network(runs[0], cfg.model)]
    elif cfg.model != runs[0].config.model:
        raise ConfigError("model: options can be changed of one cell, not of several at once")
    else:
        networks = [load_network(run) for run in runs]
    return networks[0] if len(networks) == 1 and not flips else Averaged(networks, flips)


def _build_task(network: nn.Module, data: SegmentationDataModule) -> SegmentationTask:
    """The task that scored the cell; no loss and no optimizer is called."""
    return SegmentationTask(
        network=network,
        loss=nn.Identity(),
        optimizer=torch.optim.SGD,
        num_classes=data.num_classes,
        ignore_index=data.ignore_index,
    )


def _without_training(cfg: DictConfig) -> DictConfig:
    """One device, and none of what only training has: it would write into the cell's folder."""
    plain = cfg.copy()
    plain.callbacks, plain.logger = {}, {}
    plain.trainer.devices = 1
    for name in ("strategy", "num_nodes"):
        plain.trainer.pop(name, None)
    return plain


def _cost(task: SegmentationTask, data: SegmentationDataModule, trainer: Trainer) -> Record:
    return {
        "parameters": sum(p.numel() for p in task.network.parameters()),
        "flops": count_flops(task.network, data.in_channels, data.size),
        "environment": environment(trainer.strategy.root_device, trainer.precision),
    }


def training_cost(runs: Sequence[Run]) -> Record:
    """What the records say of training; of several cells their sum, or mean speed and peak."""
    names = ("best_epoch", "epochs", "train_seconds", "images_per_second", "peak_memory_bytes")
    first = {name: runs[0].record.get(name) for name in names}
    if len(runs) == 1:
        return first
    merge: dict[str, Any] = {
        "epochs": sum,
        "train_seconds": sum,
        "images_per_second": fmean,
        "peak_memory_bytes": max,
    }
    several = {name: [run.record.get(name) or 0 for run in runs] for name in merge}
    return first | {name: merge[name](values) for name, values in several.items()}
