"""What the doctor found, for the terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

_SHOWN = 20  # problems of each kind


def print_check(found: dict[str, Any]) -> None:
    """Print a table of the parts, one of their classes, and the problems line by line."""
    console = Console()
    console.print(parts_table(found["parts"]))
    console.print(classes_table(found["parts"]))
    by_kind: dict[tuple[str, str], list[str]] = {}
    for problem in found["problems"]:
        by_kind.setdefault((problem["severity"], problem["kind"]), []).append(problem["message"])
    for (severity, kind), messages in by_kind.items():
        console.print(f"{severity}, {kind}: {len(messages)}", style="bold", highlight=False)
        for message in messages[:_SHOWN]:
            console.print(f"  {message}", highlight=False, markup=False, soft_wrap=True)
        if len(messages) > _SHOWN:
            console.print(f"  … and {len(messages) - _SHOWN} more in check.json", highlight=False)


def parts_table(parts: dict[str, Any]) -> Table:
    """Cases, sizes and file kinds of all and of each part."""
    table = Table(title="cases", title_justify="left")
    table.add_column("part")
    table.add_column("cases", justify="right")
    table.add_column("sizes (width x height)")
    table.add_column("stored as")
    for name, part in parts.items():
        row = (str(part["cases"]), _most(part["sizes"]), _most(part["stored"]))
        table.add_row(name, *row)
    return table


def _most(tally: dict[str, int], shown: int = 2) -> str:
    words = [f"{word} ({count})" for word, count in tally.items()]
    if len(words) > shown + 1:
        words[shown:] = [f"{len(words) - shown} others"]
    return ", ".join(words)


def classes_table(parts: dict[str, Any]) -> Table:
    """Of each class its share of the pixels and the number of images that show it."""
    table = Table(title="classes: share of the pixels, images with it", title_justify="left")
    table.add_column("class")
    for name in parts:
        table.add_column(name, justify="right")
    for label in parts["all"]["classes"]:
        shown = [part["classes"].get(label, {"share": 0, "images": 0}) for part in parts.values()]
        table.add_row(label, *(f"{each['share']:.2%} {each['images']:>5}" for each in shown))
    return table
