"""`python -m segbench evaluate` as its user meets it: the cell's own scores again, and others."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from conftest import TINY
from made_run import make_run
from segbench.report.record import is_done, read_record

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
    (found,) = folder.glob("outputs/*/*-on-*")
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
    assert "'cell', which" in capsys.readouterr().out
    found = only_evaluation(tmp_path)
    assert found.parent.name == "other"
    split = json.loads((found / "split.json").read_text())["parts"]
    assert sorted(split) == ["test", "train", "val"]
    assert set(pd.read_csv(found / "scores.csv", dtype={"id": str}).id) == {
        case["id"] for case in split["test"]
    }
    assert "iou/blob" in read_record(found)["metrics"]["test"]
    # the network's own size, not the data set's
    assert "size: 32" in (found / "config.yaml").read_text()


def test_data_of_other_classes_is_refused(
    segbench: Run, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segbench("evaluate", f"run={trained}", "data.num_classes=3") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: data.class_names=['background', 'cell1', 'cell2']: ")
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("outputs/*/*/run.json"))


def test_a_pruned_network_flips_and_all_parts(segbench: Run, trained: Path, tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "run: missing"),
        (("run=nowhere",), "run=nowhere: no such folder"),
        (("run={run}", "part=train"), "part=train: expected test, val, all"),
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
    assert not list(tmp_path.glob("outputs/*/*/run.json"))
