"""Prints a cell's scores and cost as tables on the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from segbench.metrics.registry import BY_NAME, OF_PROBABILITIES, OF_SKELETONS, REGISTRY, Score
from segbench.records.record import SCORES, Record, part_scores, scored_part
from segbench.text.numbers import score_text
from segbench.text.screen import console

HEADLINE = [score for score in REGISTRY if score.headline]
FURTHER = {
    "objects": [score for score in REGISTRY if score.of_objects and score.shown],
    "skeletons": [BY_NAME[name] for name in OF_SKELETONS],
    "probabilities": [BY_NAME[name] for name in OF_PROBABILITIES],
}


def scores_tables(record: Record) -> list[Table]:
    """A table of a cell's scores, and one of each kind of further scores that it has.

    Each has a row for the mean, and one for each of several classes.
    """
    test = part_scores(record)
    title = f"{scored_part(record)} scores at the original resolution"
    found = [_table(title, HEADLINE, test)]
    for kind, scores in FURTHER.items():
        if columns := [score for score in scores if score.name in test]:
            found.append(_table(kind, columns, test))
    return found


def _table(title: str, columns: Sequence[Score], test: dict[str, float | None]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("class")
    for score in columns:
        table.add_column(score.heading or f"{score.label} {score.unit}".strip(), justify="right")
    classes = [key.split("/", 1)[1] for key in test if key.startswith("iou/")]
    for name in classes if len(classes) > 1 else []:
        if any(f"{score.name}/{name}" in test for score in columns):
            table.add_row(name, *_scores(test, columns, f"/{name}"))
    label = classes[0] if len(classes) == 1 else "mean"
    table.add_row(label, *_scores(test, columns), style="bold")
    return table


def _scores(
    test: dict[str, float | None], columns: Sequence[Score], of_class: str = ""
) -> list[str]:
    return [score_text(test.get(score.name + of_class), score.name) for score in columns]


def _by_part(record: Record) -> str:
    """IoU and loss of each part, such as ``val IoU 0.8312, loss 0.2101; test IoU …``."""
    texts = []
    for part, found in record["metrics"].items():
        loss = f", loss {score_text(found['loss'], 'loss')}" if "loss" in found else ""
        texts.append(f"{part} IoU {score_text(found.get('iou'))}{loss}")
    return "; ".join(texts)


def _gflops(record: Record) -> str:
    flops = record.get("flops")
    return "" if flops is None else f"{flops / 1e9:.2f} GFLOPs an image; "


def print_result(record: Record, folder: Path) -> None:
    """Print a finished cell's test scores, its cost and the paths of its files."""
    screen = console()
    screen.print(*scores_tables(record), sep="\n")
    screen.print(
        f"{_by_part(record)}; epoch "
        f"{record['best_epoch']} of {record['epochs']}; {record['parameters']:,} parameters, "
        f"{_gflops(record)}trained {record['train_seconds']:.0f} s at "
        f"{record['images_per_second']:.0f} images/s, "
        f"{record['environment']['precision']} on {record['environment']['device']}"
    )
    for what, path in (
        ("record", folder / "run.json"),
        ("scores of each image", folder / SCORES),
        ("best, median and worst image", folder / "panels" / "test.png"),
        ("weights", folder / "checkpoints" / "best.ckpt"),
        ("curves", folder / "tensorboard"),
    ):
        if path.exists():
            screen.print(f"{what}: {path}", soft_wrap=True)
