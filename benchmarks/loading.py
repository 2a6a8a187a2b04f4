"""Images per second of the whole training pipeline without a network.

    python benchmarks/loading.py [--quick] [--workers 16]

Shuffling, augmentation, batching, the copy to the device and normalisation there: what a training
step waits for. Beside it a loader as the studies wrote it, that reads and decodes PNG files each
epoch and augments alike. Generated images: how long that takes does not depend on what they show.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from hydra.utils import instantiate
from rounds import OURS, Measured, alternate, publish
from torch.utils.data import DataLoader, Dataset

from segbench.config.registry import compose
from segbench.data.base import SegmentationDataModule

CASES = {"96²": (664, 96, 16), "256²": (200, 256, 10)}
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def data_module(augment: str, case: tuple[int, int, int], workers: int) -> SegmentationDataModule:
    count, size, batch = case
    words = ["data=synthetic", f"augment={augment}", f"data.count={count}", f"data.size={size}"]
    cell = compose(overrides=[*words, f"data.batch_size={batch}", f"data.num_workers={workers}"])
    data: SegmentationDataModule = instantiate(cell.data)
    data.setup()
    data.parts = {"train": list(range(count))}
    return data


class Files(Dataset[Any]):
    """As the studies have it: each item is read, decoded, augmented and normalised by itself."""

    def __init__(self, folder: Path, data: SegmentationDataModule) -> None:
        self.folder, self.augment, self.count = folder, data.augment, len(data.prepared.images)
        for i, (image, mask) in enumerate(
            zip(data.prepared.images, data.prepared.masks, strict=True)
        ):
            cv2.imwrite(str(folder / f"{i}.png"), image)
            cv2.imwrite(str(folder / f"{i}-mask.png"), mask)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = cv2.imread(str(self.folder / f"{i}.png"))
        mask = cv2.imread(str(self.folder / f"{i}-mask.png"), cv2.IMREAD_GRAYSCALE)
        if self.augment is not None:
            image, mask = self.augment(image, mask, 0, i)
        scaled = (image.astype(np.float32) / 255 - 0.5) / 0.25
        return torch.from_numpy(scaled.transpose(2, 0, 1)), torch.from_numpy(mask).long()


def our_epoch(data: SegmentationDataModule, loader: DataLoader[Any], epoch: list[int]) -> int:
    epoch[0] += 1
    loader.sampler.set_epoch(epoch[0])  # type: ignore[attr-defined]
    seen = 0
    for batch in loader:
        moved = {k: v.to(DEVICE, non_blocking=True) for k, v in batch.items() if k != "original"}
        seen += len(data.on_after_batch_transfer(moved, 0)["image"])  # type: ignore[arg-type]
    return seen


def their_epoch(loader: DataLoader[Any]) -> int:
    return sum(len(images.to(DEVICE)) for images, masks in loader if masks.to(DEVICE) is not None)


def images_per_second(epoch: Any, seconds: float) -> float:
    start, seen = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        seen += epoch()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return seen / (time.perf_counter() - start)


def compare(seconds: float, rounds: int, workers: int) -> Iterable[Measured]:
    for label, case in CASES.items():
        for augment in ("none", "standard"):
            with tempfile.TemporaryDirectory() as folder:
                data = data_module(augment, case, 0)
                many = data_module(augment, case, workers)
                files = Files(Path(folder), data)
                options = {"batch_size": case[2], "shuffle": True, "num_workers": workers}
                theirs = DataLoader(files, **options, persistent_workers=True)  # type: ignore[arg-type]
                epochs = {
                    OURS: partial(our_epoch, data, data.train_dataloader(), [0]),
                    f"segbench, {workers} workers": partial(
                        our_epoch, many, many.train_dataloader(), [0]
                    ),
                    f"PNG files, {workers} workers": partial(their_epoch, theirs),
                }
                turns = {k: partial(images_per_second, v, seconds) for k, v in epochs.items()}
                values = alternate(turns, rounds)
            yield Measured(f"{label}, augment={augment}", "images/s", values, True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round: does it run?")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--workers", type=int, default=cores)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    chosen = parser.parse_args()
    seconds, rounds = (0.2, 1) if chosen.quick else (chosen.seconds, chosen.rounds)
    found = compare(seconds, rounds, chosen.workers)
    publish("loading", found, keep=not chosen.quick, workers=chosen.workers)


if __name__ == "__main__":
    main()
