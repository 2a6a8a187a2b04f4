"""All benchmarks on one GPU in less than 8 minutes: `python benchmarks/gpu.py [--quick]`.

Needs no network and no data set: what is not in data/ is generated. Each benchmark has a time of
its own, and what it measured until then stands in its log. Without a GPU it runs on the CPU, with
--quick as a test of itself.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import torch

HERE = Path(__file__).parent
# what, its options, and its seconds at most
PLAN = (
    ("epoch", ["--rounds", "3", "unet", "unetpp", "resnet34_unet"], 170),
    ("losses", ["--rounds", "5"], 80),
    ("loading", [], 60),
    ("memory", [], 60),
    ("sweep", [], 60),
    ("cell", [], 40),
    ("start", ["--quick"], 30),
    ("surface", ["--rounds", "3"], 20),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="does each run?")
    parser.add_argument("names", nargs="*", default=[name for name, _, _ in PLAN])
    chosen = parser.parse_args()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(f"# {device}, torch {torch.__version__}", flush=True)
    failed = []
    for name, options, limit in PLAN:
        if name in chosen.names:
            print(f"\n## {name}\n", flush=True)
            command = [sys.executable, str(HERE / f"{name}.py"), *options]
            if chosen.quick and "--quick" not in options:
                command = [*command[:2], "--quick"]
            failed += [] if run(command, limit) else [name]
    if failed:
        print(f"failed or cut off: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


def run(command: list[str], limit: int) -> bool:
    start = time.perf_counter()
    try:
        return not subprocess.run(command, timeout=limit, check=False).returncode
    except subprocess.TimeoutExpired:
        print(f"cut off after {limit} s", flush=True)
        return False
    finally:
        print(f"\n({time.perf_counter() - start:.0f} s)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
