"""Faults of every kind, and whether each ends in the numbers of a run left in peace.

    python benchmarks/faults.py [--quick] [--seed 0] [--only kills,disk]

Each fault meets a small cell or sweep on the CPU, in fp32. Then the same command is typed again: it
must end with equal bits (scores, curves and selected weights), or say in one line that names a file
or an option why it does not. Anything else is a failure, and the exit code is 1.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

os.environ["OMP_NUM_THREADS"] = "1"  # equal bits, and forks without threads

from fault_files import FileKinds
from fault_kinds import EQUAL, VARIANTS, WHY, Kinds, Trial
from forks import FailedError, warm_up

FAILED = "failed"
KINDS = {
    **dict.fromkeys(("kills", "pools", "signals", "disk", "limits"), Kinds),
    **dict.fromkeys(("damage", "resumed", "data", "together"), FileKinds),
}


def attempt(trial: Trial, folder: Path, keep: bool = False) -> str:
    """Try a fault in a folder of its own; says and returns how it ended."""
    folder.mkdir()
    start = time.monotonic()
    try:
        result, told = trial.attempt(folder), ""
    except FailedError as error:
        result, told = FAILED, f": {error}"
    print(f"  {trial.name}: {result}{told} ({time.monotonic() - start:.1f} s)", flush=True)
    if not (keep and result == FAILED):
        shutil.rmtree(folder)
    return result


def try_all(kind: str, folder: Path, chosen: argparse.Namespace) -> Counter[str]:
    """Try all faults of a kind."""
    print(f"{kind}: {getattr(KINDS[kind], kind).__doc__}", flush=True)
    place = folder / kind
    place.mkdir()
    trials = getattr(KINDS[kind](place, Random(f"{chosen.seed} {kind}"), chosen.quick), kind)()
    return Counter(
        attempt(trial, place / f"{number:04d}", bool(chosen.keep))
        for number, trial in enumerate(trials)
        if chosen.match in trial.name
    )


def table(found: dict[str, Counter[str]]) -> str:
    """The counts of each kind as Markdown."""
    heads = ("tried", EQUAL, WHY, FAILED)
    rows = {**found, "all": sum(found.values(), Counter())}
    lines = [f"| kind | {' | '.join(heads)} |", "| --- | ---: | ---: | ---: | ---: |"]
    for kind, counts in rows.items():
        numbers = [counts.total(), *(counts[head] for head in heads[1:])]
        lines.append(f"| {kind} | {' | '.join(map(str, numbers))} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one or two faults of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn at random")
    parser.add_argument("--only", default=",".join(KINDS), help="kinds, such as kills,disk")
    parser.add_argument("--match", default="", help="only faults whose name holds this text")
    parser.add_argument("--keep", type=Path, help="a new folder, where failures are kept")
    chosen = parser.parse_args()
    if unknown := set(chosen.only.split(",")) - set(KINDS):
        parser.error(f"--only={','.join(unknown)}: the kinds are {', '.join(KINDS)}")
    found = {}
    # No TemporaryDirectory: each child runs what is registered for a process's exit.
    folder = chosen.keep or Path(tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    try:
        (folder / "warm").mkdir()
        lines = [VARIANTS["mid-epoch"], ["compare"], ["evaluate", "run=outputs/default"]]
        warm_up(folder / "warm", lines)
        for kind in chosen.only.split(","):
            found[kind] = try_all(kind, folder, chosen)
    finally:
        if not chosen.keep:
            shutil.rmtree(folder)
    print(f"\n{table(found)}")
    return int(any(counts[FAILED] for counts in found.values()))


if __name__ == "__main__":
    sys.exit(main())
