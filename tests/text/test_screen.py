"""What is printed arrives on every stream, and by one way."""

import ast
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.styled import Styled
from rich.table import Table
from tiny import TINY

from segbench.cell.training import build_task
from segbench.text.progress import track
from segbench.text.screen import console, prepare_streams, say

SOURCE = Path(__file__).parents[2] / "src"
ENCODINGS = ("ascii", "cp1252", "latin-1", "cp437", "utf-8")
Run = Callable[..., int]


def stream(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding, newline="\n")


def text_of(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return str(stream.buffer.getvalue().decode(stream.encoding))  # type: ignore[attr-defined]


def test_there_is_one_way_to_the_screen() -> None:
    """A console elsewhere would take names for markup, a print would let control characters by."""
    for file in SOURCE.rglob("*.py"):
        if file.name == "screen.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            imported = node.module if isinstance(node, ast.ImportFrom) else ""
            names = [each.name for each in getattr(node, "names", []) if hasattr(each, "name")]
            assert imported not in ("rich", "rich.text"), file
            assert not (imported == "rich.console" and "Console" in names), file
            called = node.func if isinstance(node, ast.Call) else None
            assert not (isinstance(called, ast.Name) and called.id == "print"), file


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_table_keeps_its_shape(encoding: str) -> None:
    out = stream(encoding)
    table = Table("[head]", title="t ≈ [/x]")
    table.add_row("0.5 ± 0.1 …")
    table.add_row(Styled("×\x1b[31m", "bold"))
    console(out, width=60).print(table)
    lines = text_of(out).splitlines()[1:]
    assert len(set(map(len, lines))) == 1
    assert "\x1b" not in text_of(out)
    assert ("+/-" in text_of(out)) == (encoding != "utf-8")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_others_print_loses_no_line(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = stream(encoding), stream(encoding)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    prepare_streams()
    out.write("━ \udce9 ≈ 漢")
    err.write("━ ≈ é")
    say("a\nb ≈ [/x]")
    assert "a\\nb " in text_of(out)
    assert text_of(err) in ("━ ≈ é", "- ~ é", "- ~ e", "- ≈ é", "━ ~ é", "─ ≈ é")


def test_a_bar_shows_its_description(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    out = Terminal(io.BytesIO(), "ascii")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", out)
    prepare_streams()
    assert list(track([1, 2], 2, "reading [/x] ≈")) == [1, 2]
    assert "reading [/x] ~" in text_of(out)


def test_streams_that_cannot_be_changed_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    for other in (io.StringIO(), None):  # a notebook's, and a closed one
        monkeypatch.setattr(sys, "stdout", other)
        prepare_streams()
        say("≈")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_help_and_a_mistake(encoding: str, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": encoding}

    def run(*words: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "segbench", *words]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, env=environment, timeout=120
        )

    page = run("--help")
    assert page.returncode == 0
    assert b"group=option ..." in page.stdout
    assert not page.stderr
    wrong = run("tra\x1b≈")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith(rb"error: no command 'tra\x1b~'; ")


def test_a_sweep_and_all_commands_on_a_pipe_of_ascii(
    segbench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*words: str) -> tuple[int, str, str]:
        out, err = stream("ascii"), stream("ascii")
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        monkeypatch.setenv("COLUMNS", "200")
        return segbench(*words), text_of(out), text_of(err)

    names = b"data.class_names=['[/back]','tumour [core] \\u2248']".decode("unicode_escape")

    def build(cfg: Any, data: Any) -> Any:
        if cfg.seed:
            raise ValueError("a name: [/x] \u2248\x1b[31m")
        return build_task(cfg, data)

    monkeypatch.setattr("segbench.cell.training.build_task", build)
    code, out, err = run("-m", *TINY, names, "loss=bce,dice", "seed=0,1")
    assert code == 1
    assert "| unet  | 0." in out
    assert "~ cannot be told from the best" in out
    assert err.count(": ValueError: a name: [/x] ~\\x1b[31m\n") == 2
    folders = [path.parent for path in tmp_path.glob("outputs/default/*/scores.csv")]
    assert len(folders) == 2
    log = (folders[0] / "log.txt").read_text(encoding="utf-8")
    assert "epoch 2/2" in log
    code, out, _ = run(*TINY, names, "loss=dice")
    assert (code, "already done" in out) == (0, True)
    assert "tumour [core] ~" in out
    code, out, _ = run("evaluate", f"run={folders[0]}", "part=val", "name=again")
    assert code == 0
    assert "tumour [core] ~" in out
    code, out, _ = run("check", "data.count=20", "data.size=32", names)
    assert (code, "[/back]" in out, "tumour [core] ~" in out) == (0, True, True)
    code, out, _ = run("compare", "score='dice/tumour [core] \u2248'")
    assert (code, "Dice, tumour [core] ~" in out) == (0, True)
    assert (code, "index.html" in out) == (0, True)
