"""Writes for each entry the best, the median and the worst image of each class and score."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from segbench.colours import ClassColours
from segbench.records.panels import errors_key, paint_labels
from segbench.records.pictures import Picture
from segbench.records.record import atomic_write
from segbench.report.figures.sheets import (
    Row,
    cell_colours,
    draw_sheet,
    median_predictions,
    median_seed,
    painted_errors,
    true_pictures,
)
from segbench.report.sections.comparison import Comparison, Entry, Section, score_title
from segbench.report.sections.image_ranks import RankRow, by_score, rank_rows
from segbench.report.sections.image_scores import class_names
from segbench.text.numbers import score_text

_MOST = 20  # rows of three images: WebP, in which the page shows them, ends at 16,383 pixels
_HEADS = ("input", "truth", "prediction", "errors")


def write_image_panels(
    section: Section, comparison: Comparison, folder: Path, stem: str
) -> dict[str, Path]:
    """Write ``<stem>-<number>.png`` for each entry, numbered by rank.

    Not where they would show what each cell's own panels show: a single class, by IoU alone.

    Returns:
        The path of each entry's panels by its label, for the entries with pictures.
    """
    scores = by_score(section, comparison.score)
    if list(scores) == ["iou"] and len(section.class_names) < 2:
        return {}
    rows = [(name, row) for name, each in scores.items() for row in rank_rows(each, name)]
    found = {}
    for number, entry in enumerate(section.scored, 1):
        mine = [(name, row) for name, row in rows if row.entry.label == entry.label]
        path = folder / f"{stem}-{number}.png"
        if _write(section, entry, mine, path):
            found[entry.label] = path
    return found


def _write(section: Section, entry: Entry, rows: list[tuple[str, RankRow]], path: Path) -> bool:
    rows, left = rows[:_MOST], len(rows) - _MOST
    ids = list(dict.fromkeys(id_ for _, row in rows for id_, _ in row.images.values()))
    truths = true_pictures(section, ids) if ids else {}
    predictions = median_predictions(entry, list(truths)) if truths else {}
    if not predictions:
        return False
    classes = cell_colours(entry.done[0])
    tiles = list(_rows(rows, truths, predictions, classes))
    several = len(entry.means) > 1  # then the scores are means over them
    seed = f"; pictures of seed {entry.seeds[median_seed(entry)]}" if several else ""
    rest = f"; {left} more rows in images.csv" if left > 0 else ""
    names = class_names(entry.done[0].scores)
    legend = classes.legend(names) if len(names) > 2 else ()
    key = errors_key(classes) + seed + rest
    with atomic_write(path) as temporary:
        draw_sheet(_HEADS, tiles, key, legend).save(temporary, "PNG", compress_level=3)
    return True


def _rows(
    rows: list[tuple[str, RankRow]],
    truths: Mapping[str, tuple[Picture, Picture]],
    predictions: Mapping[str, Picture],
    classes: ClassColours,
) -> Iterator[Row]:
    for score, row in rows:
        for rank, (id_, value) in row.images.items():
            title = score_title(f"{score.partition('/')[0]}/{row.class_name}")
            caption = f"{rank} {title}: {score_text(value, score)}, {id_}"
            image, truth = truths.get(id_, (None, None))
            prediction = predictions.get(id_)
            painted = [
                None if labels is None else paint_labels(labels, classes)
                for labels in (truth, prediction)
            ]
            errors = None
            if image is not None and truth is not None:
                errors = painted_errors(image, truth, prediction, classes)
            yield caption, [(each, "") for each in (image, *painted, errors)]
