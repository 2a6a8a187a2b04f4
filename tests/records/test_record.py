"""Records: whole or not at all."""

import json
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import TINY, only_cell

from segbench.errors import SegbenchError
from segbench.metrics.scores import COLUMNS, aggregate, score_table
from segbench.records.record import (
    NewerError,
    atomic_write,
    is_done,
    package_version,
    read_record,
    remove_damaged,
    write_json,
    write_record,
)
from segbench.records.tables_read import parse_scores
from segbench.types import SCHEMA


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        _ = 1 / 0
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_has_no_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": [float("nan"), 1.5], "b": {"c": float("inf")}})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": [None, 1.5], "b": {"c": None}}


def test_a_broken_record_is_named(tmp_path: Path) -> None:
    assert read_record(tmp_path) == {}
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(SegbenchError, match=r"run\.json: not a record"):
        read_record(tmp_path)


def test_a_record_of_a_newer_version_is_neither_read_nor_replaced(tmp_path: Path) -> None:
    write_record(tmp_path, {"status": "failed"})
    assert json.loads((tmp_path / "run.json").read_text())["schema"] == SCHEMA == 1
    (tmp_path / "run.json").write_text(f'{{"schema": {SCHEMA + 1}, "status": "done"}}')
    before = (tmp_path / "run.json").read_text()
    for reads in (read_record, is_done, remove_damaged):
        with pytest.raises(NewerError, match=r"run\.json: schema=2, .* update segbench"):
            reads(tmp_path)
    assert (tmp_path / "run.json").read_text() == before


def test_scores_carry_their_format() -> None:
    table = score_table(["a"], ["x", "y"], np.ones((1, 2, 3), int), np.full((1, 2), 9))
    text = table.to_csv(index=False)
    assert parse_scores(text)["schema"].tolist() == [SCHEMA] * 2
    older = table.drop(columns="schema").to_csv(index=False)
    assert "schema" not in parse_scores(older)
    for wrong in (SCHEMA + 1, "x"):
        with pytest.raises(ValueError, match="schema="):
            parse_scores(table.assign(schema=wrong).to_csv(index=False))


def test_done_needs_the_scores(tmp_path: Path) -> None:
    write_record(tmp_path, {"status": "done"})
    assert not is_done(tmp_path)
    (tmp_path / "scores.csv").write_text("id\n")
    assert is_done(tmp_path)


def test_the_record_of_a_cell(segbench: Callable[..., int], tmp_path: Path) -> None:
    assert segbench(*TINY, "data.num_classes=3", "seed=5", "name=group") == 0
    cell = only_cell(tmp_path, "group")
    record = read_record(cell)
    assert set(record) == {
        *("status", "error", "choices", "seed", "hash", "metrics", "best_epoch", "epochs"),
        "command",
        *("parameters", "flops", "train_seconds", "images_per_second", "peak_memory_bytes"),
        *("environment", "files", "data", "notes", "stopped_by", "schema"),
    }
    assert (record["status"], record["error"], record["seed"]) == ("done", None, 5)
    assert record["choices"]["model"] == "unet"
    assert record["choices"]["loss"] == "bce_dice"
    assert cell.name == f"unet-bce_dice-s5-{record['hash']}"
    assert 1 <= record["best_epoch"] <= record["epochs"] == 2
    assert min(record[k] for k in ("parameters", "flops", "peak_memory_bytes")) > 0
    assert record["environment"]["precision"] in ("bf16-mixed", "32-true")
    names = ["background", "cell1", "cell2"]
    table = pd.read_csv(cell / "scores.csv", dtype={"id": str})
    assert list(table.columns) == COLUMNS
    split = json.loads((cell / "split.json").read_text())
    assert sorted(set(table.id)) == [case["id"] for case in split["parts"]["test"]]
    assert {len(case["sha256"]) for part in split["parts"].values() for case in part} == {64}
    assert set(record["metrics"]) == {"val", "test"}
    for name, value in aggregate(table, names).items():
        kept = record["metrics"]["test"][name]
        assert kept == pytest.approx(value) if value == value else kept is None
    assert (cell / "panels" / "test.png").stat().st_size > 5000


def test_the_panels_show_what_was_scored(
    segbench: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segbench.cell import keeping

    drawn: dict[str, list[int]] = {}

    def draw(image, truth, prediction, *_: object) -> list[object]:
        hit, predicted, true = (truth & prediction).sum(), prediction.sum(), truth.sum()
        drawn[str(image.shape)] = [hit, predicted - hit, true - hit]
        return []

    monkeypatch.setattr(keeping, "draw_panel", draw)
    # deep supervision and batch normalisation: both answer otherwise in the mode of training
    assert segbench("model=unetpp_ds", *TINY) == 0
    table = pd.read_csv(only_cell(tmp_path) / "scores.csv").query("`class` == 'cell'")
    scored = {
        str((row.height, row.width, 3)): [row.tp, row.fp, row.fn] for row in table.itertuples()
    }
    assert len(drawn) == 3
    assert {shape: scored[shape] for shape in drawn} == drawn


def test_a_package_that_is_not_installed_has_no_version() -> None:
    assert package_version("numpy") == np.__version__
    assert package_version("nowhere-to-be-found") is None


def test_a_sweep_from_a_checkout_that_is_not_installed(
    segbench: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def installed(name: str) -> str:
        if name == "segbench":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr("segbench.records.record.version", installed)
    assert segbench("-m", *TINY, "trainer=smoke") == 0
    page = (tmp_path / "outputs" / "default" / "report" / "index.html").read_text()
    assert "segbench from a checkout" in page
