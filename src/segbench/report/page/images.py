"""The images of a section for the page: their scores, and two entries' predictions on each."""

import base64
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from segbench.colours import ClassColours
from segbench.records.panels import fitted
from segbench.records.pictures import Picture
from segbench.report.figures.sheets import (
    cell_colours,
    means_by_image,
    median_predictions,
    most_disputed,
    true_pictures,
)
from segbench.report.page.details import picture_uri
from segbench.report.sections.comparison import Comparison, Entry, Section
from segbench.text.escape import visible
from segbench.text.numbers import score_text

BUDGET = 2_000_000  # bytes of the pictures of a page
IMAGE_BYTES, MASK_BYTES = 6000, 900  # about, of one picture as a data URI
MOST_PICTURES, MOST_SCORES = 200, 60_000
SIDE, OPACITY = 256, 150  # pixels; of 255


def image_data(section: Section, comparison: Comparison, sections: int) -> Markup | None:
    """The scores of the images and the pictures of some, as JSON for the page's script.

    The images on which the entries disagree most come first; pictures are kept of as many of them
    as fit ``BUDGET``.

    Args:
        section: a section.
        comparison: the comparison that it belongs to.
        sections: the number of sections that share the budget.

    Returns:
        JSON that is safe within a ``<script>``; None where single images have no score.
    """
    entries = [e for e in section.scored if e.values.shape[1:] == (len(section.images),)]
    if not entries or not section.images:
        return None
    ids = most_disputed(section)[: MOST_SCORES // len(entries)]
    places = {id_: place for place, id_ in enumerate(section.images)}
    columns = means_by_image(entries)
    rows = [[_rounded(column[places[id_]], comparison.score) for column in columns] for id_ in ids]
    shown = min(MOST_PICTURES, BUDGET // sections // (IMAGE_BYTES + MASK_BYTES * len(entries)))
    told: dict[str, Any] = {
        "entries": [visible(entry.label) for entry in entries],
        "images": [[visible(id_), row] for id_, row in zip(ids, rows, strict=True)],
        "left": len(section.images) - len(ids),
        "lower": comparison.lower_is_better,
        "pictures": _pictures(section, entries, ids[:shown]),
    }
    return Markup(json.dumps(told).replace("<", "\\u003c"))


def _rounded(value: float, score: str) -> str | None:
    return None if np.isnan(value) else score_text(float(value), score)


def _pictures(
    section: Section, entries: Sequence[Entry], ids: Sequence[str]
) -> list[dict[str, Any] | None]:
    """For each id the image and the masks of each entry, and last of the truth, as data URIs."""
    truths = true_pictures(section, ids) if entries[0].done else {}
    if not truths:
        return []
    colours = cell_colours(entries[0].done[0])
    predictions = [median_predictions(entry, list(truths)) for entry in entries]
    found: list[dict[str, Any] | None] = []
    for id_ in ids:
        if id_ not in truths:
            found.append(None)
            continue
        image, truth = truths[id_]
        masks = [each.get(id_) for each in predictions]
        known = [None if each is None or each.shape != truth.shape else each for each in masks]
        uris = [None if each is None else mask_uri(each, colours) for each in (*known, truth)]
        small = np.asarray(fitted(image, SIDE)) if max(image.shape) > SIDE else image
        found.append({"image": picture_uri(small, 60), "masks": uris})
    return found


def mask_uri(labels: Picture, colours: ClassColours) -> str:
    """Labels (H, W) as a data URI of a PNG in the classes' colours, through which one can see."""
    painted = Image.fromarray(labels, "P")
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(colours.colours)] = colours.colours
    painted.putpalette(palette.ravel().tolist())
    opacity = np.full(256, OPACITY, np.uint8)
    opacity[colours.ignored] = 0
    if colours.background is not None:
        opacity[colours.background] = 0
    buffer = io.BytesIO()
    painted.save(buffer, "PNG", optimize=True, transparency=opacity.tobytes())
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
