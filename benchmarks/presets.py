"""Trains each preset twice, once with an interruption, exports it, and compares.

    python benchmarks/presets.py [name …]

For each network of conf/model that another package builds: a cell of two epochs on 12 generated
images of 64², and the same cell interrupted in its second epoch and resumed, must have the same
scores and weights bit by bit; then ``segbench export`` writes an ONNX file and compares its logits
with the network's. About half a minute for each on one core.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from segbench.__main__ import main
from segbench.cell.task import SegmentationTask
from segbench.records.checkpoints.files import read_checkpoint

CONFIGS = Path(__file__).parents[1] / "conf" / "model"
WORDS = ("data.count=12", "data.size=64", "data.batch_size=3", "trainer.max_epochs=2", "logger=csv")
# layers of these depend on the size of images, see docs/architectures.md
FIXED = ("pspnet_resnet50", "swin_unetr", "upernet_convnext_tiny", "upernet_swin_tiny")
STEP = 4  # of 3 + 3; the interruption is in the second epoch


def presets() -> list[str]:
    """The networks that segmentation_models.pytorch and MONAI build."""
    targets = {
        path.stem: OmegaConf.load(path).get("_target_", "") for path in CONFIGS.glob("*.yaml")
    }
    return sorted(
        name for name, target in targets.items() if ".smp." in target or ".monai." in target
    )


def train(name: str, sweep: str) -> Path:
    """Run a cell and return its folder."""
    words = (f"model={name}", f"name={sweep}", *WORDS)
    if main([*words]) not in (0, 130):
        raise RuntimeError(f"{name}: not trained")
    return next(Path("outputs").glob(f"{sweep}/{name}-*"))


def interrupted(step: Callable[..., Any]) -> Callable[..., Any]:
    """A training step that is interrupted once."""
    count = 0

    def wrapped(*given: Any, **more: Any) -> Any:
        nonlocal count
        count += 1
        if count == STEP + 1:
            raise KeyboardInterrupt
        return step(*given, **more)

    return wrapped


def check(name: str) -> str:
    """The results of one network as a line of a table."""
    whole = train(name, "whole")
    step = SegmentationTask.training_step
    try:
        SegmentationTask.training_step = interrupted(step)  # type: ignore[method-assign]
        train(name, "resumed")
    finally:
        SegmentationTask.training_step = step  # type: ignore[method-assign]
    resumed = train(name, "resumed")
    both = [
        read_checkpoint(cell / "checkpoints" / "best.ckpt")["state_dict"]
        for cell in (whole, resumed)
    ]
    same = all(torch.equal(value, both[1][key]) for key, value in both[0].items())
    same &= (whole / "scores.csv").read_bytes() == (resumed / "scores.csv").read_bytes()
    words = ["export", f"run={whole}", f"output={name}.onnx"]
    if name in FIXED:
        words.append("size=fixed")
    exported = "no" if main(words) else "one size" if name in FIXED else "any size"
    return f"| `{name}` | {'equal' if same else 'DIFFERENT'} | {exported} |"


if __name__ == "__main__":
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for network in sys.argv[1:] or presets():
            rows.append(check(network))
            print(rows[-1], flush=True)
    print("| network | interrupted and resumed | ONNX |", "| --- | --- | --- |", *rows, sep="\n")
    sys.exit(any("DIFFERENT" in row or "| no |" in row for row in rows))
