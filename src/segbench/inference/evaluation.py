"""Scores finished cells again, on their own test part or on other data with the same classes."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from lightning import Trainer
from omegaconf import DictConfig, OmegaConf
from torch import nn

from segbench.callbacks.predictions import KeepPredictions
from segbench.cell.keeping import keep_pictures, noted
from segbench.cell.scoring import score_parts
from segbench.cell.task import SegmentationTask
from segbench.cell.trainer import build_trainer
from segbench.config.families import Permitted
from segbench.config.identity import Identity, settings, without_defaults
from segbench.config.score_options import (
    check_instances_known,
    objects_record,
    optional_scores,
)
from segbench.data.base import SegmentationDataModule
from segbench.data.store.shifts import Shift
from segbench.errors import ConfigError, SegbenchError
from segbench.hardware.device import count_flops, environment
from segbench.inference.averaging import Averaged, check_tta
from segbench.inference.runs import Run, built, check_alike, load_network
from segbench.inference.threshold_search import find_threshold
from segbench.inference.thresholds import check_threshold
from segbench.losses.class_weights import needs_pixel_counts
from segbench.metrics.optional import OptionalScores
from segbench.records.cells import Cell
from segbench.records.logs import log_to
from segbench.records.record import CONFIG, LOG, SPLIT, Record, write_json, write_record, write_text
from segbench.text.screen import say


def evaluate(
    runs: Sequence[Run],
    cfg: DictConfig,
    target: Path,
    record: Record,
    permitted: Mapping[str, Permitted],
    own_size: bool = True,
    own_data: bool = True,
    shift: Shift | None = None,
) -> tuple[Record, Path]:
    """Score the weights of a cell, or the mean of several, and record the result.

    Args:
        runs: the cells, one or several.
        cfg: the first cell's config with the data set to evaluate, options of the model, and
            ``evaluation`` with its part, test-time augmentation and perhaps threshold.
        target: the folder to be created, without the digest that its name will end in.
        record: the fields of the record that are known before: choices, seed, and cells.
        permitted: the classes that ``data`` and ``model`` may name.
        own_size: whether the user gave no size, so that the cells' sizes must be equal.
        own_data: whether the user gave no other data; ignored where the content of the cells'
            data is recorded.
        shift: a change of the images; None: they are scored as they are.

    Returns:
        The record and the folder that holds it.

    Raises:
        ConfigError: the classes or sizes do not fit, or an option is wrong.
    """
    check_alike(runs, size=None if own_size else cfg.data.size)
    flips = check_tta(cfg.evaluation.tta)
    data = built(without_augment(cfg).data, permitted["data"], SegmentationDataModule)
    check_classes(runs[0], data)
    runs[0].normalise_as_trained(data)
    optional = optional_scores(cfg)
    if "scores" in cfg.evaluation:
        check_instances_known(optional.find, data.has_instances, data.num_classes)
    if not data.has_instances:
        optional = replace(optional, find=None)  # the cell's own scores
    task = _build_task(_build_network(runs, cfg, flips, permitted), data, optional)
    data.setup()
    data.shift = shift
    own = _is_own(runs, data, own_data)
    if cfg.evaluation.part is None:
        cfg.evaluation.part = "test" if own else "all"
    part = str(cfg.evaluation.part)
    task.loss = _loss_of(runs, data, own)
    if "threshold" in cfg.evaluation:
        selected = own and _selected_on_val(runs, data)
        check_threshold(cfg.evaluation.threshold, data.num_classes, selected)
    record["hash"] = evaluation_digest(cfg, data)
    folder = target.with_name(f"{target.name}-{record['hash']}")
    say(f"evaluation: {os.path.relpath(folder)}")
    folder.mkdir(parents=True, exist_ok=True)
    with log_to(folder / LOG):
        predictions = KeepPredictions()
        trainer = build_trainer(_without_training(cfg), folder, [predictions])
        record["evaluated"] |= {"part": part, **_count(runs, data, part)}
        record |= training_cost(runs) | _cost(task, data, trainer)
        record["notes"] = []
        if "threshold" in cfg.evaluation:
            task.threshold, chosen = find_threshold(cfg.evaluation.threshold, task, data, trainer)
            record["evaluated"] |= {"threshold": task.threshold, "threshold_from": chosen}
        record |= objects_record(optional)
        parts = ("val", "test") if part == "test" and shift is None else (part,)
        record["metrics"] = score_parts(trainer, task, data, parts, folder, record["notes"])
        with noted("pictures for comparisons", record["notes"]):
            keep_pictures(data, predictions.pngs, folder, record["choices"]["data"], part)
        write_text(folder / CONFIG, OmegaConf.to_yaml(cfg, resolve=True))
        write_json(folder / SPLIT, data.split_record())
        record["status"] = "done"
        write_record(folder, record)
    return record, folder


def evaluation_digest(cfg: DictConfig, data: SegmentationDataModule) -> str:
    """Digest of the evaluation's settings and data, 8 hexadecimal digits.

    It depends on the content of the data and of files that name parts or groups, not on paths.
    """
    cases = sorted(zip((case.id for case in data.cases), data.prepared.sha256, strict=True))
    facts = [Identity(without_defaults(settings(cfg))).hash, cases]
    if data.splitting.depends_on_files:
        facts.append(data.look())
    text = json.dumps(facts)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _parts_of(run: Run) -> dict[str, set[str]]:
    """The checksums of the cases of each part of a cell's split; empty if not recorded."""
    try:
        parts = Cell(run.folder, run.record).parts
    except SegbenchError:
        return {}
    return {name: {case["sha256"] for case in cases} for name, cases in parts.items()}


def _is_own(runs: Sequence[Run], data: SegmentationDataModule, asked: bool) -> bool:
    """Whether the data have the same content as the cells' own; ``asked`` where that is unknown."""
    known = [set().union(*parts.values()) for run in runs if (parts := _parts_of(run))]
    return all(each == set(data.prepared.sha256) for each in known) if known else asked


def _selected_on_val(runs: Sequence[Run], data: SegmentationDataModule) -> bool:
    """Whether the val part of the data is that of all cells, as far as theirs is recorded."""
    val = {data.prepared.sha256[index] for index in data.indices("val")}
    return all(parts.get("val") == val for run in runs if (parts := _parts_of(run)))


def _count(runs: Sequence[Run], data: SegmentationDataModule, part: str) -> dict[str, int]:
    """Count and print the images that are scored, all images, and those seen in training."""
    scored = [data.prepared.sha256[index] for index in data.indices(part)]
    total = len(data.cases)
    say(f"scored: {len(scored)} of {total} images, part {part}")
    seen: set[str] = set()
    for run in runs:
        parts = _parts_of(run)
        train, val = (set(scored) & parts.get(name, set()) for name in ("train", "val"))
        seen |= train | val
        trained, selected = (sum(each in part for each in scored) for part in (train, val))
        if trained or selected:
            say(
                f"note: of these images {run.folder.name} was trained on {trained} and selected on "
                f"{selected}: such scores are too good"
            )
    again = sum(each in seen for each in scored)
    return {"images": len(scored), "of_images": total, "seen_in_training": again}


def check_classes(run: Run, data: SegmentationDataModule) -> None:
    """Refuse data with other classes; with two classes the foreground may be renamed.

    Raises:
        ConfigError: the classes differ; the text names both lists.
    """
    known, named = run.data.class_names, data.class_names
    if known == named:
        return
    if len(known) != 2 or len(named) != 2:
        raise ConfigError(
            f"data.class_names={named}: {run.folder.name} knows {known}; the same classes are "
            "expected, in the same order"
        )
    say(f"note: {known[1]!r}, which {run.folder.name} knows, is scored as {named[1]!r}")


def _build_network(
    runs: Sequence[Run], cfg: DictConfig, flips: bool, permitted: Mapping[str, Permitted]
) -> nn.Module:
    if len(runs) == 1:
        networks = [load_network(runs[0], cfg.model, permitted["model"])]
    elif cfg.model != runs[0].config.model:
        raise ConfigError("model: options can be changed of one cell, not of several at once")
    else:
        networks = [load_network(run) for run in runs]
    return networks[0] if len(networks) == 1 and not flips else Averaged(networks, flips)


def _build_task(
    network: nn.Module, data: SegmentationDataModule, optional: OptionalScores
) -> SegmentationTask:
    """A task like the one that scored the cell; its optimizer is not used."""
    return SegmentationTask(
        network=network,
        loss=None,
        optimizer=torch.optim.SGD,
        num_classes=data.num_classes,
        ignore_index=data.ignore_index,
        optional=optional,
    )


def _loss_of(runs: Sequence[Run], data: SegmentationDataModule, own: bool) -> nn.Module | None:
    """The loss with which a cell was trained; None if it has to be guessed, or may not be built."""
    if len(runs) > 1 or "loss" not in runs[0].config:
        return None
    try:
        loss = built(runs[0].config.loss, runs[0].permitted("loss"), nn.Module)
    except SegbenchError as error:
        say(f"note: the loss is not recorded: {error}")
        return None
    if needs_pixel_counts(loss):
        if not own:
            say("note: the loss is not recorded: its weights balance classes of another train part")
            return None
        loss.set_pixel_counts(data.pixel_counts())  # type: ignore[operator]
    return loss


def without_augment(cfg: DictConfig) -> DictConfig:
    """A copy of the config without augmentation."""
    plain = cfg.copy()
    if "augment" in plain.data:
        plain.data.augment = None
    return plain


def _without_training(cfg: DictConfig) -> DictConfig:
    """A copy of the config for one device, without callbacks and loggers of training."""
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
    """The recorded cost of training; of several cells the sum, the mean speed and largest peak."""
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
