"""A sweep of 8 small cells: one, two and four at once (joblib), which share the cores.

    python benchmarks/sweep.py [--quick] [--jobs 1 2 4] [--channels 8]

On a GPU the cells of a packed sweep share it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from made import words
from rounds import Measured, alternate, publish


def seconds(chosen: list[str], folder: Path, threads: int | None, place: list[int]) -> float:
    """A whole sweep in a fresh process, under a name of its own."""
    place[0] += 1
    environment = dict(os.environ)
    if threads:  # processes that share cores wait for one another otherwise
        environment["OMP_NUM_THREADS"] = str(threads)
    command = [sys.executable, "-m", "segbench", "-m", *chosen, f"name=sweep{place[0]}"]
    start = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return time.perf_counter() - start


def measure(chosen: list[str], share: float, rounds: int, jobs: list[int]) -> Measured:
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as temporary:
        folder, place = Path(temporary), [0]
        cell = [*words("dsb2018", folder, share), *chosen]
        seconds([*cell, "seed=0", "trainer=smoke"], folder, None, place)  # prepares the data
        sweep = [*cell, "seed=0,1,2,3,4,5,6,7"]
        turns = {}
        for count in jobs:
            packed = ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={count}"]
            threads = None if count == 1 else max(1, cores // count)
            told = [*sweep, *(packed if count > 1 else ())]
            turns[f"{count} at once"] = partial(seconds, told, folder, threads, place)
        return Measured("8 cells of 2 epochs", "s", alternate(turns, rounds, warmup=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny cells, one round")
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--channels", type=int, default=8, help="of the network's first level")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    small = [f"model.base_channels={chosen.channels}", "trainer.max_epochs=2"]
    if chosen.quick:
        small = ["model.base_channels=4", "model.depth=2", "trainer.max_epochs=1"]
    shares = (0.05, 1) if chosen.quick else (0.3, chosen.rounds)
    publish("sweep", [measure(small, *shares, chosen.jobs)], keep=not chosen.quick)


if __name__ == "__main__":
    main()
