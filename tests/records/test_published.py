"""A table from elsewhere beside ours: read from the records, shown wherever ours is."""

import io
from pathlib import Path
from typing import Any

import pytest
from made_folders import write_cell
from rich.console import Console

from segbench.errors import ConfigError
from segbench.records.cells import find_cells
from segbench.records.published import Published, as_published
from segbench.report.compare.build import compare_cells
from segbench.report.page.page import write_page
from segbench.report.sections.as_json import as_dict
from segbench.report.sections.comparison import Comparison
from segbench.report.tables.exports import markdown_table
from segbench.report.tables.terminal import published_table

NODE = {"caption": "theirs <i>", "table": [["model", "IoU"], ["U-Net|1", 0.8347], ["none", 1]]}
THEIRS = Published("theirs <i>", ("model", "IoU"), (("U-Net|1", "0.8347"), ("none", "1")))


def test_heads_and_rows_as_words() -> None:
    assert as_published(NODE) == THEIRS


@pytest.mark.parametrize(
    "node",
    [
        "words",
        [],
        {},
        {"caption": "x"},
        {"caption": "x", "table": "y"},
        {"caption": "x", "table": [["only heads"]]},
        {"caption": "x", "table": [["a", "b"], ["c"]]},
        {"caption": "x", "table": [[], []]},
        {"caption": "x", "table": [["a"], ["b"]], "title": "y"},
    ],
)
def test_what_is_no_table_is_refused(node: Any) -> None:
    with pytest.raises(ConfigError, match="published: expected a caption and a table"):
        as_published(node)


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    config = {f"published.{key}": value for key, value in NODE.items()}
    for seed in (0, 1):
        write_cell(tmp_path / "a", [0.5, 0.6], seed=seed, config=config, experiment="x")
    write_cell(tmp_path / "a", [0.6, 0.7], model="segnet", config={"published": None})
    return compare_cells(find_cells([tmp_path / "a"]), ["a"], replicates=50)


def test_it_stands_once_and_changes_no_entry(comparison: Comparison) -> None:
    (section,) = comparison.sections
    assert section.published == [THEIRS]
    assert [(entry.label, len(entry.cells)) for entry in section.entries] == [
        ("segnet", 1),
        ("unet", 2),
    ]
    (told,) = as_dict(comparison)["sections"]
    assert told["published"][0]["rows"] == [["U-Net|1", "0.8347"], ["none", "1"]]


def test_it_is_in_markdown_on_the_screen_and_on_the_page(
    comparison: Comparison, tmp_path: Path
) -> None:
    (section,) = comparison.sections
    text = markdown_table(comparison, section)
    assert "| model | IoU |\n| --- | --- |\n| U-Net\\|1 | 0.8347 |\n| none | 1 |" in text
    assert "Published: theirs &lt;i&gt;.\n" in text
    console = Console(file=io.StringIO(), width=80)
    console.print(published_table(section.published[0]))
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    assert all(word in said for word in ("model", "U-Net|1", "0.8347"))
    write_page(comparison, tmp_path / "index.html")
    html = (tmp_path / "index.html").read_text()
    assert "Published: theirs &lt;i&gt;</h4>" in html
    assert "<td>U-Net|1</td><td>0.8347</td>" in html
