"""One cell's life: seed, build, fit, select on val, test once, record. Resumes what was killed."""

import logging
import os
import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning import Trainer, seed_everything
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException
from omegaconf import DictConfig, OmegaConf

from segbench.callbacks.boards import close_runs, log_result
from segbench.callbacks.life import Cost, EpochSeed
from segbench.callbacks.predictions import KeepPredictions
from segbench.checkpoints import BEST, LAST
from segbench.data.base import SegmentationDataModule
from segbench.data.options import as_size
from segbench.errors import SegbenchError
from segbench.hardware import count_flops, environment
from segbench.keeping import draw_panels, keep_pictures
from segbench.locks import alone_in
from segbench.logs import log_to
from segbench.losses.weights import needs_pixel_counts
from segbench.memory import peak_memory, release_memory
from segbench.metrics.scores import aggregate, score_table
from segbench.oom import Footprint, advice, is_out_of_memory
from segbench.report.cells import PANELS
from segbench.report.record import (
    CONFIG,
    LOG,
    SCORES,
    SPLIT,
    Record,
    is_done,
    read_record,
    whole_file,
    write_json,
    write_record,
    write_text,
)
from segbench.task import SegmentationTask
from segbench.trainer import build_trainer

log = logging.getLogger(__name__)
_counted: dict[tuple[str, int, tuple[int, int]], int] = {}


def run_cell(
    cfg: DictConfig, folder: Path, choices: dict[str, str], digest: str, command: str = ""
) -> Record:
    """Run the cell that ``cfg`` describes in ``folder``, or go on with it; returns its record.

    Whatever ends it early is recorded with what is known by then: ``failed`` with the error,
    ``interrupted`` (Ctrl-C, SIGTERM), or ``running`` (killed). With several devices Lightning
    starts a process for each with the same command line; the first alone records.
    """
    if getattr(rank_zero_only, "rank", 0):
        return _assist(cfg, folder)
    print(f"cell: {os.path.relpath(folder)}", flush=True)
    with alone_in(folder), log_to(folder / LOG):
        if cfg.overwrite:
            _empty(folder)
        elif is_done(folder):  # another process did it since we looked
            return read_record(folder)
        record: Record = {"status": "running", "error": None, "choices": choices}
        record |= {"seed": cfg.seed, "hash": digest, "command": command}
        write_record(folder, record)
        write_text(folder / CONFIG, OmegaConf.to_yaml(cfg, resolve=True))
        release_memory()
        try:
            _run(cfg, folder, folder, record)
            record["status"] = "done"
        except SIGTERMException:  # its own exit code, 0, would tell a scheduler that all is well
            record |= {"status": "interrupted", "error": "SIGTERM"}
            sys.exit(143)
        except (KeyboardInterrupt, SystemExit):  # Lightning turns the first into the second
            record |= {"status": "interrupted", "error": "interrupted from the keyboard"}
            raise KeyboardInterrupt from None
        except Exception as error:
            if is_out_of_memory(error):
                error = _with_advice(error, cfg, record)
            cause = error.__cause__ if isinstance(error, InstantiationException) else None
            told = cause or error  # Hydra's own words say no more than where
            record |= {"status": "failed", "error": f"{type(told).__name__}: {told}"}
            log.exception("the cell failed")
            error.segbench_log = folder / LOG  # type: ignore[attr-defined]
            raise error from error.__cause__
        finally:
            write_record(folder, record)
            close_runs()
    return record


def _assist(cfg: DictConfig, folder: Path) -> Record:
    """Take part in a cell that the first process leads and records: what is written here goes."""
    record: Record = {"status": "assisted"}
    with (
        TemporaryDirectory() as gone,
        open(os.devnull, "w") as nowhere,
        redirect_stdout(nowhere),
        log_to(Path(gone) / LOG),
    ):
        _run(cfg, folder, Path(gone), record)
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
    told = SegbenchError(advice(used))
    told.__cause__ = error
    return told


def _run(cfg: DictConfig, folder: Path, out: Path, record: Record) -> None:
    """Train and score, with checkpoints in ``folder`` and what is recorded in ``out``."""
    seed_everything(cfg.seed, workers=True, verbose=False)
    data: SegmentationDataModule = instantiate(cfg.data)
    task = build_task(cfg, data)
    predictions = KeepPredictions()
    trainer = build_trainer(cfg, folder, [EpochSeed(cfg.seed), Cost(), predictions])
    data.setup()  # before training: what is wrong with the data is said at once
    if needs_pixel_counts(task.loss):
        task.loss.set_pixel_counts(data.pixel_counts())  # type: ignore[operator]
    write_json(out / SPLIT, data.split_record())
    record["parameters"] = sum(p.numel() for p in task.network.parameters())
    record["flops"] = _flops(cfg, task, data)
    record["environment"] = environment(trainer.strategy.root_device, trainer.precision)
    write_record(out, record)
    try:
        _fit(trainer, task, data, folder)
    finally:
        record |= _progress(folder)
    path = folder / "checkpoints" / f"{BEST}.ckpt"
    best = torch.load(path, weights_only=True, map_location="cpu")
    task.load_state_dict(best["state_dict"])
    record["best_epoch"] = best["epoch"] + 1
    record["metrics"] = {}
    for part in ("val", "test"):
        record["metrics"][part] = _score(trainer, task, data, part, out)
    if "choices" in record:  # the process that leads
        keep_pictures(data, predictions.pngs, out, record["choices"].get("data", "data"))
        log_result(trainer.loggers, _hyperparameters(cfg, record), record["metrics"], out / PANELS)


def _flops(cfg: DictConfig, task: SegmentationTask, data: SegmentationDataModule) -> int:
    """Counted once for all cells of this process that have the same network."""
    key = OmegaConf.to_yaml(cfg.model, resolve=True), data.in_channels, data.size
    if key not in _counted:
        _counted[key] = count_flops(task.network, data.in_channels, data.size)
    return _counted[key]


def _hyperparameters(cfg: DictConfig, record: Record) -> dict[str, Any]:
    """What tells cells apart in TensorBoard's HParams tab."""
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
    """The LightningModule of a cell; the seed must be set before."""
    network = instantiate(cfg.model)
    network = network.to(memory_format=torch.channels_last)  # what convolutions are fastest in
    return SegmentationTask(
        network=network,
        loss=instantiate(cfg.loss),
        optimizer=instantiate(cfg.optimizer),
        scheduler=instantiate(cfg.scheduler) if cfg.get("scheduler") else None,
        num_classes=data.num_classes,
        ignore_index=data.ignore_index,
    )


def _fit(
    trainer: Trainer, task: SegmentationTask, data: SegmentationDataModule, folder: Path
) -> None:
    state = _last_state(folder)
    if state is None:
        trainer.fit(task, datamodule=data)
        return
    print(f"going on after epoch {state['epoch'] + 1}: {folder}", flush=True)
    if not state["over"]:  # else it was killed while testing
        last = folder / "checkpoints" / f"{LAST}.ckpt"
        trainer.fit(task, datamodule=data, ckpt_path=last, weights_only=True)


def _last_state(folder: Path) -> dict[str, Any] | None:
    path = folder / "checkpoints" / f"{LAST}.ckpt"
    if not path.is_file():
        return None
    state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu", mmap=True)
    return state


def _progress(folder: Path) -> Record:
    """How far training came and what it cost, from the last whole epoch."""
    state = _last_state(folder)
    if state is None:
        return {"epochs": 0}
    return {"epochs": state["epoch"] + 1, **Cost.record(state["callbacks"][Cost.__qualname__])}


def _score(
    trainer: Trainer,
    task: SegmentationTask,
    data: SegmentationDataModule,
    part: str,
    folder: Path,
) -> dict[str, float]:
    table = score_part(trainer, task, data, part)
    if part == "test":
        record_scores(trainer, task, data, table, folder)
    return aggregate(table, data.class_names)


def score_part(
    trainer: Trainer, task: SegmentationTask, data: SegmentationDataModule, part: str
) -> pd.DataFrame:
    """The scores of each image and class of a part, at the original resolution."""
    data.scored_part = part
    task.scores.reset()
    trainer.test(task, datamodule=data, verbose=False)
    scores = task.scores.compute()
    ids = [data.cases[i].id for i in scores.index]
    return score_table(ids, data.class_names, scores.counts, scores.sizes, scores.surface)


def record_scores(
    trainer: Trainer,
    task: SegmentationTask,
    data: SegmentationDataModule,
    table: pd.DataFrame,
    folder: Path,
) -> None:
    """Write ``scores.csv`` and draw the panels."""
    with whole_file(folder / SCORES) as temporary:
        table.to_csv(temporary, index=False)
    draw_panels(trainer, task, data, table, folder)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name not in (".lock", LOG):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
