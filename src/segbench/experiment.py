"""One cell's life: seed, build, fit, select on val, test once, record. Resumes what was killed."""

import logging
import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from hydra.utils import instantiate
from lightning import Trainer, seed_everything
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.exceptions import SIGTERMException
from omegaconf import DictConfig, OmegaConf

from segbench.callbacks.life import Cost, EpochBar, EpochLines, EpochSeed
from segbench.data.base import SegmentationDataModule, as_size
from segbench.errors import ConfigError, SegbenchError
from segbench.hardware import auto_precision, count_flops, environment
from segbench.losses.weights import needs_pixel_counts
from segbench.memory import peak_memory
from segbench.metrics.scores import aggregate, score_table
from segbench.oom import Footprint, advice, is_out_of_memory
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
from segbench.task import SegmentationTask

MONITOR, BEST = "val/iou", "best"
log = logging.getLogger(__name__)


def run_cell(cfg: DictConfig, folder: Path, choices: dict[str, str], digest: str) -> Record:
    """Run the cell that ``cfg`` describes in ``folder``, or go on with it; returns its record.

    Whatever ends it early is recorded with what is known by then: ``failed`` with the error,
    ``interrupted`` (Ctrl-C, SIGTERM), or ``running`` (killed).
    """
    with _alone_in(folder), _log_to(folder / "log.txt"):
        if cfg.overwrite:
            _empty(folder)
        record: Record = {"status": "running", "error": None, "choices": choices}
        record |= {"seed": cfg.seed, "hash": digest}
        write_record(folder, record)
        try:
            _run(cfg, folder, record)
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


def _run(cfg: DictConfig, folder: Path, record: Record) -> None:
    seed_everything(cfg.seed, workers=True, verbose=False)
    data: SegmentationDataModule = instantiate(cfg.data)
    task = build_task(cfg, data)
    trainer = build_trainer(cfg, folder, [EpochSeed(cfg.seed), Cost()])
    data.setup()  # before training: what is wrong with the data is said at once
    if needs_pixel_counts(task.loss):
        task.loss.set_pixel_counts(data.pixel_counts())  # type: ignore[operator]
    write_text(folder / CONFIG, OmegaConf.to_yaml(cfg, resolve=True))
    write_json(folder / SPLIT, data.split_record())
    record["parameters"] = sum(p.numel() for p in task.network.parameters())
    record["flops"] = count_flops(task.network, data.in_channels, data.size)
    record["environment"] = environment(trainer.strategy.root_device, trainer.precision)
    write_record(folder, record)
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
        record["metrics"][part] = _score(trainer, task, data, part, folder)


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
        *own,
        *(instantiate(each) for each in cfg.callbacks.values() if each),
        bar,
        ModelCheckpoint(**keep, filename=BEST, monitor=MONITOR, mode="max"),
        ModelCheckpoint(**keep, filename="last"),
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
    cores = os.cpu_count() or 1
    if on_cpu and isinstance(trainer.devices, int) and trainer.devices > cores:
        raise ConfigError(
            f"trainer.devices={trainer.devices}: each is a process here, on {cores} cores; "
            "1 uses them all"
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
    return aggregate(table, data.class_names)


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that are whole or not there, whenever the process is killed.

    Lightning writes to a temporary file too, but in the system's temporary folder: where that is
    another disk, its move is a copy, which can stop half-way.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write beside the final name, then rename; of the best epoch the weights are enough.

        Lightning's own ``save_weights_only`` would leave out what callbacks say: averaged weights.
        """
        if Path(path).stem == BEST:
            checkpoint = {key: checkpoint[key] for key in ("epoch", "global_step", "state_dict")}
        with whole_file(Path(path)) as temporary:
            torch.save(checkpoint, temporary)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the cell's lock; the system gives it back however this process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise SegbenchError(f"{folder}: another process is running this cell") from error


@contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Write what libraries say to ``path`` instead of the screen; warnings go to both."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    # These bring a handler of their own, which prints, and keep their words from the root's.
    talkative = [logging.getLogger(name) for name in ("lightning", "lightning.pytorch")]
    before = [(each, each.handlers, each.propagate) for each in talkative]
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for each in talkative:
        each.handlers, each.propagate = [], True
    try:
        with warnings.catch_warnings():
            _silence_known()
            yield
    finally:
        root.removeHandler(handler)
        handler.close()
        for each, handlers, propagate in before:
            each.handlers, each.propagate = handlers, propagate


def _silence_known() -> None:
    """Warnings of a normal run that its user can do nothing about; all others are shown."""
    known = (
        ("The '.*_dataloader' does not have many workers", "images lie prepared: none are needed"),
        ("Checkpoint directory .* exists and is not empty", "that is what resuming means"),
        (".*LeafSpec.*", "Lightning 2.6 asks torch for a class that torch deprecated"),
        ("The number of training batches .* is smaller than the logging interval", "by epoch"),
        ("You're resuming from a checkpoint that ended before the epoch ended", "see last.ckpt"),
    )
    for message, _ in known:
        warnings.filterwarnings("ignore", message=message)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name not in (".lock", "log.txt"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
