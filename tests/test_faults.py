"""One or two faults of each kind; the judge of faults finds what it must; a full disk's errors.

All of them are tried by `python benchmarks/faults.py`; docs/trust.md has the counts.
"""

import errno
import io
import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException
from tiny import TINY, only_cell

from segbench.cell.training import _stays_interrupted
from segbench.commands.explaining import explain
from segbench.errors import SegbenchError
from segbench.records.checkpoints.files import write_checkpoint
from segbench.records.checksums import DigestingFile
from segbench.records.logs import log_to
from segbench.records.record import atomic_write, read_record
from segbench.system_errors import explain_lack, naming

ROOT = Path(__file__).parents[1]
CPU = (*TINY, "trainer.precision=32-true", "trainer.accelerator=cpu")


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import forks

    return forks


def test_a_few_faults_end_as_promised() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "faults.py"), "--quick", "--only", "disk"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("| ")]
    counts = {row[0].strip(): [int(each) for each in row[1:]] for row in rows[2:]}
    tried, equal, why, failed = counts["disk"]
    assert tried == equal + why > 0
    assert not failed


def test_a_line_must_name_a_file_or_an_option(forks) -> None:
    def says(code: int, err: str) -> bool:
        return forks.says_why(forks.Ended([], code, "", err))

    assert says(1, "error: outputs/default/run.json: no space left on device\n")
    assert says(2, "note: more\nerror: data.root=x: gone\n")
    assert not says(0, "error: outputs/default/run.json: damaged\n")
    assert not says(-11, "error: outputs/default/run.json: damaged\n")
    assert not says(1, "")
    assert not says(1, "note: outputs/default/run.json: damaged\n")
    assert not says(1, "error: OSError: [Errno 28] No space left (traceback: outputs/log.txt)\n")


def test_cells_that_differ_in_one_bit_are_not_equal(
    forks, segbench: Callable[..., int], tmp_path: Path
) -> None:
    assert segbench(*CPU) == 0
    cell = only_cell(tmp_path)
    reference = tmp_path / "reference"
    shutil.copytree(cell.parent, reference)
    assert forks.differences(cell.parent, reference) == []
    path = cell / "checkpoints" / "best.ckpt"
    state = torch.load(path)
    bits = next(iter(state["state_dict"].values())).view(torch.int32)
    bits[(0,) * bits.dim()] ^= 1
    torch.save(state, path)
    assert forks.differences(cell.parent, reference) == [f"{cell.name}: weights"]
    (cell / "run.json").unlink()
    with pytest.raises(forks.FailedError, match="not whole"):
        forks.differences(cell.parent, reference)


class Full(io.StringIO):
    """A file on a full disk."""

    def write(self, piece: object) -> int:  # type: ignore[override]
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_write_that_fails_names_its_file(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    with pytest.raises(OSError, match="No space left.*scores.csv") as caught, atomic_write(path):
        Full().write(b"")
    line, code = explain(caught.value, [])
    assert (line, code) == (
        f"{path}: no space left on device; free some space, and the same command resumes",
        1,
    )
    with pytest.raises(OSError) as caught, naming(tmp_path), naming(path):
        Full().write(b"")
    assert caught.value.filename == str(path)  # the innermost name stays
    assert explain_lack(OSError("no number")) is None
    assert explain_lack(FileNotFoundError(errno.ENOENT, "gone", "x")) is None
    assert "ulimit -u" in str(explain_lack(RuntimeError("can't start new thread")))


def test_torch_does_not_hide_that_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = DigestingFile.__init__

    def on_full_disk(self: DigestingFile, file: object) -> None:
        opened(self, Full())

    monkeypatch.setattr(DigestingFile, "__init__", on_full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_checkpoint({"state_dict": {"a": torch.zeros(5)}}, tmp_path / "best.ckpt")


def test_a_log_that_cannot_be_written_is_one_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = threading.excepthook
    with log_to(tmp_path / "log.txt"):
        handler = next(h for h in logging.getLogger().handlers if hasattr(h, "has_warned"))
        handler.stream.close()
        handler.stream = Full()
        for _ in range(3):
            logging.getLogger("lightning").info("x" * 10_000)
        thread = threading.Thread(target=Full().write, args=(b"",))
        thread.start()
        thread.join()
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert err.startswith(f"warning: {tmp_path / 'log.txt'}: [Errno 28] No space left on device")
    assert threading.excepthook is before


def test_an_error_of_a_thread_stands_in_the_log(tmp_path: Path) -> None:
    def fail() -> None:
        raise SegbenchError("of a logger's thread")

    with log_to(tmp_path / "log.txt"):
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
    assert "of a logger's thread" in (tmp_path / "log.txt").read_text()


def test_a_finished_cell_says_that_its_weights_are_not_whole(
    segbench: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segbench(*CPU) == 0
    weights = only_cell(tmp_path) / "checkpoints" / "best.ckpt"
    assert segbench(*CPU) == 0
    assert "scores remain valid" not in capsys.readouterr().out
    os.truncate(weights, 1000)
    assert segbench(*CPU) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {weights}: damaged: its end is missing")
    weights.unlink()
    os.mkfifo(weights)
    assert segbench(*CPU) == 1
    assert "not a regular file; the scores remain valid" in capsys.readouterr().err
    weights.unlink()
    assert segbench(*CPU) == 0
    assert "best.ckpt: missing; the scores remain valid" in capsys.readouterr().out


def test_a_record_that_differs_in_one_bit_is_not_taken(
    segbench: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segbench(*CPU) == 0
    path = only_cell(tmp_path) / "run.json"
    record = read_record(path.parent)
    assert "checksum" not in record
    text = path.read_text()
    iou = f'"iou": {record["metrics"]["val"]["iou"]}'
    assert iou in text
    place = text.index(iou) + iou.index(".") + 1  # the first decimal
    path.write_text(text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :])
    with pytest.raises(SegbenchError, match="run.json: not a record .damaged or edited"):
        read_record(path.parent)
    assert segbench(*CPU) == 0
    assert "made again" in capsys.readouterr().out
    assert read_record(path.parent)["metrics"] == record["metrics"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SIGTERMException])
def test_an_interruption_stays_one_where_clearing_up_fails(kind: type[BaseException]) -> None:
    def fail_on_the_way_out() -> None:
        try:
            raise kind
        finally:
            raise RuntimeError("Please call `iter(combined_loader)` first.")

    trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    with pytest.raises(kind), _stays_interrupted(trainer):
        fail_on_the_way_out()
    with pytest.raises(RuntimeError, match="of its own"), _stays_interrupted(trainer):
        raise RuntimeError("of its own")
    trainer._signal_connector.received_sigterm = True
    with pytest.raises(SIGTERMException), _stays_interrupted(trainer):
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Terminated.")
