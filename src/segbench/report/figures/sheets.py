"""Writes contact sheets that show the same test images for all entries of a section."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from segbench.arrays import Values
from segbench.colours import ClassColours, class_colours
from segbench.records.cells import Cell
from segbench.records.panels import (
    Legend,
    draw_legend,
    errors_key,
    fitted,
    paint_errors,
    paint_labels,
    placed_legend,
)
from segbench.records.pictures import PREDICTIONS, Picture, read_pictures, truths_path
from segbench.records.record import atomic_write
from segbench.report.sections.comparison import Comparison, Entry, Section
from segbench.report.sections.image_scores import class_names
from segbench.report.statistics.means import image_means
from segbench.text.escape import visible
from segbench.text.numbers import score_text

GAP = 6  # pixels between tiles
_WIDEST = 3200
_BREAKS = " _-·/"
Row = tuple[str, Sequence[tuple[Picture | None, str]]]


class Column(NamedTuple):
    """An entry on the sheet: its label, its pictures by id and the score of each."""

    label: str
    pictures: dict[str, Picture]
    scores: dict[str, float]


def most_disputed(section: Section) -> list[str]:
    """The ids of images, sorted by the standard deviation of their score over entries, descending.

    An entry's score of an image is the mean over its seeds. Ties are sorted by id; images with
    fewer than two scores are last.
    """
    values = np.array(means_by_image(section.scored))
    there = ~np.isnan(values)
    counts = np.maximum(there.sum(axis=0), 1)
    means = np.where(there, values, 0).sum(axis=0) / counts
    spread = np.sqrt((np.where(there, values - means, 0) ** 2).sum(axis=0) / counts)
    spread[there.sum(axis=0) < 2] = -1
    order = sorted(
        zip(-np.round(spread, 12), section.images, strict=True)
    )  # so that rounding errors do not affect the order
    return [id_ for _, id_ in order]


def means_by_image(entries: Sequence[Entry]) -> list[Values]:
    """For each entry the mean over its seeds of each image's score, (n,)."""
    return [image_means(entry.values) for entry in entries]


def median_seed(entry: Entry) -> int:
    """The row of the seed with the median score, or the lower of the two middle ones."""
    order = np.argsort(entry.means, kind="stable")
    return int(order[(len(order) - 1) // 2])


def write_sheet(
    section: Section, comparison: Comparison, path: Path, count: int = 12
) -> Path | None:
    """Write a sheet with a row for each image: the input, the truth, and every entry's errors.

    An entry is shown with its seed of median score.

    Returns:
        The path, or None if no pictures were kept.
    """
    entries = [e for e in section.scored if e.done and e.values.shape[1] == len(section.images)]
    truths = true_pictures(section, most_disputed(section)[:count]) if entries else {}
    columns = [_column(section, entry, list(truths)) for entry in entries]
    columns = [column for column in columns if column.pictures]
    if not columns:
        return None
    classes, names = cell_colours(entries[0].done[0]), class_names(entries[0].done[0].scores)
    several = len(names) > 2  # whose errors alone do not show what was predicted
    rows = []
    for id_, (image, truth) in truths.items():
        tiles: list[tuple[Picture | None, str]] = [(image, ""), (paint_labels(truth, classes), "")]
        for column in columns:
            labels = column.pictures.get(id_)
            shown = [painted_errors(image, truth, labels, classes)]
            if several:
                known = None if labels is None else paint_labels(labels, classes)
                shown.insert(0, None if shown[0] is None else known)
            texts = [score_text(column.scores[id_], comparison.score), ""]
            tiles += zip(shown, texts, strict=False)
        rows.append((id_, tiles))
    heads = ["input", "truth"]
    for column in columns:
        heads += [column.label, f"{column.label}: errors"] if several else [column.label]
    legend = classes.legend(names) if several else ()
    key = f"{errors_key(classes)}; below: score"
    with atomic_write(path) as temporary:
        draw_sheet(heads, rows, key, legend).save(temporary, "PNG", optimize=True)
    return path


def true_pictures(section: Section, ids: Sequence[str]) -> dict[str, tuple[Picture, Picture]]:
    """Image and truth of the ids for which a sweep has kept pictures, in the same order."""
    done = [cell for entry in section.scored for cell in entry.done]
    found: dict[str, tuple[Picture, Picture]] = {}
    for sweep, split in dict.fromkeys((cell.folder.parent, cell.split) for cell in done):
        path = truths_path(sweep, section.choice, split, section.part)
        for id_, (image, truth) in read_pictures(path, ids).items():
            if image is not None and image.shape[:2] == truth.shape:
                found.setdefault(id_, (image, truth))
        if len(found) == len(ids):
            break
    return {id_: found[id_] for id_ in ids if id_ in found}


def cell_colours(cell: Cell) -> ClassColours:
    """How the classes of a cell's data set are painted, by its config."""
    names, config = class_names(cell.scores), cell.config
    palette: dict[str, Any] = {name: config.get(f"data.palette.{name}") for name in names}
    known = {name: colour for name, colour in palette.items() if _is_colour(colour)}
    background = None if config.get("data.background", 0) is None else 0
    return class_colours(names, int(config.get("data.ignore_index", 255)), background, known)


def _is_colour(value: Any) -> bool:
    """Whether a value of a config is [r, g, b], 0 to 255."""
    return isinstance(value, list) and len(value) == 3 and all(each in range(256) for each in value)


def _column(section: Section, entry: Entry, ids: Sequence[str]) -> Column:
    values = entry.values[median_seed(entry)].tolist()
    return Column(
        entry.label, median_predictions(entry, ids), dict(zip(section.images, values, strict=True))
    )


def median_predictions(entry: Entry, ids: Sequence[str]) -> dict[str, Picture]:
    """The labels (H, W) that an entry's seed of median score predicted for the images ``ids``."""
    seed = entry.seeds[median_seed(entry)]
    folders = [cell.folder for cell in entry.done if cell.seed == seed]
    found = [read_pictures(folder / PREDICTIONS, ids) for folder in folders]
    return {id_: labels for pictures in found for id_, (_, labels) in pictures.items()}


def painted_errors(
    image: Picture, truth: Picture, prediction: Picture | None, classes: ClassColours
) -> Picture | None:
    """The image with its wrong pixels coloured; None without a prediction of its size."""
    if prediction is None or prediction.shape != truth.shape:  # another size means another image
        return None
    return paint_errors(image, truth, prediction, classes)


def draw_sheet(
    heads: Sequence[str], rows: Sequence[Row], key: str, legend: Legend = ()
) -> Image.Image:
    """Draw rows of tiles under a key, with titles of columns, and captions of rows and tiles.

    At the end stands the ``legend`` with the name and the colour of each class.
    """
    side = max(72, min(200, _WIDEST // len(heads) - GAP))
    points = 13 if side > 100 else 11
    font, line = ImageFont.load_default(points), round(1.35 * points)
    labels = [wrapped(visible(head), side, font.getlength) for head in heads]
    tiles = [[_tile(picture, side) for picture, _ in row] for _, row in rows]
    heights = [max(tile.height for tile in row) for row in tiles]
    top = GAP + line * (1 + max(map(len, labels)))
    size = (GAP + len(heads) * (side + GAP), top + sum(heights) + len(rows) * (2 * line + GAP))
    placed = placed_legend(legend, size[0], font)
    tall = size[1] + (placed[-1][1] + 2 * line if placed else 0)
    sheet = Image.new("RGB", (size[0], tall), "white")
    draw = ImageDraw.Draw(sheet)
    draw_legend(draw, placed, size[1], font)
    draw.text((GAP, 3), key, "black", font)
    for column, lines in enumerate(labels):
        for k, text in enumerate(lines, start=1):
            draw.text((_left(column, side), 3 + k * line), text, "black", font)
    for (caption, row), pictures, height in zip(rows, tiles, heights, strict=True):
        draw.text((GAP, top), visible(caption), "black", font)
        for column, (tile, (_, below)) in enumerate(zip(pictures, row, strict=True)):
            sheet.paste(tile, (_left(column, side), top + line))
            draw.text((_left(column, side), top + line + tile.height), below, "black", font)
        top += height + 2 * line + GAP
    return sheet


def _left(column: int, side: int) -> int:
    return GAP + column * (side + GAP)


def _tile(picture: Picture | None, side: int) -> Image.Image:
    """A picture scaled to fit a square tile; without a picture a light grey square."""
    if picture is None:
        return Image.new("RGB", (side, side), (235, 235, 235))
    return fitted(picture, side)


def wrapped(label: str, width: float, length: Callable[[str], float]) -> list[str]:
    """A label in lines no longer than ``width``, broken after a space or sign if possible."""
    lines, rest = [], label
    while rest and length(rest) > width:
        fits = max(1, sum(length(rest[:k]) <= width for k in range(1, len(rest) + 1)))
        breaks = [k for k in range(1, fits + 1) if rest[k - 1] in _BREAKS]
        end = breaks[-1] if breaks else fits
        lines.append(rest[:end].strip())
        rest = rest[end:].strip()
    return [*lines, rest] if rest else lines
