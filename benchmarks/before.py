"""What removing parts of an older commit cost or gained, each measured in turn with this code.

    git worktree add --detach ../before a3fc7dc
    python benchmarks/before.py ../before [--rounds 5] [--only loss]

Each measurement is a process of its own with one thread, run in the order old, new, new, old. The
table has the median of each and their ratio; it is the one of docs/speed.md.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parents[1]
START = """
import time
begun = time.perf_counter()
import segbench.__main__ as command
words = ["trainer=smoke", "model.base_channels=4", "data.count=20", "data.size=32", "logger=csv"]
code = command.main([*words, "name=start", "overwrite=true"])
assert code == 0, code
print(time.perf_counter() - begun)
"""
LOSS = """
import time, torch
from hydra.utils import instantiate
from segbench.config.registry import compose, register_resolvers
register_resolvers()
loss = instantiate(compose(overrides=["loss={name}"]).loss)
torch.manual_seed(0)
logits = torch.randn(16, 1, 128, 128, requires_grad=True)
target = (torch.rand(16, 128, 128) > 0.5).to(torch.int64)
times = []
for _ in range(40):
    begun = time.perf_counter()
    loss(logits, target).backward()
    times.append(time.perf_counter() - begun)
print(sorted(times)[20])
"""
CELL = """
import time, resource
from lightning import Trainer
import segbench.__main__ as command
saving, epochs = [], []
save = Trainer.save_checkpoint
def timed(*given, **more):
    begun = time.perf_counter()
    found = save(*given, **more)
    saving.append(time.perf_counter() - begun)
    return found
Trainer.save_checkpoint = timed
begun = time.perf_counter()
code = command.main({words!r})
assert code == 0, code
whole = time.perf_counter() - begun
print({value})
"""
SMALL = ["model=unet", "model.base_channels=16", "data.count=120", "data.size=64", "logger=csv"]
LARGE = ["model=unet", "data.count=6", "data.size=32", "data.batch_size=2", "logger=csv"]
WRITING = "sum(saving) / {epochs}"
MEMORY = "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024"
LOADED = [
    "augment=standard",
    "data.num_workers=2",
    "model=unet",
    "model.base_channels=4",
    "model.depth=2",
]


def cell(words: list[str], epochs: int, value: str) -> str:
    words = [*words, f"trainer.max_epochs={epochs}", "name=x", "overwrite=true"]
    return CELL.replace("{words!r}", repr(words)).replace("{value}", value)


MEASURES = {
    "a first cell of two batches, without the stand-in for scipy.signal (s)": START,
    **{
        f"loss={n}, a step of 16×128² (s)": LOSS.replace("{name}", n)
        for n in ("bce", "dice", "jaccard")
    },
    "last.ckpt of 31 M parameters, written beside and renamed (s an epoch)": cell(
        LARGE, 4, WRITING.format(epochs=4)
    ),
    "two loading processes, by DataLoader's own shared memory (s a cell)": cell(
        [*LOADED, "data.count=200", "data.size=64", "logger=csv"], 4, "whole"
    ),
    "peak memory of a cell, without freed memory kept (MiB)": cell(SMALL, 3, MEMORY),
    "three epochs of a cell, without mallopt and atexit hooks (s)": cell(SMALL, 3, "whole"),
}


def measure(code: str, source: Path, folder: str) -> float:
    new = source == HERE
    if not new:  # where the functions were
        code = code.replace("segbench.config.registry import compose, register_resolvers",
                            "segbench.config import compose, register_resolvers")  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(source / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=folder, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{source}: {done.stderr[-2000:]}")
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path, help="a worktree of the older commit")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="measure the rows that contain this")
    asked = parser.parse_args()
    print("| | before | now | now / before |\n| --- | ---: | ---: | ---: |")
    for name, code in MEASURES.items():
        if asked.only not in name:
            continue
        found: dict[Path, list[float]] = {asked.before.resolve(): [], HERE: []}
        with tempfile.TemporaryDirectory() as folder:
            for number in range(asked.rounds):
                order = list(found) if number % 2 == 0 else list(found)[::-1]
                for source in order:
                    found[source].append(measure(code, source, folder))
        old, new = (statistics.median(values) for values in found.values())
        print(f"| {name} | {old:.3g} | {new:.3g} | {new / old:.2f} |", flush=True)
        print(json.dumps({name: {str(k): v for k, v in found.items()}}), file=sys.stderr)


if __name__ == "__main__":
    main()
