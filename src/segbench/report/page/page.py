"""Writes report/index.html, one file that shows a comparison without network or other files."""

import base64
import hashlib
import platform
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from segbench.records.record import package_version, write_text
from segbench.report.compare.words import nouns_of, of_these
from segbench.report.figures.drawing import in_tags
from segbench.report.figures.registry import LEGIBLE
from segbench.report.page.details import PICTURED, TILES, details
from segbench.report.page.images import image_data
from segbench.report.page.tables import entries_table, interval, seeds, why_incomplete
from segbench.report.sections.comparison import Comparison, Entry, Pair, Section
from segbench.report.tables.grid import make_grid, rank_fields, side_row, side_tables, sign
from segbench.text.escape import visible
from segbench.text.numbers import p_text, score_text, share_text, spread_text
from segbench.text.wording import count

ASSETS = Path(__file__).parent
WIDE = 1600  # pixels; wider pictures are scrolled, not shrunk to the page
PAIRS = 1000  # with more, only the most important ones are listed
MANY = 30  # cells; with more, their pictures are compressed more
_LINK = re.compile(
    r"https?://[^\s<>()\"']*[^\s<>()\"'.,;:]|\bdoi:\s?(10\.\d{4,}/[^\s<>]*[^\s<>.,;:)])"
)


class Figure(NamedTuple):
    """A figure of a section; the page inserts ``html`` unchanged and escapes the other texts."""

    title: str
    html: str  # an inline <svg>, or an <img> with a data URI
    caption: str = ""
    entry: str = ""  # the label of the entry whose details show it; else the section shows it


def write_page(
    comparison: Comparison,
    path: Path,
    figures: Sequence[Sequence[Figure]] = (),
    downloads: Sequence[str] = (),
    across: Sequence[Figure] = (),
) -> None:
    """Write the page atomically.

    Args:
        comparison: the comparison to show.
        path: the file to write; links to folders and downloads are relative to it.
        figures: for each section its figures, in their order.
        downloads: names of files beside the page, which are linked.
        across: figures over all sections.
    """
    cells = sum(len(e.cells) for section in comparison.sections for e in section.entries)
    quality = 60 if cells > MANY else 80
    views = []
    for number, section in enumerate(comparison.sections):
        drawn = figures[number] if number < len(figures) else ()
        views.append(_view(comparison, section, number + 1, drawn, path, quality))
    anchors = {
        seed.cell.name: seed.anchor
        for view in views
        for each in view["details"]
        for seed in each.seeds
    }
    script = (ASSETS / "page.js").read_text(encoding="utf-8")
    text = (
        _templates()
        .get_template("page.html")
        .render(
            comparison=comparison,
            views=views,
            anchors=anchors,
            cells=cells,
            downloads=downloads,
            across_figures=[
                each._replace(html=_framed(each, f"a{number}-"))
                for number, each in enumerate(across)
            ],
            versions={
                "segbench": package_version("segbench") or "from a checkout",
                "Python": platform.python_version(),
            },
            style=Markup((ASSETS / "page.css").read_text(encoding="utf-8")),
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )
    write_text(path, text)


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(ASSETS),
        # names, errors and classes come from records, which are not trusted
        autoescape=True,
        finalize=lambda value: visible(value, keep="\n\t") if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "score": score_text,
        "spread": spread_text,
        "share": share_text,
        "p": p_text,
        "linked": _linked,
        "why_incomplete": why_incomplete,
    }
    templates.globals |= {"interval": interval, "seeds": seeds, "count": count, "sign": sign}
    templates.globals |= {"TILES": TILES, "LEGIBLE": LEGIBLE, "PICTURED": PICTURED}
    templates.globals |= {"side_tables": side_tables, "side_row": side_row}
    return templates


def _view(
    comparison: Comparison,
    section: Section,
    number: int,
    figures: Sequence[Figure],
    path: Path,
    quality: int,
) -> dict[str, Any]:
    """The values of a section for the template."""
    anchors = _anchors(section, number)
    columns, rows = entries_table(comparison, section, anchors)
    drawn = [
        each._replace(html=_framed(each, f"s{number}f{index}-"))
        for index, each in enumerate(figures)
    ]
    by_id = {id(entry): anchor for entry, anchor in zip(section.entries, anchors, strict=True)}
    return {
        "number": number,
        "section": section,
        "anchors": anchors,
        "anchor_of": lambda entry: by_id[id(entry)],
        "figures": [each for each in drawn if not each.entry],
        "panels": {each.entry: each for each in drawn if each.entry},
        "rank_fields": rank_fields(comparison, section),
        "grid": make_grid(comparison, section),
        "corner": " × ".join(" · ".join(p) for p in (comparison.rows, comparison.columns) if p),
        "columns": columns,
        "rows": rows,
        "best": section.best,
        "pairs": _shown_pairs(section),
        "details": details(section, anchors, path, quality),
        "images": image_data(section, comparison, len(comparison.sections)),
        **_against_best(section),
        "nouns": nouns_of(section),
        "of_these": of_these(section),
        "hardware": _hardware(section),
    }


def _shown_pairs(section: Section) -> list[Pair]:
    """All pairs; if they are many, those of the best entry and those of the best entries."""
    if len(section.pairs) <= PAIRS:
        return section.pairs
    return [
        pair
        for pair in section.pairs
        if min(pair.better, pair.worse) == 0 or max(pair.better, pair.worse) < LEGIBLE
    ]


def _against_best(section: Section) -> dict[str, list[Entry]]:
    """The other entries: worse than the best, alike, equivalent to it, and not tested."""
    found: dict[str, list[Entry]] = {"worse": [], "alike": [], "equal": [], "untested": []}
    for entry in section.scored[1:] if section.best else []:
        pair = section.pair(section.scored[0], entry)
        if pair is None:
            found["untested"].append(entry)
        elif pair.different and section.entries[pair.worse] is entry:
            found["worse"].append(entry)
        else:
            found["equal" if pair.equivalent else "alike"].append(entry)
    return found


def _anchors(section: Section, number: int) -> list[str]:
    """A unique HTML id for each entry, which is valid in a URL."""
    found: list[str] = []
    for entry in section.entries:
        slug = re.sub(r"[^a-z0-9_]+", "-", entry.label.lower()).strip("-") or "entry"
        anchor, twin = f"s{number}-{slug}", 2
        while anchor in found:
            anchor, twin = f"s{number}-{slug}-{twin}", twin + 1
        found.append(anchor)
    return found


def _framed(figure: Figure, prefix: str) -> Markup:
    """A figure's HTML; an SVG gets a label, and a prefix that makes its ids unique on the page."""
    html = str(figure.html)  # a str, because Markup would escape the replacements below
    html = html[max(html.find("<svg"), 0) :]
    if not html.startswith("<svg"):
        width = re.match(r"<img [^>]*width=\"(\d+)", html)
        wide = width is not None and int(width[1]) > WIDE
        return Markup(html.replace("<img", '<img class="wide"', 1) if wide else html)
    html = in_tags(html, lambda tag: re.sub(r"(\sid=\"|url\(#|href=\"#)", rf"\1{prefix}", tag))
    if "role=" not in html.partition(">")[0]:
        html = html.replace("<svg", f'<svg role="img" aria-label="{escape(figure.title)}"', 1)
    return Markup(html)


def _hardware(section: Section) -> list[tuple[str, list[str]]]:
    """The hardware and versions with which the cells ran: for each fact its values."""
    facts: dict[str, dict[str, None]] = {"device": {}, "precision": {}, "torch": {}, "commit": {}}
    for cell in (cell for entry in section.entries for cell in entry.done):
        found = cell.record.get("environment") or {}
        known = {**found, "torch": (found.get("versions") or {}).get("torch")}
        known["commit"] = str(found.get("git_commit") or "")[:8]
        for name in facts:
            if known.get(name):
                facts[name][str(known[name])] = None
    return [(name, list(values)) for name, values in facts.items() if values]


def _linked(text: str) -> Markup:
    """Escaped text in which URLs and DOIs are links."""
    text = visible(text)
    parts, end = [], 0
    for match in _LINK.finditer(text):
        address = f"https://doi.org/{match[1]}" if match[1] else match[0]
        parts.append(escape(text[end : match.start()]))
        parts.append(Markup('<a href="{}">{}</a>').format(address, match[0]))
        end = match.end()
    return Markup("").join([*parts, escape(text[end:])])
