"""A comparison as files, tables, figures, sheets and the page, in one folder; and on the screen."""

import base64
import io
from pathlib import Path

from markupsafe import Markup, escape
from PIL import Image
from rich.console import Console

from segbench.report.comparison import Comparison, Section, as_dict
from segbench.report.exports import write_tables
from segbench.report.figures import CAPTIONS, TITLES, file_stem, write_figures
from segbench.report.grid import legend
from segbench.report.page import Figure, write_page
from segbench.report.record import write_json
from segbench.report.sheets import write_sheet
from segbench.report.terminal import across_table, cost_table, published_table, rich_table

PAGE, FIGURES = "index.html", "figures"
_SHOWN = 12  # sentences on the screen; the page has all


def write_report(comparison: Comparison, folder: Path) -> None:
    """Write the whole report into ``folder``."""
    write_json(folder / "comparison.json", as_dict(comparison))
    downloads = write_tables(comparison, folder)
    drawn = write_figures(comparison, folder / FIGURES)
    figures = [
        [Figure(each.title, each.svg, each.caption) for each in kinds.values()] for kinds in drawn
    ]
    for section, shown in zip(comparison.sections, figures, strict=True):
        stem = file_stem("sheet", section, comparison)
        sheet = write_sheet(section, comparison, folder / FIGURES / f"{stem}.png")
        if sheet:
            shown.append(Figure(TITLES["sheet"], _inlined(sheet), CAPTIONS["sheet"]))
    write_page(comparison, folder / PAGE, figures, list(downloads))


def _inlined(path: Path) -> str:
    """A picture as HTML that needs no file beside it."""
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(buffer, "WEBP", quality=80)
        size = Markup('width="{}" height="{}"').format(*image.size)
    data = base64.b64encode(buffer.getvalue()).decode()
    text = escape(CAPTIONS["sheet"])
    return Markup('<img {} alt="{}" src="data:image/webp;base64,{}">').format(size, text, data)


def print_report(comparison: Comparison, folder: Path) -> None:
    """Print tables, what was found in words, and where the rest is."""
    console = Console()
    for section in comparison.sections:
        console.print()
        console.print(rich_table(comparison, section))
        console.print(legend(comparison, section), style="italic", highlight=False)
        for table in section.published:
            console.print(f"published: {table.caption}", highlight=False, markup=False)
            console.print(published_table(table))
        console.print(cost_table(section, console.width >= 100))
        for sentence in _sentences(section):
            console.print(sentence, highlight=False, markup=False)
        for note in section.notes:
            console.print(f"note: {note}", highlight=False, markup=False)
    if comparison.across:
        console.print()
        console.print(across_table(comparison))
        console.print(f"note: {comparison.across_note}", highlight=False, markup=False)
    for what, path in (
        ("page", folder / PAGE),
        ("tables", folder / "table.md"),
        ("figures", folder / FIGURES),
    ):
        console.print(f"{what}: {path}", highlight=False, soft_wrap=True)


def _sentences(section: Section) -> list[str]:
    """What was found of the best and each of the others."""
    best = section.scored[:1]
    place = section.entries.index(best[0]) if best else -1
    found = [pair.sentence for pair in section.pairs if place in (pair.better, pair.worse)]
    left = len(found) - _SHOWN
    return found[:_SHOWN] + ([f"… and {left} more on the page"] if left > 0 else [])
