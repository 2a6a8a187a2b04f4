"""Trains a cell, selects its weights on val and scores them; resumes a killed cell."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer, seed_everything
from lightning.pytorch.utilities.exceptions import SIGTERMException
from omegaconf import DictConfig, OmegaConf

from segbench.callbacks.boards import log_result
from segbench.callbacks.life import Cost, EpochSeed
from segbench.callbacks.predictions import KeepPredictions
from segbench.callbacks.pruning import Pruning
from segbench.cell.keeping import keep_pictures, noted
from segbench.cell.scoring import score_parts
from segbench.cell.task import SegmentationTask
from segbench.cell.trainer import build_trainer, lightning_mistakes
from segbench.cell.trial import network_flops
from segbench.config.build import build
from segbench.config.identity import Identity
from segbench.config.score_options import (
    check_classes,
    check_instances_known,
    epoch_scores,
    following,
    monitor_of,
    objects_record,
    optional_scores,
)
from segbench.data.base import SegmentationDataModule
from segbench.data.options import as_size
from segbench.data.splits import read_split
from segbench.errors import DataError
from segbench.hardware.device import environment
from segbench.losses.class_weights import needs_pixel_counts
from segbench.models.parts.starting_weights import load_weights
from segbench.records.cells import PANELS
from segbench.records.checkpoints.files import read_checkpoint
from segbench.records.checkpoints.saving import resumable_state
from segbench.records.record import (
    BEST,
    LAST,
    SPLIT,
    Record,
    write_json,
    write_record,
)
from segbench.records.tuning import JOURNAL
from segbench.records.weight_files import (
    OPTION,
    digest_of,
    find_weights,
    is_source,
    read_weights,
)
from segbench.text.screen import say


def train_and_score(
    cfg: DictConfig,
    folder: Path,
    out: Path,
    record: Record,
    identity: Identity,
    keep_state: bool,
    devices: list[int] | None = None,
) -> None:
    """Train and score, with the checkpoints in ``folder`` and all other files in ``out``."""
    seed_everything(cfg.seed, workers=True, verbose=False)
    data: SegmentationDataModule = build(cfg.data, "data")
    check_classes(epoch_scores(cfg), data.class_names)
    _check_data(data, identity)
    _keep_split(data, folder)
    task = build_task(cfg, data)
    if file := getattr(task.network, "loaded_from", None):  # from the user's folder of weights
        say(f"weights: {file}")
        record["weights"] = {"file": str(file), "sha256": digest_of(file)}
    predictions = KeepPredictions()
    own = [EpochSeed(cfg.seed), Cost(), predictions, *_pruning(cfg, folder)]
    trainer = build_trainer(cfg, folder, own, devices, keep_state=keep_state)
    data.setup()  # before training, so that an error in the data is reported immediately
    if data.normalize != "imagenet":
        record["normalisation"] = data.normalisation.record
    if needs_pixel_counts(task.loss):
        task.loss.set_pixel_counts(data.pixel_counts())
    if not (out / SPLIT).is_file() or not has_trained(folder):
        write_json(out / SPLIT, data.split_record())
    record["parameters"] = sum(p.numel() for p in task.network.parameters())
    record["flops"] = network_flops(cfg)
    record["environment"] = environment(trainer.strategy.root_device, trainer.precision)
    write_record(out, record)
    leads = "choices" in record
    try:
        with _stays_interrupted(trainer):
            _fit(trainer, task, data, folder)
    finally:
        if leads:
            record |= _progress(folder)
    trainer.strategy.barrier("checkpoints")  # the first process has written what all read here
    best = read_checkpoint(folder / "checkpoints" / f"{BEST}.ckpt")
    task.load_state_dict(best["state_dict"])
    record["best_epoch"] = best["epoch"] + 1
    record["notes"] = []
    with _stays_interrupted(trainer):
        # the test part must not influence a search
        parts = ["val"] if cfg.get("trial") else ["val", "test"]
        parts = ["train", *parts] if cfg.get("score_train") else parts
        record |= objects_record(task.scores.asked)
        record["metrics"] = score_parts(trainer, task, data, parts, out, record["notes"])
    if not leads:
        return
    with noted("pictures for comparisons", record["notes"]):
        choice = record["choices"].get("data", "data")
        keep_pictures(data, predictions.pngs, out, choice, parts[-1])
    with noted("logging the result", record["notes"]):
        log_result(trainer.loggers, _hyperparameters(cfg, record), record["metrics"], out / PANELS)


@contextmanager
def _stays_interrupted(trainer: Trainer) -> Iterator[None]:
    """Raise the interruption again if what it set off fails: cleaning up, or a loading process.

    A loading process that got SIGTERM too ends first, and PyTorch raises an error about it
    wherever the main process happens to be.
    """
    try:
        yield
    except Exception as error:
        if trainer.received_sigterm:
            raise SIGTERMException from None
        before = error.__context__
        while before is not None:
            if isinstance(before, KeyboardInterrupt | SIGTERMException):
                raise before from None
            before = before.__context__
        raise


def _pruning(cfg: DictConfig, folder: Path) -> list[Pruning]:
    """The callback that ends a trial of a search early, if the search has a pruner."""
    trial = cfg.get("trial")
    if not trial or not trial.pruner:
        return []
    return [
        Pruning(folder.parent / JOURNAL, trial.study, trial.number, trial.pruner, monitor_of(cfg))
    ]


def _check_data(data: SegmentationDataModule, identity: Identity) -> None:
    """Refuse data whose files have changed since the cell's identity was computed."""
    if data.look() != identity.data:
        raise DataError(
            f"data.root={identity.root}: its files have changed since this command was started; "
            "run the same command again: it names the changes"
        )


def has_trained(folder: Path) -> bool:
    """Whether the cell has completed an epoch."""
    return (folder / "checkpoints" / f"{LAST}.ckpt").is_file()


def _keep_split(data: SegmentationDataModule, folder: Path) -> None:
    """Give a resumed training the split with which it was started."""
    if has_trained(folder) and (folder / SPLIT).is_file():
        data.keep_split(read_split(folder / SPLIT))


def _hyperparameters(cfg: DictConfig, record: Record) -> dict[str, Any]:
    """The values that distinguish cells in TensorBoard's HParams tab."""
    numbers = {
        "seed": cfg.seed,
        "batch_size": cfg.data.batch_size,
        "size": "x".join(map(str, as_size(cfg.data.size))),
        "lr": OmegaConf.select(cfg, "optimizer.lr"),
        "epochs": record["epochs"],
        "precision": record["environment"]["precision"],
        "parameters": record["parameters"],
    }
    return {**record["choices"], **numbers}


def build_task(cfg: DictConfig, data: SegmentationDataModule) -> SegmentationTask:
    """The LightningModule of a cell; the caller has set the seed."""
    optional = optional_scores(cfg)
    check_instances_known(optional.find, data.has_instances, data.num_classes)
    network = build(cfg.model, "model")
    if is_source(weights := OmegaConf.select(cfg, OPTION)):
        load_weights(network, read_weights(find_weights(weights)), str(weights))
    network = network.to(memory_format=torch.channels_last)  # the fastest layout for convolutions
    return SegmentationTask(
        network=network,
        loss=build(cfg.loss, "loss"),
        optimizer=build(cfg.optimizer, "optimizer"),
        scheduler=build(following(cfg.scheduler, cfg), "scheduler")
        if cfg.get("scheduler")
        else None,
        num_classes=data.num_classes,
        ignore_index=data.ignore_index,
        monitor=monitor_of(cfg),
        class_names=data.class_names,
        epoch_scores=epoch_scores(cfg),
        optional=optional,
    )


def _fit(
    trainer: Trainer, task: SegmentationTask, data: SegmentationDataModule, folder: Path
) -> None:
    state = resumable_state(folder / "checkpoints")
    if state is None:
        with lightning_mistakes():
            trainer.fit(task, datamodule=data)
        return
    say(f"resuming after epoch {state['epoch'] + 1}: {folder}")
    if not state["over"]:  # if it is over, the cell was killed while it was tested
        last = folder / "checkpoints" / f"{LAST}.ckpt"
        with lightning_mistakes():
            trainer.fit(task, datamodule=data, ckpt_path=last, weights_only=True)


def _last_state(folder: Path) -> dict[str, Any] | None:
    path = folder / "checkpoints" / f"{LAST}.ckpt"
    if not path.is_file():
        return None
    return read_checkpoint(path, mmap=True)


def _progress(folder: Path) -> Record:
    """The number of trained epochs and the cost of training, as of the last complete epoch."""
    state = _last_state(folder)
    if state is None:
        return {"epochs": 0}
    ending = {"epochs": state["epoch"] + 1, "stopped_by": state.get("stopped_by")}
    return {**ending, **Cost.record(state["callbacks"][Cost.__qualname__])}
