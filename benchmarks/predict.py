"""What `predict` adds to decoding, the network and writing: `python benchmarks/predict.py`.

`python benchmarks/predict.py run=outputs/mine input=photos [batch_size=8] [rounds=5]`. In each
round all four are timed in turn, over the same pictures: predict from files to masks, and its parts
alone, one after another: reading, decoding and resizing; the network's forward pass; writing masks.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

from segbench.data.store.normalisation import imagenet
from segbench.inference.files import Wanted, load, predict_files
from segbench.inference.inputs import find_inputs
from segbench.inference.masks import write_mask
from segbench.inference.predictor import PRECISIONS, Predictor
from segbench.inference.runs import find_runs, make_predictor


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def forward(predictor: Predictor, batches: list[torch.Tensor]) -> None:
    dtype = PRECISIONS[predictor.precision]
    kind = predictor.device.type
    with torch.inference_mode(), torch.autocast(kind, dtype, enabled=dtype is not None):
        for batch in batches:
            predictor.network(batch)
    if kind == "cuda":
        torch.cuda.synchronize()


def main(words: list[str]) -> None:
    asked = dict(word.split("=", 1) for word in words)
    (run,) = find_runs(asked["run"])
    size = int(asked.get("batch_size", 8))
    predictor = make_predictor([run], batch_size=size)
    read = run.data.read_picture
    inputs = find_inputs([asked["input"]], Path("masks"))
    with tempfile.TemporaryDirectory() as folder:
        wanted = Wanted(Path(folder))
        loaded = [load(predictor, read, each, wanted) for each in inputs]
        stacked = [
            np.stack([each.prepared for each in loaded[start : start + size]])
            for start in range(0, len(loaded), size)
        ]
        batches = [
            imagenet(3)(torch.from_numpy(b).to(predictor.device).permute(0, 3, 1, 2))
            for b in stacked
        ]
        masks = [
            each.labels
            for start in range(0, len(loaded), size)
            for each in predictor.predict(
                [one.prepared for one in loaded[start : start + size]],
                [one.size for one in loaded[start : start + size]],
            )
        ]
        paths = [wanted.output / f"{each.name}.png" for each in inputs]
        parts: dict[str, Callable[[], object]] = {
            "predict": lambda: list(predict_files(predictor, read, inputs, wanted)),
            "decoding": lambda: [load(predictor, read, each, wanted) for each in inputs],
            "forward": lambda: forward(predictor, batches),
            "writing": lambda: [
                write_mask(path, mask, predictor.palette)
                for path, mask in zip(paths, masks, strict=True)
            ],
        }
        taken: dict[str, list[float]] = {name: [] for name in parts}
        for _ in range(int(asked.get("rounds", 5)) + 1):  # the first warms up
            for name, work in parts.items():
                taken[name].append(1000 * seconds(work) / len(inputs))
    for name, values in taken.items():
        kept = values[1:]
        print(f"{name:9} {median(kept):7.2f} ms a picture ({min(kept):.2f} to {max(kept):.2f})")
    sums = [sum(taken[name][r] for name in list(parts)[1:]) for r in range(1, len(kept) + 1)]
    ratios = [whole / alone for whole, alone in zip(taken["predict"][1:], sums, strict=True)]
    print(
        f"predict takes {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) of the three "
        f"parts' sum; {len(inputs)} pictures, batches of {size}, {predictor.precision}, "
        f"{predictor.device}, {torch.get_num_threads()} threads"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
