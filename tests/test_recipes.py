"""Training recipes: each combination resumes exactly, and does what its name says.

And the recipes of CONTRIBUTING.md: every block of code and every command, as they stand there.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from PIL import Image
from recipe_blocks import ROOT, commands, write_files
from tiny import TINY, only_cell

from segbench.config.registry import config_groups
from segbench.records.checkpoints.saving import DONE, SELECTED
from segbench.records.record import read_record

Run = Callable[..., int]
SMALL = (*TINY[:-1], "trainer.max_epochs=4", "logger=csv")
SCHEDULERS = [f"scheduler={name}" for name in config_groups()["scheduler"]]
OPTIMIZERS = [f"optimizer={name}" for name in config_groups()["optimizer"]]
RECIPES = [
    *(tuple(filter(None, pair)) for pair in zip_longest(SCHEDULERS, OPTIMIZERS)),
    ("scheduler=plateau", "scheduler.patience=0", "scheduler.threshold=1.0"),  # acts each epoch
    ("callbacks=ema", "optimizer=sgd", "scheduler=onecycle", "model.dropout=0.3"),
    ("trainer.accumulate_grad_batches=3", "trainer.gradient_clip_val=0.1", "optimizer=adamw"),
    ("callbacks.early_stopping.patience=1", "optimizer.lr=0.0"),  # stops after epoch 2
]


class Stopped(BaseException):
    """As sudden as a kill, but it leaves the process to the tests."""


class StopAt(Callback):
    """Raises at the first batch of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, *_: object
    ) -> None:
        if trainer.current_epoch == self.epoch:
            raise Stopped


@contextmanager
def stopping_in_epoch(epoch: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Cells stop at the first batch of the epoch, counted from 0."""
    import segbench.cell.training as experiment

    original = experiment.build_trainer
    with monkeypatch.context() as patch:
        patch.setattr(
            experiment,
            "build_trainer",
            lambda cfg, folder, own, *more, **options: original(
                cfg, folder, [*own, StopAt(epoch)], *more, **options
            ),
        )
        yield


@pytest.mark.parametrize("recipe", RECIPES, ids=" ".join)
def test_a_recipe_resumes_exactly(
    segbench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: tuple[str, ...]
) -> None:
    assert segbench(*SMALL, *recipe, "name=whole") == 0
    if "early_stopping" not in recipe[0]:
        with stopping_in_epoch(2, monkeypatch), pytest.raises(Stopped):
            segbench(*SMALL, *recipe, "name=killed")
    assert segbench(*SMALL, *recipe, "name=killed") == 0
    whole, killed = only_cell(tmp_path, "whole"), only_cell(tmp_path, "killed")
    assert whole.name == killed.name
    for file in ("curves.csv", "scores.csv"):
        assert (whole / file).read_text() == (killed / file).read_text()
    assert read_record(whole)["best_epoch"] == read_record(killed)["best_epoch"]


def test_stopped_early_and_killed_before_the_test_it_trains_no_more(
    segbench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import segbench.cell.training as experiment

    def stop(*_: object) -> None:
        raise Stopped

    words = (*SMALL, "callbacks.early_stopping.patience=1", "optimizer.lr=0.0")
    with monkeypatch.context() as patch:
        patch.setattr(experiment, "score_parts", stop)
        with pytest.raises(Stopped):
            segbench(*words)
    curves = (only_cell(tmp_path) / "curves.csv").read_bytes()
    assert len(pd.read_csv(only_cell(tmp_path) / "curves.csv")) == 2
    assert segbench(*words) == 0
    assert (only_cell(tmp_path) / "curves.csv").read_bytes() == curves
    assert read_record(only_cell(tmp_path))["epochs"] == 2


def learning_rates(folder: Path) -> list[float]:
    return pd.read_csv(only_cell(folder) / "curves.csv")["lr"].tolist()


def test_schedules_do_what_they_say(segbench: Run, tmp_path: Path) -> None:
    expected = {
        "none": [1, 1, 1, 1],
        "cosine": [1, 0.853553, 0.5, 0.146447],
        "poly": [1, 0.75**0.9, 0.5**0.9, 0.25**0.9],
    }
    for name, factors in expected.items():
        assert segbench(*SMALL, f"scheduler={name}", f"name={name}", "optimizer.lr=0.01") == 0
        rates = pd.read_csv(only_cell(tmp_path, name) / "curves.csv")["lr"]
        assert rates.tolist() == pytest.approx([0.01 * factor for factor in factors], rel=1e-5)


def test_plateau_lowers_the_rate_when_nothing_rises(segbench: Run, tmp_path: Path) -> None:
    never = ("scheduler.patience=0", "scheduler.threshold=1.0", "scheduler.factor=0.5")
    assert segbench(*SMALL, "scheduler=plateau", *never, "optimizer.lr=0.01") == 0
    assert learning_rates(tmp_path) == pytest.approx([0.01, 0.01, 0.005, 0.0025])


def test_kept_memory_changes_no_result_and_goes_with_averaged_weights(
    segbench: Run, tmp_path: Path
) -> None:
    words = (*SMALL, "trainer.max_epochs=2")
    assert segbench(*words, "callbacks=ema", "name=given_back") == 0
    assert segbench(*words, "callbacks=[ema,keep_memory]", "name=kept") == 0
    one, other = only_cell(tmp_path, "given_back"), only_cell(tmp_path, "kept")
    for file in ("curves.csv", "scores.csv"):
        assert (one / file).read_bytes() == (other / file).read_bytes()


def test_freed_memory_is_kept_when_asked_for_and_returned_at_the_end(
    segbench: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segbench.callbacks import life

    told: list[bool | str] = []
    monkeypatch.setattr(life, "keep_freed_memory", told.append)
    monkeypatch.setattr(life, "return_freed_memory", lambda: told.append("returned"))
    assert segbench(*SMALL, "trainer.max_epochs=1") == 0
    assert told == []
    kept = (*SMALL, "callbacks=keep_memory")
    assert segbench(*kept, "trainer.max_epochs=1") == 0
    assert told == [True, "returned"]
    told.clear()
    assert segbench(*kept, "optimizer=sgd", "optimizer.lr=1e30") == 1  # also where it fails
    assert told == [True, "returned"]


def keep_last_checkpoints_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if training went on after the last epoch."""
    monkeypatch.setattr("segbench.callbacks.ending.stopped_by", lambda *_: None)


def test_when_training_is_over_only_its_cost_is_kept_beside_the_best_weights(
    segbench: Run, tmp_path: Path
) -> None:
    assert segbench(*SMALL, "trainer.max_epochs=2") == 0
    last = torch.load(only_cell(tmp_path) / "checkpoints/last.ckpt", weights_only=True)
    assert set(last) == set(DONE)
    assert last["epoch"] == 1
    assert last["callbacks"]["Cost"]["images"] == 2 * 12


def test_averaged_weights_are_what_is_selected(
    segbench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_last_checkpoints_whole(monkeypatch)
    # An average that never moves stays at the start: the best weights are the initial ones.
    words = (*SMALL, "callbacks=ema", "callbacks.ema.decay=1.0", "+callbacks.ema.use_buffers=false")
    assert segbench(*words, "trainer.max_epochs=1") == 0
    folder = only_cell(tmp_path) / "checkpoints"
    best = torch.load(folder / "best.ckpt", weights_only=True)["state_dict"]
    last = torch.load(folder / "last.ckpt", weights_only=True)
    assert set(torch.load(folder / "best.ckpt", weights_only=True)) == set(SELECTED)
    name = "network.head.weight"
    assert torch.equal(best[name], last["state_dict"][name])
    assert not torch.equal(best[name], last["current_model_state"][name])


def test_a_frozen_encoder_keeps_its_weights_until_it_thaws(
    segbench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_last_checkpoints_whole(monkeypatch)
    words = (
        "model=resnet34_unet",
        "model.encoder=resnet18",
        "data.count=12",
        "data.size=32",
        "logger=csv",
        "trainer.max_epochs=2",
    )
    assert segbench(*words, "callbacks.freeze_encoder.epochs=1") == 0
    assert segbench(*words, "callbacks.freeze_encoder.epochs=all", "name=both") == 0
    states = [
        torch.load(only_cell(tmp_path, name) / "checkpoints/last.ckpt", weights_only=True)
        for name in ("default", "both")
    ]
    import segbench.cell.training as experiment
    from segbench.config.registry import compose

    experiment.seed_everything(0, workers=True, verbose=False)
    fresh = experiment.build(compose(overrides=[*words]).model, "model")
    encoder = {id(parameter) for parameter in fresh.encoder_parameters()}
    names = [name for name, p in fresh.named_parameters() if id(p) in encoder]
    assert names
    start = fresh.state_dict()
    thawed, frozen = (state["state_dict"] for state in states)
    assert all(torch.equal(frozen[f"network.{name}"], start[name]) for name in names)
    assert not all(torch.equal(thawed[f"network.{name}"], start[name]) for name in names)
    statistics = [f"{name[: -len('weight')]}running_mean" for name in names]
    for name in filter(start.__contains__, statistics):
        assert torch.equal(frozen[f"network.{name}"], start[name])


def test_freezing_without_an_encoder_is_refused(
    segbench: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segbench(*SMALL, "callbacks.freeze_encoder.epochs=all") == 2
    assert "UNet has no pretrained encoder" in capsys.readouterr().err


def test_balanced_weights_come_from_the_training_part(segbench: Run, tmp_path: Path) -> None:
    words = ("loss=ce", "loss.class_weights=balanced", "data.num_classes=3")
    assert segbench(*SMALL, *words) == 0
    state = torch.load(only_cell(tmp_path) / "checkpoints/best.ckpt", weights_only=True)
    weights = next(v for k, v in state["state_dict"].items() if k.startswith("loss."))
    from hydra.utils import instantiate

    from segbench.config.registry import compose

    data = instantiate(compose(overrides=[*SMALL, *words]).data)
    data.setup()
    masks = data.prepared.masks[data.parts["train"]]
    counts = torch.tensor([(masks == c).sum() for c in range(3)])
    assert torch.allclose(weights, counts.sum() / (3 * counts.float()))


def test_a_diverged_run_fails_with_its_reason(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segbench(*SMALL, "optimizer=sgd", "optimizer.lr=1e30") == 1
    assert "the training loss became" in capsys.readouterr().err
    record = read_record(only_cell(tmp_path))
    assert record["status"] == "failed"
    assert "lower optimizer.lr" in record["error"]


def test_a_folder_moved_meanwhile_still_knows_its_best(
    segbench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # constant weights: no epoch after the move is better than the first
    words = (*SMALL, "trainer.max_epochs=5", "optimizer.lr=0.0")
    assert segbench(*words, "name=whole") == 0
    with stopping_in_epoch(4, monkeypatch), pytest.raises(Stopped):
        segbench(*words, "name=before")
    (tmp_path / "outputs" / "before").rename(tmp_path / "outputs" / "after")
    assert segbench(*words, "name=after") == 0
    whole, after = only_cell(tmp_path, "whole"), only_cell(tmp_path, "after")
    assert read_record(whole)["best_epoch"] == read_record(after)["best_epoch"] < 4
    assert (whole / "scores.csv").read_text() == (after / "scores.csv").read_text()


def run_recipe(line: str, segbench: Run, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a recipe's command in this process, on small images."""
    variable, *start = shlex.split(line)[:4]
    assert variable == "SEGBENCH_PACKAGES=mylab"
    assert start == ["python", "-m", "segbench"]
    monkeypatch.setenv("SEGBENCH_PACKAGES", "mylab")
    words = shlex.split(line)[4:]
    own = [f"model.{word}" for word in ("base_channels=4", "depth=2")]
    small = ["data.count=20", "data.size=32"]
    return segbench(
        *words,
        *(own if not any(word.startswith("model=") for word in words) else ()),
        *(small if not any(word.startswith("data=") for word in words) else ()),
    )


@pytest.mark.parametrize("title", ["A network", "A loss", "A data set"])
def test_a_recipe_of_the_guide_trains_a_cell(
    title: str, segbench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert write_files(title, tmp_path)
    (tmp_path / "arrays").mkdir()
    rng = np.random.default_rng(0)
    for k in range(10):
        Image.fromarray(rng.integers(0, 256, (24, 20, 3), np.uint8)).save(
            tmp_path / "arrays" / f"{k}.png"
        )
        np.save(tmp_path / "arrays" / f"{k}.npy", rng.integers(0, 2, (24, 20), np.uint8))
    (command,) = [line for line in commands(title) if " check " not in line]
    try:
        assert run_recipe(command, segbench, monkeypatch) == 0
        if title == "A data set":
            words = shlex.split(commands(title)[0])[4:]
            assert segbench(*words) == 0
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "mylab"]:
            del sys.modules[name]
    assert read_record(only_cell(tmp_path))["status"] == "done"


def test_the_guides_score_figure_and_statistic_reach_the_report(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src")
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    for title in ("A score", "A figure", "A statistic"):
        assert write_files(title, tmp_path)
    (command,) = commands("A score")
    code = (
        "import sys; from pathlib import Path; from made_cells import made_cells; "
        "made_cells(Path('outputs/default'), seeds=(0, 1), images=6, broken=False); "
        "from segbench.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    path = os.pathsep.join([str(tmp_path / "src"), str(ROOT / "tests" / "helpers")])
    done = subprocess.run(
        [sys.executable, "-c", code, *shlex.split(command)[3:], "name=default"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    (report,) = (tmp_path / "outputs").rglob("comparison.json")
    entries = json.loads(report.read_text())["sections"][0]["entries"]
    assert all(0 < entry["mean"] < 1 for entry in entries)
    for entry in entries:
        assert entry["worst"] == pytest.approx(min(entry["means"]), abs=1e-6)
    assert list(report.parent.glob("figures/means-*.svg"))
    assert ">Means<" in (report.parent / "index.html").read_text()
