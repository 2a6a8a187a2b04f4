"""Commands in forked children of one process that has imported everything: a second each.

A child does what `python -m segbench` does, without the six seconds of imports. It is the leader of
a session of its own, so that a signal reaches it and the processes that it starts, and no other.
"""

import atexit
import contextlib
import importlib
import json
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import torch
from hydra.core.plugins import Plugins

SECONDS = 120.0  # after which a command is taken for one that hangs
BROKEN = 99  # exit code of a child whose command raised
BUSY = "another process is running this cell"
Fault = Callable[[], None]


class FailedError(Exception):
    """What a command must not do: a traceback, silence, other numbers, or no end."""


@dataclass(frozen=True)
class Ended:
    """An ended command: its exit code (minus the signal that killed it) and what it printed."""

    words: Sequence[str]
    code: int
    out: str
    err: str

    def __str__(self) -> str:
        said = self.err.strip() or self.out.strip()[-500:]
        return f"`{' '.join(self.words)}` ended with {self.code} and said: {said}"


class Command:
    """A command that runs in a forked child."""

    def __init__(self, words: Sequence[str], folder: Path, fault: Fault | None = None) -> None:
        self.words = list(words)
        self._said = [folder / f".{stream}-{time.monotonic_ns()}" for stream in ("out", "err")]
        sys.stdout.flush()
        sys.stderr.flush()
        self._code: int | None = None
        self.process = os.fork()
        if not self.process:
            _be_command(self.words, folder, self._said, fault)

    def wait(self, seconds: float = SECONDS) -> int | None:
        """The exit code; None where the command has not ended after so many seconds."""
        end = time.monotonic() + seconds
        while self._code is None:
            process, status = os.waitpid(self.process, os.WNOHANG)
            if process:
                self._code = os.waitstatus_to_exitcode(status)
            elif time.monotonic() >= end:
                break
            else:
                time.sleep(0.005)
        return self._code

    def signal(self, number: int, alone: bool = False) -> None:
        """Send a signal to the command and what it started, as a terminal does, or to it alone."""
        try:
            (os.kill if alone else os.killpg)(self.process, number)
        except ProcessLookupError:  # in the moment before it leads its group
            os.kill(self.process, number)

    def ended(self, seconds: float = SECONDS) -> Ended:
        """Wait for the end.

        Raises:
            FailedError: it does not end, or prints a traceback.
        """
        code = self.wait(seconds)
        if code is None:
            self.signal(signal.SIGKILL)
            self.wait()
        out, err = (path.read_text(errors="replace") for path in self._said)
        found = Ended(self.words, BROKEN if code is None else code, out, err)
        if code is None:
            raise FailedError(f"did not end in {seconds:.0f} s: {found}")
        if "Traceback (most" in out + err or code == BROKEN:
            raise FailedError(f"a traceback: {found}")
        return found


def warm_up(folder: Path, lines: Sequence[Sequence[str]]) -> None:
    """Import what some commands import, without a thread: forks have only one."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    names = folder / "modules"
    for words in lines:
        fault = partial(atexit.register, lambda: names.write_text("\n".join(sys.modules)))
        ended = run(words, folder, fault)
        if ended.code:
            raise FailedError(str(ended))
        for name in names.read_text().splitlines():
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    Plugins.instance()  # Hydra looks for them once in a process


def _be_command(words: list[str], folder: Path, said: list[Path], fault: Fault | None) -> None:
    code = BROKEN
    try:
        os.setsid()
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for stream, path in enumerate(said, 1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        from segbench.__main__ import main

        if fault:
            fault()
        code = main(words)
        threading._shutdown()  # as Python ends: pools stop their processes in here
        atexit._run_exitfuncs()
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def run(words: Sequence[str], folder: Path, fault: Fault | None = None) -> Ended:
    """Run a command to its end."""
    return Command(words, folder, fault).ended()


def run_when_free(words: Sequence[str], folder: Path) -> Ended:
    """Run a command, again where processes of a killed one still hold a cell."""
    for _ in range(60):
        ended = run(words, folder)
        if BUSY not in ended.err and "not waited for: " not in ended.err:
            break
        time.sleep(0.5)
    return ended


_NAMES = re.compile(r"[\w.-]*/[\w./-]+|\b[a-z_][\w./]*=|ulimit -\w")


_WHYS = {
    "train": r"(error|failed): ",
    "compare": r"(error|damaged|left out|failed): ",
    "predict": r"(error|skipped): ",
    "evaluate": r"error: ",
}


def says_why(ended: Ended, kind: str = "train") -> bool:
    """Whether a command that failed says why in one line that names a file or an option."""
    lines = [line for line in ended.err.splitlines() if line.strip()]
    whys = [line for line in lines if re.match(_WHYS[kind], line)]
    named = [re.sub(r"\(traceback: .*\)", "", line) for line in whys]
    return ended.code in (1, 2) and bool(whys) and all(map(_NAMES.search, named))


def contents(cell: Path) -> dict[str, object]:
    """What two equal cells have in common to the last bit.

    Raises:
        FailedError: the cell is not whole.
    """
    try:
        record = json.loads((cell / "run.json").read_text())
        if not (cell / "checkpoints" / "best.ckpt").is_file():
            raise FileNotFoundError("checkpoints/best.ckpt")
        state = torch.load(cell / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
        weights = {name: each.numpy().tobytes() for name, each in state.items()}
        scores, curves = (cell / "scores.csv").read_bytes(), cell / "curves.csv"
    except Exception as error:
        raise FailedError(f"{cell.name} is not whole: {error}") from error
    kept = {"status": record.get("status"), "metrics": record.get("metrics")}
    kept["curves.csv"] = curves.read_bytes() if curves.is_file() else None
    return {**kept, "weights": weights, "scores.csv": scores}


def differences(cells: Path, reference: Path, but: str = "") -> list[str]:
    """How the cells of a folder differ from those of an undisturbed run; empty: not at all.

    Args:
        cells: the folder.
        reference: that of the undisturbed run.
        but: a part that is not compared.
    """
    found = []
    for whole in sorted(path.parent for path in reference.glob("*/run.json")):
        ours, theirs = contents(cells / whole.name), contents(whole)
        parts = [part for part in theirs if part != but and ours[part] != theirs[part]]
        found += [f"{whole.name}: {part}" for part in parts]
    return found
