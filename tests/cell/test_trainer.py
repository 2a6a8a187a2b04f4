"""Every argument of Lightning's Trainer works in a cell, or is refused in one line."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lightning import Trainer
from tiny import TINY, only_cell

from segbench.config.trainer_options import REFUSED
from segbench.records.record import Record, read_record

Run = Callable[..., int]
CELL = (*TINY, "data.count=16", "data.batch_size=4", "trainer.accelerator=cpu", "logger=csv")
CELL = (*CELL, "data.split={train:8,val:4,test:4}", "trainer.precision=32-true")  # 2 steps an epoch
# Of each argument the options with which a cell is trained, scored and recorded.
WORK: dict[str, tuple[tuple[str, ...], ...]] = {
    "accelerator": (("trainer.accelerator=auto",),),
    "strategy": (("+trainer.strategy=auto",),),
    "devices": (("trainer.devices=1",),),
    "num_nodes": (("+trainer.num_nodes=1",),),
    "precision": (("trainer.precision=64-true",), ("trainer.precision=bf16-true",)),
    "max_epochs": (("trainer.max_epochs=1",), ("trainer.max_epochs=null", "+trainer.max_steps=2")),
    "min_epochs": (("+trainer.min_epochs=1",),),
    "max_steps": (("+trainer.max_steps=1",), ("+trainer.max_steps=3",)),
    "min_steps": (("+trainer.min_steps=3", "callbacks.early_stopping.patience=1"),),
    "max_time": (
        ("+trainer.max_time=00:00:00:01", "trainer.max_epochs=-1"),
        ("+trainer.max_time={seconds:1}", "trainer.max_epochs=-1"),
    ),
    "limit_train_batches": (
        ("+trainer.limit_train_batches=1",),
        ("+trainer.limit_train_batches=0.5",),
    ),
    "limit_val_batches": (("+trainer.limit_val_batches=0",), ("+trainer.limit_val_batches=1",)),
    "limit_test_batches": (("+trainer.limit_test_batches=1",),),
    "val_check_interval": (
        ("+trainer.val_check_interval=0.5",),
        ("+trainer.val_check_interval=1",),
        ("+trainer.val_check_interval=3", "+trainer.check_val_every_n_epoch=null"),
        ("+trainer.val_check_interval=00:00:01:00",),
    ),
    "check_val_every_n_epoch": (
        ("+trainer.check_val_every_n_epoch=2", "scheduler=plateau"),
        ("+trainer.check_val_every_n_epoch=9",),
    ),
    "num_sanity_val_steps": (("trainer.num_sanity_val_steps=-1",),),
    "log_every_n_steps": (("trainer.log_every_n_steps=1",),),
    "enable_model_summary": (("+trainer.enable_model_summary=true",),),
    "enable_progress_bar": (("+trainer.enable_progress_bar=false",),),
    "accumulate_grad_batches": (("trainer.accumulate_grad_batches=2",),),
    "gradient_clip_val": (("trainer.gradient_clip_val=0.5",),),
    "gradient_clip_algorithm": (
        ("trainer.gradient_clip_val=0.5", "+trainer.gradient_clip_algorithm=value"),
    ),
    "deterministic": (("+trainer.deterministic=true",), ("+trainer.deterministic=warn",)),
    "benchmark": (("+trainer.benchmark=false",),),
    "inference_mode": (("+trainer.inference_mode=false",),),
    "profiler": (("+trainer.profiler=simple",),),
    "detect_anomaly": (("+trainer.detect_anomaly=true",),),
    "sync_batchnorm": (("+trainer.sync_batchnorm=false",),),
    "reload_dataloaders_every_n_epochs": (("+trainer.reload_dataloaders_every_n_epochs=1",),),
    "enable_autolog_hparams": (("+trainer.enable_autolog_hparams=false",),),
}
OVERFIT = ("+trainer.overfit_batches=1",)  # works, with a warning of Lightning's
WORDS = [OVERFIT, *(words for several in WORK.values() for words in several)]


@pytest.fixture(autouse=True)
def no_settings_left() -> Iterator[None]:
    """Lightning leaves torch as the last Trainer asked for."""
    yield
    import torch

    torch.use_deterministic_algorithms(False)


def test_each_argument_is_tried_or_refused() -> None:
    tried = {*WORK, "overfit_batches"}
    assert tried | REFUSED.keys() == set(inspect.signature(Trainer).parameters)
    assert not tried & REFUSED.keys()


@pytest.mark.filterwarnings("default:You requested to overfit")
@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_it_works(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert segbench(*CELL, *words) == 0
    record = read_record(only_cell(tmp_path))
    assert record["status"] == "done"
    assert record["stopped_by"] in ("max_epochs", "max_steps", "max_time")
    assert record["images_per_second"] > 0
    assert 1 <= record["best_epoch"] <= record["epochs"]
    assert 0 <= record["metrics"]["test"]["iou"] <= 1
    seen = capsys.readouterr()
    assert "Traceback" not in seen.err
    assert bool(seen.err) == (words == OVERFIT)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        *((f"+trainer.{name}=2", f"trainer.{name}=2: not for a cell; ") for name in REFUSED),
        ("+trainer.fast_dev_run=true", "trainer=smoke"),
        ("+trainer.logger=false", "logger=csv"),
        ("+trainer.enable_checkpointing=false", "leave it out"),
        ("trainer.max_epochs=0", "trainer.max_epochs=0: expected 1 or more, or -1"),
        ("+trainer.max_steps=0", "trainer.max_steps=0: expected 1 or more, or -1"),
        ("+trainer.max_time=soon", "DD:HH:MM:SS"),
        ("+trainer.max_time=00:00:00:00", "trainer.max_time: it was over before the first step"),
        ("trainer.accumulate_grad_batches=0", "trainer.accumulate_grad_batches=0: expected 1"),
        ("+trainer.check_val_every_n_epoch=0", "trainer.check_val_every_n_epoch=0: expected 1"),
        ("+trainer.limit_train_batches=0", "trainer.limit_train_batches=0: expected more than 0"),
        ("+trainer.limit_train_batches=1.5", "limit_train_batches"),
        ("+trainer.limit_test_batches=0.0", "trainer.limit_test_batches=0.0: expected more"),
        ("+trainer.val_check_interval=100", "`val_check_interval` (100) must be less than"),
        ("+trainer.overfit_batches=-1", "overfit_batches"),
        ("+trainer.strategy=ddp_spawn", "trainer.strategy=ddp_spawn: expected one of auto, "),
        ("+trainer.strategy=fsdp", "trainer.strategy=fsdp: expected one of auto, "),
        ("trainer=ddp", "trainer.sync_batchnorm=True: only GPUs can"),
        ("+trainer.profiler=exact", "profiler"),
        ("+trainer.gradient_clip_algorithm=most", "gradient_clip_algorithm"),
        ("trainer.accelerator=abacus", "abacus"),
        ("trainer.devices=0", "devices=0"),
        ("+trainer.no_such=1", "no_such"),
        ("trainer.max_steps=3", "+trainer.max_steps=…"),
        ("trainer.max_stepz=3", "to add a new one write +trainer.max_stepz=…"),
        ("callbacks.early_stopping.monitor=val/iuo", "val/iuo"),
    ],
)
def test_it_is_refused_in_one_line(
    segbench: Run, capsys: pytest.CaptureFixture[str], word: str, told: str
) -> None:
    words = [each for each in CELL if word != "trainer=ddp" or "precision" not in each]
    assert segbench(*words, word) == 2
    seen = capsys.readouterr()
    (line,) = seen.err.splitlines()
    assert line.startswith("error: ")
    assert told in line
    assert "?;" not in line
    assert "epoch 1/" not in seen.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("scheduler=cosine", "trainer.max_epochs=-1"), "scheduler.T_max=-1: expected"),
        (("scheduler=poly", "trainer.max_epochs=null"), "scheduler.total_iters=None: expected"),
        (
            ("scheduler=onecycle", "trainer.max_epochs=-1", "+trainer.max_time=00:00:00:01"),
            "scheduler: expected a limit of training",
        ),
        (("scheduler=plateau", "+trainer.limit_val_batches=0"), "monitors val/iou"),
    ],
)
def test_a_scheduler_that_lacks_what_it_plans_by_is_refused(
    segbench: Run, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
) -> None:
    assert segbench(*CELL, *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def ended(segbench: Run, tmp_path: Path, *words: str) -> Record:
    assert segbench(*CELL, "name=ended", "overwrite=true", *words) == 0
    return read_record(only_cell(tmp_path, "ended"))


def test_the_limit_that_ended_training_is_said_and_recorded(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(segbench, tmp_path)["stopped_by"] == "max_epochs"
    out = capsys.readouterr().out
    assert "training ended after epoch 2: trainer.max_epochs=2\n" in out
    assert "note: early stopping with patience=20 cannot act (planned validations: 2)" in out


@pytest.mark.parametrize(
    ("words", "reason", "epochs", "line"),
    [
        (
            ("callbacks.early_stopping.patience=1", "optimizer.lr=0.0", "trainer.max_epochs=5"),
            *("early_stopping", 2),
            "epoch 2: early stopping (Monitored metric val/iou did not improve in the last 1 rec",
        ),
        (("+trainer.max_steps=3",), "max_steps", 2, "epoch 2: trainer.max_steps=3"),
        (
            ("+trainer.limit_val_batches=0",),
            *("max_epochs", 2),
            "trainer.max_epochs=2; no validation took place, and its last weights are selected",
        ),
    ],
)
def test_each_reason(
    segbench: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    reason: str,
    epochs: int,
    line: str,
) -> None:
    record = ended(segbench, tmp_path, *words)
    assert (record["stopped_by"], record["epochs"]) == (reason, epochs)
    if "limit_val" in words[0]:
        assert record["best_epoch"] == epochs
    out = capsys.readouterr().out
    assert line in out
    assert ("cannot act" in out) == (reason != "early_stopping")
