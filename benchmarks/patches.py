"""An epoch of patches at native resolution beside a tight loop that draws the same patches.

    python benchmarks/patches.py [--quick] [--rounds 5] [--size 96]

Nuclei at their own sizes, training alone. The tight loop is PyTorch with segbench's precision and
nothing else: the pictures lie in memory, and no score, curve or checkpoint is made.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from lightning import Callback, LightningModule, Trainer, seed_everything
from made import words
from rounds import OURS, Measured, alternate, publish

from segbench.cell.trainer import build_trainer
from segbench.cell.training import build_task
from segbench.config.registry import compose
from segbench.data.base import SegmentationDataModule
from segbench.data.store.loading import EpochSampler
from segbench.data.store.patches import PatchCases
from segbench.hardware.device import auto_precision

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
TIGHT = "tight loop"


class Clock(Callback):
    """Seconds of the training steps of each epoch, without validation."""

    def __init__(self) -> None:
        self.start, self.seconds = 0.0, list[float]()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.start = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.is_last_batch:
            if DEVICE.type == "cuda":
                torch.cuda.synchronize()
            self.seconds.append(time.perf_counter() - self.start)


def by_segbench(cfg: Any, folder: Path) -> Any:
    """Seconds of the second epoch of segbench's own Trainer; the first one warms up."""

    def epoch() -> float:
        seed_everything(cfg.seed, workers=True, verbose=False)
        data: SegmentationDataModule = instantiate(cfg.data)
        task = build_task(cfg, data)
        clock = Clock()
        build_trainer(cfg, folder, [clock]).fit(task, datamodule=data)
        return clock.seconds[-1]

    return epoch


def by_hand(cfg: Any) -> Any:
    """Seconds of one epoch of a loop that draws the same patches."""
    data: SegmentationDataModule = instantiate(cfg.data)
    data.setup()
    assert data.patches is not None
    facts = data.num_classes, data.ignore_index, data.seed
    cases = PatchCases(data.prepared, data.parts["train"], data.patches, *facts, data.augment)
    network = instantiate(cfg.model).to(DEVICE, memory_format=torch.channels_last)
    loss_of = instantiate(cfg.loss).to(DEVICE)
    optimizer = torch.optim.Adam(network.parameters(), lr=cfg.optimizer.lr, fused=True)
    mixed = torch.autocast(DEVICE.type, torch.bfloat16, enabled="bf16" in auto_precision("auto"))

    def epoch() -> float:
        network.train()
        places = list(EpochSampler(len(cases), data.seed))
        start = time.perf_counter()
        for first in range(0, len(places), data.batch_size):
            batch = cases.__getitems__(places[first : first + data.batch_size])
            ready = data.on_after_batch_transfer({k: v.to(DEVICE) for k, v in batch.items()}, 0)  # type: ignore[arg-type, attr-defined]
            with mixed:
                loss = loss_of(network(ready["image"]), ready["mask"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    epoch()
    return epoch


def compare(size: int, count: int, rounds: int, extra: list[str]) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        chosen = [*words("dsb2018", Path(folder)), f"data.patch={size}", "logger=csv", *extra]
        chosen += [
            f"data.patches_per_epoch={count}",
            "trainer.max_epochs=2",
            "+trainer.limit_val_batches=1",
        ]
        cfg = compose(overrides=[*chosen, f"logger.csv.save_dir={folder}"])
        turns = {OURS: by_segbench(cfg, Path(folder)), TIGHT: by_hand(cfg)}
        values = alternate(turns, rounds)
    return Measured(f"{count} patches of {size}²", "s", values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a narrow network, a few patches")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=96, help="of the patches")
    parser.add_argument("--model", default="unet_vgg")
    chosen = parser.parse_args()
    extra = [f"model={chosen.model}"]
    if chosen.quick:
        found = [compare(chosen.size, 32, 1, [*extra, "model.base_channels=4"])]
    else:
        found = [compare(chosen.size, 464, chosen.rounds, extra)]
    precision = auto_precision("auto")
    publish("patches", found, keep=not chosen.quick, device=str(DEVICE), precision=precision)


if __name__ == "__main__":
    main()
