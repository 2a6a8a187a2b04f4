"""Commands in processes of their own, forked from one that has imported segbench and all it needs.

Such a process does what ``python -m segbench`` does, without five seconds of imports.
"""

import atexit
import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

IMPORTED = (
    *("segbench.commands.train", "segbench.cell.experiment", "segbench.commands.sweeps.sweep"),
    *("segbench.report.write", "segbench.inference.evaluation", "albumentations"),
)
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(list(IMPORTED))


class Forked:
    """A command that runs in a folder; it is used like a `subprocess.Popen` with text pipes."""

    def __init__(self, folder: Path, words: Sequence[str]) -> None:
        pipes = [CONTEXT.Pipe(duplex=False) for _ in range(2)]
        ends = [end for _, end in pipes]
        given = list(words), str(folder), dict(os.environ), ends
        self._process = CONTEXT.Process(target=_be_command, args=given)
        self._process.start()
        for end in ends:
            end.close()
        self.stdout, self._stderr = (
            os.fdopen(os.dup(reader.fileno()), encoding="utf-8") for reader, _ in pipes
        )
        for reader, _ in pipes:
            reader.close()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, or minus the signal that killed it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """As `returncode`."""
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the command's process alone."""
        os.kill(self.pid, number)

    def end(self) -> None:
        """Kill the process if it still runs, and close the streams."""
        self._process.kill()
        self._process.join()
        self.stdout.close()
        self._stderr.close()

    def communicate(self, timeout: float = 240) -> tuple[str, str]:
        """Wait for the end; what was printed to both streams and not read yet."""
        with ThreadPoolExecutor(2) as pool:
            read = [pool.submit(stream.read) for stream in (self.stdout, self._stderr)]
            self._process.join(timeout)
            if self.returncode is None:
                self._process.kill()
                raise TimeoutError(f"it has not ended after {timeout} s")
            out, err = (each.result() for each in read)
        return out, err


def _be_command(
    words: list[str], folder: str, environment: dict[str, str], ends: list[Connection]
) -> None:
    for number, end in enumerate(ends, 1):
        os.dup2(end.fileno(), number)
        end.close()
    sys.stdout, sys.stderr = (os.fdopen(n, "w", encoding="utf-8", closefd=False) for n in (1, 2))
    multiprocessing.process._parent_process = None  # as in a process that a shell starts
    os.setsid()  # a signal to its group reaches it and what it starts, and no other
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from segbench.__main__ import main

    sys.argv = ["segbench", *words]
    code = main(words)
    atexit._run_exitfuncs()  # a forked process would leave them out
    sys.exit(code)
