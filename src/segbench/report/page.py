"""report/index.html: a comparison as one file that needs no network and no other file."""

import base64
import hashlib
import platform
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from segbench.report.comparison import Comparison, Entry, Section
from segbench.report.grid import make_grid
from segbench.report.page_details import details
from segbench.report.page_tables import entries_table, interval, seeds, why_not_whole
from segbench.report.record import package_version, write_text
from segbench.report.units import p_text, score_text, share_text, spread_text
from segbench.report.words import CELLS, TABLE, count

ASSETS = Path(__file__).parent
WIDE = 1600  # pixels, from which on a picture is not shrunk to the page but scrolled
MANY = 30  # cells, from which on their pictures are kept smaller
_LINK = re.compile(
    r"https?://[^\s<>()\"']*[^\s<>()\"'.,;:]|\bdoi:\s?(10\.\d{4,}/[^\s<>]*[^\s<>.,;:)])"
)


class Figure(NamedTuple):
    """A picture of a section: its HTML is put on the page as it is, title and caption escaped."""

    title: str
    html: str  # an inline <svg>, or an <img> with a data URI
    caption: str = ""


def write_page(
    comparison: Comparison,
    path: Path,
    figures: Sequence[Sequence[Figure]] = (),
    downloads: Sequence[str] = (),
) -> None:
    """Write the page, whole or not at all.

    Args:
        comparison: What to show.
        path: Where; folders and downloads are named relative to it.
        figures: Of each section its figures, in their order.
        downloads: Files beside the page to link to.
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


def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,  # names, errors and classes come from records: never trusted
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
        "why_not_whole": why_not_whole,
    }
    templates.globals |= {"interval": interval, "seeds": seeds, "count": count}
    return templates


def _view(
    comparison: Comparison,
    section: Section,
    number: int,
    figures: Sequence[Figure],
    path: Path,
    quality: int,
) -> dict[str, Any]:
    """A section as the template wants it."""
    anchors = _anchors(section, number)
    columns, rows = entries_table(comparison, section, anchors)
    drawn = [
        Figure(each.title, _framed(each, f"s{number}f{place}-"), each.caption)
        for place, each in enumerate(figures)
    ]
    places = {id(entry): anchor for entry, anchor in zip(section.entries, anchors, strict=True)}
    return {
        "number": number,
        "section": section,
        "anchors": anchors,
        "anchor_of": lambda entry: places[id(entry)],
        "figures": drawn,
        "grid": make_grid(comparison, section),
        "corner": " × ".join(" · ".join(p) for p in (comparison.rows, comparison.columns) if p),
        "columns": columns,
        "rows": rows,
        "details": details(section, anchors, path, quality),
        **_against_best(section),
        "nouns": CELLS if any(entry.cells for entry in section.entries) else TABLE,
        "hardware": _hardware(section),
    }


def _against_best(section: Section) -> dict[str, list[Entry]]:
    """The other entries: worse than the best, not told from it, and those without a test."""
    found: dict[str, list[Entry]] = {"told": [], "alike": [], "untested": []}
    for entry in section.scored[1:]:
        pair = section.pair(section.scored[0], entry)
        found["untested" if pair is None else "told" if pair.different else "alike"].append(entry)
    return found


def _anchors(section: Section, number: int) -> list[str]:
    """An id for each entry that can stand in an address."""
    found: list[str] = []
    for entry in section.entries:
        slug = re.sub(r"[^a-z0-9_]+", "-", entry.label.lower()).strip("-") or "entry"
        anchor, twin = f"s{number}-{slug}", 2
        while anchor in found:
            anchor, twin = f"s{number}-{slug}-{twin}", twin + 1
        found.append(anchor)
    return found


def _framed(figure: Figure, prefix: str) -> Markup:
    """A figure's HTML; an SVG gets a name, and a prefix to its ids: the next one has the same."""
    html = str(figure.html)  # Markup would escape what is put into it below
    html = html[max(html.find("<svg"), 0) :]
    if not html.startswith("<svg"):
        width = re.match(r"<img [^>]*width=\"(\d+)", html)
        wide = width is not None and int(width[1]) > WIDE
        return Markup(html.replace("<img", '<img class="wide"', 1) if wide else html)
    html = re.sub(r"(\sid=\")", rf"\1{prefix}", html)
    html = re.sub(r"(url\(#|href=\"#)", rf"\1{prefix}", html)
    if "role=" not in html.partition(">")[0]:
        html = html.replace("<svg", f'<svg role="img" aria-label="{escape(figure.title)}"', 1)
    return Markup(html)


def _hardware(section: Section) -> list[tuple[str, list[str]]]:
    """On what the cells ran: of each fact the values found."""
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
    """Text with its addresses and DOIs as links."""
    parts, end = [], 0
    for match in _LINK.finditer(text):
        address = f"https://doi.org/{match[1]}" if match[1] else match[0]
        parts.append(escape(text[end : match.start()]))
        parts.append(Markup('<a href="{}">{}</a>').format(address, match[0]))
        end = match.end()
    return Markup("").join([*parts, escape(text[end:])])
