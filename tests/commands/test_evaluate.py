"""`python -m segbench evaluate` as its user meets it: the cell's own scores again, and others."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_run import make_run
from omegaconf import OmegaConf
from PIL import Image
from tiny import TINY, only_cell

from segbench.records.cells import Cell
from segbench.records.record import is_done, read_record

Run = Callable[..., int]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cell that training left: UNet++ with a head for each level."""
    from segbench.__main__ import main

    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HYDRA_FULL_ERROR", "1")
        patch.setattr("sys.argv", ["segbench"])
        assert main(["model=unetpp_ds", *TINY, "augment=hflip"]) == 0
    (record,) = folder.glob("outputs/default/*/run.json")
    return record.parent


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def only_evaluation(folder: Path) -> Path:
    (found,) = folder.glob("outputs/*/evaluations/*-on-*")
    return found


def test_the_cells_own_scores_come_out_again_beside_it(
    segbench: Run, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = tmp_path / "outputs" / "default" / trained.name
    shutil.copytree(trained, cell)
    before = contents(cell)
    capsys.readouterr()
    assert segbench("evaluate", f"run={cell.name.rsplit('-', 1)[-1]}") == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "test scores at the original resolution" in said.out
    assert contents(cell) == before
    found = only_evaluation(tmp_path)
    assert found.name.startswith(f"{cell.name}-on-synthetic-")
    assert is_done(found)
    for name in ("scores.csv", "split.json"):
        assert (found / name).read_bytes() == (cell / name).read_bytes()
    old, new = read_record(cell), read_record(found)
    for key in ("metrics", "choices", "seed", "parameters", "flops", "train_seconds", "best_epoch"):
        assert new[key] == old[key], key
    assert new["evaluated"]["runs"] == [str(Path("outputs/default") / cell.name)]
    assert new["hash"] != old["hash"]
    assert (found / "panels" / "test.png").is_file()
    assert (found / "config.yaml").is_file()
    assert not (found / "checkpoints").exists()


def test_other_data_of_the_same_classes(
    segbench: Run, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("evaluate", f"run={trained}", "data=synthetic", "data.count=12", "data.split_seed=1")
    assert segbench(*words, "name=other", "data.class_names=[nothing,blob]") == 0
    said = capsys.readouterr().out
    assert "'cell', which" in said
    assert "scored: 12 of 12 images, part all" in said
    found = only_evaluation(tmp_path)
    assert found.parent.parent.name == "other"
    split = json.loads((found / "split.json").read_text())["parts"]
    assert sorted(split) == ["test", "train", "val"]
    # other data is scored whole
    assert set(pd.read_csv(found / "scores.csv", dtype={"id": str}).id) == {
        case["id"] for cases in split.values() for case in cases
    }
    assert "iou/blob" in read_record(found)["metrics"]["all"]
    # the network's own size, not the data set's
    assert "size: 32" in (found / "config.yaml").read_text()


def test_data_of_other_classes_is_refused(
    segbench: Run, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segbench("evaluate", f"run={trained}", "data.num_classes=3") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: data.class_names=['background', 'cell1', 'cell2']: ")
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("outputs/**/run.json"))


def test_a_pruned_network_flips_and_all_parts(
    segbench: Run, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = read_record(trained)
    assert segbench("evaluate", f"run={trained}", "model.level=1", "name=pruned") == 0
    pruned = read_record(only_evaluation(tmp_path))
    assert pruned["parameters"] < whole["parameters"]
    assert pruned["flops"] < whole["flops"]
    shutil.rmtree(tmp_path / "outputs")
    assert segbench("evaluate", f"run={trained}", "tta=flips", "part=all") == 0
    flipped = only_evaluation(tmp_path)
    assert read_record(flipped)["flops"] == 4 * whole["flops"]
    assert pd.read_csv(flipped / "scores.csv").id.nunique() == 20
    assert set(read_record(flipped)["metrics"]) == {"all"}
    assert read_record(flipped)["evaluated"]["seen_in_training"] == 15
    assert "was trained on 12 and selected on 3" in capsys.readouterr().out
    split = json.loads((flipped / "split.json").read_text())["parts"]
    assert sorted(split) == ["test", "train", "val"]


def test_a_mean_of_cells(segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [make_run(tmp_path / f"run{seed}", seed=seed) for seed in (0, 1)]
    asked = f"run=[{runs[0]},{runs[1]}]"
    assert segbench("evaluate", asked, "name=mean") == 0
    record = read_record(only_evaluation(tmp_path))
    assert record["evaluated"]["runs"] == [str(run) for run in runs]
    assert record["choices"]["model"] == "unet+unet"
    assert segbench("evaluate", asked, "model.dropout=0.1") == 2
    assert "model: options can be changed of one cell" in capsys.readouterr().err
    large = make_run(tmp_path / "large", "data.size=48")
    assert segbench("evaluate", f"run=[{runs[0]},{large}]") == 2
    assert "an ensemble's size must be the same" in capsys.readouterr().err
    assert segbench("evaluate", f"run=[{runs[0]},{large}]", "data.size=40", "name=both") == 0


def pictures(folder: Path, seed: int, count: int = 10) -> Path:
    """A data set of the kind ``folder``: bright discs and their masks."""
    rng = np.random.default_rng(seed)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for place in range(count):
        mask = np.zeros((32, 32), np.uint8)
        y, x = rng.integers(4, 20, 2)
        mask[y : y + 8, x : x + 8] = 1
        image = (mask * 150 + rng.integers(0, 50, mask.shape)).astype(np.uint8)
        Image.fromarray(image).convert("RGB").save(folder / "images" / f"{place}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{place}.png")
    return folder


def test_data_sets_of_one_kind_have_folders_of_their_own(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Known by their content: a copy elsewhere is the same data set, another is another."""
    run = make_run(tmp_path / "run")
    words = ("evaluate", f"run={run}", "name=x", "data=folder", "data.in_channels=3")
    roots = [pictures(tmp_path / name, seed) for seed, name in enumerate(("here", "there"))]
    roots.append(Path(shutil.copytree(roots[0], tmp_path / "copy")))
    for root, number in zip(roots, (1, 2, 2), strict=True):
        assert segbench(*words, f"data.root={root}") == 0
        assert "scored: 10 of 10 images, part all" in capsys.readouterr().out
        assert len(list(tmp_path.glob("outputs/x/evaluations/*/run.json"))) == number
    assert segbench("compare", "name=x/evaluations") == 0
    text = (tmp_path / "outputs/x/evaluations/report/table.md").read_text()
    assert text.count("| model |") == 2
    titles = [line.partition(":")[0] for line in text.splitlines() if line.startswith("folder ")]
    assert sorted(titles) == ["folder (copy), part all", "folder (there), part all"]


def test_other_ids_in_a_list_are_another_evaluation(
    segbench: Run, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "listed.txt"
    words = ("evaluate", f"run={trained}", f"data.split={{train: 5, val: 2, test: {listed}}}")
    for ids in ("00001\n00002\n", "00003\n00004\n"):
        listed.write_text(ids)
        assert segbench(*words, "part=test") == 0
    found = [
        Cell(each, read_record(each)) for each in tmp_path.glob("outputs/*/evaluations/*-on-*")
    ]
    scored = {tuple(sorted(each.scored_ids)) for each in found}
    assert scored == {("00001", "00002"), ("00003", "00004")}


def test_parts_are_recorded_under_their_names(segbench: Run, trained: Path, tmp_path: Path) -> None:
    whole = read_record(trained)["metrics"]
    for part in ("train", "val", "test", "all"):
        assert segbench("evaluate", f"run={trained}", f"part={part}", "name=x") == 0
    found = {}
    for path in tmp_path.glob("outputs/x/evaluations/*/run.json"):
        record = read_record(path.parent)
        found[record["evaluated"]["part"]] = record["metrics"]
    assert found["val"] == {"val": whole["val"]}
    assert found["test"] == whole
    assert set(found["all"]) == {"all"}
    assert segbench("compare", "name=x/evaluations") == 0
    text = (tmp_path / "outputs/x/evaluations/report/table.md").read_text()
    assert "synthetic, part val: IoU of these trained networks, one seed, 3 val images" in text
    assert "synthetic, part all: IoU of these trained networks, one seed, 20 images" in text
    assert "synthetic: IoU of these trained networks, one seed, 5 test images" in text


def test_a_comparison_takes_evaluations_only_when_they_are_named(
    segbench: Run, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor those that earlier versions put among the cells of the sweep."""
    sweep = tmp_path / "outputs" / "default"
    shutil.copytree(trained, sweep / trained.name)

    def table(name: str) -> list[str]:
        capsys.readouterr()
        assert segbench("compare", f"name={name}") == 0
        folder = name.strip("[]").replace("/", "_").replace(",", "+") if "," in name else name
        text = tmp_path / "outputs" / folder / "report" / "table.csv"
        return text.read_text().splitlines()[1:]

    before = table("default")
    assert len(before) == 1
    for part in ("test", "val"):
        assert segbench("evaluate", f"run={sweep / trained.name}", f"part={part}") == 0
    assert table("default") == before
    assert len(table("default/evaluations")) == 2
    for old in (sweep / "evaluations").glob("*-on-*"):
        shutil.move(old, sweep / old.name)
    assert table("default") == before
    assert "2 evaluations of weights that are compared already: " in capsys.readouterr().out
    old = next(sweep.glob("*-on-*"))
    assert len(table(f"[default,default/{old.name}]")) == 2


def test_seeds_are_one_entry_of_the_evaluations(segbench: Run, tmp_path: Path) -> None:
    for seed in (0, 1):
        run = make_run(tmp_path / f"run{seed}", f"seed={seed}", seed=seed)
        words = (f"run={run}", "data=synthetic", "data.count=8", "data.split_seed=3", "name=x")
        assert segbench("evaluate", *words, "data.size=32") == 0
    assert segbench("compare", "name=x/evaluations") == 0
    table = pd.read_csv(tmp_path / "outputs/x/evaluations/report/table.csv")
    assert table["seeds_done"].tolist() == [2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "run: missing"),
        (("run=nowhere",), "run=nowhere: no such folder"),
        (("run={run}", "part=tests"), "part=tests: expected test, val, train, all"),
        (("run={run}", "tta=turns"), "tta=turns: expected null or flips"),
        (("run={run}", "data=sinthetic"), "did you mean 'synthetic'"),
        (("run={run}", "model.level=9"), "level must be null or from 1 to depth=2"),
        (("run={run}", "trainer.precision=17"), "trainer.precision: expected 'auto' or"),
        (("run={run}", "-m"), "evaluate takes no -m"),
    ],
)
def test_a_slip_is_one_line(
    segbench: Run,
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    assert segbench("evaluate", *(word.format(run=trained) for word in words)) in (1, 2)
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("outputs/**/run.json"))


def test_groups_go_from_training_to_evaluation_and_comparison(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = "id,group\n" + "".join(f"{k:05d},=p{k // 2}\n" for k in range(20))
    (tmp_path / "pairs.csv").write_text(pairs)
    group = "data.group=pairs.csv"
    split = "data.split={train: 12, val: 4, test: 4}"
    assert segbench(*TINY, "trainer.max_epochs=1", group, split) == 0
    cell = only_cell(tmp_path)
    assert segbench("evaluate", f"run={cell}") == 0
    found = only_evaluation(tmp_path)
    assert (found / "scores.csv").read_bytes() == (cell / "scores.csv").read_bytes()
    assert (found / "split.json").read_bytes() == (cell / "split.json").read_bytes()
    groups = Cell(cell, read_record(cell)).groups
    assert groups == Cell(found, read_record(found)).groups
    assert groups == {id_: f"=p{int(id_) // 2}" for id_ in groups}
    assert sorted(groups.values())[::2] == sorted(groups.values())[1::2]
    assert "'=p" in (cell / "scores.csv").read_text()
    assert segbench("compare", "name=default") == 0
    (section,) = json.loads((tmp_path / "outputs/default/report/comparison.json").read_text())[
        "sections"
    ]
    assert dict(zip(section["images"], section["groups"], strict=True)) == groups


def evaluated(segbench: Run, run: Path, tmp_path: Path, *words: str) -> tuple[Path, dict[str, Any]]:
    shutil.rmtree(tmp_path / "outputs", ignore_errors=True)
    assert segbench("evaluate", f"run={run}", *words) == 0
    folder = only_evaluation(tmp_path)
    return folder, read_record(folder)


def test_a_cell_that_scores_its_train_part_agrees_with_evaluations(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Loss and scores of every part, for a loss that depends on the pixels of the train part."""
    words = ("loss=ce", "loss.class_weights=balanced", "trainer.max_epochs=1", "data.num_classes=3")
    assert segbench(*TINY, *words, "score_train=true", "name=whole") == 0
    cell = only_cell(tmp_path, "whole")
    run = Path(shutil.move(cell, tmp_path / "run"))
    metrics = read_record(run)["metrics"]
    assert [*metrics] == ["train", "val", "test"]
    said = " ".join(capsys.readouterr().out.split())
    for part, found in metrics.items():
        assert found["loss"] > 0
        assert f"{part} IoU {found['iou']:.4f}, loss {found['loss']:.4f}" in said
        assert evaluated(segbench, run, tmp_path, f"part={part}")[1]["metrics"][part] == found
    assert len({found["loss"] for found in metrics.values()}) == 3


def test_thresholds(segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("trainer.max_epochs=6", "optimizer.lr=0.01", "name=longer")
    assert segbench(*TINY, *words) == 0
    trained = Path(shutil.move(only_cell(tmp_path, "longer"), tmp_path / "run"))
    half, _ = evaluated(segbench, trained, tmp_path, "threshold=0.5")
    assert (half / "scores.csv").read_bytes() == (trained / "scores.csv").read_bytes()
    pixels = []
    for threshold in (0.3, 0.5, 0.7):
        folder, record = evaluated(segbench, trained, tmp_path, f"threshold={threshold}")
        assert record["evaluated"]["threshold"] == threshold
        assert record["evaluated"]["threshold_from"] == "given"
        table = pd.read_csv(folder / "scores.csv").query("`class` == 'cell'")
        pixels.append(int((table.tp + table.fp).sum()))
    assert pixels[0] > pixels[1] > pixels[2]
    capsys.readouterr()
    _, record = evaluated(segbench, trained, tmp_path, "threshold=best")
    assert "the best on val, IoU" in capsys.readouterr().out
    assert record["evaluated"]["threshold_from"] == "best mean IoU on val"
    best, found = record["evaluated"]["threshold"], record["metrics"]["val"]["iou"]
    for threshold in (0.2, 0.45, 0.5, best, 0.8):
        _, record = evaluated(segbench, trained, tmp_path, f"threshold={threshold}", "part=val")
        assert record["metrics"]["val"]["iou"] <= found
    assert found >= read_record(trained)["metrics"]["val"]["iou"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("threshold=1",), "threshold=1: expected a probability above 0 and below 1, or best"),
        (("threshold=true",), "threshold=True: expected a probability"),
        (("threshold=high",), "threshold=high: expected a probability"),
        (("threshold=best", "data=synthetic", "data.count=12"), "here is no such part"),
        (("threshold=best", "data.split_seed=1"), "here is no such part"),
    ],
)
def test_thresholds_that_are_refused(
    segbench: Run,
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    assert segbench("evaluate", f"run={trained}", *words) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("outputs/*/evaluations/*"))


def test_a_threshold_of_several_classes_is_refused(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run", "data.num_classes=3")
    assert segbench("evaluate", f"run={run}", "threshold=0.4") == 2
    assert "threshold=0.4: of 3 classes the most probable is predicted" in capsys.readouterr().err


@pytest.mark.parametrize(
    "loss",
    [
        {"_target_": "os.system", "command": "touch called"},
        {
            "_target_": "segbench.losses.CompoundLoss",
            "terms": {"a": {"_target_": "os.mkdir", "path": "called"}},
            "weights": {"a": 1.0},
        },
    ],
)
def test_a_hostile_loss_of_a_run_is_not_called(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], loss: dict[str, Any]
) -> None:
    run = make_run(tmp_path / "run")
    config = OmegaConf.load(run / "config.yaml")
    config.loss = loss
    (run / "config.yaml").write_text(OmegaConf.to_yaml(config))
    segbench("evaluate", f"run={run}")
    assert "is not a permitted target" in "".join(capsys.readouterr())
    assert not list(tmp_path.rglob("called"))
