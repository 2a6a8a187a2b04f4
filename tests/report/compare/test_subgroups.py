"""Subgroups: the same comparison on some of the images."""

from pathlib import Path

import numpy as np
import pytest

from segbench.errors import ConfigError, DataError
from segbench.report.compare.subgroups import MOST
from segbench.report.plain import compare_table
from segbench.report.sections.comparison import Comparison
from segbench.report.tables.exports import markdown_table


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """``a`` is better on cases 0 to 19, ``b`` on 20 to 59."""
    rng = np.random.default_rng(0)
    rows = ["task,algorithm,case,value"]
    for case in range(60):
        score = rng.uniform(0.4, 0.6)
        rows += [f"t,a,{case},{score + (0.1 if case < 20 else 0)}", f"t,b,{case},{score + 0.08}"]
    path = tmp_path / "scores.csv"
    path.write_text("\n".join(rows))
    return path


def compared(table: Path, rows: list[str], head: str = "id,site") -> Comparison:
    path = table.with_name("sites.csv")
    path.write_text("\n".join([head, *rows]))
    return compare_table(table, replicates=100, by=str(path))


def test_each_subgroup_is_compared_as_if_alone(table: Path) -> None:
    sites = [f"{case},{'east' if case < 20 else 'west'}" for case in range(60)]
    comparison = compared(table, sites)
    (section,) = comparison.sections
    assert [(part.data, len(part.images)) for part in section.subgroups] == [
        ("east", 20),
        ("west", 40),
    ]
    assert [part.best[0].label for part in section.subgroups] == ["a", "b"]
    east = section.subgroups[0]
    values = {entry.label: entry.values[0, :20] for entry in section.entries}
    assert east.pairs[0].difference == pytest.approx((values["a"] - values["b"]).mean())
    (note,) = [note for note in section.notes if "changes with the subgroup" in note]
    assert "in east a is ahead of b by 0.02 (told apart)" in note
    shown = markdown_table(comparison, section)
    assert "| east (20 cases) | west (40 cases) |" in shown


def test_who_stays_ahead_is_said_and_cases_without_a_subgroup_are_counted(table: Path) -> None:
    (section,) = compared(table, [f"{case},{case % 2}" for case in range(50)]).sections
    assert any(note.startswith("The best entry has the best mean in") for note in section.notes)
    assert "In no subgroup: 10 cases." in section.notes


@pytest.mark.parametrize(
    ("rows", "head", "message"),
    [
        (["x,1"], "id,site", "names none of the images of t, as 0"),
        (["0,1,2"], "id,site,more", "expected the columns id and one other, got id, site, more"),
        ([f"{k},{k}" for k in range(60)], "id,site", f"60 subgroups .* at most {MOST}"),
    ],
)
def test_what_is_no_table_of_subgroups(
    rows: list[str], head: str, message: str, table: Path
) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        compared(table, rows, head)


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("size", "a table of scores has no sizes"),
        ("group", "t has no groups"),
        ("nowhere.csv", "by=nowhere.csv: expected size, group, or a CSV file"),
    ],
)
def test_what_a_table_lacks(by: str, message: str, table: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        compare_table(table, replicates=100, by=by)
