"""The details of an entry on the page: for each seed its curves, pictures and scores."""

import base64
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from segbench.errors import SegbenchError
from segbench.metrics.registry import find_score
from segbench.records.cells import PANELS, Cell
from segbench.records.files import MEGABYTE, read_bytes
from segbench.records.panels import chosen_cases, cut_panels, fitted
from segbench.report.figures.drawing import svg_text
from segbench.report.figures.entry_curves import entry_curves
from segbench.report.page.tables import OTHERS
from segbench.report.sections.comparison import Entry, Section
from segbench.report.sections.costs import COSTS
from segbench.text.numbers import NONE, score_text
from segbench.text.wording import listed

PANELS_LIMIT, PANELS_PIXELS = 64 * MEGABYTE, 2**24
DRAWN = 12  # entries with curves of their own, the best ones; each takes a tenth of a second
PICTURED = 100  # cells with pictures, those of the best entries; each adds up to 80 kB
TILES = ("image", "truth", "prediction", "errors", "entropy")  # older cells lack the last
TILE = 144  # pixels of a tile's longer side, on a page of many cells
Facts = list[tuple[str, str]]


@dataclass
class Strip:
    """The tiles of a test image as data URIs, or a whole sheet if it cannot be cut."""

    caption: str
    tiles: list[str]


@dataclass
class Seed:
    """A cell of an entry, with its texts and pictures for the page."""

    cell: Cell
    anchor: str
    folder: str
    error: str = ""
    command: str = ""
    unshown: bool = False  # whether it has pictures that the page does not show
    strips: list[Strip] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)  # titles of the table of scores by class
    scores: list[tuple[str, list[str]]] = field(default_factory=list)
    cost: Facts = field(default_factory=list)
    environment: Facts = field(default_factory=list)


@dataclass
class Detail:
    """An entry: its seeds, its differing options and its configuration."""

    seeds: list[Seed]
    apart: list[tuple[str, str, str]]  # key, its value, the values of other entries
    config: str
    curves: str = ""  # an SVG
    # rows of the confusion matrix: a true class, and for each predicted class the share of its
    # pixels as text, and as a number from 0 to 1
    confusion: list[tuple[str, list[tuple[str, float]]]] = field(default_factory=list)


def details(section: Section, anchors: Sequence[str], page: Path, quality: int) -> list[Detail]:
    """The details of each entry, from its cells' folders; paths are relative to ``page``."""
    firsts = [next((c for c in entry.cells if c.config), None) for entry in section.entries]
    found: list[Detail] = []
    for entry, anchor, cell in zip(section.entries, anchors, firsts, strict=True):
        others = [other.tuned for other in firsts if other and other is not cell]
        apart = _apart(cell.tuned, others) if cell else []
        lines = [f"{key}: {value}" for key, value in cell.config.items()] if cell else []
        figure = None
        if len(found) < DRAWN:
            figure = entry_curves(entry, f"Training of {entry.label}, {section.data}")
        curves = Markup(svg_text(figure)) if figure else ""
        shown = sum(len(each.seeds) for each in found)
        seeds = _seeds(entry, anchor, page, quality, PICTURED - shown)
        confusion = _confusion(entry)
        found.append(Detail(seeds, apart, "\n".join(lines), curves, confusion))
    return found


def _confusion(entry: Entry) -> list[tuple[str, list[tuple[str, float]]]]:
    """The share of each true class's pixels that each class was predicted for, over all cells."""
    tables = [cell.confusion for cell in entry.done]
    tables = [table for table in tables if not table.empty]
    if not tables or any(not table.columns.equals(tables[0].columns) for table in tables):
        return []
    pixels = np.sum([table.to_numpy() for table in tables], axis=0)
    shares = pixels / np.maximum(pixels.sum(axis=1, keepdims=True), 1)
    return [
        (str(name), [(f"{100 * share:.1f}" if share else "", float(share)) for share in row])
        for name, row in zip(tables[0].index, shares.tolist(), strict=True)
    ]


def _apart(config: dict[str, str], others: Sequence[dict[str, str]]) -> list[tuple[str, str, str]]:
    rows = []
    for key, value in config.items():
        different = sorted({other.get(key, NONE) for other in others} - {value})
        if different and key != "seed":
            rows.append((key, value, listed(different)))
    return rows


def _seeds(entry: Entry, anchor: str, page: Path, quality: int, pictured: int) -> list[Seed]:
    cells = sorted(entry.cells, key=lambda cell: cell.repeat)
    found = []
    for number, cell in enumerate(cells, 1):
        record = cell.record
        folder = os.path.relpath(cell.folder, page.parent)
        seed = Seed(cell, f"{anchor}-{number}", folder, command=str(record.get("command", "")))
        seed.error = cell.damage or str(record.get("error") or "")
        seed.cost = _cost(record)
        seed.environment = _environment(record)
        if cell.status == "done":
            seed.heads, seed.scores = _scores(cell.averages)
            seed.strips = _strips(cell, quality) if number <= pictured else []
            seed.unshown = number > pictured and cell.has(PANELS)
        found.append(seed)
    return found


def _scores(test: dict[str, float | None]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Titles and rows of the scores by class, with their mean if there are several classes."""
    names = [score.name for score in OTHERS if test.get(score.name) is not None]
    classes = [key.partition("/")[2] for key in test if key.startswith("iou/")]
    rows = [(each, [f"{name}/{each}" for name in names]) for each in classes]
    rows += [("mean", list(names))] if len(classes) != 1 else []
    shown = [(label, [_score(test.get(key), key) for key in keys]) for label, keys in rows]
    return [find_score(name).title for name in names], shown


def _score(value: float | None, name: str) -> str:
    return NONE if value is None else score_text(value, name)


def _cost(record: dict[str, Any]) -> Facts:
    known = [cost for cost in COSTS if record.get(cost.key) is not None]
    return [(cost.label, cost.text(record[cost.key])) for cost in known]


def _environment(record: dict[str, Any]) -> Facts:
    facts = dict(record.get("environment") or {})
    facts |= facts.pop("versions", None) or {}
    return [(name, str(value)) for name, value in facts.items() if value is not None]


def _strips(cell: Cell, quality: int) -> list[Strip]:
    """The best, median and worst image of ``panels/test.png``, cut into tiles."""
    try:
        content = read_bytes(cell.folder / PANELS, PANELS_LIMIT)
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > PANELS_PIXELS:
                return []
            sheet, rows = np.asarray(image.convert("RGB")), cut_panels(image)
        chosen = chosen_cases(cell.image_scores)
    except (OSError, SegbenchError, ValueError, TypeError, SyntaxError):
        return []  # damaged, for which Pillow raises SyntaxError; the page omits them
    if len(rows) != len(chosen):  # written by an older version
        return [Strip("best, median and worst test image", [picture_uri(sheet, quality)])]
    return [
        Strip(f"{name}: {id_}, IoU {iou:.3f}", [_tile_uri(tile, quality) for tile in row])
        for row, (name, (id_, iou)) in zip(rows, chosen.items(), strict=True)
    ]


def _tile_uri(tile: np.ndarray, quality: int) -> str:
    """A tile as a data URI; with many cells on the page (a low quality) it is smaller."""
    side = TILE if quality < 80 else max(tile.shape)
    return picture_uri(np.asarray(fitted(tile, side)) if max(tile.shape) > side else tile, quality)


def picture_uri(picture: np.ndarray, quality: int) -> str:
    """A picture ``(H, W, 3)`` uint8 as a data URI."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, "WEBP", quality=quality, method=2)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
