"""Tables of scores from elsewhere."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import wilcoxon

from segbench.errors import DataError
from segbench.report.comparison import as_dict
from segbench.report.plain import compare_table


def written(folder: Path, *rows: str, head: str = "task,algorithm,case,value") -> Path:
    path = folder / "scores.csv"
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


def made(folder: Path, runs: int = 1) -> Path:
    rng = np.random.default_rng(0)
    hard = rng.normal(0.7, 0.1, 40)
    rows = [
        f"{task},{name},case{k},{hard[k] + gain + rng.normal(0, 0.02):.6f},{run}"
        for task in ("liver", "spleen")
        for name, gain in (("ours", 0.05), ("theirs", 0), ("NA", 0.001))
        for run in range(runs)
        for k in range(40)
    ]
    return written(folder, *rows, head="task,algorithm,case,value,seed")


def test_each_task_is_a_section(tmp_path: Path) -> None:
    comparison = compare_table(made(tmp_path), replicates=300)
    assert (comparison.names, comparison.rows, comparison.columns) == (
        ["scores"],
        ["algorithm"],
        [],
    )
    assert [section.data for section in comparison.sections] == ["liver", "spleen"]
    section = comparison.sections[0]
    assert section.entries[0].label == "ours"
    assert {entry.label for entry in section.entries} == {"ours", "theirs", "NA"}
    assert section.entries[0].values.shape == (1, 40)
    gaps = section.entries[0].values[0] - section.entries[1].values[0]
    raw = wilcoxon(np.round(gaps, 12)).pvalue
    assert section.pairs[0].p_images == pytest.approx(3 * raw)
    assert "of 40 cases" in section.pairs[0].sentence
    assert (
        "on these two runs; with one run each, another run might turn it"
        in section.pairs[0].sentence
    )
    assert comparison.across[0].label == "ours"
    assert as_dict(comparison)["sections"][0]["pairs"][0]["different"] is True


def test_several_runs_and_lower_is_better(tmp_path: Path) -> None:
    comparison = compare_table(made(tmp_path, runs=3), lower_is_better=True, replicates=300)
    assert comparison.lower_is_better
    section = comparison.sections[0]
    assert section.entries[-1].label == "ours"
    assert section.entries[0].seeds == [0, 1, 2]
    assert np.isfinite(section.pairs[0].p_seeds)
    assert min(pair.difference for pair in section.pairs) >= 0


def test_missing_values_and_cases(tmp_path: Path) -> None:
    rows = [f"t,a,{k},{k / 20}" for k in range(12)] + [f"t,b,{k},{k / 21}" for k in range(10)]
    rows[3] = "t,a,3,NA"
    section = compare_table(written(tmp_path, *rows, "", "t,b,11,"), replicates=300).sections[0]
    a = next(entry for entry in section.entries if entry.label == "a")
    assert np.isnan(a.values).sum() == 1
    assert section.pairs[0].images == 9
    (note,) = [note for note in section.notes if note.startswith("Of 12 cases")]
    assert "a 1" in note
    assert "b 2" in note


def test_columns_in_any_order_and_case(tmp_path: Path) -> None:
    path = written(tmp_path, "1,x,a,t", "2,x,b,t", head="\ufeffValue, Case,ALGORITHM,Task")
    assert [e.label for e in compare_table(path, replicates=10).sections[0].entries] == ["b", "a"]


@pytest.mark.parametrize(
    ("rows", "head", "message"),
    [
        (["a,b,1"], "algorithm,case,value", r"no column task; .*got algorithm, case, value"),
        (["t;a;b;1"], "task;algorithm;case;value", r"separated by commas, got task;algorithm"),
        (["t,a,x,1,1"], "task,algorithm,case,value,Value", "a column is there twice"),
        (["t,a,x,0.5", "", "t,a,y,good"], None, r"line 4: value='good'; expected a number"),
        (["t,a,x,inf"], None, r"line 2: value='inf'"),
        (["t,a,x,0.5", "t,a,y,0.5", "t,a,x,0.6"], None, r"line 4: .*case 'x'.* in line 2 already"),
        (["t,,x,0.5"], None, "line 2: no algorithm"),
        (["t,a,x,0.5,first"], "task,algorithm,case,value,seed", "line 2: seed='first'"),
        ([], None, "no rows"),
        (["t,a,x,0.5,7,8"], None, "more fields than there are column names"),
    ],
)
def test_slips_are_named(tmp_path: Path, rows: list[str], head: str | None, message: str) -> None:
    path = written(tmp_path, *rows, head=head or "task,algorithm,case,value")
    with pytest.raises(DataError, match=message) as caught:
        compare_table(path)
    assert str(caught.value).startswith(f"input={path}")
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as CSV"):
        compare_table(tmp_path / "none.csv")
