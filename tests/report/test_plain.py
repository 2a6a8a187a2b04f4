"""Tables of scores from elsewhere."""

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
        (["a,b,1"], "algorithm,case,value", r"no column task; .*got algorithm, case, value"),
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
