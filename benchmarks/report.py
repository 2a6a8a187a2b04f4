"""How long `segbench compare` takes on many made-up cells: records in, page out.

python benchmarks/report.py [--cells 102] [--images 2000]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from segbench.metrics.registry import SURFACE
from segbench.metrics.scores import aggregate, score_table
from segbench.records.record import CONFIG, RUN, SCORES, SPLIT, write_json, write_text

CLASSES = ["background", "lesion"]


def write_cell(folder: Path, model: str, loss: str, seed: int, ids: list[str]) -> None:
    rng = np.random.default_rng([seed, *f"{model}{loss}".encode()])
    size = 256 * 256
    lesion = np.random.default_rng(0).integers(2000, 20000, len(ids))
    tp = (lesion * rng.beta(12, 2, len(ids))).astype(np.int64)
    fp, fn = (lesion * rng.beta(2, 12, len(ids))).astype(np.int64), lesion - tp
    foreground = np.stack([tp, fp, fn], axis=-1)
    background = np.stack([size - tp - fp - fn, fn, fp], axis=-1)
    counts = np.stack([background, foreground], axis=1)
    surface = rng.random((len(ids), 2, len(SURFACE)))
    table = score_table(ids, CLASSES, counts, np.full((len(ids), 2), 256), surface)
    folder.mkdir(parents=True)
    table.to_csv(folder / SCORES, index=False)
    cases = [{"id": id_, "sha256": f"{k:064x}"} for k, id_ in enumerate(ids)]
    write_json(folder / SPLIT, {"parts": {"train": [], "val": [], "test": cases}})
    write_text(folder / CONFIG, f"seed: {seed}\ntrainer:\n  max_epochs: 20\n")
    lines = [f"{e},{1 / e},{1 / e + 0.1},{0.5 + e / 50},0.001" for e in range(1, 21)]
    head = "epoch,train/loss,val/loss,val/iou,lr"
    write_text(folder / "curves.csv", "\n".join([head, *lines]) + "\n")
    scores = aggregate(table, CLASSES)
    record = {"status": "done", "error": None, "seed": seed, "hash": f"{seed:08x}"}
    record |= {"choices": {"data": "made", "model": model, "loss": loss}}
    record |= {"metrics": {"val": scores, "test": scores}, "best_epoch": 15, "epochs": 20}
    record |= {"parameters": int(1e6 * rng.uniform(0.1, 30)), "flops": 1e9 * rng.uniform(1, 50)}
    record |= {"train_seconds": rng.uniform(60, 600), "images_per_second": rng.uniform(10, 200)}
    record |= {"peak_memory_bytes": 1e9 * rng.uniform(1, 4), "environment": {"device": "made"}}
    write_json(folder / RUN, record)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--cells", type=int, default=102)
    options.add_argument("--images", type=int, default=2000)
    options.add_argument("--dir")
    asked = options.parse_args()
    ids = [f"image{k:05d}" for k in range(asked.images)]
    with tempfile.TemporaryDirectory(dir=asked.dir) as work:
        for k in range(asked.cells):
            place, seed = divmod(k, 3)
            model, loss = f"net{place // 2:02d}", ("bce", "dice")[place % 2]
            name = f"{model}-{loss}-s{seed}-{k:08x}"
            write_cell(Path(work) / "outputs" / "made" / name, model, loss, seed, ids)
        start = time.perf_counter()
        command = [sys.executable, "-m", "segbench", "compare", "name=made"]
        subprocess.run(command, cwd=work, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        page = (Path(work) / "outputs" / "made" / "report" / "index.html").stat().st_size
    print(f"{asked.cells} cells × {asked.images} images: {seconds:.1f} s, page {page / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
