"""Each format's escapes, against an independent reader of that format."""

import csv
import io
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from latex_reader import read_latex
from markdown_it import MarkdownIt
from nasty import NASTY, shown

from segbench.text.escape import (
    LATEX_UNICODE,
    as_ascii,
    encodable,
    guarded,
    latex,
    markdown,
    unguarded,
    visible,
)

SURROGATE = "\udce9.png"  # a file's name with a byte that is no UTF-8


@pytest.mark.parametrize("name", NASTY)
def test_what_cannot_be_seen_becomes_an_escape_and_nothing_else(name: str) -> None:
    assert visible(name) == shown(name)
    assert visible(name).isprintable()
    assert visible(SURROGATE) == r"\udce9.png"
    assert visible("a\nb\x1b", keep="\n") == "a\nb\\x1b"


@pytest.mark.parametrize(
    ("text", "ascii_"),
    [
        ("a ≈ b × 2 ± ½, 10² – … · é ł", "a ~ b x 2 +/- 1/2, 10^2 - ... . e l"),
        ("┏━┓┃└─┘╸", "+-+|+-+-"),
        ("“x” → ’ №", '"x" -> \' No'),
        ("Ж\udce9", r"\u0416\udce9"),
    ],
)
def test_ascii_is_readable(text: str, ascii_: str) -> None:
    assert as_ascii(text) == encodable(text, "ascii") == ascii_
    assert text.encode("ascii", "segbench.ascii").decode() == ascii_


def test_letters_stay_where_the_encoding_has_them_and_signs_do_not() -> None:
    assert encodable("é–≈", "cp1252") == "é-~"
    assert encodable("é–≈", "UTF-8") == "é–≈"


class Words(HTMLParser):
    """The text of each element, and the elements' names."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag in ("td", "th", "p"):
            self.texts.append("")

    def handle_data(self, data: str) -> None:
        if self.texts:
            self.texts[-1] += data


@pytest.mark.parametrize("name", NASTY)
def test_markdown_shows_the_name_in_a_table_and_in_a_line(name: str) -> None:
    reader = MarkdownIt("commonmark").enable("table").enable("strikethrough")
    text = f"| a | b |\n| --- | ---: |\n| {markdown(name)} | 1 |\n\n{markdown(name)}\n"
    read = Words(reader.render(text))
    assert [each.strip() for each in read.texts] == ["a", "b", shown(name), "1", shown(name)]
    assert set(read.tags) <= {"table", "thead", "tbody", "tr", "th", "td", "p", "a"}


@pytest.mark.parametrize("name", NASTY)
def test_latex_sets_the_name(name: str) -> None:
    assert read_latex(latex(name)) == shown(name)


@pytest.mark.parametrize("program", ["pdflatex", "xelatex", "lualatex"])
def test_latex_compiles(program: str, tmp_path: Path) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"no {program} here")
    rows = "\n".join(f"{latex(name)} & 1 \\\\" for name in NASTY)
    (tmp_path / "t.tex").write_text(
        f"\\documentclass{{article}}\n{LATEX_UNICODE}\n\\begin{{document}}\n"
        f"\\begin{{tabular}}{{lr}}\n{rows}\n\\end{{tabular}}\n\\end{{document}}\n",
        encoding="utf-8",
    )
    command = [program, "-halt-on-error", "-interaction=nonstopmode", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]


def test_a_csv_holds_no_formula_and_is_read_back_exactly() -> None:
    table = pd.DataFrame({"name": NASTY, "=head": "=1", "number": -1.5, "count": range(len(NASTY))})
    text = guarded(table).to_csv(index=False)
    fields = [field for row in csv.reader(io.StringIO(text)) for field in row]
    risky = [field for field in fields if field[:1] in ("=", "+", "-", "@", "\t", "\r", "\n")]
    assert {float(field) for field in risky} == {-1.0, -1.5}  # numbers alone
    back = unguarded(pd.read_csv(io.StringIO(text), dtype={"name": str}))
    pd.testing.assert_frame_equal(back, table, check_dtype=False)
    assert back["number"].dtype == float


def test_a_table_without_formulas_is_written_as_before() -> None:
    table = pd.DataFrame({"id": ["'a", "b-1"], "iou": [0.1, float("nan")]})
    assert guarded(table).to_csv() == table.to_csv()
    pd.testing.assert_frame_equal(unguarded(table), table)
