"""Writes a comparison into a folder (tables, figures, sheets, page), and prints it."""

import base64
import io
from pathlib import Path

from markupsafe import Markup, escape
from PIL import Image

from segbench.records.record import write_json
from segbench.report.figures.image_panels import write_image_panels
from segbench.report.figures.registry import IMAGES, SHEET, file_stem, write_across, write_figures
from segbench.report.figures.sheets import write_sheet
from segbench.report.figures.track import Track, no_progress
from segbench.report.page.page import Figure, write_page
from segbench.report.sections.as_json import as_dict
from segbench.report.sections.comparison import Comparison, Section
from segbench.report.tables.exports import write_tables
from segbench.report.tables.grid import legend
from segbench.report.tables.terminal import (
    across_table,
    cost_table,
    interval_table,
    published_table,
    rank_table,
    rich_table,
    tables_beside,
)
from segbench.text.screen import console

PAGE, FIGURES = "index.html", "figures"
_SHOWN = 12  # the most sentences, and rows of images, in the terminal; the page has all


def write_report(comparison: Comparison, folder: Path, track: Track = no_progress) -> None:
    """Write the whole report into ``folder``.

    Args:
        comparison: the comparison to report.
        folder: the folder to write to; it is created if it does not exist.
        track: shows the progress of drawing, see `segbench.report.figures.track`.
    """
    write_json(folder / "comparison.json", as_dict(comparison))
    downloads = write_tables(comparison, folder)
    drawn = write_figures(comparison, folder / FIGURES, track)
    figures = [
        [Figure(each.title, each.svg, each.caption) for each in kinds.values()] for kinds in drawn
    ]
    for section, shown in zip(comparison.sections, figures, strict=False):
        stem = file_stem("sheet", section, comparison)
        sheet = write_sheet(section, comparison, folder / FIGURES / f"{stem}.png")
        if sheet:
            shown.append(Figure(SHEET.title, _inlined(sheet, SHEET.caption), SHEET.caption))
        stem = file_stem(IMAGES.name, section, comparison)
        panels = write_image_panels(section, comparison, folder / FIGURES, stem)
        shown += [
            Figure(IMAGES.title, _inlined(path, IMAGES.caption), IMAGES.caption, label)
            for label, path in panels.items()
        ]
    across = write_across(comparison, folder / FIGURES)
    over_all = [Figure(each.title, each.svg, each.caption) for each in across]
    write_page(comparison, folder / PAGE, figures, list(downloads), over_all)


def _inlined(path: Path, caption: str) -> str:
    """A picture as an HTML image that contains its data."""
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(buffer, "WEBP", quality=80)
        size = Markup('width="{}" height="{}"').format(*image.size)
    data = base64.b64encode(buffer.getvalue()).decode()
    text = escape(caption)
    return Markup('<img {} alt="{}" src="data:image/webp;base64,{}">').format(size, text, data)


def print_report(comparison: Comparison, folder: Path) -> None:
    """Print the tables, sentences and notes of a comparison, and the paths of its files."""
    screen = console()
    for section in comparison.sections:
        screen.print()
        screen.print(rich_table(comparison, section))
        screen.print(legend(comparison, section), style="italic")
        for published in section.published:
            screen.print(f"published: {published.caption}")
            screen.print(published_table(published))
        if section.published:
            screen.print(rank_table(comparison, section, _SHOWN))
        screen.print(interval_table(section))
        for table in tables_beside(section):
            screen.print(table)
        if costs := cost_table(section, screen.width >= 100):
            screen.print(costs)
        for sentence in _sentences(section):
            screen.print(sentence)
        for note in section.notes:
            screen.print(f"note: {note}")
    if comparison.across:
        screen.print()
        screen.print(across_table(comparison))
        screen.print(f"note: {comparison.across_note}")
    for note in comparison.left_out:
        screen.print(f"note: {note}")
    for what, path in (
        ("page", folder / PAGE),
        ("tables", folder / "table.md"),
        ("figures", folder / FIGURES),
    ):
        screen.print(f"{what}: {path}", soft_wrap=True)


def _sentences(section: Section) -> list[str]:
    """The sentences on the best entry and each of the others; on all without a ranking."""
    best = [section.entries.index(entry) for entry in section.best[:1]]
    pairs = [p for p in section.pairs if not best or best[0] in (p.better, p.worse)]
    found = [pair.sentence for pair in pairs]
    left = len(found) - _SHOWN
    return found[:_SHOWN] + ([f"… and {left} more on the page"] if left > 0 else [])
