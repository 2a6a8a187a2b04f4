"""Tables of scores from elsewhere."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import wilcoxon

from segbench.errors import DataError
from segbench.report.figures.registry import drawn_sections
from segbench.report.plain import compare_table
from segbench.report.sections.as_json import as_dict


def written(folder: Path, *rows: str, head: str = "task,algorithm,case,value") -> Path:
    path = folder / "scores.csv"
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


SEEDED = "task,algorithm,case,value,seed"


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
    assert section.pairs[0].repeated
    assert min(pair.difference for pair in section.pairs) >= 0


def test_missing_values_and_cases(tmp_path: Path) -> None:
    rows = [f"t,a,{k},{k / 20}" for k in range(12)] + [f"t,b,{k},{k / 21}" for k in range(10)]
    rows[3] = "t,a,3,NA"
    section = compare_table(written(tmp_path, *rows, "", "t,b,11,"), replicates=300).sections[0]
    a = next(entry for entry in section.entries if entry.label == "a")
    assert np.isnan(a.values).sum() == 1
    assert section.pairs[0].images == 9
    (note,) = [note for note in section.notes if note.startswith("No ranking")]
    assert "3 cases of 12 missing for some: a lacks 1 and b lacks 2 (3, 10 and 11)" in note


def test_easy_cases_alone_make_no_winner(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    easy = np.sort(rng.uniform(0.3, 0.9, 60))[::-1]
    rows = [f"t,few,{k},{easy[k] + 0.004}" for k in range(20)]
    rows += [f"t,all,{k},{easy[k] + rng.normal(0, 0.01)}" for k in range(60)]
    path = written(tmp_path, *rows)
    section = compare_table(path, replicates=300).sections[0]
    (pair,) = section.pairs
    assert section.best == []
    assert [entry.first for entry in section.entries] == [pytest.approx(np.nan, nan_ok=True)] * 2
    assert not any(entry.like_best for entry in section.entries)
    assert (pair.images, pair.difference) == (20, pytest.approx(0.004, abs=0.008))
    expected = {"drop": 20, "worst": 60, 0.5: 60}
    for missing, images in expected.items():
        treated = compare_table(path, replicates=300, missing=missing).sections[0]
        assert len(treated.images) == treated.pairs[0].images == images
        assert treated.best
    few = {entry.label: entry for entry in treated.entries}["few"]
    assert few.mean == pytest.approx((easy[:20].sum() + 20 * 0.004 + 40 * 0.5) / 60)
    worst = compare_table(path, replicates=300, missing="worst").sections[0]
    lowest = min(float(row.rpartition(",")[2]) for row in rows)
    assert np.isclose(worst.entries[1].values, lowest).sum() == 40


def test_columns_in_any_order_and_case(tmp_path: Path) -> None:
    path = written(tmp_path, "1,x,a,t", "2,x,b,t", head="\ufeffValue, Case,ALGORITHM,Task")
    assert [e.label for e in compare_table(path, replicates=10).sections[0].entries] == ["b", "a"]


@pytest.mark.parametrize(
    ("rows", "head", "message"),
    [
        (["a,b,1"], "task,case,value", r"no column algorithm; .*got task, case, value"),
        (["a,1"], "case,ours", r"no column algorithm, value; .*got case, ours"),
        (["t;a;b;1"], "task;algorithm;case;value", r"separated by semicolons, got task;algorithm"),
        (["t\ta\tb\t1"], "task\talgorithm\tcase\tvalue", "separated by tabs, .* by commas"),
        (["t,a,x,1,0", f"t,a,y,1,{10**30}"], SEEDED, r"line 3: seed='10+'; .* at most 18 digits"),
        (["t,a,x,1,1", "t,a,x,1,01"], SEEDED, "line 3: .*seed 1 is already in line 2"),
        (["t,a,x,1,1"], "task,algorithm,case,value,Value", "a column occurs twice"),
        (["t,a,x,0.5", "", "t,a,y,good"], None, r"line 4: value='good'; expected a number"),
        (["t,a,x,inf"], None, r"line 2: value='inf'"),
        (["t,a,x,0.5", "t,a,y,0.5", "t,a,x,0.6"], None, r"line 4: .*case 'x'.* already in line 2"),
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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("task,algorithm,case,value\n".encode("utf-16"), r"not UTF-8 \(byte 0\)"),
        (b"task,algorithm,case,value\nt,a,caf\xe9,1\n", "not UTF-8"),
        (b"", "cannot be read as CSV"),
    ],
)
def test_other_encodings_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        compare_table(tmp_path / "a.csv")


def test_folders_and_devices_are_no_tables() -> None:
    for path in (Path("/"), Path("/dev/zero")):
        with pytest.raises(DataError, match="not a file"):
            compare_table(path)


def test_many_tasks_say_how_far_they_are_and_few_are_drawn(tmp_path: Path) -> None:
    rows = [f"t{t},{a},c{c},0.{t % 9}{c}" for t in range(40) for a in "ab" for c in range(3)]
    told = []

    def track(items: Iterable[Any], total: int, what: str) -> Iterator[Any]:
        told.append((total, what))
        yield from items

    comparison = compare_table(written(tmp_path, *rows), replicates=20, track=track)
    assert told == [(40, "comparing the tasks")]
    assert len(comparison.sections) == 40
    assert len(drawn_sections(comparison)) == 12
    assert comparison.left_out[0].startswith("Figures show only the first 12 of 40 tasks")


@pytest.mark.timeout(60)
def test_half_a_million_rows_take_seconds(tmp_path: Path) -> None:
    """5,000 replicates of as many cases took minutes."""
    values = np.random.default_rng(0).normal(0.5, 0.1, 125_000).round(3)
    rows = [f"t,{a},{c},{v + k * 0.01}" for k, a in enumerate("abcd") for c, v in enumerate(values)]
    section = compare_table(written(tmp_path, *rows)).sections[0]
    best = section.entries[0]
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert best.label == "d"
    assert [best.low, best.high] == pytest.approx(
        best.mean + error * np.array([-1.96, 1.96]), abs=error / 5
    )


def test_groups_of_cases_are_kept(tmp_path: Path) -> None:
    rows = [f"t,{name},c{k},0.{k + 1},p{k // 2}" for name in "ab" for k in range(6)]
    rows += [f"u,{name},c{k},0.{k + 1},q{k}" for name in "ab" for k in range(3)]
    path = written(tmp_path, *rows, head="task,algorithm,case,value,Group")
    first, second = compare_table(path, replicates=50).sections
    assert first.images == [f"c{k}" for k in range(6)]
    assert first.groups == ["p0", "p0", "p1", "p1", "p2", "p2"]
    assert second.groups == ["q0", "q1", "q2"]
    assert compare_table(made(tmp_path), replicates=50).sections[0].groups == []


@pytest.mark.parametrize(
    ("group", "message"),
    [
        (
            "p2",
            "line 3: the case 'c' has the group 'p2', and 'p1' in an earlier line; expected one",
        ),
        ("", "line 3: no group; expected a name"),
    ],
)
def test_a_case_has_one_group(group: str, message: str, tmp_path: Path) -> None:
    rows = ("t,a,c,0.5,p1", f"t,b,c,0.6,{group}")
    path = written(tmp_path, *rows, head="task,algorithm,case,value,group")
    with pytest.raises(DataError, match=message):
        compare_table(path)


def test_a_column_for_each_algorithm_and_no_task(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(0.5, 0.9, (30, 2))
    long = [
        f"scores,{name},c{k},{values[k, column]:.6f}"
        for column, name in enumerate(("U-Net", "ours"))
        for k in range(30)
    ]
    first = compare_table(written(tmp_path, *long), replicates=50)
    wide = [f"c{k},{values[k, 0]:.6f},{values[k, 1]:.6f}" for k in range(30)]
    second = compare_table(written(tmp_path, *wide, head="case,U-Net,ours"), replicates=50)
    assert as_dict(first)["sections"] == as_dict(second)["sections"]
    assert [section.data for section in second.sections] == ["scores"]
    long = [row.partition(",")[2] for row in long]
    third = compare_table(written(tmp_path, *long, head="algorithm,case,value"), replicates=50)
    assert as_dict(third)["sections"] == as_dict(first)["sections"]
    bad = [*wide, "c30,0.5,good"]
    with pytest.raises(DataError, match="line 32: value='good'; expected a number"):
        compare_table(written(tmp_path, *bad, head="case,U-Net,ours"), replicates=50)
    twice = [*wide, "c3,0.5,0.6"]
    with pytest.raises(DataError, match="line 32: .*case 'c3', seed 0 is already in line 5"):
        compare_table(written(tmp_path, *twice, head="case,U-Net,ours"), replicates=50)


def summary(folder: Path, counts: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    cases = [
        {
            "metrics": {
                str(label): {"TP": int(tp), "FP": int(fp), "FN": int(fn), "Dice": 0, "IoU": 0}
                for label, (tp, fp, fn) in enumerate(each, 1)
            },
            "prediction_file": f"/elsewhere/case_{k:03d}.nii.gz",
            "reference_file": f"/elsewhere/labelsTr/case_{k:03d}.nii.gz",
        }
        for k, each in enumerate(counts)
    ]
    path = folder / "summary.json"
    path.write_text(json.dumps({"metric_per_case": cases, "mean": {}}))
    return path


def test_summaries_of_nnu_net(segbench: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 100, (2, 25, 2, 3))
    counts[:, 3, 1] = 0  # neither truth nor prediction has the label
    files = [summary(tmp_path / name, each) for name, each in zip("ab", counts, strict=True)]
    comparison = compare_table(files, replicates=50, score="dice")
    assert [section.data for section in comparison.sections] == ["label 1", "label 2"]
    for label, section in enumerate(comparison.sections):
        assert section.images[0] == "case_000"
        for entry in section.entries:
            tp, fp, fn = counts["ab".index(entry.label), :, label].T
            with np.errstate(invalid="ignore"):
                np.testing.assert_allclose(entry.values[0], 2 * tp / (2 * tp + fp + fn))
    assert np.isnan(comparison.sections[1].entries[0].values[0, 3])
    listed = f"input=[{files[0]},{files[1]}]"
    assert segbench("compare", listed, "score=dice") == 0
    assert segbench("compare", listed, "score=assd") == 2
    same = summary(tmp_path / "other" / "a", counts[1])
    with pytest.raises(DataError, match="task 'label 1', algorithm 'a', case 'case_000' is in"):
        compare_table([files[0], same], replicates=50)


@pytest.mark.parametrize(
    "content",
    ["[]", "{", '{"metric_per_case": []}', '{"metric_per_case": [{"metrics": {"1": 2}}]}'],
)
def test_what_is_no_summary_says_so(content: str, tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(content)
    with pytest.raises(DataError, match=r"summary\.json: (not a summary|no cases)"):
        compare_table(tmp_path / "summary.json", replicates=50)
