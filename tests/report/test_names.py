"""One list of nasty names through every output of a comparison, a cell, a sweep and a check."""

import csv
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import redirect_stdout
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import yaml
from latex_reader import read_latex
from markdown_it import MarkdownIt
from nasty import NASTY, shown

from segbench.cell.scoring import write_tables
from segbench.colours import class_colours
from segbench.commands.check import print_check
from segbench.commands.sweeps.board import Board, Planned
from segbench.data.check.contact_sheet import draw_grid
from segbench.metrics.counts import Scores
from segbench.metrics.registry import SURFACE
from segbench.metrics.scores import aggregate, score_table
from segbench.records.cells import Cell, find_cells
from segbench.records.panels import write_panels
from segbench.records.record import CONFIG, RUN, SPLIT, write_json, write_text
from segbench.report.compare.build import compare_cells
from segbench.report.figures.cost_figures import cost
from segbench.report.figures.drawing import svg_text
from segbench.report.figures.score_figures import boxes, stability
from segbench.report.figures.sheets import draw_sheet
from segbench.report.plain import compare_table
from segbench.report.sections.comparison import Comparison
from segbench.report.tables.cell_tables import scores_tables
from segbench.report.write import print_report, write_report
from segbench.text.screen import console

MODELS = ("_hidden", "$5$ and $\\frac{1}{0}$")
CLASSES = ("background", *NASTY)
IDS = [*(f"{name}{k}" for k, name in enumerate(NASTY)), "no UTF-8 \udce9"]
NONE = np.empty(0, np.int64)
SCORES_ALONE = Scores(NONE, NONE, NONE, None)  # no confusion matrix, no confidences
Printed = Callable[[Callable[[], object]], str]


def write_cell(sweep: Path, place: int, status: str = "done") -> None:
    """A cell whose classes, cases, options and error have nasty names."""
    folder = sweep / f"cell{place}"
    choices = {"data": "t [x]", "model": MODELS[place % 2], "loss": "dice"}
    record: dict[str, Any] = {"status": status, "error": None, "choices": choices, "seed": 0}
    record |= {"best_epoch": 1, "epochs": 2, "parameters": 10**6 * (1 + place), "train_seconds": 1}
    parts = {"train": ["a"], "val": ["b"], "test": IDS}
    hashed = {part: [{"id": i, "sha256": i} for i in each] for part, each in parts.items()}
    write_json(folder / SPLIT, {"parts": hashed})
    write_text(folder / CONFIG, yaml.safe_dump({"model": {"name": MODELS[place % 2]}, "seed": 0}))
    if status == "done":
        table = made_table(IDS, place)
        write_tables(table, SCORES_ALONE, CLASSES, folder)
        record["metrics"] = dict.fromkeys(("val", "test"), aggregate(table, CLASSES))
    else:
        record["error"] = f"ValueError: {' '.join(NASTY)}"
    write_json(folder / RUN, record)


def made_table(ids: list[str], place: int) -> pd.DataFrame:
    counts = np.random.default_rng(place).integers(1, 100, (len(ids), len(CLASSES), 3))
    counts[..., 2] = np.roll(counts[..., 1], 1, axis=1)  # each wrong pixel is another class's
    surface = np.ones((len(ids), len(CLASSES), len(SURFACE)))
    return score_table(ids, CLASSES, counts, np.full((len(ids), 2), 50), surface)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("names") / "sweep"
    for place, status in enumerate(("done", "done", "failed")):
        write_cell(folder, place, status)
    return folder


@pytest.fixture(scope="module")
def cells(sweep: Path) -> list[Cell]:
    return find_cells([sweep])


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Algorithms, tasks and cases with nasty names, from a file."""
    path = tmp_path_factory.mktemp("table") / "names.csv"
    scores = np.random.default_rng(0).uniform(size=(len(NASTY), 6))
    rows = [
        ("t [/x]", name, f"={k}", scores[j, k]) for j, name in enumerate(NASTY) for k in range(6)
    ]
    rows += [(name, "a", "c", 0.5) for name in NASTY]
    pd.DataFrame(rows, columns=["task", "algorithm", "case", "value"]).to_csv(path, index=False)
    return compare_table(path, replicates=50)


@pytest.fixture(scope="module")
def report(table: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files of a comparison of the algorithms."""
    folder = tmp_path_factory.mktemp("report")
    one = Comparison(**{**vars(table), "sections": table.sections[:1]})
    one.failures, one.unfinished, one.command = [(n, n) for n in NASTY], list(NASTY), "\x1b[31m"
    write_report(one, folder)
    return folder


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], str]:
    """What a call prints on a pipe that takes ASCII alone, wide enough for each name in a line."""
    monkeypatch.setenv("COLUMNS", "4000")
    monkeypatch.setenv("LINES", "1000")

    def run(call: Callable[[], object]) -> str:
        stream = io.TextIOWrapper(io.BytesIO(), "ascii", newline="\n")
        with redirect_stdout(stream):
            call()
        stream.flush()
        text = stream.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]
        assert re.fullmatch(r"[\n -~]*", text)
        return str(text)

    return run


def assert_all_shown(text: str, names: tuple[str, ...] = NASTY) -> None:
    missing = [name for name in names if shown(name).isascii() and shown(name) not in text]
    assert not missing
    assert r"\u0416 \u6f22 \u03b1" in text
    assert "j~k x +/- 1/2 ^2 - ... ." in text


def test_the_screen_shows_a_comparison(table: Comparison, printed: Printed) -> None:
    text = printed(lambda: print_report(table, Path("out [/x]")))
    assert_all_shown(text)
    assert "out [/x]/index.html" in text


def test_the_screen_shows_a_cells_classes(cells: list[Cell], printed: Printed) -> None:
    assert_all_shown(printed(lambda: console().print(*scores_tables(cells[0].record))))


def test_the_screen_shows_a_check(printed: Printed) -> None:
    names = {name: {"pixels": 1, "share": 0.5, "images": 1} for name in NASTY}
    part = {"cases": 1, "sizes": {"[/]": 1}, "stored": {"[b]": 1}, "classes": names}
    problem = {"severity": "error", "file": "", "kind": "[/kind]"}
    problems = [problem | {"message": name} for name in NASTY[:20]]
    text = printed(
        lambda: print_check({"parts": {"[/all]": part, "all": part}, "problems": problems})
    )
    assert_all_shown(text)
    assert "error, [/kind]: 20\n  tumour [core]\n" in text


def test_the_screen_shows_a_sweep(tmp_path: Path, printed: Printed) -> None:
    names = [name.replace("/", "") for name in NASTY]
    cells = [Planned(tmp_path / f"{name}-0", (), 1, "failed", name) for name in names]
    live = printed(lambda: console().print(Board(cells).render()))
    assert_all_shown(live, tuple(names))

    def run() -> None:
        for cell in cells:
            cell.state = "waiting"
        with Board(cells):
            for cell in cells:
                cell.state = "failed"

    lines = printed(run)
    assert_all_shown(lines, tuple(names))
    assert "[2/36] [core]: failed: [core]\n" in lines


def test_errors_and_notes_show_names(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from segbench.commands.run import run_command

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [])

    def fails() -> None:
        raise ValueError(" ".join(NASTY))

    assert run_command(fails, []) == 1
    said = capfd.readouterr().err
    assert said.startswith("error: tumour [core] [/core] ")
    assert len(said.splitlines()) == 1
    assert "\x1b" not in said
    assert "\u202e" not in said


def test_markdown(report: Path, table: Comparison) -> None:
    text = (report / "table.md").read_text(encoding="utf-8")
    html = MarkdownIt("commonmark").enable("table").render(text)
    rows = re.findall(
        r"<tr>\n<td>(.*?)</td>\n<td style=\"text-align:right\">(.*?)</td>\n</tr>", html
    )
    names = [unescaped(re.sub(r"</?a[^>]*>", "", name)) for name, _ in rows]
    assert sorted(names) == sorted(shown(name).strip() for name in NASTY)
    assert "<p>t [/x]: value" in html


def unescaped(html: str) -> str:
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_data = found.append  # type: ignore[method-assign]
    parser.feed(html)
    parser.close()
    return "".join(found)


def test_latex(report: Path, tmp_path: Path) -> None:
    text = (report / "table.tex").read_text(encoding="utf-8")
    body = text[text.index("\\midrule") + 8 : text.index("\\bottomrule")]
    rows = [line.strip().removesuffix(" \\\\") for line in body.splitlines() if line.strip()]
    names = [read_latex(row.rpartition(" & ")[0]) for row in rows]
    assert sorted(names) == sorted(map(shown, NASTY))
    caption = re.search(r"\\caption\{(.*)\}", text)
    assert caption is not None
    assert read_latex(caption[1]).startswith("t [/x]: value")
    if shutil.which("pdflatex"):
        head = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
        write_text(tmp_path / "t.tex", f"{head}{text}\\end{{document}}")
        command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "t.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize("name", ["table.csv", "pairs.csv"])
def test_csv(report: Path, name: str) -> None:
    with (report / name).open(newline="", encoding="utf-8") as file:
        fields = [field for row in csv.reader(file) for field in row]
    for field in fields:
        assert not re.match(r"[=@\t\r\n]|[+-][^\d.]", field)
    assert {f"'{n}" if n[0] in "=+-@\t'" and n != "-1" else n for n in NASTY} <= set(fields)


def test_scores_are_read_back_exactly(sweep: Path, cells: list[Cell]) -> None:
    wanted = made_table(IDS, 0)
    pd.testing.assert_frame_equal(cells[0].scores, wanted, check_dtype=False, check_exact=False)
    with (cells[0].folder / "scores.csv").open(
        newline="", encoding="utf-8", errors="surrogateescape"
    ) as file:
        assert not [f for row in csv.reader(file) for f in row if f[:1] in "=@\t\r" and f]
    section = compare_cells(cells, ["sweep"], replicates=20).sections[0]
    assert section.class_names == list(CLASSES)
    assert sorted(section.images) == sorted(IDS)


def test_json_holds_the_names_themselves(report: Path) -> None:
    found = json.loads((report / "comparison.json").read_text(encoding="utf-8"))
    labels = [entry["label"] for entry in found["sections"][0]["entries"]]
    assert sorted(labels) == sorted(NASTY)


class Page(HTMLParser):
    """What a browser makes of a page: its elements, and their text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        assert not any("javascript:" in (value or "") for name, value in attrs if name == "href")

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_names_and_runs_nothing_of_them(report: Path) -> None:
    text = (report / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.tags.count("script") == 2  # one of them holds data
    assert not {"b", "i"} & set(page.tags)
    assert not [name for name in page.attributes if name.startswith("on")]
    assert not [name for name in NASTY if shown(name) not in page.text]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


def test_figures_draw_names_as_they_are(table: Comparison, cells: list[Cell]) -> None:
    comparison = compare_cells(cells, ["sweep"], replicates=20)
    by_mean = stability(table.sections[0], table)
    by_class, by_cost = (draw(comparison.sections[0], comparison) for draw in (boxes, cost))
    assert by_mean is not None
    assert by_class is not None
    assert by_cost is not None
    for figure in (by_mean, by_class):
        texts = svg_texts(svg_text(figure))
        assert not [name for name in NASTY if " ".join(shown(name).split()) not in texts]
    assert set(MODELS) <= set(svg_texts(svg_text(by_cost)))  # in the legend


def svg_texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)  # fails on what XML may not hold
    return ["".join(each.itertext()) for each in root.iter() if each.tag.endswith("text")]


@pytest.mark.parametrize("name", NASTY)
def test_pictures_have_names_as_captions(name: str, tmp_path: Path) -> None:
    tile = np.zeros((20, 30, 3), np.uint8)
    seen = []
    for place, each in enumerate((name, shown(name))):
        write_panels(tmp_path / f"{place}.png", [(each, [tile])], [each])
        sheets = (
            draw_sheet([each], [(each, [(tile, "1")])], "key"),
            draw_grid([(tile, each)], ["", each], class_colours(["", each])),
        )
        seen.append([(tmp_path / f"{place}.png").read_bytes(), *(s.tobytes() for s in sheets)])
    assert seen[0] == seen[1]
