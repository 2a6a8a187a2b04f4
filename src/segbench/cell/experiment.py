"""Runs a cell: seeds, builds, trains, selects on val, tests, records. Resumes a killed cell."""

import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from hydra.errors import InstantiationException
from lightning import Trainer, seed_everything
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException
from omegaconf import DictConfig, OmegaConf

from segbench.callbacks.boards import close_runs, log_result
from segbench.callbacks.life import Cost, EpochSeed
from segbench.callbacks.predictions import KeepPredictions
from segbench.callbacks.pruning import Pruning
from segbench.cell.continuation import take_over
from segbench.cell.keeping import keep_pictures, noted
from segbench.cell.scoring import score_parts
from segbench.cell.task import SegmentationTask
from segbench.cell.trainer import build_trainer, lightning_mistakes
from segbench.cell.trial import network_flops
from segbench.config.build import build
from segbench.config.epoch_scores import check_classes, epoch_scores, following, monitor_of
from segbench.config.identity import Identity
from segbench.data.base import SegmentationDataModule
from segbench.data.options import as_size
from segbench.data.splits import read_split
from segbench.data.store.processes import explain
from segbench.errors import ConfigError, DataError, SegbenchError
from segbench.hardware.device import environment
from segbench.hardware.memory import peak_memory, release_memory
from segbench.hardware.oom import Footprint, advice, is_out_of_memory
from segbench.losses.class_weights import needs_pixel_counts
from segbench.models.parts.starting_weights import load_weights
from segbench.records.cells import PANELS
from segbench.records.checkpoints.files import read_checkpoint
from segbench.records.checkpoints.saving import resumable_state
from segbench.records.locks import HEARTBEAT, LOCK, alone_in
from segbench.records.logs import log_to
from segbench.records.record import (
    BEST,
    CONFIG,
    LAST,
    LOG,
    RUN,
    SPLIT,
    Record,
    is_done,
    read_record,
    remove_damaged,
    write_json,
    write_record,
    write_text,
)
from segbench.records.tuning import JOURNAL
from segbench.records.weight_files import (
    OPTION,
    digest_of,
    find_weights,
    is_source,
    read_weights,
)
from segbench.system_errors import naming
from segbench.text.screen import say

log = logging.getLogger(__name__)


def run_cell(
    cfg: DictConfig,
    folder: Path,
    choices: dict[str, str],
    identity: Identity,
    command: str = "",
    *,
    devices: list[int] | None = None,
    source: Path | None = None,
    keep_state: bool = False,
) -> Record:
    """Run or resume the cell that ``cfg`` describes in ``folder``; returns its record.

    A cell that ends early is recorded with the values known by then, as ``failed`` with its error,
    ``interrupted`` (Ctrl-C, SIGTERM) or ``running`` (killed). With several devices Lightning
    starts one process for each with the same command line; only the first one records.

    Args:
        cfg: the cell's config.
        folder: the cell's folder.
        choices: the option chosen in each config group.
        identity: the identity of the cell's settings and data.
        command: the command line, for the record.
        devices: the indices of the GPUs to use, which do not affect the cell's identity; None:
            those that ``trainer.devices`` gives.
        source: the folder of a finished cell whose training is continued, or None.
        keep_state: whether to keep, after training, the state that a longer training needs.
    """
    if getattr(rank_zero_only, "rank", 0):
        return _assist(cfg, folder, identity, keep_state)
    say(f"cell: {os.path.relpath(folder)}")
    with alone_in(folder), log_to(folder / LOG):
        if cfg.overwrite:
            _empty(folder)
        elif is_done(folder):  # another process has finished it since the caller checked
            return read_record(folder)
        else:
            remove_damaged(folder)
        record: Record = {"status": "running", "error": None, "choices": choices}
        record |= {"seed": cfg.seed, "hash": identity.hash, "command": command}
        record["data"] = identity.record
        if cfg.get("trial"):
            record["part"] = "val"
        if is_source(weights := OmegaConf.select(cfg, OPTION)):
            path = find_weights(weights)
            record["weights"] = {"file": str(path), "sha256": digest_of(path)}
        write_record(folder, record)
        write_text(folder / CONFIG, OmegaConf.to_yaml(cfg, resolve=True))
        release_memory()
        try:
            if source and not _has_trained(folder):
                take_over(source, folder)
                record["resumed_from"] = str(source)
            with naming(folder):
                _run(cfg, folder, folder, record, identity, keep_state, devices)
            record["status"] = "done"
        except SIGTERMException:  # its own exit code is 0, which a scheduler takes for success
            record |= {"status": "interrupted", "error": "SIGTERM"}
            sys.exit(143)
        except (KeyboardInterrupt, SystemExit):  # Lightning turns the first into the second
            record |= {"status": "interrupted", "error": "interrupted from the keyboard"}
            raise KeyboardInterrupt from None
        except ConfigError:
            if not _has_trained(folder):
                record["status"] = "refused"
            raise
        except Exception as error:
            if is_out_of_memory(error):
                error = _with_advice(error, cfg, record)
            elif (line := explain(error)) is not None:
                error = _explained(line, error)
            cause = error.__cause__ if isinstance(error, InstantiationException) else None
            shown = cause or error  # Hydra's message adds only the place in the config
            record |= {"status": "failed", "error": f"{type(shown).__name__}: {shown}"}
            log.exception("the cell failed")
            error.segbench_log = folder / LOG  # type: ignore[attr-defined]
            raise error from error.__cause__
        finally:
            if record["status"] == "refused":  # an error in the options leaves no cell
                _withdraw(folder)
            else:
                write_record(folder, record)
            with noted("closing the loggers", []):
                close_runs()
    return record


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


def _assist(cfg: DictConfig, folder: Path, identity: Identity, keep_state: bool) -> Record:
    """Take part in a cell that the first process records; files of this process are discarded."""
    record: Record = {"status": "assisted"}
    with (
        TemporaryDirectory() as discarded,
        open(os.devnull, "w", encoding="utf-8") as null,
        redirect_stdout(null),
        log_to(Path(discarded) / LOG),
    ):
        _run(cfg, folder, Path(discarded), record, identity, keep_state)
    return record


def _with_advice(error: Exception, cfg: DictConfig, record: Record) -> SegbenchError:
    on_gpu = torch.cuda.is_available()
    peak = peak_memory(torch.device("cuda" if on_gpu else "cpu"))
    used = Footprint(
        parameters=record.get("parameters", 0),
        batch_size=cfg.data.batch_size,
        size=as_size(cfg.data.size),
        precision=str(record.get("environment", {}).get("precision", "")),
        peak_bytes=peak,
    )
    return _explained(advice(used), error)


def _explained(line: str, error: Exception) -> SegbenchError:
    explained = SegbenchError(line)
    explained.__cause__ = error
    return explained


def _run(
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
    predictions = KeepPredictions()
    own = [EpochSeed(cfg.seed), Cost(), predictions, *_pruning(cfg, folder)]
    trainer = build_trainer(cfg, folder, own, devices, keep_state=keep_state)
    data.setup()  # before training, so that an error in the data is reported immediately
    if needs_pixel_counts(task.loss):
        task.loss.set_pixel_counts(data.pixel_counts())
    if not (out / SPLIT).is_file() or not _has_trained(folder):
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
        record["metrics"] = score_parts(trainer, task, data, parts, out, record["notes"])
    if not leads:
        return
    with noted("pictures for comparisons", record["notes"]):
        choice = record["choices"].get("data", "data")
        keep_pictures(data, predictions.pngs, out, choice, parts[-1])
    with noted("logging the result", record["notes"]):
        log_result(trainer.loggers, _hyperparameters(cfg, record), record["metrics"], out / PANELS)


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


def _has_trained(folder: Path) -> bool:
    return (folder / "checkpoints" / f"{LAST}.ckpt").is_file()


def _keep_split(data: SegmentationDataModule, folder: Path) -> None:
    """Give a resumed training the split with which it was started."""
    if _has_trained(folder) and (folder / SPLIT).is_file():
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


def _empty(folder: Path) -> None:
    """Remove an earlier cell's files; ``hydra.run.dir`` may name a folder that holds no cell.

    Raises:
        ConfigError: the folder holds other files.
    """
    found = [path for path in folder.iterdir() if path.name not in (LOCK, HEARTBEAT, LOG)]
    if found and not (folder / RUN).exists():
        raise ConfigError(
            f"{folder}: holds files ({found[0].name}) but no cell; overwrite=true empties only "
            "folders of cells; give another hydra.run.dir"
        )
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _withdraw(folder: Path) -> None:
    """Remove the files of a refused cell, and its folder if no other files are in it."""
    for name in (RUN, CONFIG, SPLIT, LOG, LOCK, HEARTBEAT):
        (folder / name).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
