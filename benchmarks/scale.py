"""A sweep of a thousand cells: planned, compared, and with --real run.

    python benchmarks/scale.py [--cells 1000] [--images 133] [--real]

Made-up records are compared as in report.py. Where nothing is left to run, the finished cells are
copies of those of the first seed. With --real a sweep of as many tiny cells runs on joblib (ten
minutes on two cores, 15 GB).
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

from report import write_cell
from segbench.__main__ import main as segbench
from segbench.commands.sweeps import sweep
from segbench.commands.sweeps.planned import Planned

SMALL = ("model.base_channels=4", "data.count=12", "data.size=32", "trainer.max_epochs=1")
MODELS = "unet,segnet,unet_compact,unetpp,resnet34_unet"
LOSSES = "bce,dice,focal,tversky,jaccard"
COMBINATIONS = 25


def seconds(folder: Path, *words: str) -> float:
    """The time of a segbench command in a fresh process."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "segbench", *words]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def grid(cells: int) -> list[str]:
    """The words of a sweep of so many cells: 5 networks, 5 losses, and seeds."""
    seeds = ",".join(map(str, range(-(-cells // COMBINATIONS))))
    return ["-m", f"model={MODELS}", f"loss={LOSSES}", f"seed={seeds}", *SMALL, "name=scale"]


def planned(folder: Path, cells: int, label: str) -> None:
    alone = seconds(folder, "-m", "--dry-run", "model=unet", "seed=0,1", *SMALL, "name=scale")
    whole = seconds(folder, *grid(cells), "--dry-run")
    print(
        f"{label}: {cells} cells listed in {whole:.1f} s, of which a sweep of 2 takes {alone:.1f}"
    )


def compared(folder: Path, cells: int, images: int) -> None:
    ids = [f"image{k:05d}" for k in range(images)]
    for k in range(cells):
        place, seed = divmod(k, 5)
        model, loss = f"net{place // 10:02d}", f"loss{place % 10}"
        name = f"{model}-{loss}-s{seed}-{k:08x}"
        write_cell(folder / "outputs" / "made" / name, model, loss, seed, ids)
    taken = seconds(folder, "compare", "name=made")
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    page = (folder / "outputs/made/report/index.html").stat().st_size / 1e6
    found = f"{taken:.1f} s, {memory:.1f} GB, page {page:.1f} MB"
    print(f"compare: {cells} cells x {images} images: {found}")


def finish(folder: Path, cells: int) -> None:
    """Leave a folder for every cell of the grid: one seed is trained, the others are copies."""
    seconds(folder, *grid(COMBINATIONS))
    found: list[Planned] = []
    home = Path.cwd()
    os.chdir(folder)
    with patch.object(sweep, "print_dry_run", found.extend):
        segbench([*grid(cells), "--dry-run"])
    for cell in found:
        if not cell.folder.exists():
            model_and_loss = cell.folder.name.rsplit("-", 2)[0]
            (trained,) = cell.folder.parent.glob(f"{model_and_loss}-s0-*")
            large = shutil.ignore_patterns("checkpoints", "tensorboard", "panels")
            shutil.copytree(trained, cell.folder, ignore=large)
    os.chdir(home)


def run(folder: Path, cells: int) -> None:
    jobs = len(os.sched_getaffinity(0))
    packed = ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={jobs}"]
    taken = seconds(folder, *grid(cells), *packed)
    records = list((folder / "outputs" / "scale").glob("*/run.json"))
    done = [json.loads(each.read_text())["train_seconds"] for each in records]
    ended = sorted(each.stat().st_mtime for each in records)
    each = (ended[-1] - ended[jobs]) * jobs / (len(ended) - jobs - 1)  # without start and report
    trained = sum(done) / len(done)
    print(f"sweep: {len(done)} cells in {taken:.0f} s, {jobs} at once")
    print(f"  for each cell {each:.2f} s of a core, of which its training takes {trained:.2f} s")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--cells", type=int, default=1000)
    options.add_argument("--images", type=int, default=133)
    options.add_argument("--real", action="store_true", help="run the sweep")
    options.add_argument("--quick", action="store_true", help="50 cells of 10 images")
    asked = options.parse_args()
    cells, images = (50, 10) if asked.quick else (asked.cells, asked.images)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        planned(folder, cells, "plan, all to run")
        compared(folder, cells, images)
        finish(folder, cells)
        planned(folder, cells, "plan, nothing left")
        if asked.real:
            shutil.rmtree(folder / "outputs")
            run(folder, cells)


if __name__ == "__main__":
    main()
