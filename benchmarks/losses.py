"""Losses, forward and backward, beside segmentation_models.pytorch and MONAI: time and memory.

    python benchmarks/losses.py [--quick] [--ignored] [loss …]

Every contender gets the same logits and class ids, as a loader gives them, without ignored pixels;
the peers' ignoring is switched off. What a peer wants instead of ids (a mask of floats for a binary
task, a one-hot target for BCE of many classes) is made in the step, as their own classes make it.
On one channel the same formula in plain torch (plain.py) is a contender. With --ignored, one row in
twenty is ignored, and only segbench and plain torch take part, since both ignore.
"""

import argparse
import os
from collections.abc import Callable
from functools import partial
from itertools import accumulate

import monai.losses as monai
import segmentation_models_pytorch.losses as smp
import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from plain import PLAIN
from rounds import OURS, Measured, alternate, publish
from torch import Tensor, nn
from torch.utils.benchmark import Timer

from segbench.config.registry import compose

os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # torch's profiler talks
Loss = Callable[[Tensor, Tensor], Tensor]
SHAPES = {"16×1×256²": (16, 1, 256), "8×21×512²": (8, 21, 512)}
QUICK = {"2×1×64²": (2, 1, 64), "2×21×64²": (2, 21, 64)}
LOSSES = ("ce", "bce", "dice", "jaccard", "tversky", "focal_tversky", "bce_dice", "ce_dice")
LOSSES += ("focal", "lovasz", "boundary")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def peers(name: str, many: bool) -> dict[str, Loss]:
    """What computes the same elsewhere, or its nearest kin."""
    if not many and name in ("ce", "ce_dice"):
        name = f"b{name}"  # the same on a binary task
    mode = "multiclass" if many else "binary"
    kind = {"softmax": True, "to_onehot_y": True} if many else {"sigmoid": True}
    weights = {"alpha": 0.3, "beta": 0.7}
    theirs: dict[str, list[Loss]] = {
        "ce": [nn.CrossEntropyLoss(), smp.SoftCrossEntropyLoss(smooth_factor=0.0)],
        "bce": [nn.BCEWithLogitsLoss(), smp.SoftBCEWithLogitsLoss(ignore_index=None)],
        "dice": [smp.DiceLoss(mode), monai.DiceLoss(**kind)],
        "jaccard": [smp.JaccardLoss(mode), monai.DiceLoss(**kind, jaccard=True)],
        "tversky": [smp.TverskyLoss(mode, **weights), monai.TverskyLoss(**kind, **weights)],
        "focal_tversky": [smp.TverskyLoss(mode, **weights, gamma=0.75)],
        "bce_dice": [] if many else [monai.DiceCELoss(**kind, lambda_ce=0.5)],
        "ce_dice": [monai.DiceCELoss(**kind)],
        "focal": [
            smp.FocalLoss(mode, alpha=0.25),
            monai.FocalLoss(use_softmax=many, to_onehot_y=many, alpha=0.25),
        ],
        "lovasz": [smp.LovaszLoss(mode, per_image=True)],
        "boundary": [monai.BoundaryLoss(**kind)],
    }
    found = {package(loss): wants(loss, name, many) for loss in theirs[name]}
    if name == "dice":  # like for like: ours always ignores
        found["MONAI, ignoring"] = wants(monai.DiceLoss(**kind, ignore_index=255), name, many)
    return found


def package(loss: Loss) -> str:
    names = {"segmentation_models_pytorch": "smp", "monai": "MONAI", "torch": "torch"}
    return names[type(loss).__module__.partition(".")[0]]


def wants(loss: Loss, name: str, many: bool) -> Loss:
    """The loss of class ids ``(N, H, W)``, turned into what it takes."""
    if not many:
        return lambda z, y: loss(z, y[:, None].float())
    if name == "bce":
        return lambda z, y: loss(z, F.one_hot(y, z.shape[1]).movedim(-1, 1).float())
    if package(loss) == "MONAI":
        return lambda z, y: loss(z, y[:, None])
    return loss


def sample(batch: int, channels: int, size: int, ignored: bool) -> tuple[Tensor, Tensor]:
    """Logits and class ids whose regions are 32 pixels wide, a twentieth of the rows ignored."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(batch, channels, size, size, generator=generator) * 2
    coarse = torch.randint(max(channels, 2), (batch, size // 32, size // 32), generator=generator)
    target = coarse.repeat_interleave(32, 1).repeat_interleave(32, 2)
    if ignored:
        target[:, ::20] = 255
    return logits.to(DEVICE).requires_grad_(), target.to(DEVICE)


def step(loss: Loss, logits: Tensor, target: Tensor) -> None:
    logits.grad = None
    loss(logits, target).backward()


def milliseconds(work: Callable[[], None], number: int) -> float:
    timer = Timer("work()", globals={"work": work}, num_threads=torch.get_num_threads())
    return 1000 * timer.timeit(number).mean


def megabytes(work: Callable[[], None]) -> float:
    """The most that was allocated at once beyond what there was before."""
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    with torch.profiler.profile(profile_memory=True) as seen:
        work()
    events = [e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    changes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return max(accumulate(changes), default=0) / 1e6


def compare(
    name: str, label: str, shape: tuple[int, int, int], rounds: int, ignored: bool
) -> list[Measured]:
    channels = shape[1]
    logits, target = sample(*shape, ignored)
    label += ", ignored rows" if ignored else ""
    words = [f"loss={name}", "data=synthetic", f"data.num_classes={max(channels, 2)}"]
    ours = instantiate(compose(overrides=words).loss)
    works = {OURS: partial(step, ours, logits, target)}
    others = {} if ignored else peers(name, channels > 1)
    if channels == 1 and name in PLAIN:
        others["plain torch"] = PLAIN[name]
    for who, loss in others.items():
        works[who] = partial(step, loss, logits, target)
    number = max(1, round(60 / max(0.1, milliseconds(works[OURS], 1))))
    turns = {who: partial(milliseconds, work, number) for who, work in works.items()}
    memory = {who: partial(memory_of, work, logits) for who, work in works.items()}
    return [
        Measured(f"{name} {label}, time", "ms", alternate(turns, rounds)),
        Measured(f"{name} {label}, peak memory", "MB", alternate(memory, 1)),
    ]


def memory_of(work: Callable[[], None], logits: Tensor) -> float:
    logits.grad = None
    return megabytes(work)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("losses", nargs="*", default=LOSSES)
    parser.add_argument("--quick", action="store_true", help="small shapes: does it run?")
    parser.add_argument("--ignored", action="store_true", help="a twentieth of the rows is ignored")
    parser.add_argument("--shape", choices=SHAPES, help="one of the two alone")
    parser.add_argument("--rounds", type=int, default=7)
    chosen = parser.parse_args()
    # As after the first step of a training: glibc then keeps freed blocks of this size, and what is
    # measured is the loss, not the system's clearing of pages.
    torch.empty(31 * 2**20, dtype=torch.uint8)
    shapes, rounds = (QUICK, 2) if chosen.quick else (SHAPES, chosen.rounds)
    if chosen.shape:
        shapes = {chosen.shape: SHAPES[chosen.shape]}
    results = (
        each
        for label, shape in shapes.items()
        for name in chosen.losses
        for each in compare(name, label, shape, rounds, chosen.ignored)
    )
    publish("losses", results, keep=not chosen.quick)


if __name__ == "__main__":
    main()
