"""An epoch, training and validation and all, beside the studies' loop and a tight one.

    python benchmarks/epoch.py [--quick] [--share 0.1] [--tight] [model …]

664 nuclei at 96×96 in batches of 16 and 200 lesions at 256×256 in batches of 10, or a share of
them. `loops.py` holds the three: segbench's own Trainer with checkpoints and curves; the loop of
the studies (files, worker processes, fp32, NCHW, numbers to the host at each step); and a tight
loop in segbench's precision with the data in memory, which is the limit.
"""

import argparse
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from loops import DEVICE, STUDIES, TIGHT, Contender
from made import words
from rounds import OURS, Measured, alternate, publish

from segbench.hardware.device import auto_precision

MODELS = ("unet", "unetpp", "resnet34_unet")
CASES = {"nuclei 96²": "dsb2018", "lesions 256²": "ph2"}


def compare(
    model: str, label: str, share: float, rounds: int, extra: list[str], names: list[str]
) -> Measured:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        chosen = [*words(CASES[label], folder, share), f"model={model}", *extra]
        contenders = {
            name: Contender(name, folder / str(place), chosen) for place, name in enumerate(names)
        }
        turns = {name: contender.seconds for name, contender in contenders.items()}
        try:
            values = alternate(turns, rounds)
        finally:
            for contender in contenders.values():
                contender.end()
    return Measured(f"{model}, {label}, epoch", "s", values)


def results(cases: list[str], models: list[str], *options: Any) -> Iterable[Measured]:
    for label in cases:
        for model in models:
            yield compare(model, label, *options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=list(MODELS))
    parser.add_argument("--quick", action="store_true", help="narrow networks, a few images")
    parser.add_argument("--share", type=float, default=1.0, help="of the images")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", choices=CASES, help="one of the two data sets alone")
    parser.add_argument("--tight", action="store_true", help="beside the tight loop alone")
    parser.add_argument("--words", nargs="*", default=[], help="of the cell, for all three")
    chosen = parser.parse_args()
    names = [OURS, TIGHT] if chosen.tight else [OURS, STUDIES, TIGHT]
    if chosen.quick:
        found = results(list(CASES), ["unet"], 0.05, 1, ["model.base_channels=4"], names)
    else:
        cases = [chosen.case] if chosen.case else list(CASES)
        share, rounds, words = chosen.share, chosen.rounds, chosen.words
        found = results(cases, chosen.models, share, rounds, words, names)
    more = {"device": str(DEVICE), "precision": auto_precision("auto"), "share": chosen.share}
    publish("epoch-tight" if chosen.tight else "epoch", found, keep=not chosen.quick, **more)


if __name__ == "__main__":
    main()
