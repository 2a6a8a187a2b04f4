"""One cell's life: seed, build, fit, select on val, test once, record. Resumes what was killed."""

import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout
from hydra.utils import instantiate
from lightning import Trainer, seed_everything
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException
from omegaconf import DictConfig, OmegaConf

from segbench.callbacks.life import Cost, EpochSeed
from segbench.data.base import SegmentationDataModule
from segbench.data.options import as_size
from segbench.data.transforms import normalise
from segbench.errors import SegbenchError
from segbench.hardware import count_flops, environment
from segbench.logs import log_to
from segbench.losses.weights import needs_pixel_counts
from segbench.memory import peak_memory
from segbench.metrics.scores import aggregate, score_table
from segbench.oom import Footprint, advice, is_out_of_memory
from segbench.report.panels import chosen_cases, draw_panel, write_panels
from segbench.report.record import (
    CONFIG,
    SCORES,
    SPLIT,
    Record,
    whole_file,
    write_json,
    write_record,
    write_text,
)
from segbench.task import SegmentationTask, resize_logits
from segbench.trainer import BEST, build_trainer
from segbench.types import predicted_labels

log = logging.getLogger(__name__)


def run_cell(cfg: DictConfig, folder: Path, choices: dict[str, str], digest: str) -> Record:
    """Run the cell that ``cfg`` describes in ``folder``, or go on with it; returns its record.

    Whatever ends it early is recorded with what is known by then: ``failed`` with the error,
    ``interrupted`` (Ctrl-C, SIGTERM), or ``running`` (killed). With several devices Lightning
    starts a process for each with the same command line; the first alone records.
    """
    if getattr(rank_zero_only, "rank", 0):
        return _assist(cfg, folder)
    print(f"cell: {os.path.relpath(folder)}", flush=True)
    with _alone_in(folder), log_to(folder / "log.txt"):
        if cfg.overwrite:
            _empty(folder)
        record: Record = {"status": "running", "error": None, "choices": choices}
        record |= {"seed": cfg.seed, "hash": digest}
        write_record(folder, record)
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
            record |= {"status": "failed", "error": f"{type(error).__name__}: {error}"}
            log.exception("the cell failed")
            error.segbench_log = folder / "log.txt"  # type: ignore[attr-defined]
            raise error from error.__cause__
        finally:
            write_record(folder, record)
    return record


def _assist(cfg: DictConfig, folder: Path) -> Record:
    """Take part in a cell that the first process leads and records: what is written here goes."""
    record: Record = {"status": "assisted"}
    with (
        TemporaryDirectory() as gone,
        open(os.devnull, "w") as nowhere,
        redirect_stdout(nowhere),
        log_to(Path(gone) / "log.txt"),
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
    trainer = build_trainer(cfg, folder, [EpochSeed(cfg.seed), Cost()])
    data.setup()  # before training: what is wrong with the data is said at once
    if needs_pixel_counts(task.loss):
        task.loss.set_pixel_counts(data.pixel_counts())  # type: ignore[operator]
    write_text(out / CONFIG, OmegaConf.to_yaml(cfg, resolve=True))
    write_json(out / SPLIT, data.split_record())
    record["parameters"] = sum(p.numel() for p in task.network.parameters())
    record["flops"] = count_flops(task.network, data.in_channels, data.size)
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
    # Stopped early, then killed: Lightning would train another epoch before it remembered.
    if not any(each.get("stopped_epoch") for each in state["callbacks"].values()):
        last = folder / "checkpoints" / "last.ckpt"
        trainer.fit(task, datamodule=data, ckpt_path=last, weights_only=True)


def _last_state(folder: Path) -> dict[str, Any] | None:
    path = folder / "checkpoints" / "last.ckpt"
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
    data.scored_part = part
    task.scores.reset()
    trainer.test(task, datamodule=data, verbose=False)
    scores = task.scores.compute()
    ids = [data.cases[i].id for i in scores.index]
    table = score_table(ids, data.class_names, scores.counts, scores.sizes, scores.surface)
    if part == "test":
        with whole_file(folder / SCORES) as temporary:
            table.to_csv(temporary, index=False)
        _draw_panels(trainer, task, data, table, folder)
    return aggregate(table, data.class_names)


def _draw_panels(
    trainer: Trainer,
    task: SegmentationTask,
    data: SegmentationDataModule,
    table: pd.DataFrame,
    folder: Path,
) -> None:
    """The best, median and worst test image, at their own sizes."""
    places = {case.id: place for place, case in enumerate(data.cases)}
    rows = []
    task.eval()  # Lightning leaves it in the mode of training
    for name, (id_, iou) in chosen_cases(table).items():
        place = places[id_]
        case = data.read(data.cases[place])
        prepared = torch.from_numpy(data.prepared.images[[place]]).permute(0, 3, 1, 2)
        with torch.inference_mode(), trainer.precision_plugin.forward_context():
            logits = task(normalise(prepared.to(task.device)))
        labels = predicted_labels(resize_logits(logits.float(), case.mask.shape))
        label = labels[0].cpu().numpy().astype(np.uint8)
        panel = draw_panel(case.image, case.mask, label, data.num_classes, data.ignore_index)
        rows.append((f"{name}: {id_}, IoU {iou:.3f}", panel))
    heads = ("image", "truth", "prediction", "errors: orange too much, blue missed")
    write_panels(folder / "panels" / "test.png", rows, heads)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the cell's lock; the system gives it back however this process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise SegbenchError(f"{folder}: another process is running this cell") from error


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name not in (".lock", "log.txt"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
