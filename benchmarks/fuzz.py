"""Does any input end in a traceback, a foreign call or a write elsewhere? Thousands are tried.

    python benchmarks/fuzz.py [--quick] [--inputs 3200] [--seed 0] [--only KIND]

Hypothesis draws the inputs and prints the smallest one that fails; then the exit code is 1. Kinds:
configs, records, tables, pictures, checkpoints. What is asked
of each input: tests/helpers/fuzzing/harness.py.
"""

import argparse
import faulthandler
import os
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests" / "helpers"
sys.path[:0] = [str(TESTS)]
sys.dont_write_bytecode = True  # it would be a write outside the scratch folder
# Of each kind how many of a hundred inputs: those that take long get fewer.
KINDS = {"configs": 8, "records": 12, "tables": 33, "pictures": 15, "checkpoints": 32}
INPUTS, QUICK = 3200, 25
NAMES = ("kind", "tried", "accepted", "refused", "failed", "seconds")
HEAD = f"| {' | '.join(NAMES)} |\n| --- |{' --: |' * (len(NAMES) - 1)}"


def prepare(scratch: Path) -> None:
    """Import all that inputs need, then watch what this process does."""
    os.environ |= {"HOME": str(scratch / "home"), "TMPDIR": str(scratch), "OMP_NUM_THREADS": "1"}
    os.environ["MPLCONFIGDIR"] = os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(scratch)
    tempfile.tempdir = str(scratch)
    for name in ("home", "work"):
        (scratch / name).mkdir()
    os.chdir(scratch / "work")
    from fuzzing.warm import import_all
    from watched import watch

    import_all()
    watch(scratch)


def run(names: list[str], inputs: int, number: int | None, scratch: Path) -> int:
    """Try some inputs of each kind; returns how many inputs failed."""
    from fuzzing.harness import ACCEPTED, FAILED, REFUSED, Kind, fuzz

    failed = 0
    print(HEAD, flush=True)
    for name in names:
        module = import_module(f"fuzzing.{name}")
        start = time.monotonic()
        count = max(2, inputs * KINDS[name] // 100)
        found = fuzz(Kind(name, module.inputs, module.run), scratch, count, number)
        numbers = [found.total(), found[ACCEPTED], found[REFUSED], found[FAILED]]
        cells = [name, *map(str, numbers), f"{time.monotonic() - start:.0f}"]
        print(f"| {' | '.join(cells)} |", flush=True)
        failed += found[FAILED]
        if count > 50 and not found[ACCEPTED]:
            raise SystemExit(f"{name}: nothing was accepted, so that nothing else was tried")
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=INPUTS, help="of all kinds together")
    parser.add_argument("--seed", type=int, help="of the draw; by default always the same inputs")
    parser.add_argument("--only", choices=KINDS, action="append", help="this kind, or these")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} inputs")
    chosen = parser.parse_args()
    faulthandler.enable()
    with tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder).resolve()
        prepare(scratch)
        inputs = QUICK if chosen.quick else chosen.inputs
        failed = run(chosen.only or list(KINDS), inputs, chosen.seed, scratch)
        os.chdir(scratch)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
