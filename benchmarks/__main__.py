"""All benchmarks, one after another: `make bench`, or `python benchmarks [--quick] [name …]`.

Some 40 minutes on two cores, of which an epoch's tenth and ten epochs of three seeds take most.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ALL = {
    "losses": ["--rounds", "3"],
    "surface": [],
    "loading": [],
    "start": [],
    "cell": [],
    "sweep": [],
    "memory": [],
    "epoch": ["--share", "0.1", "--rounds", "3"],
    "score": [],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(ALL))
    parser.add_argument("--quick", action="store_true", help="does each run?")
    chosen = parser.parse_args()
    failed = []
    for name in chosen.names:
        print(f"\n## {name}\n", flush=True)
        start = time.perf_counter()
        options = ["--quick"] if chosen.quick else ALL[name]
        if subprocess.run([sys.executable, HERE / f"{name}.py", *options], check=False).returncode:
            failed.append(name)
        print(f"\n({time.perf_counter() - start:.0f} s)", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
