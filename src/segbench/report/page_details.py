"""What the page shows of one entry when it is opened: of each seed its curves, pictures, scores."""

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
from segbench.report.cells import PANELS, Cell
from segbench.report.comparison import LABELS, Entry, Section
from segbench.report.page_curves import draw_curves, frames
from segbench.report.page_tables import COSTS, OTHERS
from segbench.report.panels import CAPTION, GAP, SIDE, chosen_cases
from segbench.report.units import NONE, score_text
from segbench.report.words import listed

TILES = ("image", "truth", "prediction", "errors")
Facts = list[tuple[str, str]]


@dataclass
class Strip:
    """One test image: its tiles as data URIs, or a whole sheet where it cannot be cut."""

    caption: str
    tiles: list[str]


@dataclass
class Seed:
    """One cell."""

    cell: Cell
    anchor: str
    folder: str
    error: str = ""
    command: str = ""
    curves: list[Markup] = field(default_factory=list)
    strips: list[Strip] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)  # of the table of scores by class
    scores: list[tuple[str, list[str]]] = field(default_factory=list)
    cost: Facts = field(default_factory=list)
    environment: Facts = field(default_factory=list)


@dataclass
class Detail:
    """One entry."""

    seeds: list[Seed]
    apart: list[tuple[str, str, str]]  # key, its value, the values elsewhere
    config: str


def details(section: Section, anchors: Sequence[str], page: Path, quality: int) -> list[Detail]:
    """Of each entry what its folders say; ``page`` is what paths are relative to."""
    firsts = [next((c for c in entry.cells if c.config), None) for entry in section.entries]
    found = []
    for entry, anchor, cell in zip(section.entries, anchors, firsts, strict=True):
        others = [other.tuned for other in firsts if other and other is not cell]
        apart = _apart(cell.tuned, others) if cell else []
        lines = [f"{key}: {value}" for key, value in cell.config.items()] if cell else []
        found.append(Detail(_seeds(entry, anchor, page, quality), apart, "\n".join(lines)))
    return found


def _apart(config: dict[str, str], others: Sequence[dict[str, str]]) -> list[tuple[str, str, str]]:
    rows = []
    for key, value in config.items():
        different = sorted({other.get(key, NONE) for other in others} - {value})
        if different and key != "seed":
            rows.append((key, value, listed(different)))
    return rows


def _seeds(entry: Entry, anchor: str, page: Path, quality: int) -> list[Seed]:
    cells = sorted(entry.cells, key=lambda cell: cell.seed)
    axes = frames([cell.curves for cell in cells])
    found = []
    for place, cell in enumerate(cells):
        record = cell.record
        folder = os.path.relpath(cell.folder, page.parent)
        seed = Seed(cell, f"{anchor}-{place + 1}", folder, command=str(record.get("command", "")))
        seed.error = str(record.get("error") or "")
        seed.curves = draw_curves(cell.curves, record.get("best_epoch"), axes)
        seed.cost = _cost(record)
        seed.environment = _environment(record)
        if cell.status == "done":
            seed.heads, seed.scores = _scores(record)
            seed.strips = _strips(cell, quality)
        found.append(seed)
    return found


def _scores(record: dict[str, Any]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """By class, and their mean where there are several."""
    test = (record.get("metrics") or {}).get("test", {})
    names = [name for name in OTHERS if test.get(name) is not None]
    classes = [key.partition("/")[2] for key in test if key.startswith("iou/")]
    rows = [(each, [f"{name}/{each}" for name in names]) for each in classes]
    rows += [("mean", list(names))] if len(classes) != 1 else []
    shown = [(label, [_score(test.get(key), key) for key in keys]) for label, keys in rows]
    return [LABELS[name] for name in names], shown


def _score(value: float | None, name: str) -> str:
    return NONE if value is None else score_text(value, name)


def _cost(record: dict[str, Any]) -> Facts:
    facts = [
        (label, text(record[name]))
        for name, (label, text, _) in COSTS.items()
        if record.get(name) is not None
    ]
    epochs = record.get("epochs")
    return facts if epochs is None else [*facts, ("epochs trained", str(epochs))]


def _environment(record: dict[str, Any]) -> Facts:
    facts = dict(record.get("environment") or {})
    facts |= facts.pop("versions", None) or {}
    return [(name, str(value)) for name, value in facts.items() if value is not None]


def _strips(cell: Cell, quality: int) -> list[Strip]:
    """The best, median and worst image of ``panels/test.png``, cut into its pictures."""
    try:
        with Image.open(cell.folder / PANELS) as image:
            sheet = np.asarray(image.convert("RGB"))
        chosen = chosen_cases(cell.scores)
    except (OSError, SegbenchError):
        return []  # the page goes without them
    height, width = CAPTION + len(chosen) * (SIDE + GAP + CAPTION), len(TILES) * (SIDE + GAP) + GAP
    if sheet.shape != (height, width, 3):
        return [Strip("best, median and worst test image", [picture_uri(sheet, quality)])]
    strips = []
    for place, (name, (id_, iou)) in enumerate(chosen.items()):
        top = 2 * CAPTION + place * (SIDE + GAP + CAPTION)
        row = [sheet[top : top + SIDE, GAP + k * (SIDE + GAP) :][:, :SIDE] for k in range(4)]
        height, width = _extent(row[1])
        tiles = [picture_uri(tile[:height, :width], quality) for tile in row]
        strips.append(Strip(f"{name}: {id_}, IoU {iou:.3f}", tiles))
    return strips


def _extent(labels: np.ndarray) -> tuple[int, int]:
    """Height and width of what was pasted on the white sheet: no class is painted white."""
    rows, columns = np.nonzero((labels < 255).any(axis=2))
    return (int(rows.max()) + 1, int(columns.max()) + 1) if len(rows) else labels.shape[:2]


def picture_uri(picture: np.ndarray, quality: int) -> str:
    """A picture (H, W, 3) as a data URI."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, "WEBP", quality=quality, method=2)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
