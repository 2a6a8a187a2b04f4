"""Any score by epoch: in the curves, as the monitor of selection, early stopping, schedulers."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from tiny import TINY, only_cell

from segbench.config.score_options import (
    check_classes,
    epoch_scores,
    following,
    mode_of,
    monitor_of,
    needs_surface,
)
from segbench.errors import ConfigError
from segbench.metrics.registry import REGISTRY
from segbench.records.record import read_record

Run = Callable[..., int]


def asked(**options: object) -> DictConfig:
    return OmegaConf.create(options)


def test_what_nobody_asks_for_is_not_computed() -> None:
    stopping = {"early_stopping": {"monitor": "val/iou"}, "samples": None}
    assert epoch_scores(asked(callbacks=stopping)) == {"train": [], "val": []}
    assert not needs_surface([])
    assert not needs_surface(["dice", "iou_dataset/cell"])
    assert needs_surface(["dice", "hd95/cell"])


def test_scores_are_asked_for_by_curves_monitors_and_callbacks() -> None:
    cfg = asked(
        curves=["dice", "val/nsd", "loss"],
        monitor="val/assd/cell",
        callbacks={"early_stopping": {"monitor": "val/recall"}},
    )
    found = epoch_scores(cfg)
    assert found == {"train": ["dice"], "val": ["dice", "nsd", "assd/cell", "recall"]}
    check_classes(found, ["background", "cell"])
    with pytest.raises(ConfigError, match="score assd/cell of an epoch: no class 'cell'"):
        check_classes(found, ["background", "nucleus"])
    assert epoch_scores(asked(curves="dice"))["train"] == ["dice"]


@pytest.mark.parametrize("score", [score.name for score in REGISTRY if not score.optional])
def test_every_score_of_the_registry_can_be_monitored(score: str) -> None:
    cfg = asked(monitor=f"val/{score}")
    epoch_scores(cfg)
    assert monitor_of(cfg) == f"val/{score}"
    lowest = score in ("loss", "assd", "hd95")
    assert mode_of(f"val/{score}") == ("min" if lowest else "max")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"monitor": "dice"}, "monitor=dice: weights are selected on the val part"),
        ({"monitor": "train/dice"}, "monitor=train/dice: weights are selected on the val part"),
        ({"monitor": "val/dise"}, "monitor=val/dise: no score 'dise'; did you mean 'dice'?"),
        ({"curves": ["accuracies"]}, "curves=accuracies: no score 'accuracies'"),
        ({"curves": ["loss/cell"]}, "curves=loss/cell: loss has no value for a class"),
        (
            {"callbacks": {"stop": {"monitor": "val/f1"}}},
            "callbacks.stop.monitor=val/f1: no score 'f1'; scores: iou, dice",
        ),
    ],
)
def test_slips_are_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        epoch_scores(asked(**options))
    assert said in str(caught.value)


def test_early_stopping_and_plateau_schedulers_follow_the_monitor() -> None:
    cfg = asked(monitor="val/hd95")
    stopping = OmegaConf.create({"monitor": "val/iou", "mode": "max", "patience": 3})
    assert following(stopping, cfg) == {"monitor": "val/hd95", "mode": "min", "patience": 3}
    assert stopping.mode == "max"  # the given node is left alone
    own = OmegaConf.create({"monitor": "val/dice", "mode": "max"})
    assert following(own, cfg) == own
    assert following(OmegaConf.create({"mode": "max", "factor": 0.1}), cfg).mode == "min"
    cosine = OmegaConf.create({"T_max": 5})
    assert following(cosine, cfg) == cosine
    assert following(stopping, asked()) == stopping


def test_the_monitored_score_selects_the_weights(segbench: Run, tmp_path: Path) -> None:
    words = (*TINY, "trainer.max_epochs=6", "optimizer.lr=0.05", "data.num_classes=3")
    scores = ("monitor=val/dice/cell1", "curves=[val/hd95,precision]", "scheduler=plateau")
    assert segbench(*words, *scores, "name=asked") == 0
    cell = only_cell(tmp_path, "asked")
    curves = pd.read_csv(cell / "curves.csv", index_col="epoch")
    assert {"val/dice/cell1", "val/hd95", "val/precision", "train/precision"} <= {*curves}
    assert "train/hd95" not in curves
    best = curves["val/dice/cell1"].idxmax()
    assert read_record(cell)["best_epoch"] == best
    assert torch.load(cell / "checkpoints/best.ckpt", weights_only=True)["epoch"] + 1 == best
    assert segbench(*words, "name=plain") == 0
    plain = pd.read_csv(only_cell(tmp_path, "plain") / "curves.csv", index_col="epoch")
    assert {*plain} == {"lr", "train/iou", "train/loss", "val/iou", "val/loss"}
    assert plain["val/iou"].equals(curves["val/iou"])  # scores change no training
    assert segbench(*words, "name=wrong", "monitor=val/dice/nucleus") == 2
    assert not (tmp_path / "outputs" / "wrong").exists()


def test_early_stopping_by_the_loss(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("monitor=val/loss", "callbacks.early_stopping.patience=1", "optimizer.lr=0.5")
    assert segbench(*TINY, "trainer.max_epochs=30", *words) == 0
    curves = pd.read_csv(only_cell(tmp_path) / "curves.csv", index_col="epoch")
    losses = curves["val/loss"]
    assert read_record(only_cell(tmp_path))["best_epoch"] == losses.idxmin()
    assert len(losses) == losses.idxmin() + 1
    assert "Monitored metric val/loss did not improve" in capsys.readouterr().out
