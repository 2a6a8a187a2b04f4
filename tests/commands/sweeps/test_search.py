"""A search: equal trials on val alone, a killed one resumes, the winners run on fresh seeds."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import TINY

from segbench.data.base import SegmentationDataModule
from segbench.records.cells import Cell, cell_folders, read_cell
from segbench.records.tuning import Tuning, read_tuning

Run = Callable[..., int]
WORDS = ("-m", *TINY[:-1], "logger=csv", "model=unet", "loss=bce,dice", "seed=0,1", "name=s")
WORDS = (*WORDS, "trainer.max_epochs=1", "callbacks.samples=null", "monitor=val/loss")
SEARCH = ("tune=lr", "tune.trials=3", "tune.batch=2", "tune.space.optimizer.lr=log 1e-3 1e-1")


def cells(sweep: str) -> list[Cell]:
    return [read_cell(folder) for folder in cell_folders(Path("outputs") / sweep)]


def chosen(found: dict[str, Tuning]) -> list[dict[str, str]]:
    return [each.chosen for each in found.values()]


def test_the_winners_are_the_best_of_equal_trials_on_val(
    segbench: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scored: list[str] = []
    original = SegmentationDataModule.test_dataloader

    def recording(self: SegmentationDataModule) -> Any:
        scored.append(self.scored_part)
        return original(self)

    monkeypatch.setattr(SegmentationDataModule, "test_dataloader", recording)
    assert segbench(*WORDS, *SEARCH) == 0
    trials, winners = cells("s"), cells("s-tuned")
    assert len(trials) == 2 * 3  # two losses
    assert len(winners) == 2 * 2  # two losses and two seeds
    assert scored == ["val"] * 6 + ["val", "test"] * 4  # nothing of test before the winners
    for trial in trials:
        assert trial.seed == 1000
        assert list(trial.record["metrics"]) == ["val"]
        assert trial.part == "val"
        assert set(trial.scores["id"]) == trial.scored_ids
    found = read_tuning(Path("outputs/s-tuned"))
    for winner in winners:
        mine = [each for each in trials if each.choices["loss"] == winner.choices["loss"]]
        best = min(mine, key=lambda each: each.record["metrics"]["val"]["loss"])
        lr = winner.config["optimizer.lr"]
        assert lr == best.config["optimizer.lr"]
        search = found[winner.config["search"]]
        assert search.chosen == {"optimizer.lr": repr(lr)}
        assert sorted(search.scores) == sorted(t.record["metrics"]["val"]["loss"] for t in mine)
    proposed = [{t.config["optimizer.lr"] for t in trials if t.choices["loss"] == loss}
                for loss in ("bce", "dice")]  # fmt: skip
    assert proposed[0] == proposed[1]  # a random search proposes the same to all
    said = capsys.readouterr().out
    assert "tune: loss=dice: optimizer.lr=" in said
    report = json.loads(Path("outputs/s-tuned/report/comparison.json").read_text())
    notes = " ".join(report["sections"][0]["notes"])
    assert "for each entry in 3 trials (random) of optimizer.lr (log 1e-3 1e-1) by loss" in notes
    assert "always together with what the table compares" not in notes
    assert Path("outputs/s-tuned/report/figures/tuning-synthetic.svg").is_file()
    # again, nothing is trained; more trials continue the search
    assert segbench(*WORDS, *SEARCH) == 0
    assert len(cells("s")) == 6
    assert segbench(*WORDS, *SEARCH, "tune.trials=4") == 0
    assert len(cells("s")) == 8
    assert {each.trials for each in read_tuning(Path("outputs/s-tuned")).values()} == {4}
    # fewer are the first ones, so that all contenders have equally many
    assert segbench(*WORDS, *SEARCH, "tune.trials=2") == 0
    assert {len(each.scores) for each in read_tuning(Path("outputs/s-tuned")).values()} == {2}
    # the trials can be compared too, on val
    assert segbench("compare", "name=s", "columns=[optimizer.lr]") == 0


def test_a_killed_search_resumes_to_the_same_end(
    segbench: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import segbench.cell.experiment as experiment

    words = [each if each != "loss=bce,dice" else "loss=dice" for each in WORDS]
    words = [each if each != "seed=0,1" else "seed=0" for each in words]
    assert segbench(*words, *SEARCH) == 0
    whole = read_tuning(Path("outputs/s-tuned"))
    (tmp_path / "outputs").rename(tmp_path / "undisturbed")
    run_cell, calls = experiment.run_cell, []

    def killed(*given: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return run_cell(*given, **more)

    monkeypatch.setattr(experiment, "run_cell", killed)
    assert segbench(*words, *SEARCH) == 130
    assert len(cells("s")) == 1
    assert segbench(*words, *SEARCH) == 0
    assert read_tuning(Path("outputs/s-tuned")) == whole
    assert len(calls) == 2 + 2 + 1  # the trials 2 and 3, and the winner


def test_a_pruner_ends_trials_that_fall_behind(segbench: Run) -> None:
    words = [each.replace("bce,dice", "dice").replace("0,1", "0") for each in WORDS]
    space = "+tune.space.trainer.gradient_clip_val=choice 1.0 2.0"
    words += ["tune=lr", "tune.trials=8", "tune.batch=4", "tune.pruner=median", space]
    words += ["tune.space.optimizer.lr=log 1e-5 1e-1", "trainer.max_epochs=3"]
    words += ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    assert segbench(*words) == 0
    (found,) = read_tuning(Path("outputs/s-tuned")).values()
    ends = [cell.record["stopped_by"] for cell in cells("s")]
    assert ends.count("pruner") == found.pruned > 0
    assert len(found.scores) == 8 - found.pruned
    assert all(c.record["epochs"] < 3 for c in cells("s") if c.record["stopped_by"] == "pruner")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("tune.seed=1",), "seed=1: the trials' seed too"),
        (("optimizer.lr=0.1",), "optimizer.lr: set by tune.space and by the sweep"),
        (("tune=lr,lr_weight_decay",), "tune=lr, tune=lr_weight_decay: a sweep has one search"),
        (("tune.sampler=best",), "tune.sampler=best: expected one of random, tpe"),
        (("+tune.space.model.nothing=int 1 2",), "model.nothing"),
    ],
)
def test_mistakes_are_found_before_anything_is_trained(
    words: tuple[str, ...], told: str, segbench: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segbench(*WORDS, *SEARCH, *words) == 2
    assert told in capsys.readouterr().err
    assert not list(Path("outputs").glob("*/*/run.json"))


def test_a_search_needs_a_sweep(segbench: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert segbench("tune=lr", *TINY) == 2
    assert "tune: a search needs a sweep, however small; add -m" in capsys.readouterr().err


def test_without_a_trial_that_ends_there_is_no_winner(
    segbench: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    space = "tune.space.optimizer.lr=log 1e30 1e35"  # the loss becomes infinite
    words = [each.replace("bce,dice", "dice").replace("0,1", "0") for each in WORDS]
    assert segbench(*words, *SEARCH, space) == 1
    assert "tune: no trial of s came to its end" in capsys.readouterr().err


def test_a_combination_without_a_winner_does_not_keep_the_others_from_running(
    segbench: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import segbench.cell.experiment as experiment

    run_cell = experiment.run_cell

    def fails_with_bce(cfg: Any, *given: Any, **more: Any) -> Any:
        if cfg.seed == 1000 and cfg.loss._target_.endswith("BCELoss"):
            raise RuntimeError("broken")
        return run_cell(cfg, *given, **more)

    monkeypatch.setattr(experiment, "run_cell", fails_with_bce)
    words = [each.replace("0,1", "0") for each in WORDS]
    assert segbench(*words, *SEARCH, "tune.trials=1") == 1
    assert "tune: no trial of loss=bce came to its end" in capsys.readouterr().err
    assert [cell.choices["loss"] for cell in cells("s-tuned")] == ["dice"]
