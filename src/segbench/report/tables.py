"""Tables of records for the terminal."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from segbench.report.record import SCORES, Record

HEADLINE = (
    ("iou", "IoU"),
    ("dice", "Dice"),
    ("iou_dataset", "IoU, data set"),
    ("assd", "ASSD px"),
    ("hd95", "HD95 px"),
    ("nsd", "NSD"),
)


def number(value: float | None, digits: int = 4) -> str:
    """A score for a person to read; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def scores_table(record: Record) -> Table:
    """The test scores of a cell: one row for the mean and, where there are several, each class."""
    test = record["metrics"]["test"]
    table = Table(title="test scores at the original resolution", title_justify="left")
    table.add_column("class")
    for _, label in HEADLINE:
        table.add_column(label, justify="right")
    classes = [key.split("/", 1)[1] for key in test if key.startswith("iou/")]
    for name in classes if len(classes) > 1 else []:
        table.add_row(name, *(number(test.get(f"{key}/{name}")) for key, _ in HEADLINE))
    label = "mean" if len(classes) > 1 else classes[0]
    table.add_row(label, *(number(test.get(key)) for key, _ in HEADLINE), style="bold")
    return table


def print_result(record: Record, folder: Path) -> None:
    """Print a finished cell's test scores, its cost and where its files lie."""
    console = Console()
    console.print(scores_table(record))
    console.print(
        f"val IoU {number(record['metrics']['val'].get('iou'))} at epoch {record['best_epoch']} "
        f"of {record['epochs']}; {record['parameters']:,} parameters, "
        f"{record['flops'] / 1e9:.2f} GFLOPs an image; trained {record['train_seconds']:.0f} s at "
        f"{record['images_per_second']:.0f} images/s, "
        f"{record['environment']['precision']} on {record['environment']['device']}",
        highlight=False,
    )
    for what, path in (
        ("record", folder / "run.json"),
        ("scores of each image", folder / SCORES),
        ("best, median and worst image", folder / "panels" / "test.png"),
        ("weights", folder / "checkpoints" / "best.ckpt"),
        ("curves", folder / "tensorboard"),
    ):
        if path.exists():
            console.print(f"{what}: {path}", highlight=False, soft_wrap=True)
