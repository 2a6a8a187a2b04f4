"""Cells' folders with scores that a test chooses, as small as they can be."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from segbench.config.identity import nested
from segbench.metrics.registry import BY_NAME, SURFACE
from segbench.metrics.scores import aggregate, score_table
from segbench.records.record import CONFIG, RUN, SCORES, SPLIT, write_json, write_text

CLASSES = ("background", "cell")


def write_cell(
    sweep: Path,
    ious: Sequence[float] = (),
    *,
    seed: int = 0,
    status: str = "done",
    split: int | None = 0,
    config: dict[str, Any] | None = None,
    tag: str = "",
    record: dict[str, Any] | None = None,
    groups: dict[str, str] | None = None,
    **choices: str,
) -> Path:
    """A cell whose test images have these IoUs, to the thousandth; NaN: a class in neither mask.

    ``split`` numbers the split, and None leaves no ``split.json``; ``config`` holds dotted keys
    and None leaves no ``config.yaml``; ``groups`` are those of the ids: "100" to "103" (train),
    "090" and "091" (val), "000" and so on (test).
    """
    choices = {"data": "synthetic", "model": "unet", "loss": "dice", "optimizer": "adam"} | choices
    folder = sweep / f"{choices['model']}-{choices['loss']}-s{seed}-{tag or len(list_of(sweep))}"
    folder.mkdir(parents=True)
    told: dict[str, Any] = {"status": status, "error": None, "choices": choices, "seed": seed}
    told |= {"best_epoch": 5, "epochs": 20, "parameters": 1000, "train_seconds": 10.0 + seed}
    told |= {"environment": {"device": "cpu", "precision": "32-true", "versions": {}}}
    if split is not None:
        cases = {"train": range(100, 104), "val": range(90, 92), "test": range(len(ious))}
        parts = {name: _cases(places, split, groups) for name, places in cases.items()}
        write_json(folder / SPLIT, {"parts": parts})
    if config is not None:
        write_text(
            folder / CONFIG, yaml.safe_dump(nested({"seed": seed, "data.seed": seed} | config))
        )
    if status == "done":
        ids = [f"{k:03d}" for k in range(len(ious))]
        counts = counts_of(np.asarray(ious, float))
        named = None if groups is None else [groups[id_] for id_ in ids]
        sizes = np.full((len(ids), 2), 50)
        table = score_table(ids, CLASSES, counts, sizes, surface_of(counts), named)
        table.to_csv(folder / SCORES, index=False)
        told["metrics"] = {"test": aggregate(table, CLASSES)}
    write_json(folder / RUN, told | (record or {}))
    return folder


def list_of(sweep: Path) -> list[Path]:
    return list(sweep.iterdir()) if sweep.is_dir() else []


def counts_of(ious: np.ndarray) -> np.ndarray:
    """Counts (n, 2, 3) of images whose foreground of 1000 pixels is hit this much."""
    there = ~np.isnan(ious)
    hit = np.rint(1000 * np.where(there, ious, 0)).astype(int)
    missed = np.where(there, 1000 - hit, 0)
    none = np.zeros_like(hit)
    ground = np.stack([np.full_like(hit, 1500), missed, none], axis=-1)
    return np.stack([ground, np.stack([hit, none, missed], axis=-1)], axis=1)


def surface_of(counts: np.ndarray) -> np.ndarray:
    """Surface scores (n, 2, S), the worse the more pixels are missed."""
    missed = counts[:, :, 1:].sum(axis=2) / 100
    there = counts.sum(axis=2) > 0
    scores = [
        k * missed if BY_NAME[name].lower_is_better else 1 / (1 + k * missed)
        for k, name in enumerate(SURFACE, start=1)
    ]
    return np.where(there[..., None], np.stack(scores, axis=-1), np.nan)


def _cases(places: range, split: int, groups: dict[str, str] | None) -> list[dict[str, str]]:
    known = groups or {}
    return [
        {"id": id_, "sha256": f"{split}-{k}", **({"group": known[id_]} if id_ in known else {})}
        for k, id_ in ((k, f"{k:03d}") for k in places)
    ]
