"""Peak memory of training beside a tight loop's, and whether cells in one process pile up.

    python benchmarks/memory.py [--quick] [model …]

Each contender trains two epochs in a process of its own. On a GPU: what was allocated there at
most; else what became resident beyond the process as it was before the first step.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from functools import partial
from itertools import product
from pathlib import Path

from loops import TIGHT, Contender
from made import words
from rounds import OURS, Measured, alternate, publish

CASES = {"nuclei 96²": "dsb2018", "lesions 256²": "ph2"}


def megabytes(contender: str, folder: Path, chosen: list[str]) -> float:
    """The peak of two epochs in a process of its own."""
    process = Contender(contender, folder, chosen)
    try:
        return process.megabytes()
    finally:
        process.end()


CELLS = """
import json, os, sys
from segbench.__main__ import main

count, *words = sys.argv[1:]
sizes = []
for seed in range(int(count)):
    assert main([*words, f"seed={seed}"]) == 0
    pages = int(open("/proc/self/statm").read().split()[1])
    sizes.append(pages * os.sysconf("SC_PAGESIZE") / 1e6)
print("MEASURED", json.dumps(sizes))
"""


def growth(folder: Path, chosen: list[str], count: int) -> Measured:
    """Resident megabytes after each of ``count`` cells of one process."""
    command = [sys.executable, "-c", CELLS, str(count), *chosen, "trainer.max_epochs=1"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    sizes = json.loads(done.stdout.split("MEASURED")[1])
    early, late = max(1, count // 4), count - 1
    rounds = {f"after cell {n + 1}": [sizes[n]] for n in (0, early, count // 2, late)}
    return Measured(f"{count} cells in one process", "MB", rounds)


def measure(
    models: list[str], share: float, rounds: int, cells: int, extra: list[str]
) -> Iterable[Measured]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for model, (label, name) in product(models, CASES.items()):
            chosen = [*words(name, folder, share), f"model={model}", *extra]
            turns = {
                who: partial(megabytes, who, folder / str(place), chosen)
                for place, who in enumerate((OURS, TIGHT))
            }
            yield Measured(f"{model}, {label}, peak", "MB", alternate(turns, rounds, warmup=0))
        small = ["data.count=20", "data.size=32", "model.base_channels=4", "model.depth=2"]
        yield growth(folder, small, cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a narrow network, a few images")
    parser.add_argument("models", nargs="*", default=["unet"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cells", type=int, default=20, help="in one process")
    chosen = parser.parse_args()
    if chosen.quick:
        found = measure(["unet"], 0.05, 1, 3, ["model.base_channels=4"])
    else:
        found = measure(chosen.models, 0.1, chosen.rounds, chosen.cells, [])
    publish("memory", found, keep=not chosen.quick)


if __name__ == "__main__":
    main()
