"""Does segbench's training end at the studies' score? The same epochs by both, from several seeds.

    python benchmarks/score.py [--quick] [--share 0.3] [--epochs 10] [--seeds 3] [model …]

Nuclei at 96×96 in batches of 16, one recipe, each loop in its own precision and order of images;
the best epoch's IoU of the validation images, computed by the same code, and the seconds of all
epochs. A difference of the means below the spread over seeds is none.
"""

import argparse
import math
import tempfile
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, stdev

from loops import STUDIES, Contender
from made import words
from rounds import OURS, Measured, alternate, publish

NAMES = (OURS, STUDIES)


def of_seed(chosen: list[str], epochs: int, folder: Path) -> dict[str, list[dict[str, float]]]:
    """What each of the two measured in each epoch, by turns."""
    contenders = {name: Contender(name, folder / str(n), chosen) for n, name in enumerate(NAMES)}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in NAMES}

    def turn(name: str) -> float:
        found[name].append(contenders[name].measure())
        return found[name][-1]["seconds"]

    try:
        alternate({name: lambda n=name: turn(n) for name in NAMES}, epochs, warmup=0)
    finally:
        for contender in contenders.values():
            contender.end()
    return found


def compare(model: str, share: float, epochs: int, seeds: int, extra: list[str]) -> list[Measured]:
    ious: dict[str, list[float]] = {name: [] for name in NAMES}
    seconds: dict[str, list[float]] = {name: [] for name in NAMES}
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            chosen = [*words("dsb2018", folder, share), f"model={model}", f"seed={seed}", *extra]
            for name, rows in of_seed(chosen, epochs, folder).items():
                ious[name].append(max(row["iou"] for row in rows))
                seconds[name] += [row["seconds"] for row in rows[1:]]  # the first warms up
    note = {OURS: verdict(ious)}
    return [
        Measured(f"{model}, best IoU of {epochs} epochs", "", ious, True, notes=note),
        Measured(f"{model}, epoch", "s", seconds),
    ]


def verdict(ious: dict[str, list[float]]) -> str:
    """The difference of the means beside the spread over seeds."""
    difference = mean(ious[OURS]) - mean(ious[STUDIES])
    spread = max(stdev(each) if len(each) > 1 else math.nan for each in ious.values())
    return f"mean {difference:+.4f} beside the studies' loop; standard deviation {spread:.4f}"


def results(models: list[str], *options: object) -> Iterable[Measured]:
    for model in models:
        found = compare(model, *options)  # type: ignore[arg-type]
        yield from found
        print(found[0].notes[OURS], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["resnet34_unet"])
    parser.add_argument("--quick", action="store_true", help="a narrow network, a few images")
    parser.add_argument("--share", type=float, default=0.3, help="of the images")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    if chosen.quick:
        found = results(["unet"], 0.05, 2, 2, ["model.base_channels=4"])
    else:
        found = results(chosen.models, chosen.share, chosen.epochs, chosen.seeds, [])
    publish("score", found, keep=not chosen.quick, share=chosen.share)


if __name__ == "__main__":
    main()
