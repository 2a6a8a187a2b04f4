"""Every key of comparison.json is described in docs/comparison.md, and no other."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from made_cells import made_comparison

from segbench.report.sections.as_json import FORMAT, as_dict
from segbench.report.sections.comparison import Across
from segbench.report.statistics.data_sets import RankTest

DOCS = Path(__file__).parents[3] / "docs" / "comparison.md"


def described() -> dict[str, set[str]]:
    """The keys in the first column of each table, by its heading."""
    found: dict[str, set[str]] = {}
    for part in DOCS.read_text().split("\n## ")[1:]:
        heading, rows = part.split("\n", 1)
        firsts = [row.split("|")[1] for row in rows.splitlines() if row.startswith("| `")]
        found[heading] = {key for first in firsts for key in re.findall("`([a-z_]+)`", first)}
    return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    comparison = made_comparison(tmp_path_factory.mktemp("json") / "mine")
    made: dict[str, Any] = json.loads(json.dumps(as_dict(comparison), allow_nan=False))
    return made


def test_every_key_is_described(told: dict[str, Any]) -> None:
    section = told["sections"][0]
    assert described() == {
        "The comparison": set(told),
        "A section": set(section),
        "A configuration": set(section["entries"][0]),
        "A pair": set(section["pairs"][0]),
    }
    assert told["schema"] == FORMAT


def test_rows_within_tables_name_their_keys(told: dict[str, Any]) -> None:
    rows = {row.split("|")[1].strip(): row for row in DOCS.read_text().splitlines() if "|" in row}
    expected = {
        "`across`": {each.name for each in fields(Across)} | {"mean_rank"},
        "`rank_test`": set(RankTest._fields),
        "`cells`": set(told["sections"][0]["entries"][0]["cells"][0]),
        "`cost`": set(told["sections"][0]["entries"][0]["cost"]),
    }
    for key, names in expected.items():
        content = rows[key].split("|")[3]
        assert names <= set(re.findall("`([a-z_]+)`", content)), key
