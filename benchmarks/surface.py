"""The surface scores of a pair of masks, beside MONAI, MedPy and DeepMind's surface-distance.

    python benchmarks/surface.py [--quick]

segbench gives ASSD, HD95, NSD and Boundary IoU, each of the others what it knows of the first
three (MedPy knows no NSD). MONAI's and DeepMind's
are held against ours; MedPy's ASSD and HD95 average the two directions in another way.
`pip install surface-distance` brings DeepMind's along.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import torch
from medpy.metric.binary import assd, hd95
from monai.metrics import (
    compute_average_surface_distance,
    compute_hausdorff_distance,
    compute_surface_dice,
)
from numpy.typing import NDArray
from rounds import OURS, Measured, alternate, publish

from segbench.metrics.registry import mask_scores

Mask = NDArray[np.bool_]
Scores = Callable[[Mask, Mask], tuple[float, ...]]
SIZES = {"96×96": (96, 96), "256×256": (256, 256), "768×560": (560, 768)}
PAIRS = 8


def by_monai(prediction: Mask, truth: Mask) -> tuple[float, ...]:
    p, g = (torch.from_numpy(mask)[None, None] for mask in (prediction, truth))
    options = {"include_background": True}
    return (
        compute_average_surface_distance(p, g, symmetric=True, **options).item(),
        compute_hausdorff_distance(p, g, percentile=95, **options).item(),
        compute_surface_dice(p, g, class_thresholds=[2.0], **options).item(),
    )


def by_medpy(prediction: Mask, truth: Mask) -> tuple[float, ...]:
    return assd(prediction, truth), hd95(prediction, truth)


def by_deepmind() -> Scores | None:
    try:
        import surface_distance.metrics as theirs
    except ImportError:
        print("surface-distance is not installed: pip install surface-distance")
        return None

    def scores(prediction: Mask, truth: Mask) -> tuple[float, ...]:
        found = theirs.compute_surface_distances(truth, prediction, (1.0, 1.0))
        both = theirs.compute_average_surface_distance(found)
        robust = theirs.compute_robust_hausdorff(found, 95)
        return (*both, robust, theirs.compute_surface_dice_at_tolerance(found, 2.0))

    return scores


def pair(size: tuple[int, int], seed: int) -> tuple[Mask, Mask]:
    """Blobs as nuclei and lesions have them, and a prediction that is nearly right."""
    generator = np.random.default_rng(seed)
    wide = min(size) / (12 if seed % 2 else 4)  # many small ones, or few large ones
    truth, error = (
        cv2.GaussianBlur(generator.normal(size=size), (0, 0), sigma) * sigma
        for sigma in (wide, min(size) / 24)
    )
    return truth + 0.2 * error > 0.25, truth > 0.25


def check_values(contenders: dict[str, Scores], pairs: list[tuple[Mask, Mask]]) -> dict[str, str]:
    """The largest difference from ours, for each that defines the three scores as we do."""
    notes = {}
    for name, scores in contenders.items():
        ours, theirs = (
            np.array([each(*masks) for masks in pairs]) for each in (mask_scores, scores)
        )
        if theirs.shape[1] == 3:
            notes[name] = f"largest difference {np.abs(theirs - ours[:, :3]).max(axis=0).tolist()}"
    return notes


def milliseconds(scores: Scores, pairs: list[tuple[Mask, Mask]]) -> float:
    start = time.perf_counter()
    for masks in pairs:
        scores(*masks)
    return 1000 * (time.perf_counter() - start) / len(pairs)


def compare(label: str, size: tuple[int, int], rounds: int) -> Measured:
    pairs = [pair(size, seed) for seed in range(PAIRS)]
    contenders: dict[str, Scores] = {OURS: mask_scores, "MONAI": by_monai, "MedPy": by_medpy}
    if deepmind := by_deepmind():
        contenders["DeepMind"] = deepmind
    turns = {name: partial(milliseconds, scores, pairs) for name, scores in contenders.items()}
    result = Measured(f"surface scores {label}", "ms", alternate(turns, rounds))
    result.notes = check_values(contenders, pairs)
    return result


def main() -> None:
    warnings.simplefilter("ignore")  # MONAI calls what it deprecated itself
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small masks: does it run?")
    parser.add_argument("--rounds", type=int, default=9)
    chosen = parser.parse_args()
    sizes = {"96×96": SIZES["96×96"]} if chosen.quick else SIZES
    rounds = 1 if chosen.quick else chosen.rounds
    publish("surface", (compare(*each, rounds) for each in sizes.items()), keep=not chosen.quick)


if __name__ == "__main__":
    main()
