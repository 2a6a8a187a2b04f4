"""Made-up finished, failed and stopped cells on disk, and a comparison of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import yaml

from segbench.colours import class_colours
from segbench.metrics.registry import SURFACE
from segbench.metrics.scores import aggregate, score_table
from segbench.records.cells import Cell, find_cells
from segbench.records.panels import chosen_cases, draw_panel, write_panels
from segbench.records.pictures import PREDICTIONS, truths_path, write_pictures
from segbench.records.record import CONFIG, RUN, SCORES, SPLIT, write_json, write_text
from segbench.report.compare.build import compare_cells
from segbench.report.sections.comparison import Comparison

MODELS = ("unet", "unetpp", "segnet")
LOSSES = ("bce", "dice")
CLASSES = ("background", "nucleus")
HEIGHT, WIDTH, EPOCHS = 48, 64, 12
COST = ("parameters", "flops", "train_seconds", "images_per_second", "peak_memory_bytes")


def made_cells(
    folder: Path,
    models: Sequence[str] = MODELS,
    losses: Sequence[str] = LOSSES,
    seeds: Sequence[int] = (0, 1, 2),
    images: int = 20,
    classes: Sequence[str] = CLASSES,
    data: str = "synthetic",
    broken: bool = True,
) -> list[Cell]:
    """Cells in ``folder`` (as in outputs/<name>), sorted by name; 3 cells of 2 entries broken.

    Of the last model, the last loss failed with the first seed and its other seeds are not there;
    the first loss was killed with the last seed. ``broken=False`` finishes them all.
    """
    truths = _truths(images, len(classes))
    parts = _parts(images)
    for model in models:
        for loss in losses:
            for seed in seeds:
                end = _end(models, losses, seeds, model, loss, seed) if broken else "done"
                if end != "missing":
                    _write_cell(folder, model, loss, seed, classes, data, truths, parts, end)
    cells = find_cells([folder])
    ids = [case["id"] for case in parts["test"]]
    split = next(cell.split for cell in cells if cell.split)
    write_pictures(truths_path(folder, data, split), ids, zip(_inputs(truths), truths, strict=True))
    return cells


def made_comparison(folder: Path, *args: Any, **options: Any) -> Comparison:
    """The comparison of ``made_cells(folder, …)``."""
    made = compare_cells(made_cells(folder, *args, **options), [folder.name], replicates=200)
    made.command = f"python -m segbench compare name={folder.name}"
    return made


def _end(
    models: Sequence[str],
    losses: Sequence[str],
    seeds: Sequence[int],
    model: str,
    loss: str,
    seed: int,
) -> str:
    """How a cell ends."""
    if model == models[-1] and len(models) * len(losses) > 2:
        if loss == losses[-1]:
            return "failed" if seed == seeds[0] else "missing"
        if loss == losses[0] and seed == seeds[-1] and len(seeds) > 1:
            return "running"
    return "done"


def _rng(*words: Any) -> np.random.Generator:
    return np.random.default_rng([crc32(str(word).encode()) for word in words])


def _discs(centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Labels (n, H, W) of discs: centres (n, K, 2) and radii (n, K), those of 0 not there."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    labels = np.zeros((len(centres), HEIGHT, WIDTH), np.uint8)
    for k in range(radii.shape[1]):
        dy, dx = y - centres[:, k, :1, None], x - centres[:, k, 1:, None]
        labels[dy**2 + dx**2 < (radii[:, k] ** 2)[:, None, None]] = k + 1
    return labels


def _layout(n: int, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = _rng("truth", num_classes)
    centres = rng.uniform((12, 12), (HEIGHT - 12, WIDTH - 12), (n, num_classes - 1, 2))
    radii = rng.uniform(5, 13, (n, num_classes - 1))
    radii[rng.random(radii.shape) < (0.15 if num_classes > 2 else 0.03)] = 0  # some without it
    return centres.astype(np.float32), radii.astype(np.float32)


def _truths(n: int, num_classes: int) -> np.ndarray:
    return _discs(*_layout(n, num_classes))


def _inputs(truths: np.ndarray) -> np.ndarray:
    """Pictures (n, H, W, 3) in which the discs are brighter."""
    noise = _rng("input", len(truths)).integers(0, 40, (*truths.shape, 3))
    grey = (40 + 150 * (truths > 0) + 15 * truths.astype(int))[..., None]
    return np.clip(grey + noise, 0, 255).astype(np.uint8)


def _predictions(n: int, num_classes: int, model: str, loss: str, seed: int) -> np.ndarray:
    """The truth's discs, moved and swollen by what the model, loss, seed and image are worth."""
    centres, radii = _layout(n, num_classes)
    skill = _rng("skill", model).uniform(0.5, 1.6) + _rng("skill", loss).uniform(-0.2, 0.4)
    skill += 0.1 * _rng("seed", model, loss, seed).standard_normal()
    hard = _rng("hard", num_classes).exponential(1, (n, 1)).astype(np.float32) + 0.2
    taste = _rng("taste", model).lognormal(0, 0.6, (n, 1))
    rng = _rng("noise", model, loss, seed)
    size = (skill * hard * taste).astype(np.float32)
    centres = centres + size[..., None] * rng.standard_normal(centres.shape, np.float32)
    swollen = np.maximum(radii + size * rng.standard_normal(radii.shape, np.float32), 2)
    invented = rng.random(radii.shape) < 0.1
    return _discs(centres, np.where(radii > 0, swollen, np.where(invented, 3, 0)))


def _counts(truths: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """True positives, false positives, false negatives (n, C, 3)."""
    counts = np.empty((len(truths), num_classes, 3), np.int64)
    for label in range(num_classes):
        actual, found = truths == label, predictions == label
        for place, each in enumerate((actual & found, found & ~actual, actual & ~found)):
            counts[:, label, place] = each.sum(axis=(1, 2))
    return counts


def _surface(counts: np.ndarray) -> np.ndarray:
    """Surface scores (n, C, S), as far from the truth as the overlap is small."""
    tp, fp, fn = np.moveaxis(counts.astype(float), -1, 0)
    with np.errstate(invalid="ignore"):
        off = 1 - tp / (tp + fp + fn)
    missed = (tp + fp == 0) != (tp + fn == 0)
    diagonal = np.hypot(HEIGHT, WIDTH)
    scales = {"assd": 8, "hd95": 25}
    scores = [
        np.where(missed, diagonal, scales[name] * off) if name in scales else 1 - off
        for name in SURFACE
    ]
    return np.stack(scores, axis=-1)


def _parts(images: int) -> dict[str, list[dict[str, str]]]:
    numbers = {"train": range(1000, 1040), "val": range(2000, 2010), "test": range(images)}
    return {
        part: [{"id": f"image{k:04d}", "sha256": f"{k:064x}"} for k in places]
        for part, places in numbers.items()
    }


def _write_cell(
    sweep: Path,
    model: str,
    loss: str,
    seed: int,
    classes: Sequence[str],
    data: str,
    truths: np.ndarray,
    parts: dict[str, list[dict[str, str]]],
    end: str,
) -> None:
    digest = f"{crc32(f'{model} {loss} {seed}'.encode()):08x}"
    folder = sweep / f"{model}-{loss}-s{seed}-{digest}"
    folder.mkdir(parents=True)
    record = _record(model, loss, seed, digest, data, end)
    write_text(folder / CONFIG, yaml.safe_dump(_config(model, loss, seed, classes, sweep.name)))
    write_json(folder / SPLIT, {"split_seed": 0, "parts": parts})
    if end == "failed":
        record |= {"error": "SegbenchError: not enough memory: try data.batch_size=4", "epochs": 0}
    else:
        _write_curves(folder, model, loss, seed, EPOCHS if end == "done" else 5, record)
    if end == "done":
        ids = [case["id"] for case in parts["test"]]
        predictions = _predictions(len(ids), len(classes), model, loss, seed)
        counts = _counts(truths, predictions, len(classes))
        sizes = np.tile((HEIGHT, WIDTH), (len(ids), 1))
        table = score_table(ids, classes, counts, sizes, _surface(counts))
        table.to_csv(folder / SCORES, index=False)
        scores = aggregate(table, classes)
        record["metrics"] = {"val": dict(scores), "test": scores}
        write_pictures(folder / PREDICTIONS, ids, ((None, each) for each in predictions))
        _write_panels(folder, table, truths, predictions, classes)
    write_json(folder / RUN, record)


def _write_panels(
    folder: Path, table: Any, truths: np.ndarray, predictions: np.ndarray, classes: Any
) -> None:
    ids, rows, inputs = list(dict.fromkeys(table["id"])), [], _inputs(truths)
    for name, (id_, iou) in chosen_cases(table).items():
        k = ids.index(id_)
        pictures = draw_panel(inputs[k], truths[k], predictions[k], class_colours(classes))
        rows.append((f"{name}: {id_}, IoU {iou:.3f}", pictures))
    heads = ("image", "truth", "prediction", "errors: orange too much, blue missed")
    write_panels(folder / "panels" / "test.png", rows, heads)


def _record(model: str, loss: str, seed: int, digest: str, data: str, end: str) -> dict[str, Any]:
    choices = {"data": data, "augment": "none", "model": model, "loss": loss}
    choices |= {"optimizer": "adam", "scheduler": "none", "trainer": "default"}
    record: dict[str, Any] = {"status": end, "error": None, "choices": choices}
    record |= {"seed": seed, "hash": digest}
    size, noise = _rng("size", model), _rng("time", model, loss, seed)
    parameters = int(10 ** size.uniform(5.5, 7.6))
    flops = int(parameters * 10 ** size.uniform(2.5, 3.2))
    speed = 4e11 / flops * noise.uniform(0.9, 1.1)
    cost = (parameters, flops, 2000 / speed, speed, int(3e8 + parameters * 60 + flops / 20))
    record |= dict(zip(COST, cost, strict=True))
    record["environment"] = {"device": "made-up processor", "precision": "32-true", "threads": 2}
    record["environment"] |= {"python": "3.11.9", "git_commit": "0" * 40, "versions": {}}
    return record


def _config(model: str, loss: str, seed: int, classes: Sequence[str], name: str) -> dict[str, Any]:
    return {
        "name": name,
        "seed": seed,
        "data": {
            "num_classes": len(classes),
            "class_names": list(classes),
            "ignore_index": 255,
            "size": [HEIGHT, WIDTH],
            "batch_size": 8,
        },
        "model": {"_target_": f"segbench.models.{model}", "out_channels": len(classes)},
        "loss": {"_target_": f"segbench.losses.{loss}", "ignore_index": 255},
        "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.001},
        "trainer": {"max_epochs": EPOCHS, "precision": "auto"},
    }


def _write_curves(
    folder: Path, model: str, loss: str, seed: int, epochs: int, record: dict[str, Any]
) -> None:
    rng, scale = _rng("curve", model, loss, seed), _rng("scale", loss).uniform(0.3, 3)
    epoch = np.arange(1, epochs + 1)
    fall = np.exp(-epoch / 4)
    train = scale * (0.1 + fall) * rng.lognormal(0, 0.05, epochs)
    val = scale * (0.15 + fall + 0.004 * epoch) * rng.lognormal(0, 0.12, epochs)
    iou = np.clip(0.85 - fall * 0.8 + 0.03 * rng.standard_normal(epochs), 0.01, 0.99)
    rows = ["epoch,lr,train/iou,train/loss,val/iou,val/loss"]
    rows += [
        f"{epoch[k]},0.001,{iou[k] + 0.005},{train[k]},{iou[k]},{val[k]}" for k in range(epochs)
    ]
    write_text(folder / "curves.csv", "\n".join(rows) + "\n")
    record |= {"epochs": epochs, "best_epoch": int(epoch[iou.argmax()])}
