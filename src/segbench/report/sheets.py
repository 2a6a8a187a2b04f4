"""The same test images across all entries in one sheet, the worst disagreement first."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from segbench.report.comparison import Comparison, Entry, Section
from segbench.report.image_scores import class_names
from segbench.report.panels import paint_errors, paint_labels
from segbench.report.pictures import PREDICTIONS, Picture, read_pictures, truths_path
from segbench.report.record import whole_file
from segbench.report.statistics import image_means
from segbench.report.units import score_text

GAP = 6  # pixels
_WIDEST = 3200
_BREAKS = " _-·/"
_KEY = "errors: orange too much, blue missed, purple another class; below: the image's score"
Row = tuple[str, Sequence[tuple[Picture | None, str]]]


class Column(NamedTuple):
    """An entry on the sheet: its label, its pictures by id and the score of each."""

    label: str
    pictures: dict[str, Picture]
    scores: dict[str, float]


def most_disputed(section: Section) -> list[str]:
    """Ids by the standard deviation, over entries, of the image's score; the largest first.

    An entry's score of an image is its mean over seeds. Ties go by id; images with fewer than two
    scores come last.
    """
    values = np.array([image_means(entry.values) for entry in section.scored])
    there = ~np.isnan(values)
    counts = np.maximum(there.sum(axis=0), 1)
    means = np.where(there, values, 0).sum(axis=0) / counts
    spread = np.sqrt((np.where(there, values - means, 0) ** 2).sum(axis=0) / counts)
    spread[there.sum(axis=0) < 2] = -1
    order = sorted(zip(-np.round(spread, 12), section.images, strict=True))  # rounding is no order
    return [id_ for _, id_ in order]


def median_seed(entry: Entry) -> int:
    """The row of the seed with the median score, of two the lower one."""
    order = np.argsort(entry.means, kind="stable")
    return int(order[(len(order) - 1) // 2])


def write_sheet(
    section: Section, comparison: Comparison, path: Path, count: int = 12
) -> Path | None:
    """Write the sheet: a row for each image, the input, the truth, then every entry's errors.

    An entry shows its seed with the median score. None where no pictures were kept.
    """
    entries = [e for e in section.scored if e.done and e.values.shape[1] == len(section.images)]
    truths = _truths(section, most_disputed(section)[:count]) if entries else {}
    columns = [_column(section, entry, list(truths)) for entry in entries]
    columns = [column for column in columns if column.pictures]
    if not columns:
        return None
    table, config = entries[0].done[0].scores, entries[0].done[0].config
    num_classes, ignored = len(class_names(table)), int(config.get("data.ignore_index", 255))
    rows = []
    for id_, (image, truth) in truths.items():
        tiles: list[tuple[Picture | None, str]] = [
            (image, ""),
            (paint_labels(truth, num_classes, ignored), ""),
        ]
        for column in columns:
            errors = _errors(image, truth, column.pictures.get(id_), ignored)
            tiles.append((errors, score_text(column.scores[id_], comparison.score)))
        rows.append((id_, tiles))
    heads = ["input", "truth", *(column.label for column in columns)]
    with whole_file(path) as temporary:
        draw_sheet(heads, rows).save(temporary, "PNG", optimize=True)
    return path


def _truths(section: Section, ids: Sequence[str]) -> dict[str, tuple[Picture, Picture]]:
    """Image and truth of those of the ids that some sweep kept, in their order."""
    for sweep in dict.fromkeys(cell.folder.parent for e in section.scored for cell in e.done):
        found = read_pictures(truths_path(sweep, section.data, section.split), ids)
        if found:
            return {id_: (image, t) for id_, (image, t) in found.items() if image is not None}
    return {}


def _column(section: Section, entry: Entry, ids: Sequence[str]) -> Column:
    seed = median_seed(entry)
    found = read_pictures(entry.done[seed].folder / PREDICTIONS, ids)
    scores = dict(zip(section.images, entry.values[seed].tolist(), strict=True))
    return Column(entry.label, {id_: labels for id_, (_, labels) in found.items()}, scores)


def _errors(
    image: Picture, truth: Picture, prediction: Picture | None, ignored: int
) -> Picture | None:
    if prediction is None or prediction.shape != truth.shape:  # another size: another image
        return None
    return paint_errors(image, truth, prediction, ignored)


def draw_sheet(heads: Sequence[str], rows: Sequence[Row]) -> Image.Image:
    """Rows of tiles with a caption over each row, words under each tile and heads over all."""
    side = max(72, min(200, _WIDEST // len(heads) - GAP))
    points = 13 if side > 100 else 11
    font, line = ImageFont.load_default(points), round(1.35 * points)
    labels = [wrapped(head, side, font.getlength) for head in heads]
    tiles = [[_tile(picture, side) for picture, _ in row] for _, row in rows]
    heights = [max(tile.height for tile in row) for row in tiles]
    top = GAP + line * (1 + max(map(len, labels)))
    size = (GAP + len(heads) * (side + GAP), top + sum(heights) + len(rows) * (2 * line + GAP))
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, 3), _KEY, "black", font)
    for place, words in enumerate(labels):
        for k, word in enumerate(words, start=1):
            draw.text((_left(place, side), 3 + k * line), word, "black", font)
    for (caption, row), pictures, height in zip(rows, tiles, heights, strict=True):
        draw.text((GAP, top), caption, "black", font)
        for place, (tile, (_, below)) in enumerate(zip(pictures, row, strict=True)):
            sheet.paste(tile, (_left(place, side), top + line))
            draw.text((_left(place, side), top + line + tile.height), below, "black", font)
        top += height + 2 * line + GAP
    return sheet


def _left(place: int, side: int) -> int:
    return GAP + place * (side + GAP)


def _tile(picture: Picture | None, side: int) -> Image.Image:
    """A picture as wide as a tile, or as high where it is higher; light grey without one."""
    if picture is None:
        return Image.new("RGB", (side, side), (235, 235, 235))
    tile = Image.fromarray(np.ascontiguousarray(picture))
    scale = min(side / tile.width, side / tile.height)
    size = (max(1, round(tile.width * scale)), max(1, round(tile.height * scale)))
    return tile.resize(size, Image.Resampling.BILINEAR if scale < 1 else Image.Resampling.NEAREST)


def wrapped(label: str, width: float, length: Callable[[str], float]) -> list[str]:
    """A label in lines no longer than ``width``, broken after a space or a sign if there is one."""
    lines, rest = [], label
    while rest and length(rest) > width:
        fits = max(1, sum(length(rest[:k]) <= width for k in range(1, len(rest) + 1)))
        breaks = [k for k in range(1, fits + 1) if rest[k - 1] in _BREAKS]
        end = breaks[-1] if breaks else fits
        lines.append(rest[:end].strip())
        rest = rest[end:].strip()
    return [*lines, rest] if rest else lines
