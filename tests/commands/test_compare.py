"""`segbench compare` from the command line."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from made_cells import made_cells

Run = Callable[..., int]


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs" / "made"
    made_cells(folder)
    return folder


def test_the_report_is_written_and_said(
    segbench: Run, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segbench("compare", "name=made") == 0
    said = capsys.readouterr().out
    for word in ("segnet", "unetpp", "bce", "failed", "95 % interval", "report/index.html", "≈"):
        assert word in said
    names = {path.name for path in (sweep / "report").iterdir()}
    assert names == {
        *("comparison.json", "index.html", "figures"),
        *("table.csv", "table.md", "table.tex", "pairs.csv", "images.csv"),
    }
    figures = {path.stem.partition("-")[0] for path in (sweep / "report" / "figures").iterdir()}
    assert figures == {"stability", "boxes", "ranks", "pairs", "cost", "curves", "sheet"}
    page = (sweep / "report" / "index.html").read_text()
    assert page.count("<svg") >= 6
    assert re.search(r'<img[^>]* src="data:image/webp', page)
    assert "&lt;img" not in page
    assert "compare name=made" in page


def test_rows_columns_and_score_can_be_chosen(
    segbench: Run, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segbench("compare", "name=made", "rows=[loss]", "columns=[model]", "score=hd95") == 0
    text = (sweep / "report" / "table.md").read_text()
    assert text.startswith("| loss | segnet | unet | unetpp |")
    assert "HD95 (px)" in text
    assert "score=hd95 rows=loss columns=model" in (sweep / "report" / "index.html").read_text()


def test_several_sweeps(segbench: Run, sweep: Path, tmp_path: Path) -> None:
    made_cells(tmp_path / "outputs" / "other", data="other", broken=False)
    assert segbench("compare", "name=[made,other]") == 0
    text = (tmp_path / "outputs" / "made+other" / "report" / "table.md").read_text()
    assert text.count("| model |") == 2


def test_a_table_from_elsewhere(
    segbench: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        f"T,{name},case{k},{0.5 + 0.01 * k + 0.1 * (name == 'A')}"
        for name in "AB"
        for k in range(20)
    ]
    (tmp_path / "challenge.csv").write_text("task,algorithm,case,value\n" + "\n".join(rows))
    assert segbench("compare", "input=challenge.csv") == 0
    assert "A is better than B" in capsys.readouterr().out
    assert (tmp_path / "outputs" / "challenge" / "report" / "index.html").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("name=nosuch",), "name=nosuch: no such folder (outputs/nosuch); there are made"),
        (("name=made", "score=dise"), "did you mean 'dice'?"),
        (("name=made", "rows=[nosuch]"), "nosuch"),
        (("input=nosuch.csv",), "nosuch.csv"),
    ],
)
def test_a_slip_gets_one_line(
    segbench: Run,
    sweep: Path,
    words: tuple[str, ...],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert segbench("compare", *words) in (1, 2)
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert "Traceback" not in error
    assert not (sweep.parent / "nosuch").exists()


def test_it_needs_no_torch(sweep: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from segbench.__main__ import main; code = main(['compare', 'name=made']); "
        "sys.exit(code or 10 * ('torch' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, timeout=120).returncode == 0


def test_records_that_lie_elsewhere(segbench: Run, sweep: Path, tmp_path: Path) -> None:
    """Without weights, pictures and panels, as they are published."""
    published = tmp_path / "docs" / "records" / "made"
    for run in sweep.glob("*/run.json"):
        target = published / run.parent.name
        target.mkdir(parents=True)
        for name in ("run.json", "scores.csv", "curves.csv", "split.json", "config.yaml"):
            if (run.parent / name).is_file():
                (target / name).write_bytes((run.parent / name).read_bytes())
    assert segbench("compare", "name=made") == 0
    table = (sweep / "report" / "table.md").read_text()
    assert segbench("compare", f"records={published}") == 0
    assert (sweep / "report" / "table.md").read_text() == table
    assert segbench("compare", f"records={tmp_path}/no") == 1
