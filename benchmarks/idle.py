"""The share of a training epoch in which the device computes nothing.

    python benchmarks/idle.py [--quick] [model …]

The third epoch's training steps, from its start to its validation's: the time that no kernel and no
copy of torch's profiler covers. On a CPU the operators count instead, and the profiler, which
notes each of them, takes time of its own: there the number says only that the script runs.
"""

import argparse
import json
import tempfile
import time
import warnings
from itertools import product
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from loops import DEVICE, by_segbench
from made import words
from rounds import OURS, Measured, publish
from torch.profiler import ProfilerActivity, profile

from segbench.config.registry import compose

MODELS = ("unet", "unetpp", "resnet34_unet")
CASES = {"nuclei 96²": "dsb2018", "lesions 256²": "ph2"}
ON_GPU = DEVICE.type == "cuda"
BUSY = {"kernel", "gpu_memcpy", "gpu_memset"} if ON_GPU else {"cpu_op"}
WARM = 2  # epochs before: cuDNN's choice of algorithms, the first allocations


class Watch(Callback):
    """Watches one epoch's training steps, and ends the training after them."""

    def __init__(self) -> None:
        activity = ProfilerActivity.CUDA if ON_GPU else ProfilerActivity.CPU
        self.profile = profile(activities=[activity])
        self.seconds = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == WARM:
            wait()
            self.profile.start()
            self.start = time.perf_counter()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == WARM and not trainer.sanity_checking:
            wait()
            self.seconds = time.perf_counter() - self.start
            self.profile.stop()
            trainer.should_stop = True

    def idle(self, file: Path) -> float:
        """Per cent of the seconds watched."""
        self.profile.export_chrome_trace(str(file))
        events = json.loads(file.read_text())["traceEvents"]
        return 100 * (1 - busy_seconds(events) / self.seconds)


def wait() -> None:
    if ON_GPU:
        torch.cuda.synchronize()


def busy_seconds(events: list[dict[str, Any]]) -> float:
    """How long at least one of the device's events was under way."""
    spans = sorted((e["ts"], e["ts"] + e["dur"]) for e in events if e.get("cat") in BUSY)
    busy, end = 0.0, float("-inf")
    for start, stop in spans:
        busy += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return busy / 1e6


def measure(model: str, label: str, share: float, extra: list[str]) -> Measured:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        logger = ["logger=csv", f"logger.csv.save_dir={folder}"]
        chosen = [*words(CASES[label], folder, share), f"model={model}", *logger, *extra]
        watch = Watch()
        by_segbench(compose(overrides=chosen), folder, watch)
        return Measured(f"{model}, {label}, idle", "%", {OURS: [watch.idle(folder / "trace.json")]})


def main() -> None:
    warnings.simplefilter("ignore")  # few steps to log, Lightning says
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a narrow network, a few images")
    parser.add_argument("models", nargs="*", default=list(MODELS))
    chosen = parser.parse_args()
    if chosen.quick:
        found = (measure("unet", label, 0.05, ["model.base_channels=4"]) for label in CASES)
    else:
        found = (measure(*pair, 1.0, []) for pair in product(chosen.models, CASES))
    publish("idle", found, keep=not chosen.quick, device=str(DEVICE))


if __name__ == "__main__":
    main()
