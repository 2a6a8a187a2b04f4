"""Cells to entries, sections and pairs; what is said about them."""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_folders import write_cell

from segbench.errors import ConfigError
from segbench.metrics.registry import SURFACE
from segbench.metrics.scores import aggregate
from segbench.records.cells import find_cells
from segbench.report.compare.build import compare_cells
from segbench.report.sections.as_json import as_dict
from segbench.report.sections.comparison import Comparison, Entry, Section
from segbench.report.tables.exports import latex_table, markdown_table
from segbench.report.tables.terminal import costs

HARD = np.random.default_rng(0).normal(0, 0.08, 60)
STREAM = {"rng": np.random.default_rng(1)}


@pytest.fixture(autouse=True)
def _same_numbers() -> None:
    """Whichever tests run before."""
    STREAM["rng"] = np.random.default_rng(1)


def ious(mean: float, images: int = 60, noise: float = 0.02) -> np.ndarray:
    return np.clip(mean + HARD[:images] + STREAM["rng"].normal(0, noise, images), 0, 1)


def compared(folder: Path, score: str = "iou", **options: Any) -> Comparison:
    return compare_cells(find_cells([folder]), [folder.name], score, replicates=500, **options)


def only(comparison: Comparison) -> Section:
    (section,) = comparison.sections
    return section


def noted(section: Section, start: str) -> str:
    (note,) = [note for note in section.notes if note.startswith(start)]
    return note


def sweep(folder: Path, means: dict[str, float], seeds: int = 3, **options: Any) -> Path:
    for model, mean in means.items():
        for seed in range(seeds):
            write_cell(folder, ious(mean), model=model, seed=seed, config={}, **options)
    return folder


def test_a_table_of_models_and_losses(tmp_path: Path) -> None:
    folder = tmp_path / "ph2"
    for model, loss, mean in (("unet", "bce", 0.6), ("unet", "dice", 0.7), ("segnet", "dice", 0.7)):
        for seed in (1, 0):
            scores = ious(mean) - 0.002 * (model == "segnet")
            write_cell(folder, scores, model=model, loss=loss, seed=seed, config={})
    comparison = compared(folder)
    assert (comparison.rows, comparison.columns) == (["model"], ["loss"])
    section = only(comparison)
    assert [e.label for e in section.entries] == ["unet · dice", "segnet · dice", "unet · bce"]
    best = section.entries[0]
    assert best.options == {"model": "unet", "loss": "dice"}
    assert (best.seeds, best.values.shape) == ([0, 1], (2, 60))
    kept = [cell.record["metrics"]["test"]["iou"] for cell in best.cells]
    assert best.means.tolist() == kept
    assert best.mean == pytest.approx(np.mean(kept))
    assert best.sd == pytest.approx(np.std(kept, ddof=1))
    assert best.values.mean(axis=1) == pytest.approx(best.means)
    assert best.low < best.mean < best.high
    assert best.cost["train_seconds"] == 10.5
    assert np.isnan(best.cost["flops"])
    assert sum(entry.first for entry in section.entries) == pytest.approx(1)
    assert [e.like_best for e in section.entries] == [True, True, False]
    assert section.class_names == ["cell"]
    assert section.images[:2] == ["000", "001"]


def test_pairs(tmp_path: Path) -> None:
    section = only(compared(sweep(tmp_path / "a", {"good": 0.7, "alike": 0.7, "bad": 0.6})))
    assert len(section.pairs) == 3
    good, alike, bad = section.entries
    pair = section.pair(bad, good)
    assert pair is not None
    assert (pair.better, pair.worse) == (0, 2)
    assert pair.different
    assert pair.difference == pytest.approx(good.mean - bad.mean)
    assert pair.low < pair.difference < pair.high
    assert 0 < pair.detectable < pair.difference
    assert pair.effect > 0.9
    assert pair.images == 60
    assert "better than bad by 0.096 (adjusted 95 % interval 0.091 to 0.101), on" in pair.sentence
    assert "of 60 test images, over 3 seeds each (p " in pair.sentence
    pair = section.pair(good, alike)
    assert pair is not None
    assert not pair.different
    assert "cannot be told apart on 60 test images and 3 seeds: they differ by" in pair.sentence
    assert pair.sentence.endswith(" would have been found.")


def test_lower_is_better_for_distances(tmp_path: Path) -> None:
    section = only(compared(sweep(tmp_path / "a", {"good": 0.8, "bad": 0.6}), "assd"))
    good, bad = section.entries
    assert (good.label, bad.label) == ("good", "bad")
    (pair,) = section.pairs
    assert pair.difference == pytest.approx(bad.mean - good.mean)
    assert pair.difference > 0
    assert pair.low > 0
    assert pair.wins > 0.9
    assert good.first == 1


def test_a_single_seed_is_said_everywhere(tmp_path: Path) -> None:
    section = only(compared(sweep(tmp_path / "a", {"good": 0.7, "alike": 0.7, "bad": 0.6}, 1)))
    assert all(
        "with one seed each, training again might turn it." in p.sentence for p in section.pairs
    )
    assert not any(p.repeated for p in section.pairs)
    assert any(p.different and "on these two trained networks" in p.sentence for p in section.pairs)
    assert "has a single seed" in noted(section, "Each configuration")
    assert np.isnan(section.entries[0].sd)


@pytest.mark.parametrize("seeds", [1, 3])
def test_an_interval_without_0_is_explained_where_a_pair_is_not_told_apart(
    seeds: int, tmp_path: Path
) -> None:
    means = {f"net{k:02}": 0.7 + 0.002 * k for k in range(20)}
    section = only(compared(sweep(tmp_path / "a", means, seeds)))
    doubtful = [p for p in section.pairs if not p.different and p.low > 0]
    assert doubtful
    for pair in doubtful:
        assert max(pair.p_images, pair.p_means) >= 0.05 or pair.effect <= 0
        assert re.search(
            r", but p = [01]\.\d+ by the |while by the ranks|than training again may", pair.sentence
        )
    assert not any(", but p " in p.sentence for p in section.pairs if p not in doubtful)


def test_a_training_that_calls_everything_foreground_has_collapsed(tmp_path: Path) -> None:
    for seed in (0, 1):
        cell = write_cell(tmp_path / "a", ious(0.5, 5), seed=seed, config={})
    table = pd.read_csv(cell / "scores.csv", dtype={"id": str})
    table.loc[table["class"] == "background", ["tp", "fn"]] = [0, 1500]
    table.to_csv(cell / "scores.csv", index=False)
    record = json.loads((cell / "run.json").read_text())
    record["metrics"]["test"] = aggregate(table, ["background", "cell"])
    (cell / "run.json").write_text(json.dumps(record))
    section = only(compared(tmp_path / "a"))
    (entry,) = section.entries
    assert entry.collapsed == {"seed 1": ["background"]}
    assert "(seed 1: background)" in noted(section, "Collapsed")


def test_few_images_can_show_nothing(tmp_path: Path) -> None:
    for model, mean in (("good", 0.9), ("bad", 0.2)):
        write_cell(tmp_path / "a", ious(mean, 5), model=model, config={})
    section = only(compared(tmp_path / "a"))
    (pair,) = section.pairs
    assert pair.p_images == pytest.approx(0.0625)
    assert pair.sentence == (
        "good and bad cannot be told apart: with 5 test images no difference can be significant "
        "(the smallest possible p is 0.0625)."
    )
    assert "no difference can be significant" in noted(section, "With 5 test images and 1 pair")


def test_one_image_breaks_nothing(tmp_path: Path) -> None:
    for seed in (0, 1):
        for model, mean in (("good", 0.9), ("bad", 0.2)):
            write_cell(tmp_path / "a", ious(mean, 1), model=model, config={}, seed=seed)
    section = only(compared(tmp_path / "a"))
    assert not section.pairs[0].different
    json.dumps(as_dict(compared(tmp_path / "a")), allow_nan=False)


def test_seeds_that_differ_hide_a_difference(tmp_path: Path) -> None:
    for seed, shift in enumerate((-0.06, 0, 0.06)):
        write_cell(tmp_path / "a", ious(0.72 + shift), model="one", seed=seed, config={})
        write_cell(tmp_path / "a", ious(0.70 - shift), model="two", seed=seed, config={})
    (pair,) = only(compared(tmp_path / "a")).pairs
    assert pair.p_images < 0.001 < 0.05 < pair.p_means
    assert not pair.different
    assert "(p < 0.001 for these trained networks), which has not been shown" in pair.sentence
    assert "to be more than training again may change" in pair.sentence


def test_a_better_mean_that_ranks_contradict(tmp_path: Path) -> None:
    one = np.linspace(0.5, 0.6, 60)
    two = np.where(np.arange(60) < 3, 0, one + 0.01)  # three misses outweigh the rest
    write_cell(tmp_path / "a", one, model="one", config={})
    write_cell(tmp_path / "a", two, model="two", config={})
    (pair,) = only(compared(tmp_path / "a")).pairs
    assert pair.p_images < 0.05
    assert pair.effect < 0
    assert not pair.different
    assert "one has the better mean" in pair.sentence
    assert "neither is better" in pair.sentence


def test_keys_that_vary_become_rows(tmp_path: Path) -> None:
    for rate in (0.1, 0.01):
        for seed in (0, 1):
            config = {
                "optimizer.lr": rate,
                "scheduler.lr_of": rate,  # interpolated from it
                "logger.csv.save_dir": f"/runs/{rate}/{seed}",
                "trainer.max_epochs": 20,
            }
            write_cell(tmp_path / "a", ious(0.6 + rate), seed=seed, config=config)
    comparison = compared(tmp_path / "a")
    assert comparison.rows == ["model", "optimizer.lr"]
    entries = only(comparison).entries
    assert [entry.label for entry in entries] == ["lr=0.1", "lr=0.01"]
    assert entries[0].options == {"model": "unet", "optimizer.lr": "0.1", "loss": "dice"}
    assert [entry.seeds for entry in entries] == [[0, 1], [0, 1]]


def test_groups_that_vary_become_rows_unless_they_are_columns(tmp_path: Path) -> None:
    for model in ("unet", "segnet"):
        for optimizer in ("adam", "sgd"):
            config = {"optimizer.lr": {"adam": 0.001, "sgd": 0.1}[optimizer]}
            write_cell(tmp_path / "a", ious(0.6), model=model, optimizer=optimizer, config=config)
    comparison = compared(tmp_path / "a")
    assert (comparison.rows, comparison.columns) == (["model", "optimizer"], ["loss"])
    assert {e.label for e in only(comparison).entries} >= {"unet · optimizer=adam"}
    comparison = compared(tmp_path / "a", columns=["optimizer"])
    assert (comparison.rows, comparison.columns) == (["model"], ["optimizer"])
    comparison = compared(tmp_path / "a", rows=["loss"])
    assert (comparison.rows, comparison.columns) == (["loss", "model", "optimizer"], [])


def test_what_changes_together_is_said(tmp_path: Path) -> None:
    for model, rate in (("unet", 0.1), ("segnet", 0.01)):
        config = {"optimizer.lr": rate, "model.depth": len(model)}
        write_cell(tmp_path / "a", ious(0.6), model=model, config=config)
    comparison = compared(tmp_path / "a")
    assert comparison.rows == ["model"]
    assert "always together" in noted(only(comparison), "optimizer.lr differs too")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"rows": ["modle"]},
            r"rows=modle: no such option; did you mean 'model'\? .* model varies",
        ),
        ({"columns": ["seed"]}, "columns=seed: scores are means over the seeds"),
        ({"rows": ["data"]}, "rows=data: each data set has a table of its own"),
        ({"rows": ["model"], "columns": ["model"]}, "columns=model: is in rows already"),
        ({"score": "iuo"}, r"score=iuo: no cell has it; did you mean 'iou'\?"),
        ({"score": "iou/nucleus"}, r"no cell has it.*there are .*pixel_accuracy"),
    ],
)
def test_slips_are_named(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    sweep(tmp_path / "a", {"unet": 0.6, "segnet": 0.7}, 1)
    with pytest.raises(ConfigError, match=message):
        compared(tmp_path / "a", **options)


def test_splits_are_never_in_one_pair(tmp_path: Path) -> None:
    for split, models in enumerate((("unet", "segnet"), ("unet", "unetpp"))):
        for model in models:
            config = {"data.split_seed": split}
            write_cell(tmp_path / "a", ious(0.6), model=model, split=split, config=config)
    write_cell(tmp_path / "a", status="failed", split=None, record={"error": "E: gone\nmore"})
    comparison = compared(tmp_path / "a")
    assert len(comparison.sections) == 2
    assert {len(section.pairs) for section in comparison.sections} == {1}
    assert comparison.rows == ["model"]
    note = noted(comparison.sections[0], "synthetic was split in 2 ways")
    assert "(data.split_seed 0, 1)" in note
    assert "data.split=" in note
    # which split it would have had cannot be known
    assert [len(section.entries) for section in comparison.sections] == [2, 2]
    assert [line for _, line in comparison.failures] == ["E: gone"]


def test_cells_that_ended_early_join_their_choices(tmp_path: Path) -> None:
    sweep(tmp_path / "a", {"unet": 0.6, "segnet": 0.7}, 2)
    stopped = {"status": "failed", "split": None, "record": {"error": "DataError: gone"}}
    write_cell(tmp_path / "a", seed=2, **stopped)
    write_cell(tmp_path / "a", seed=2, model="unetpp", **stopped)
    write_cell(tmp_path / "a", seed=2, model="segnet", status="running", split=None)
    comparison = compared(tmp_path / "a")
    section = only(comparison)
    assert [e.label for e in section.entries] == ["segnet", "unet", "unetpp"]
    assert [e.label for e in section.scored] == ["segnet", "unet"]
    assert [len(e.cells) for e in section.entries] == [3, 3, 1]
    assert len(comparison.failures) == 2
    assert len(comparison.unfinished) == 1
    note = noted(section, "Without all of the 3 seeds")
    assert "segnet (seed 2 running), unet (seed 2 failed) and unetpp" in note
    assert "unetpp (seed 0 not there, seed 1 not there and seed 2 failed)" in note
    assert not section.entries[2].like_best


def test_nothing_finished_is_still_a_report(tmp_path: Path) -> None:
    write_cell(tmp_path / "a", status="failed", split=None)
    comparison = compared(tmp_path / "a")
    assert only(comparison).scored == []
    assert comparison.failures[0][1] == "no reason recorded"
    assert as_dict(comparison)["sections"][0]["entries"][0]["mean"] is None


def test_of_two_equal_cells_the_newest_finished_one(tmp_path: Path) -> None:
    old = write_cell(tmp_path / "a", ious(0.5), tag="old", config={"data.root": "/here"})
    new = write_cell(tmp_path / "a", ious(0.6), tag="new", config={"data.root": "/there"})
    write_cell(tmp_path / "a", status="failed", tag="bad", config={"data.root": "/x"}, split=None)
    os.utime(old / "run.json", (1, 1))
    comparison = compared(tmp_path / "a")
    (entry,) = only(comparison).entries
    assert [cell.folder for cell in entry.cells] == [new]
    left_out = [note for note in only(comparison).notes if "is left out" in note]
    assert len(left_out) == 2
    assert "a/unet-dice-s0-new has the same configuration and seed 0" in left_out[0]


def test_scores_over_the_data_set_are_shown_without_tests(tmp_path: Path) -> None:
    section = only(compared(sweep(tmp_path / "a", {"unet": 0.6, "segnet": 0.7}), "iou_dataset"))
    best = section.entries[0]
    assert (best.label, best.values.shape, section.images) == ("segnet", (3, 0), [])
    assert best.sd > 0
    assert np.isnan([best.low, best.high, best.first]).all()
    assert section.pairs == []
    assert "no interval and no test" in noted(section, "iou_dataset is made from counts")
    assert len(section.methods) == 1


def test_damaged_cells_are_named(tmp_path: Path) -> None:
    folder = sweep(tmp_path / "a", {"unet": 0.6, "segnet": 0.7}, 1)
    broken = write_cell(folder, ious(0.6), model="broken", config={}) / "scores.csv"
    broken.write_text("\n".join(broken.read_text().splitlines()[:-2]))
    comparison = compared(folder)
    assert len(only(comparison).scored) == 2
    assert not comparison.failures
    ((name, line),) = comparison.damaged
    assert name.startswith("broken")
    assert "has 59 images and split.json 60" in line


def test_images_without_a_score(tmp_path: Path) -> None:
    one, two = ious(0.6), ious(0.6)
    one[:2] = two[:3] = np.nan
    write_cell(tmp_path / "a", one, model="one", config={})
    write_cell(tmp_path / "a", two, model="two", config={})
    section = only(compared(tmp_path / "a"))
    assert section.pairs[0].images == 57
    assert np.isfinite(section.pairs[0].low)
    note = noted(section, "Of 60 test images a different number")
    assert "one 2" in note
    assert "two 3" in note


def test_what_a_reader_must_know(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    late = {"best_epoch": 19, "environment": {"precision": "bf16-mixed", "device": "gpu"}}
    misses = ious(0.6)
    misses[:2] = 0
    for model, record, epochs, scores in (
        ("unet", {}, 20, ious(0.6)),
        ("segnet", late, 40, misses),
    ):
        config = {"trainer.max_epochs": epochs}
        path = write_cell(folder, scores, model=model, record=record, config=config)
        told = json.loads((path / "split.json").read_text())
        told["parts"]["val"] = told["parts"]["test"]
        (path / "split.json").write_text(json.dumps(told))
    section = only(compared(folder, "assd"))
    assert "selected on the images" in noted(section, "The test part is the val part")
    assert "segnet. With more epochs" in noted(section, "Not trained to the end")
    assert "20 (unet)" in noted(section, "Training budgets differ")
    assert "bf16-mixed (segnet)" in noted(section, "Precisions differ")
    assert "Devices differ" in noted(section, "Precisions differ")
    assert noted(section, "Masks of which one alone is empty").endswith(": segnet 2.")
    assert "the gap to the second" in noted(section, "The interval of the best")


def test_several_data_sets_are_ranked_side_by_side(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    for data, means in (("ph2", (0.8, 0.7, 0.6)), ("pets", (0.5, 0.6, 0.4)), ("cells", (0.9, 0.8))):
        for model, mean in zip(("unet", "segnet", "unetpp"), means, strict=False):
            write_cell(folder, ious(mean), data=data, model=model, config={"data.size": len(data)})
    comparison = compared(folder)
    assert [section.data for section in comparison.sections] == ["cells", "pets", "ph2"]
    assert comparison.rows == ["model"]
    rows = comparison.across
    assert [row.label for row in rows] == ["unet", "segnet"]  # unetpp is not everywhere
    assert [row.ranks for row in rows] == [[1, 2, 1], [2, 1, 2]]
    assert rows[0].mean_rank == pytest.approx(4 / 3)
    assert rows[0].means[0] == comparison.sections[0].entries[0].mean
    assert "support no test" in comparison.across_note
    assert "share images" not in comparison.across_note
    alone = Comparison(["a"], "iou", ["model"], [], comparison.sections[:1])
    assert (alone.across, alone.across_note) == ([], "")


def test_plain_numbers_for_a_file(tmp_path: Path) -> None:
    comparison = compared(sweep(tmp_path / "a", {"unet": 0.6, "segnet": 0.7}, 1))
    comparison.command = "python -m segbench compare"
    told = json.loads(json.dumps(as_dict(comparison), allow_nan=False))
    assert told["command"] == comparison.command
    assert (told["score"], told["label"], told["lower_is_better"]) == ("iou", "IoU", False)
    (section,) = told["sections"]
    best = section["entries"][0]
    assert (best["label"], best["sd"], best["seeds"]) == ("segnet", None, [0])
    assert best["mean"] == pytest.approx(only(comparison).entries[0].mean)
    assert best["cells"][0]["sweep"] == "a"
    assert best["cost"]["parameters"] == 1000
    assert section["pairs"][0]["repeated"] is False
    assert section["pairs"][0]["sentence"] == only(comparison).pairs[0].sentence
    assert "values" not in best


def test_entries_are_who_they_are() -> None:
    one, two = (Entry("same", {}, values=np.zeros((1, 3))) for _ in range(2))
    section = Section("data", "", [], [], [one, two])
    assert section.entries.index(two) == 1


def test_a_network_that_never_predicts_a_class_is_named(tmp_path: Path) -> None:
    folder = sweep(tmp_path / "sweep", {"unet": 0.7, "segnet": 0.6})
    write_cell(folder, np.ones(60), model="unet", seed=3, config={})
    assert not any(note.startswith("Collapsed") for note in only(compared(folder)).notes)
    write_cell(folder, np.zeros(60), model="segnet", seed=3, config={})
    assert "segnet (seed 3: cell)" in noted(only(compared(folder)), "Collapsed")


def test_renamed_classes_have_a_table_of_their_own(tmp_path: Path) -> None:
    """Never in one pair, and never the end of the whole report."""
    folder = sweep(tmp_path / "a", {"unet": 0.7, "segnet": 0.6}, 1)
    cell = write_cell(folder, ious(0.6), model="unetpp", config={"data.class_names": ["x", "y"]})
    for name in ("scores.csv", "run.json"):
        (cell / name).write_text((cell / name).read_text().replace("cell", "lesion"))
    comparison = compared(folder)
    assert comparison.damaged == []
    titles = [section.data for section in comparison.sections]
    assert titles == [f"synthetic, classes background and {name}" for name in ("cell", "lesion")]
    assert [len(section.pairs) for section in comparison.sections] == [1, 0]
    assert "2 lists of classes" in noted(comparison.sections[0], "synthetic has")
    assert [len(s.scored) for s in compared(folder, "iou/lesion").sections] == [0, 1]


def test_data_sets_of_one_kind_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for split, root in enumerate(("/data/trees", "/data/roads")):
        for model in ("unet", "segnet"):
            config = {"data.root": root}
            write_cell(tmp_path / "a", ious(0.6), model=model, split=split, config=config)
    comparison = compared(tmp_path / "a")
    titles = [section.data for section in comparison.sections]
    assert sorted(titles) == ["synthetic (roads)", "synthetic (trees)"]
    assert "of 2 data sets" in comparison.across_note
    assert not any("was split" in note for s in comparison.sections for note in s.notes)


@pytest.mark.parametrize("score", ["assd", "boundary_iou", "iou_thresholded", "precision/cell"])
def test_a_score_that_older_cells_lack_is_a_dash(tmp_path: Path, score: str) -> None:
    folder = sweep(tmp_path / "a", {"unet": 0.7, "segnet": 0.6}, 2)
    old = [write_cell(folder, ious(0.6), model="old", seed=seed, config={}) for seed in (0, 1)]
    for cell in [*old, next(folder.glob("unet-dice-s1-*"))]:
        told = json.loads((cell / "run.json").read_text())
        test = told["metrics"]["test"]
        told["metrics"]["test"] = {key: test[key] for key in test if key != score}
        (cell / "run.json").write_text(json.dumps(told))
        if score in SURFACE:
            lacking = SURFACE if score == "assd" else [score]
            table = pd.read_csv(cell / "scores.csv", dtype={"id": str})
            table.drop(columns=lacking).to_csv(cell / "scores.csv", index=False)
    comparison = compared(folder, score)
    assert comparison.damaged == []
    section = only(comparison)
    seeds = {entry.label: entry.seeds for entry in section.entries}
    assert seeds == {"unet": [0], "segnet": [0, 1], "old": []}
    note = noted(section, f"Finished cells without the score {score}")
    assert "unet 1" in note
    assert "old 2" in note
    for text in (markdown_table(comparison, section), latex_table(comparison, section)):
        assert "done" not in text
    assert "| old | – |" in markdown_table(comparison, section)
    json.dumps(as_dict(comparison), allow_nan=False)


def test_costs_that_records_lack_are_dashes(tmp_path: Path) -> None:
    folder = sweep(tmp_path / "a", {"unet": 0.7}, 1)
    for path in folder.glob("*/run.json"):
        told = json.loads(path.read_text())
        kept = {key: told[key] for key in ("status", "choices", "seed", "metrics")}
        path.write_text(json.dumps(kept))
    (entry,) = only(compared(folder)).entries
    assert costs(entry) == ["–"] * 6
