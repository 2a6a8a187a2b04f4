"""A cell's overhead: all that is neither a training epoch nor a test step.

    python benchmarks/cell.py [--quick] [a cell's words …]

A sweep of ten cells of one epoch runs in one process; its first cell pays for imports and for the
plan. Seconds are of the whole cell, from the end of the one before to its own, and of its parts;
what is left over is Lightning's and Hydra's own. The data are prepared before.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from made import words
from rounds import Measured, publish

SCRIPT = """
import json, sys, time
from collections import defaultdict

start, count, chosen = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
from segbench.__main__ import main
import segbench.commands.train as command
import segbench.cell.training as experiment, segbench.cell.task as tasks
import segbench.cell.scoring as scoring, segbench.records.checkpoints.saving as checkpoints
from lightning import Trainer
from segbench.data.base import SegmentationDataModule
from segbench.callbacks.life import Cost

spent = defaultdict(float)

def timed(owner, name, label):
    inner = getattr(owner, name, None)
    if inner is None:
        return
    def outer(*args, **options):
        before = time.perf_counter()
        try:
            return inner(*args, **options)
        finally:
            spent[label] += time.perf_counter() - before
    setattr(owner, name, outer)

timed(experiment, "build_task", "build network")
timed(experiment, "build_trainer", "build trainer")
timed(experiment, "network_flops", "count operations")
timed(experiment, "environment", "environment")
timed(scoring, "write_scores", "write scores")
timed(scoring, "draw_panels", "draw panels")
timed(experiment, "keep_pictures", "keep pictures")
timed(experiment, "log_result", "result to TensorBoard")
timed(SegmentationDataModule, "setup", "open data")
timed(checkpoints.WholeCheckpoints, "save_checkpoint", "write checkpoints")
timed(Trainer, "fit", "fit")
timed(Trainer, "test", "test")
timed(tasks.SegmentationTask, "test_step", "test steps")

ended = Cost.on_train_epoch_end
def on_train_epoch_end(self, trainer, module):
    ended(self, trainer, module)
    spent["epochs"] = self.train_seconds
Cost.on_train_epoch_end = on_train_epoch_end

def whole_cell(*words):
    global start
    reason = run_in_sweep(*words)
    assert reason is None, reason
    spent["whole cell"] = time.time() - start
    spent["overhead"] = spent["whole cell"] - spent["epochs"] - spent["test steps"]
    print("MEASURED", json.dumps(spent), flush=True)
    spent.clear()
    start = time.time()

run_in_sweep, command._run_in_sweep = command._run_in_sweep, whole_cell
assert main(["-m", *chosen, f"seed=range({count})"]) == 0
"""


def run(chosen: list[str], folder: Path, count: int) -> list[dict[str, float]]:
    command = [sys.executable, "-c", SCRIPT, str(time.time()), str(count), *chosen]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    lines = [line for line in done.stdout.splitlines() if line.startswith("MEASURED")]
    return [json.loads(line.partition(" ")[2]) for line in lines]


def measure(extra: list[str], share: float, rounds: int, count: int) -> list[Measured]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        chosen = [*words("dsb2018", folder, share), "trainer.max_epochs=1", *extra]
        run([*chosen, "name=prepare", "trainer=smoke"], folder, 1)
        runs = [run([*chosen, f"name=round{each}"], folder, count) for each in range(rounds)]
    results = []
    for place, label in ((0, "first cell, fresh process"), (count - 1, f"cell {count} of a sweep")):
        parts = runs[0][place]
        values = {part: [cells[place].get(part, 0.0) for cells in runs] for part in parts}
        results.append(Measured(label, "s", dict(sorted(values.items()))))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a narrow network, a few images")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("words", nargs="*", help="of the cell, such as model=unetpp")
    chosen = parser.parse_args()
    if chosen.quick:
        found = measure(["model.base_channels=4", *chosen.words], 0.05, 1, 2)
    else:
        found = measure(chosen.words or ["model=resnet34_unet"], 0.1, chosen.rounds, 10)
    publish("cell", found, keep=not chosen.quick)


if __name__ == "__main__":
    main()
