"""All benchmarks on one GPU in less than 8 minutes: `python benchmarks/gpu.py [--quick] [name …]`.

Runs from a checkout: segbench need not be installed, no data set is needed (what is not in data/ is
generated), no network. Packages that such a machine lacks are collected on another one, for its
Python, and go into a temporary folder there:

    python -m pip freeze | grep -iE '^(hydra|omegaconf|…)' > some.txt    # where segbench runs
    python3.12 -m pip wheel --no-deps --wheel-dir wheels -r some.txt
    python benchmarks/gpu.py --wheels wheels

What it prints stands in benchmarks/results/gpu.md as well, what was measured in results/*.json.
Without a GPU it runs on the CPU: with --quick as a test of itself.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TextIO

import torch

HERE = Path(__file__).parent
RESULTS = HERE / "results"
SECONDS = 470.0  # in all
# what, its options, and its seconds at most; what one leaves over, the later ones share
PLAN = (
    ("epoch", ["--rounds", "2"], 175),
    ("idle", [], 45),
    ("memory", ["--rounds", "1", "--cells", "5"], 60),
    ("loading", ["--rounds", "2", "--seconds", "1"], 50),
    ("sweep", ["--rounds", "1"], 45),
    ("cell", ["--rounds", "1"], 30),
    ("losses", ["--rounds", "3"], 35),
    ("start", ["--rounds", "1"], 20),
    ("surface", ["--rounds", "2"], 10),
)
NEEDED = (
    *("albucore", "albumentations", "antlr4", "cv2", "filelock", "hydra", "jinja2", "lightning"),
    *("matplotlib", "omegaconf", "pandas", "rich", "scipy", "tensorboard"),
    *("torchmetrics", "torchvision", "hydra_plugins.hydra_joblib_launcher"),
    *("monai", "segmentation_models_pytorch", "medpy"),  # the peers
)
LOOK = (
    "import sys; from importlib.util import find_spec\n"
    "print(*(name for name in sys.argv[1:] if not find_spec(name)), sep=', ', end='')"
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="does each run?")
    parser.add_argument("--wheels", type=Path, help="folder of packages to install for this run")
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(p[0] for p in PLAN))
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - {name for name, *_ in PLAN}:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    end = time.monotonic() + SECONDS
    RESULTS.mkdir(exist_ok=True)
    table = Path(os.devnull) if chosen.quick else RESULTS / "gpu.md"
    plan = [entry for entry in PLAN if not chosen.names or entry[0] in chosen.names]
    with tempfile.TemporaryDirectory() as site:
        put_in_place(chosen.wheels, Path(site))
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
        with table.open("w") as log:
            say(f"# {device}, {os.cpu_count()} cores, torch {torch.__version__}", log)
            return run_all(plan, chosen.quick, end, log)


def put_in_place(wheels: Path | None, site: Path) -> None:
    """This checkout and the wheels come first on the path of every benchmark."""
    if wheels:
        options = ["--quiet", "--no-index", "--no-deps", "--no-compile", "--target", str(site)]
        files = [str(file) for file in sorted(wheels.glob("*.whl"))]
        if not files:
            sys.exit(f"--wheels={wheels}: no *.whl there")
        subprocess.run([sys.executable, "-m", "pip", "install", *options, *files], check=True)
    paths = [str(HERE.parent / "src"), str(site), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    command = [sys.executable, "-c", LOOK, *NEEDED]
    lacking = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if lacking:
        sys.exit(
            f"missing here: {lacking}. Collect their wheels where there is a network "
            "and name the folder: --wheels=FOLDER"
        )


def run_all(plan: list[tuple[str, list[str], int]], quick: bool, end: float, log: TextIO) -> int:
    failed = []
    for place, (name, options, planned) in enumerate(plan):
        say(f"\n## {name}\n", log)
        command = [sys.executable, str(HERE / f"{name}.py"), *(["--quick"] if quick else options)]
        rest = sum(seconds for *_, seconds in plan[place:])
        failed += [] if run(command, planned / rest * (end - time.monotonic()), log) else [name]
    if failed:
        say(f"\nfailed or cut off: {', '.join(failed)}", log)
    return bool(failed)


def run(command: list[str], limit: float, log: TextIO) -> bool:
    """Whether it came to its end; what it says goes to the screen and the log at once."""
    start = time.monotonic()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that what it started can be ended with it
    )
    late = threading.Timer(limit, os.killpg, (process.pid, signal.SIGKILL))
    late.start()
    try:
        with process.stdout as lines:  # type: ignore[union-attr]
            for line in lines:
                say(line.rstrip("\n"), log)
        done = process.wait() == 0
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        late.cancel()
    cut = "" if done or time.monotonic() - start < limit else ", cut off"
    say(f"\n({time.monotonic() - start:.0f} s{cut})", log)
    return done


def say(line: str, log: TextIO) -> None:
    print(line, flush=True)
    print(line, file=log, flush=True)


if __name__ == "__main__":
    sys.exit(main())
