"""Tables as text: what is best, what is like it, what is missing."""

import io
from pathlib import Path

import pandas as pd
import pytest
from made_cells import made_comparison
from rich.console import Console

from segbench.report.sections.comparison import Comparison, Entry, Section
from segbench.report.tables.exports import (
    entries_frame,
    latex_table,
    markdown_table,
    pairs_frame,
    write_tables,
)
from segbench.report.tables.grid import make_grid
from segbench.report.tables.terminal import cost_table, rich_table


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return made_comparison(tmp_path_factory.mktemp("made") / "sweep")


def text_of(table: object, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_entry_has_its_place(comparison: Comparison) -> None:
    (section,) = comparison.sections
    grid = make_grid(comparison, section)
    assert (grid.heads, grid.columns) == (["model"], ["bce", "dice"])
    assert grid.rows == [("segnet",), ("unet",), ("unetpp",)]
    for (row, column), entry in grid.entries.items():
        assert (entry.options["model"],) == grid.rows[row]
        assert entry.options["loss"] == grid.columns[column]
    assert len(grid.entries) == len(section.entries)


def test_numbers_are_sorted_by_size(comparison: Comparison) -> None:
    sizes = [Entry(size, {"size": size, "loss": "bce"}) for size in ("96", "128", "32")]
    section = Section("made", "", [], [], sizes)
    grid = make_grid(Comparison([], "iou", ["size"], ["loss"], [section]), section)
    assert grid.rows == [("32",), ("96",), ("128",)]


def test_markdown_marks_the_best_and_what_is_like_it(comparison: Comparison) -> None:
    (section,) = comparison.sections
    text = markdown_table(comparison, section)
    best = section.scored[0]
    assert text.count("**") == 2
    assert f"**{best.mean:.4f} ± {best.sd:.4f} (2 of 3 seeds)**" in text
    alike = [entry for entry in section.scored[1:] if entry.like_best]
    assert text.count(" ≈ |") == len(alike)
    assert "failed" in text
    assert "(2 of 3 seeds)" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1


def test_latex_is_booktabs_and_escapes(comparison: Comparison) -> None:
    text = latex_table(comparison, comparison.sections[0])
    for word in ("\\toprule", "\\midrule", "\\bottomrule", "\\textbf{", "$\\pm$", "{lrr}"):
        assert word in text
    assert text.count("\\begin{") == text.count("\\end{")
    odd = Entry("a_b", {"model": "50%_{x}\\&", "loss": "bce"})
    section = Section("x_y", "", [], [], [odd])
    text = latex_table(Comparison([], "iou", ["model"], ["loss"], [section]), section)
    assert "50\\%\\_\\{x\\}\\textbackslash{}\\& & --" in text.replace("–", "--")
    assert "x\\_y" in text


def test_the_terminal_shows_the_same_and_the_cost_fits_80_columns(comparison: Comparison) -> None:
    (section,) = comparison.sections
    best = section.scored[0]
    text = text_of(rich_table(comparison, section))
    assert f"{best.mean:.4f} ± {best.sd:.4f}" in text
    narrow = text_of(cost_table(section), 80)
    assert len(narrow.splitlines()) == 1 + len(section.scored)
    assert "img/s" not in narrow
    assert "img/s" in text_of(cost_table(section, wide=True))


def test_files_hold_the_numbers(comparison: Comparison, tmp_path: Path) -> None:
    (section,) = comparison.sections
    written = write_tables(comparison, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(written)
    table = pd.read_csv(tmp_path / "table.csv")
    assert table["mean"].dropna().tolist() == pytest.approx([e.mean for e in section.scored])
    assert table.columns.tolist() == entries_frame(comparison).columns.tolist()
    pairs = pd.read_csv(tmp_path / "pairs.csv")
    assert pairs["better"][0] == section.entries[section.pairs[0].better].label
    assert pairs["difference"].tolist() == pytest.approx([p.difference for p in section.pairs])
    assert len(pairs) == len(pairs_frame(comparison))
