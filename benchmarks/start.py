"""Start: seconds until `--help` and `--cfg job` are done, and until the first training step is.

    python benchmarks/start.py [--quick]

Each in a fresh process, imports and all; files are in the system's cache after the first round.
A bare `import torch` and `import lightning` beside them are what such a process cannot go below.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial

from rounds import Measured, alternate, publish

FIRST_STEP = """
import os, sys
from segbench.__main__ import _prepare_environment, main
_prepare_environment()  # as the command does before it imports anything large
from segbench.cell import task

step = task.SegmentationTask.training_step

def first(self, batch, batch_idx):
    step(self, batch, batch_idx).backward()
    os._exit(0)

task.SegmentationTask.training_step = first
main(sys.argv[1:])
"""
COMMANDS = {
    "python": ("-c", "pass"),
    "import torch": ("-c", "import torch"),
    "import lightning": ("-c", "import lightning"),
    "segbench --help": ("-m", "segbench", "--help"),
    "segbench --cfg job": ("-m", "segbench", "--cfg", "job"),
    "segbench, first training step": ("-c", FIRST_STEP, "data.size=96", "trainer=smoke"),
}


def seconds(words: Sequence[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, *words], check=True, capture_output=True, cwd=folder, env=os.environ
        )
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round: does it run?")
    parser.add_argument("--rounds", type=int, default=7)
    chosen = parser.parse_args()
    turns = {name: partial(seconds, words) for name, words in COMMANDS.items()}
    rounds, warmup = (1, 0) if chosen.quick else (chosen.rounds, 1)
    values = alternate(turns, rounds, warmup)
    publish("start", [Measured("a fresh process", "s", values)], keep=not chosen.quick)


if __name__ == "__main__":
    main()
