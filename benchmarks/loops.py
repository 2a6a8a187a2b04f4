"""Three ways to train one network an epoch at a time: segbench, the studies' loop, a tight one.

Each in a process of its own, so that none has another's threads, memory or settings:
`Contender("tight loop", folder, words)` starts one, and calling it gives an epoch's seconds.
"""

import json
import logging
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from hydra.utils import instantiate
from lightning import Callback, LightningModule, Trainer, seed_everything
from omegaconf import DictConfig
from rounds import OURS
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from segbench.callbacks.life import Cost, EpochLines, EpochSeed
from segbench.cell.trainer import build_trainer
from segbench.cell.training import build_task
from segbench.config.registry import compose
from segbench.config.score_options import MONITOR
from segbench.data.base import SegmentationDataModule
from segbench.hardware.device import auto_precision, available_cores
from segbench.hardware.memory import peak_memory, reset_peak_memory
from segbench.metrics.epoch_iou import EpochIoU
from segbench.types import predicted_labels

STUDIES, TIGHT = "the studies' loop", "tight loop"
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
Epoch = Callable[[], None]
Score = Callable[[], float]
MARK = "MEASURED "


class Contender:
    """A process that trains an epoch whenever it is called, and tells of its time and memory."""

    def __init__(self, name: str, folder: Path, words: list[str]) -> None:
        command = [sys.executable, __file__, name, str(folder), *words]
        self.log = folder.with_suffix(".log")
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log.open("w"),
            text=True,
            env={"GOMP_SPINCOUNT": "10000", **os.environ},  # as the command sets it; for all three
        )

    def measure(self) -> dict[str, float]:
        """Seconds of the next epoch, the most megabytes so far, the validation images' IoU."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith(MARK):
                found: dict[str, float] = json.loads(line.removeprefix(MARK))
                return found
        raise SystemExit(self.log.read_text())

    def seconds(self) -> float:
        return self.measure()["seconds"]

    def megabytes(self) -> float:
        self.measure()
        return self.measure()["megabytes"]

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


class Pacer:
    """Waits for the parent's word, and tells what came between two of them."""

    def __init__(self) -> None:
        self.start = 0.0
        self.before = 0

    def wait(self, score: Score = lambda: math.nan) -> None:
        if self.start:
            if DEVICE.type == "cuda":
                torch.cuda.synchronize()
            seconds = time.perf_counter() - self.start
            megabytes = (peak_memory(DEVICE) - self.before) / 1e6
            found = {"seconds": seconds, "megabytes": megabytes, "iou": score()}
            print(MARK + json.dumps(found), flush=True)
        if not sys.stdin.readline():
            os._exit(0)
        if not self.start and DEVICE.type == "cpu":
            reset_peak_memory(DEVICE)
            self.before = peak_memory(DEVICE)
        self.start = time.perf_counter()


class Paced(Callback):
    """Lets a running fit do one epoch, with its checkpoint, each time it is asked to."""

    def __init__(self) -> None:
        self.pacer = Pacer()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.pacer.wait(lambda: float(trainer.callback_metrics[MONITOR]))


def by_segbench(cfg: DictConfig, folder: Path, callback: Callback) -> None:
    """A cell's own Trainer, which runs until ``callback`` ends it."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    cfg.trainer.max_epochs = 10**6
    seed_everything(cfg.seed, workers=True, verbose=False)
    data: SegmentationDataModule = instantiate(cfg.data)
    task = build_task(cfg, data)
    trainer = build_trainer(cfg, folder, [EpochSeed(cfg.seed), Cost(), callback])
    trainer.callbacks = [each for each in trainer.callbacks if not isinstance(each, EpochLines)]
    trainer.fit(task, datamodule=data)


class Files(Dataset[Any]):
    """PNG files of a part at the network's size, each read and decoded anew."""

    def __init__(self, folder: Path, data: SegmentationDataModule, part: str) -> None:
        self.names = []
        folder.mkdir(parents=True, exist_ok=True)
        for i in data.parts[part]:
            self.names.append(str(folder / str(i)))
            cv2.imwrite(f"{self.names[-1]}.png", data.prepared.images[i][..., ::-1])
            cv2.imwrite(f"{self.names[-1]}-mask.png", 255 * data.prepared.masks[i])

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        image = cv2.imread(f"{self.names[i]}.png").astype(np.float32) / 255
        mask = cv2.imread(f"{self.names[i]}-mask.png", cv2.IMREAD_GRAYSCALE)
        image = (image - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
        pixels = torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32))
        return pixels, torch.from_numpy(mask > 0)[None].float()


def numpy_iou(logits: Tensor, masks: Tensor) -> float:
    """As the studies have it: on NumPy, over the batch."""
    predicted, true = (x.detach().cpu().numpy() > 0.5 for x in (logits.sigmoid(), masks))
    return float(((predicted & true).sum() + 1e-5) / ((predicted | true).sum() + 1e-5))


def bce_dice(logits: Tensor, masks: Tensor) -> Tensor:
    """The study's own: half BCE, and Dice per image."""
    p, y = logits.sigmoid().flatten(1), masks.flatten(1)
    dice = (2 * (p * y).sum(1) + 1e-5) / (p.sum(1) + y.sum(1) + 1e-5)
    return 0.5 * nn.functional.binary_cross_entropy_with_logits(logits, masks) + 1 - dice.mean()


def by_studies(cfg: DictConfig, folder: Path, workers: int) -> tuple[Epoch, Score]:
    """fp32, NCHW, files through worker processes, plain Adam, a number to the host at each step."""
    data: SegmentationDataModule = instantiate(cfg.data)
    data.setup()
    network = instantiate(cfg.model).to(DEVICE)
    optimizer = torch.optim.Adam(network.parameters(), lr=cfg.optimizer.lr)
    options = {"batch_size": data.batch_size, "num_workers": workers}
    train, val = (Files(folder / part, data, part) for part in ("train", "val"))
    loaders = DataLoader(train, shuffle=True, **options), DataLoader(val, **options)  # type: ignore[arg-type]

    def epoch() -> None:
        for training, loader in zip((True, False), loaders, strict=True):
            network.train(training)
            with torch.set_grad_enabled(training):
                losses, ious = zip(*(step(training, *batch) for batch in loader), strict=True)
        assert np.isfinite(np.mean(losses))
        assert 0 <= np.mean(ious) <= 1

    def step(training: bool, images: Tensor, masks: Tensor) -> tuple[float, float]:
        images, masks = images.to(DEVICE), masks.to(DEVICE)
        output = network(images)
        heads = output if isinstance(output, list) else [output]
        loss = torch.stack([bce_dice(head, masks) for head in heads]).mean()
        if training:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return loss.item(), numpy_iou(heads[-1], masks)

    @torch.no_grad()
    def score() -> float:
        """As segbench has it, so that the two can be compared: per image, then the mean."""
        network.eval()
        counts, seen = EpochIoU(2).to(DEVICE), 0
        for images, masks in loaders[1]:
            index = torch.arange(seen, seen := seen + len(images))
            labels = predicted_labels(network(images.to(DEVICE)))
            counts.update(labels, masks[:, 0].long().to(DEVICE), index.to(DEVICE))
        return float(counts.compute())

    return epoch, score


def by_hand(cfg: DictConfig, precision: str) -> Epoch:
    """What the machine can do: data in its memory, no score, no word, in segbench's precision."""
    data: SegmentationDataModule = instantiate(cfg.data)
    data.setup()
    network = instantiate(cfg.model).to(DEVICE, memory_format=torch.channels_last)
    loss_of = instantiate(cfg.loss).to(DEVICE)
    optimizer = torch.optim.Adam(network.parameters(), lr=cfg.optimizer.lr, fused=True)
    tensors = {part: whole_part(data, part) for part in ("train", "val")}
    kind = torch.bfloat16 if precision.startswith("bf16") else torch.float16
    mixed = torch.autocast(DEVICE.type, kind, enabled="mixed" in precision)

    def epoch() -> None:
        for part, (images, masks) in tensors.items():
            network.train(part == "train")
            order = torch.randperm(len(images), device=DEVICE)
            with torch.set_grad_enabled(part == "train"):
                for chosen in order.split(data.batch_size):
                    batch = {"image": images[chosen], "mask": masks[chosen], "index": chosen}
                    step(part, data.on_after_batch_transfer(batch, 0))
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()

    def step(part: str, batch: Any) -> None:
        with mixed:
            output = network(batch["image"])
            heads: Iterable[Tensor] = output if isinstance(output, list) else [output]
            loss = torch.stack([loss_of(head, batch["mask"]) for head in heads]).mean()
        if part == "train":
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return epoch


def whole_part(data: SegmentationDataModule, part: str) -> tuple[Tensor, Tensor]:
    """A part's images ``(N, C, H, W)`` in channels_last and masks, uint8, on the device."""
    chosen = data.parts[part]
    images = torch.from_numpy(data.prepared.images[chosen]).permute(0, 3, 1, 2)
    return images.to(DEVICE), torch.from_numpy(data.prepared.masks[chosen]).to(DEVICE)


def main(name: str, folder: Path, words: list[str]) -> None:
    words = [*words, "logger=csv", f"logger.csv.save_dir={folder}"]
    cfg = compose(overrides=words)
    if name == OURS:
        by_segbench(cfg, folder, Paced())
        return
    seed_everything(cfg.seed, workers=True, verbose=False)
    pacer = Pacer()
    if name == TIGHT:
        epoch, scores = by_hand(cfg, auto_precision("auto")), ()
    else:
        epoch, *scores = by_studies(cfg, folder, workers=min(4, available_cores()))
    while True:
        pacer.wait(*scores)
        epoch()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
