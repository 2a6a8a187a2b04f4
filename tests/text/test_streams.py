"""What becomes of standard output and standard error changes no cell."""

import io
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import TINY, only_cell

from segbench.records.record import read_record
from segbench.text.streams import Lasting

WORDS = (*TINY, "trainer=smoke")


def start(folder: Path, *words: str, shell: str = "", **streams: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "segbench", *words]
    if shell:
        command = ["sh", "-c", f'exec "$@" {shell}', "sh", *command]
    return subprocess.Popen(command, cwd=folder, **streams)


def reader_ends(folder: Path) -> int:
    """As with ``| head -1``."""
    reader, writer = os.pipe()
    process = start(folder, *WORDS, stdout=writer, stderr=writer)
    os.close(writer)
    assert os.read(reader, 1) == b"c"  # "cell: …"
    os.close(reader)
    return process.wait(timeout=100)


def closed(folder: Path) -> int:
    return start(folder, *WORDS, shell="<&- >&- 2>&-").wait(timeout=100)


def full(folder: Path) -> int:
    return start(folder, *WORDS, shell=">/dev/full 2>/dev/full").wait(timeout=100)


def terminal_goes(folder: Path) -> int:
    ours, theirs = pty.openpty()
    process = start(folder, *WORDS, stdout=theirs, stderr=theirs)
    os.close(theirs)
    assert os.read(ours, 1)
    os.close(ours)
    return process.wait(timeout=100)


@pytest.mark.parametrize("run", [reader_ends, closed, full, terminal_goes])
def test_a_cell_is_done_whatever_becomes_of_its_streams(
    run: Callable[[Path], int], tmp_path: Path
) -> None:
    assert run(tmp_path) == 0
    cell = only_cell(tmp_path)
    assert read_record(cell)["status"] == "done"
    assert (cell / "panels" / "test.png").is_file()
    log = (cell / "log.txt").read_text()
    assert "Traceback" not in log
    assert not log.startswith("cell: ")  # no file takes the place of a closed stream


def test_the_help_page_ends_well_where_nobody_reads_it(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = start(tmp_path, "--help", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 0


def test_a_mistake_keeps_its_exit_code_where_nobody_reads_it(tmp_path: Path) -> None:
    assert start(tmp_path, "loss=nosuch", shell=">&- 2>&-").wait(timeout=60) == 2


def test_letters_that_a_stream_does_not_know_are_replaced() -> None:
    content = io.BytesIO()
    stream = Lasting(io.TextIOWrapper(content, encoding="ascii"))
    assert stream.write("256², µ") == 7
    stream.flush()
    assert content.getvalue() == b"256?, ?"
    assert stream.encoding == "ascii"
