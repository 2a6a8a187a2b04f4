"""Cells' folders with scores that a test chooses, as small as they can be."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from segbench.metrics.scores import aggregate, score_table
from segbench.report.record import CONFIG, RUN, SCORES, SPLIT, write_json, write_text

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
    **choices: str,
) -> Path:
    """A cell whose test images have these IoUs, to the thousandth; NaN: a class in neither mask.

    ``split`` numbers the split, and None leaves no ``split.json``; ``config`` holds dotted keys
    and None leaves no ``config.yaml``.
    """
    choices = {"data": "synthetic", "model": "unet", "loss": "dice", "optimizer": "adam"} | choices
    folder = sweep / f"{choices['model']}-{choices['loss']}-s{seed}-{tag or len(list_of(sweep))}"
    folder.mkdir(parents=True)
    told: dict[str, Any] = {"status": status, "error": None, "choices": choices, "seed": seed}
    told |= {"best_epoch": 5, "epochs": 20, "parameters": 1000, "train_seconds": 10.0 + seed}
    told |= {"environment": {"device": "cpu", "precision": "32-true", "versions": {}}}
    if split is not None:
        cases = {"train": range(100, 104), "val": range(90, 92), "test": range(len(ious))}
        write_json(folder / SPLIT, {"parts": {k: _cases(v, split) for k, v in cases.items()}})
    if config is not None:
        write_text(
            folder / CONFIG, yaml.safe_dump(nested({"seed": seed, "data.seed": seed} | config))
        )
    if status == "done":
        ids = [f"{k:03d}" for k in range(len(ious))]
        counts = counts_of(np.asarray(ious, float))
        table = score_table(ids, CLASSES, counts, np.full((len(ids), 2), 50), surface_of(counts))
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
    """Distances (n, 2, 3) that grow with the pixels missed."""
    missed = counts[:, :, 1:].sum(axis=2) / 100
    there = counts.sum(axis=2) > 0
    return np.where(
        there[..., None], np.stack([missed, 2 * missed, 1 / (1 + missed)], axis=-1), np.nan
    )


def nested(dotted: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, value in dotted.items():
        *path, last = key.split(".")
        node = plain
        for part in path:
            node = node.setdefault(part, {})
        node[last] = value
    return plain


def _cases(places: range, split: int) -> list[dict[str, str]]:
    return [{"id": f"{k:03d}", "sha256": f"{split}-{k}"} for k in places]
